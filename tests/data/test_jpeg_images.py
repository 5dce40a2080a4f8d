"""Crops, flips, views, means and colour noise of JPEG images, against plain NumPy on the decoded images."""

import collections
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf
from jpeg_folders import (
    COMPONENTS,
    DEVIATIONS,
    jpeg_of,
    part,
    picture,
    pixels_of,
    write_folder,
    write_meta,
    write_pickle,
)

from convnet_cfg.data import JpegDirectory, open_provider
from convnet_cfg.data.jpeg_batches import ColorStatistics
from convnet_cfg.data.jpeg_images import color_offsets
from convnet_cfg.errors import DataError

SIDE = 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Square, wide and high images, 16 pixels in the shorter direction."""
    return write_folder(tmp_path_factory.mktemp("jpeg"), side=SIDE)


@pytest.fixture(scope="module")
def images(folder):
    """The images of batch 0, decoded."""
    return [pixels_of(image.jpeg) for image in JpegDirectory(folder).batch(0)]


@pytest.fixture(scope="module")
def mean(folder):
    """The mean image, (16, 16, 3)."""
    return np.random.default_rng(SIDE).uniform(90, 140, (3, SIDE, SIDE)).astype(np.float32).transpose(1, 2, 0)


def crops_of(image, side):
    """Yield row, column, flip and pixels of every crop of an image."""
    rows, columns, _ = image.shape
    for row in range(rows - side + 1):
        for column in range(columns - side + 1):
            crop = image[row : row + side, column : column + side]
            yield row, column, 0, crop
            yield row, column, 1, crop[:, ::-1]


def matrices(provider, arrays, **view):
    prepare = provider.prepare_test if view or len(arrays) == 3 else provider.prepare_training
    return [np.asarray(matrix) for matrix in prepare(arrays, **view)]


def test_shapes(folder):
    provider = open_provider("image", folder, inner_size=12)
    assert provider.shapes == ((12, 12, 3), (1,), (3,))
    assert (provider.num_classes, provider.views, provider.numbers) == (3, 1, (0, 1, 1000))
    arrays = provider.training_arrays(0, np.random.default_rng(0))
    assert [array.dtype for array in arrays] == [np.uint8, np.int32, np.uint8]
    assert [array.shape for array in arrays] == [(12, 12, 12, 3), (12,), (12, 3)]
    prepared = provider.prepare_training(arrays)
    assert [tuple(matrix.shape[1:]) for matrix in prepared] == list(provider.shapes)
    assert {matrix.dtype for matrix in prepared} == {tf.float32}


def test_training_crops_are_anywhere_in_the_image(folder, images, mean):
    """Every crop is found in its image; over many draws they are everywhere, half of them flipped."""
    provider = open_provider("image", folder, inner_size=13)
    wanted = [{crop.tobytes(): place for *place, crop in crops_of(image, 13)} for image in images]
    found = [collections.Counter() for _ in images]
    for seed in range(60):
        arrays = provider.training_arrays(0, np.random.default_rng(seed))
        for counter, places, crop in zip(found, wanted, arrays[0], strict=True):
            counter[tuple(places[crop.tobytes()])] += 1
    for image, counter in zip(images, found, strict=True):
        rows, columns, flips = (set(part) for part in zip(*counter, strict=True))
        assert rows == set(range(image.shape[0] - 12))
        assert columns == set(range(image.shape[1] - 12))
        assert flips == {0, 1}
    flipped = sum(number for counter in found for (_, _, flip), number in counter.items() if flip)
    assert abs(flipped - 360) < 5 * np.sqrt(180)  # of 720
    crop, labels, every = matrices(provider, arrays)
    assert np.array_equal(crop, arrays[0].astype(np.float32) - mean[1:14, 1:14])
    assert labels.ravel().tolist() == [case % 3 for case in range(12)]
    assert np.array_equal(every, np.eye(3)[labels.ravel().astype(int)])


def test_the_generator_decides(folder):
    provider = open_provider("image", folder, inner_size=12, color_noise=0.1)
    first, same, other = (provider.training_arrays(0, np.random.default_rng(seed)) for seed in (1, 1, 2))
    for one, two, three in zip(first, same, other, strict=True):
        assert np.array_equal(one, two)
        if one is not first[1] and one is not first[2]:
            assert not np.array_equal(one, three)


def test_without_an_inner_size_the_shorter_side_counts(folder, images, mean):
    provider = open_provider("image", folder)
    crops, _, _ = matrices(provider, provider.test_arrays(0))
    for crop, image in zip(crops, images, strict=True):
        row, column = (image.shape[0] - SIDE) // 2, (image.shape[1] - SIDE) // 2
        part = image[row : row + SIDE, column : column + SIDE]
        assert np.array_equal(crop, part.astype(np.float32) - mean)


def test_the_centre(folder, images, mean):
    provider = open_provider("image", folder, inner_size=11)
    crops, _, _ = matrices(provider, provider.test_arrays(0))
    for crop, image in zip(crops, images, strict=True):
        row, column = (image.shape[0] - 11) // 2, (image.shape[1] - 11) // 2
        part = image[row : row + 11, column : column + 11]
        assert np.array_equal(crop, part.astype(np.float32) - mean[2:13, 2:13])


def test_ten_views(folder, images, mean):
    provider = open_provider("image", folder, inner_size=12, test_views=10)
    arrays = provider.test_arrays(0)
    assert arrays[0].shape == (12, 5, 12, 12, 3)
    views = [matrices(provider, arrays, view=view) for view in range(provider.views)]
    for case, image in enumerate(images):
        rows, columns = image.shape[0] - 12, image.shape[1] - 12
        starts = [(0, 0), (0, columns), (rows // 2, columns // 2), (rows, 0), (rows, columns)]
        crops = [image[row : row + 12, column : column + 12] for row, column in starts]
        for view, crop in enumerate([*crops, *(crop[:, ::-1] for crop in crops)]):
            assert np.array_equal(views[view][0][case], crop.astype(np.float32) - mean[2:14, 2:14])
    for _, labels, every in views:
        assert np.array_equal(labels, views[0][1])
        assert np.array_equal(every, views[0][2])
    assert np.array_equal(matrices(provider, arrays)[0], views[2][0])


def test_the_view_may_be_a_tensor_in_a_graph(folder):
    provider = open_provider("image", folder, inner_size=12, test_views=10)
    arrays = provider.test_arrays(0)

    @tf.function
    def images_of(view):
        return provider.prepare_test([tf.constant(array)[:5] for array in arrays], view=view)[0]

    for view in range(10):
        expected = matrices(provider, arrays, view=view)[0][:5]
        assert np.array_equal(images_of(tf.constant(view)), expected)


def test_a_number_in_place_of_the_mean(folder):
    arrays = open_provider("image", folder).test_arrays(0)
    for number in (0.0, 127.5):
        provider = open_provider("image", folder, scalar_mean=number)
        assert np.array_equal(
            matrices(provider, arrays)[0], arrays[0].astype(np.float32) - np.float32(number)
        )


def test_color_noise(folder, mean):
    """The images plus c times a colour of each, by 1 / (1 + c); none of it in tests."""
    provider = open_provider("image", folder, inner_size=12, color_noise=0.5)
    arrays = provider.training_arrays(0, np.random.default_rng(3))
    assert (arrays[3].dtype, arrays[3].shape) == (np.float32, (12, 3))
    images, labels, every = matrices(provider, arrays)
    expected = arrays[0].astype(np.float64) - mean[2:14, 2:14] + arrays[3][:, None, None, :]
    assert np.allclose(images, expected / 1.5, rtol=1e-5, atol=1e-4)
    plain = open_provider("image", folder, inner_size=12)
    without = plain.training_arrays(0, np.random.default_rng(3))
    for array, same in zip(without, arrays, strict=False):
        assert np.array_equal(array, same)
    for matrix, same in zip(
        matrices(provider, provider.test_arrays(1)), matrices(plain, plain.test_arrays(1)), strict=True
    ):
        assert np.array_equal(matrix, same)
    more = open_provider("image", folder, inner_size=12, color_noise=1.0)
    assert np.allclose(more.training_arrays(0, np.random.default_rng(3))[3], 2 * arrays[3])


def test_colors_are_distributed_like_those_of_the_data():
    normals = np.random.default_rng(0).standard_normal((20000, 3))
    offsets = color_offsets(ColorStatistics(DEVIATIONS, COMPONENTS), normals)
    covariance = COMPONENTS @ np.diag(DEVIATIONS**2) @ COMPONENTS.T
    assert np.allclose(offsets.mean(axis=0), 0, atol=1)
    assert np.allclose(np.cov(offsets.T), covariance, atol=40)
    single = color_offsets(ColorStatistics(DEVIATIONS, COMPONENTS), np.array([[0.0, 2.0, 0.0]]))
    assert np.allclose(single, 2 * 12 * COMPONENTS[:, 1])


def test_one_of_several_labels(tmp_path):
    write_meta(tmp_path, SIDE, label_offset=1)
    content = part([picture(case, SIDE, SIDE) for case in range(4)], [[0, 1], [], [-1, 1, 1], [1]])
    write_pickle(tmp_path / "data_batch_0", content)
    provider = open_provider("image", tmp_path)
    picked = np.array([provider.training_arrays(0, np.random.default_rng(seed))[1] for seed in range(90)])
    assert [set(column) for column in picked.T.tolist()] == [{1, 2}, {-1}, {0, 2}, {2}]
    assert 20 < np.sum(picked[:, 0] == 1) < 70
    assert 10 < np.sum(picked[:, 2] == 0) < 50  # one of three
    every = provider.training_arrays(0, np.random.default_rng(0))[2]
    assert every.tolist() == [[0, 1, 1], [0, 0, 0], [1, 0, 1], [0, 0, 1]]
    assert np.array_equal(provider.test_arrays(0)[1], provider.test_arrays(0)[1])


def grey_jpeg():
    return tf.io.encode_jpeg(picture(0, SIDE, SIDE)[..., :1], format="grayscale").numpy()


def test_grey_images(tmp_path):
    write_meta(tmp_path, SIDE)
    write_pickle(tmp_path / "data_batch_0", {"data": [grey_jpeg()], "labels": [[0]]})
    image = open_provider("image", tmp_path).test_arrays(0)[0][0]
    assert np.array_equal(image[..., 0], image[..., 1])
    assert np.array_equal(image[..., 0], image[..., 2])


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda jpeg: jpeg[:-200], " is not a JPEG image, or only a part of one"),
        (lambda jpeg: b"x", " is not a JPEG image, or only a part of one (1 bytes)"),
        (lambda jpeg: b"hello, world", " is not a JPEG image, or only a part of one (12 bytes)"),
        (
            lambda jpeg: jpeg_of(picture(0, 20, 18)),
            " has 20 rows of 18 pixels, expected 16 in the shorter direction",
        ),
        (
            lambda jpeg: jpeg_of(picture(0, 15, 40)),
            " has 15 rows of 40 pixels, expected 16 in the shorter direction",
        ),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_wrong_images(tmp_path, spoil, expected, training):
    write_meta(tmp_path, SIDE)
    content = part([picture(case, SIDE, SIDE) for case in range(5)], [[0]] * 5)
    content["data"][3] = spoil(content["data"][3])
    write_pickle(tmp_path / "data_batch_7" / "data_batch_7.0", part([picture(9, SIDE, SIDE)], [[0]]))
    path = write_pickle(tmp_path / "data_batch_7" / "data_batch_7.1", content)
    provider = open_provider("image", tmp_path, inner_size=12)
    with pytest.raises(DataError) as error:
        provider.training_arrays(7, np.random.default_rng(0)) if training else provider.test_arrays(7)
    assert str(error.value).startswith(f"{path}: image 3{expected}")


def test_tensorflow_is_not_imported_before_an_image_is_decoded(folder):
    code = f"""
    import sys
    from convnet_cfg.data import open_provider
    provider = open_provider("image", {str(folder)!r}, inner_size=12, color_noise=0.1)
    provider.check_range([0, 1000])
    assert provider.mean.shape == (12, 12, 3)
    assert len(provider.source.batch(0)) == 12
    assert not {{"tensorflow", "keras"}} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
