"""Batches of JPEG strings: where their files may be, and what is said of files that are wrong."""

import struct

import numpy as np
import pytest
from jpeg_folders import COMPONENTS, DEVIATIONS, part, picture, write_folder, write_meta, write_pickle

from convnet_cfg.data import JpegDirectory, open_provider
from convnet_cfg.errors import DataError, UsageError


@pytest.fixture(scope="module")
def parts():
    """Four dictionaries of one, two, three and four images."""
    return [
        part(
            [picture(10 * size + case, 16, 16) for case in range(size)], [[case % 3] for case in range(size)]
        )
        for size in (1, 2, 3, 4)
    ]


@pytest.fixture
def folder(tmp_path):
    """A folder with a meta file and no batches."""
    write_meta(tmp_path / "data", 16)
    return tmp_path / "data"


def message(folder, number=3):
    with pytest.raises(DataError) as error:
        JpegDirectory(folder).batch(number)
    return str(error.value)


def test_a_dictionary_a_list_or_a_folder(folder, parts):
    write_pickle(folder / "data_batch_0", parts[3])
    write_pickle(folder / "data_batch_1", parts)
    for number, content in enumerate(parts):
        write_pickle(folder / "data_batch_1000" / f"data_batch_1000.{number}", content)
    source = JpegDirectory(folder)
    assert source.numbers == (0, 1, 1000)
    assert source.side == 16
    assert [image.jpeg for image in source.batch(0)] == parts[3]["data"]
    every = [jpeg for content in parts for jpeg in content["data"]]
    labels = [(label,) for content in parts for (label,) in content["labels"]]
    for number in (1, 1000):
        batch = source.batch(number)
        assert [image.jpeg for image in batch] == every
        assert [image.labels for image in batch] == labels
    assert source.batch(1)[2].name == f"{folder}/data_batch_1: part 1: image 1"
    assert source.batch(1000)[5].name == f"{folder}/data_batch_1000/data_batch_1000.2: image 2"


def test_sub_batches_in_natural_order(folder, parts):
    for name, content in zip(("x9", "x10", "y2", ".hidden"), parts, strict=True):
        write_pickle(folder / "data_batch_3" / name, content)
    (folder / "data_batch_3" / ".hidden").write_text("not a pickle")
    batch = JpegDirectory(folder).batch(3)
    assert [image.file.rpartition("/")[2] for image in batch] == ["x9", "x10", "x10", "y2", "y2", "y2"]


@pytest.mark.parametrize(
    ("numbers", "missing"),
    [
        ((0, 2), "sub-batch 1 missing; there are 0 and 2"),
        ((1, 2, 5), "sub-batches 3 and 4 missing; there are 1, 2 and 5"),
        ((2,), "sub-batch 1 missing; there are 2"),
        ((0,), None),
        ((1, 2), None),
        ((), "has no sub-batches"),
    ],
)
def test_missing_sub_batches(folder, parts, numbers, missing):
    (folder / "data_batch_3").mkdir()
    for number in numbers:
        write_pickle(folder / "data_batch_3" / f"data_batch_3.{number}", parts[0])
    if missing is None:
        assert len(JpegDirectory(folder).batch(3)) == len(numbers)
    else:
        assert message(folder) == f"{folder}/data_batch_3: {missing}"


def test_strings_of_python_2(folder, parts):
    """Python 2 wrote a string as its length and its bytes."""
    jpeg = parts[0]["data"][0]
    strings = (b"U\x04data]T" + struct.pack("<i", len(jpeg)) + jpeg + b"aU\x06labels]]K\x02aa").join(
        (b"\x80\x02}(", b"u.")
    )
    (folder / "data_batch_3").write_bytes(strings)
    (image,) = JpegDirectory(folder).batch(3)
    assert image.jpeg == jpeg
    assert image.labels == (2,)


def test_several_labels_and_an_offset(tmp_path, parts):
    folder = tmp_path / "data"
    write_meta(folder, 16, label_offset=-1)
    write_pickle(folder / "data_batch_3", {**parts[3], "labels": [[1, 3], [], (2,), np.array([3.0])]})
    assert [image.labels for image in JpegDirectory(folder).batch(3)] == [(0, 2), (), (1,), (2,)]
    write_pickle(folder / "data_batch_3", {**parts[3], "labels": [[1], [1], [0], [1]]})
    assert (
        message(folder) == f"{folder}/data_batch_3: image 2 has label 0, expected a whole number from 1 to 3"
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"labels": [[0], [3]]}, ": image 1 has label 3, expected a whole number from 0 to 2"),
        ({"labels": [[0, -1], [1]]}, ": image 0 has label -1, expected a whole number from 0 to 2"),
        ({"labels": [[0], [1.5]]}, ": image 1 has label 1.5, expected a whole number from 0 to 2"),
        ({"labels": [[0], [float("nan")]]}, ": image 1 has label nan, expected a whole number from 0 to 2"),
        ({"labels": [[0], ["cat"]]}, ": image 1 has label 'cat', expected a whole number from 0 to 2"),
        ({"labels": [0, 1]}, ": image 0 has labels 0, expected a list of whole numbers"),
        ({"labels": [[0]]}, ": has 2 images and labels for 1"),
        ({"labels": None}, ": labels must be a list with one item for each image, got NoneType"),
        ({"data": np.zeros((2, 9))}, ": data must be a list with one item for each image, got PickledArray"),
        ({"data": [b"x", 5]}, ": image 1 is a int, expected a JPEG string"),
        ({"data": [b"x", "\u20ac"]}, ": image 1 is text, expected a JPEG string"),
        ({"data": [], "labels": []}, ": has no images"),
    ],
)
def test_wrong_batches(folder, parts, change, expected):
    write_pickle(folder / "data_batch_3", {**parts[1], **change})
    assert message(folder) == f"{folder}/data_batch_3{expected}"


def test_a_batch_that_is_no_dictionary(folder, parts):
    write_pickle(folder / "data_batch_3", [parts[0], 5])
    assert message(folder) == f"{folder}/data_batch_3: part 1: holds a int, expected a dictionary"
    write_pickle(folder / "data_batch_3", {"data": []})
    assert message(folder) == f"{folder}/data_batch_3: has no 'labels'; it has 'data'"


def test_a_truncated_file(folder, parts):
    path = write_pickle(folder / "data_batch_3" / "data_batch_3.0", parts[2])
    path.write_bytes(path.read_bytes()[:700])
    assert message(folder) == f"{path}: ends too early, after 700 bytes: copy or make it again"


def test_missing_batches(tmp_path):
    folder = write_folder(tmp_path / "data", batches=(0, 2))
    assert message(folder, 1) == f"{folder}: batch 1 missing; there are 0 and 2"
    with pytest.raises(DataError, match="batches 1 and 1000 missing; there are 0 and 2"):
        open_provider("image", folder).check_range([0, 1, 1000])
    assert message(tmp_path / "none") == f"{tmp_path}/none: no such folder"


def test_colors(folder):
    colors = JpegDirectory(folder).colors
    assert np.array_equal(colors.deviations, DEVIATIONS)
    assert np.array_equal(colors.components, COMPONENTS)


@pytest.mark.parametrize(
    ("meta", "options", "expected"),
    [
        ({"num_vis": 256, "data_mean": None}, {}, "expected images of 3 channels, num_vis is 256"),
        ({"data_mean": None}, {}, "has no data_mean"),
        ({"label_offset": 0.5}, {}, "label_offset must be an integer, got 0.5"),
        ({"color_pca": None}, {"color_noise": 0.1}, "has no 'color_pca'; it has"),
        ({"color_pca": 3}, {"color_noise": 0.1}, "color_pca must be 3 deviations and a 3 x 3 array"),
        (
            {"color_pca": (DEVIATIONS, COMPONENTS[:2])},
            {"color_noise": 0.1},
            "color_pca has shapes (3,) and (2, 3), expected (3,) and (3, 3)",
        ),
        (
            {"color_pca": (5, COMPONENTS)},
            {"color_noise": 0.1},
            "deviations must be an array of numbers, got int",
        ),
        ({"color_pca": (DEVIATIONS * np.inf, COMPONENTS)}, {"color_noise": 1}, "color_pca is not finite"),
    ],
)
def test_wrong_meta(tmp_path, meta, options, expected):
    write_meta(tmp_path, 16, **meta)
    with pytest.raises(DataError) as error:
        open_provider("image", tmp_path, **options)
    assert str(error.value).startswith(f"{tmp_path}/batches.meta: {expected}")


def test_what_is_not_needed_may_be_missing(tmp_path):
    write_meta(tmp_path, 16, data_mean=None, color_pca=None)
    provider = open_provider("image", tmp_path, scalar_mean=0.0)
    assert provider.shapes == ((16, 16, 3), (1,), (3,))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"inner_size": 17}, "inner size must be from 0 to 16 for images of 16 x 16, got 17"),
        ({"inner_size": -1}, "inner size must be from 0 to 16 for images of 16 x 16, got -1"),
        ({"color_noise": -0.5}, "colour noise must be a number >= 0, got -0.5"),
        ({"test_views": 9}, "test views must be 1 or 10, got 9"),
        (
            {"crop_border": 2},
            "data provider 'image' takes inner_size, scalar_mean, color_noise, test_views, not",
        ),
    ],
)
def test_wrong_options(folder, options, expected):
    with pytest.raises(UsageError) as error:
        open_provider("image", folder, **options)
    assert str(error.value).startswith(expected)


def test_arrays_are_no_images(folder):
    write_pickle(folder / "data_batch_3", {"data": np.zeros((768, 2), np.uint8), "labels": [0, 1]})
    with pytest.raises(DataError, match="data must be a list with one item for each image, got"):
        open_provider("image", folder).test_arrays(3)
