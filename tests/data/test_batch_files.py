import pickle
import sys

import numpy as np
import pytest

from convnet_cfg.data.batches import Batch, BatchCache, BatchDirectory
from convnet_cfg.data.registry import stored_provider
from convnet_cfg.errors import DataError, UsageError


def message(path):
    """Open a folder, load its first batch, and return the error message."""
    with pytest.raises(DataError) as error:
        BatchDirectory(path).batch(1)
    return str(error.value)


def test_both_layouts_give_identical_arrays(make_folder):
    ours, public = BatchDirectory(make_folder("ours")), BatchDirectory(make_folder("public", public=True))
    assert ours.numbers == public.numbers == (1, 2, 3, 4, 5, 6)
    assert ours.image_shape == public.image_shape == (12, 12, 3)
    assert np.array_equal(ours.mean, public.mean)
    assert ours.mean.dtype == public.mean.dtype == np.float32
    for number in ours.numbers:
        images, labels = ours.batch(number)
        assert np.array_equal(images, public.batch(number).images)
        assert np.array_equal(labels, public.batch(number).labels)
        assert (images.dtype, images.shape) == (np.uint8, (20, 12, 12, 3))
        assert (labels.dtype, labels.shape) == (np.int32, (20,))


def test_order_of_the_values(make_folder):
    """Value channel * 144 + row * 12 + column of a case is the pixel [row, column, channel]."""
    folder = make_folder()
    data = pickle.loads((folder / "data_batch_2").read_bytes())["data"]
    images = BatchDirectory(folder).batch(2).images
    for case, row, column, channel in [(0, 0, 0, 0), (3, 4, 5, 2), (19, 11, 0, 1)]:
        assert images[case, row, column, channel] == data[channel * 144 + row * 12 + column, case]


def test_one_channel(make_folder):
    folder = BatchDirectory(make_folder(channels=1))
    assert folder.image_shape == folder.mean.shape == (12, 12, 1)
    assert folder.batch(6).images.shape == (20, 12, 12, 1)


def test_size_from_the_mean_without_num_vis(make_folder, dump):
    make_folder()
    dump("data/batches.meta", {"label_names": list("abcd"), "data_mean": np.arange(432.0)})
    folder = BatchDirectory(make_folder("data", meta={}).parent / "data")
    assert folder.image_shape == (12, 12, 3)


@pytest.mark.parametrize("type_name", ["float32", "float64", "int16"])
def test_other_numbers_become_float32(make_folder, type_name):
    data = np.linspace(-9, 9, 432 * 20).reshape(432, 20).astype(type_name)
    images = BatchDirectory(make_folder(batch={"data": data})).batch(1).images
    assert images.dtype == np.float32
    assert images[7, 1, 2, 0] == np.float32(data[14, 7])


@pytest.mark.parametrize("public", [False, True])
def test_as_many_cases_as_values(make_folder, public):
    folder = make_folder(public=public, channels=1, cases=144)
    data = pickle.loads((folder / "data_batch_1").read_bytes())["data"]
    first = data[0] if public else data[:, 0]
    assert np.array_equal(BatchDirectory(folder).batch(1).images[0].ravel(), first)


def test_as_many_cases_as_values_and_nothing_to_tell(make_folder):
    folder = make_folder(channels=1, cases=144)
    (folder / "data_batch_6").rename(folder / "test_batch")  # as the public one, but with a mean
    assert message(folder) == (
        f"{folder}/data_batch_1: as many cases as values, "
        "and batches.meta does not tell if a case is a row or a column"
    )


def test_missing_batch(make_folder):
    folder = make_folder()
    (folder / "data_batch_1").unlink()
    assert message(folder) == f"{folder}: batch 1 missing; there are 2, 3, 4, 5 and 6"


def test_no_such_folder(tmp_path):
    assert message(tmp_path / "none") == f"{tmp_path}/none: no such folder"


def test_a_file_instead_of_a_folder(dump):
    path = dump("cifar.tar.gz", 1)
    assert message(path) == (
        f"{path}: is a file, expected a folder with batches.meta and data_batch_1, data_batch_2, ..."
    )


def test_no_meta_file(tmp_path):
    assert message(tmp_path) == f"{tmp_path}: no batches.meta here"


def test_the_folder_above(make_folder):
    folder = make_folder("cifar-10-batches-py", public=True)
    assert message(folder.parent) == f"{folder.parent}: no batches.meta here; did you mean {folder}?"


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ({"label_names": []}, "label_names must be a list with one name for each class"),
        ({"num_vis": 3000}, "images of 3000 values are not square with 3 channels or 1"),
        ({"num_vis": "many"}, "images of 'many' values are not square with 3 channels or 1"),
        ({"num_vis": 3072}, "data_mean has 432 values, but num_vis is 3072"),
        ({"data_mean": [1, 2]}, "data_mean must be an array of numbers, got list"),
        ({"data_mean": np.full(432, np.nan)}, "data_mean is not finite"),
    ],
)
def test_wrong_meta(make_folder, meta, expected):
    folder = make_folder(meta=meta)
    assert message(folder) == f"{folder}/batches.meta: {expected}"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([1], "holds a list, expected a dictionary"),
        ({"num_vis": 3072}, "has no 'label_names'; it has 'num_vis'"),
        ({"label_names": ["a"]}, "has neither num_vis nor data_mean, so the image size is unknown"),
    ],
)
def test_incomplete_meta(make_folder, dump, content, expected):
    folder = make_folder()
    file = dump("data/batches.meta", content)
    assert message(folder) == f"{file}: {expected}"


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        ({"labels": []}, "labels must be a list with one number for each case"),
        (
            {"labels": [0] * 7 + [4] + [1] * 12},
            "the label of case 7 is 4, expected a whole number from 0 to 3",
        ),
        ({"labels": [-1] * 20}, "the label of case 0 is -1, expected a whole number from 0 to 3"),
        ({"labels": [0, 0.5] * 10}, "the label of case 1 is 0.5, expected a whole number from 0 to 3"),
        ({"labels": [[0]] * 20}, "the label of case 0 is [0], expected a whole number from 0 to 3"),
        (
            {"labels": np.full((1, 20), np.nan)},
            "the label of case 0 is nan, expected a whole number from 0 to 3",
        ),
        (
            {"labels": [0] * 19},
            "data has shape (432, 20), expected (432, 19) or (19, 432): 432 values for each of 19 labels",
        ),
        (
            {"data": np.zeros((3072, 20), np.uint8)},
            "data has shape (3072, 20), expected (432, 20) or (20, 432): 432 values for each of 20 labels",
        ),
        ({"data": [b"jpeg"] * 20}, "data must be an array of numbers, got list"),
        ({"data": np.zeros((432, 20), "S3")}, "data must be an array of numbers, got |S3"),
        (
            {"data": np.array([[np.inf if case == 5 else 0] * 432 for case in range(20)])},
            "the data of case 5 are not finite",
        ),
        ({"data": np.full((432, 20), 1e300)}, "the data of case 0 are not finite"),
    ],
)
def test_wrong_batch(make_folder, batch, expected):
    folder = make_folder(batch=batch)
    assert message(folder) == f"{folder}/data_batch_1: {expected}"


def test_no_labels(make_folder, dump):
    folder = make_folder()
    dump("data/data_batch_1", {"data": 1, "fine_labels": 2})
    assert message(folder) == f"{folder}/data_batch_1: has no 'labels'; it has 'data', 'fine_labels'"


def test_truncated_batch(make_folder):
    folder = make_folder()
    (folder / "data_batch_1").write_bytes((folder / "data_batch_1").read_bytes()[:5000])
    assert (
        message(folder) == f"{folder}/data_batch_1: ends too early, after 5000 bytes: copy or make it again"
    )


def test_sub_batches_of_cuda_convnet2(make_folder):
    folder = make_folder()
    (folder / "data_batch_1").unlink()
    (folder / "data_batch_1").mkdir()
    assert message(folder) == f"{folder}/data_batch_1: is not a file"


def test_labels_of_other_kinds(make_folder):
    expected = BatchDirectory(make_folder()).batch(1).labels
    for kind in (np.float32, np.int64):
        folder = make_folder(batch={"labels": expected.astype(kind).reshape(1, -1)})
        assert np.array_equal(BatchDirectory(folder).batch(1).labels, expected)


def test_no_mean_and_no_way_to_know_it(make_folder):
    folder = make_folder(public=True)
    (folder / "data_batch_3").unlink()
    with pytest.raises(DataError) as error:
        _ = BatchDirectory(folder).mean
    assert str(error.value) == f"{folder}: the mean image needs batches 1 to 5; missing: 3"
    (folder / "test_batch").rename(folder / "data_batch_6")
    with pytest.raises(DataError) as error:
        _ = BatchDirectory(folder).mean
    assert str(error.value) == f"{folder}/batches.meta: has no data_mean"


def test_mean_of_other_numbers_than_bytes(make_folder):
    data = np.linspace(-9, 9, 432 * 20).reshape(20, 432)
    mean = BatchDirectory(make_folder(public=True, batch={"data": data})).mean
    expected = data.astype(np.float32).mean(axis=0, dtype=np.float64).reshape(3, 12, 12).transpose(1, 2, 0)
    assert np.allclose(mean, expected, rtol=1e-6)


def test_cache_keeps_the_batches_used_last():
    loaded = []

    def load(number):
        loaded.append(number)
        return Batch(np.zeros((10, 2, 2, 1), np.uint8), np.zeros(10, np.int32))  # 80 bytes

    cache = BatchCache(load, limit=170)
    for number in (1, 2, 1, 3, 1, 2):
        cache(number)
    assert loaded == [1, 2, 3, 2]
    assert cache.size == 160
    tight = BatchCache(load, limit=10)
    assert tight(1) is tight(1)
    assert tight(2) is not tight(1)


@pytest.mark.parametrize("name", ["cifar", "image", "dummy-cn-192"])
def test_the_provider_that_a_folder_asks_for(make_folder, name):
    assert stored_provider(make_folder(meta={"dp_type": name})) == name


@pytest.mark.parametrize("meta", [{}, {"dp_type": ""}, {"dp_type": 3}])
def test_a_folder_that_asks_for_no_provider(make_folder, meta):
    with pytest.raises(UsageError, match=r"batches.meta does not name its data provider \(dp_type\)"):
        stored_provider(make_folder(meta=meta))


@pytest.mark.parametrize("name", ["this.Zen", "labeled-memory", "dummy-cn-n"])
def test_a_folder_does_not_decide_what_is_imported(make_folder, name):
    with pytest.raises(UsageError) as error:
        stored_provider(make_folder(meta={"dp_type": name}))
    assert str(error.value).endswith(
        f"/batches.meta asks for data provider {name!r}, which does not come along: "
        "if you trust it, name it with --data-provider"
    )
    assert "this" not in sys.modules


def test_no_folder_asks_for_no_provider(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        stored_provider(tmp_path)
