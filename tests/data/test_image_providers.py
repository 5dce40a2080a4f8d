import json
from itertools import product

import numpy as np
import pytest
import tensorflow as tf

from convnet_cfg.data import open_provider
from convnet_cfg.data.images import nine_views, ten_views
from convnet_cfg.errors import DataError, UsageError


@pytest.fixture(scope="module")
def original(tiny):
    """What the original providers returned."""
    return json.loads((tiny / "providers-v1.json").read_text())


@pytest.fixture(scope="module")
def second(tiny):
    """What cuda-convnet2's provider returned: 24 x 24 pixels, scalar mean -1."""
    found = json.loads((tiny / "providers-v2.json").read_text())
    start = "v2 cifar inner 24 scalar_mean -1 "
    return {name.removeprefix(start): value for name, value in found.items() if name.startswith(start)}


def assert_same(matrix, expected):
    """Compare (cases, ...) with the original's (values, cases) matrix: shape, sums, elements."""
    matrix = np.asarray(matrix)
    assert matrix.dtype == np.float32
    if matrix.ndim == 4:
        matrix = matrix.transpose(0, 3, 1, 2)
    matrix = matrix.reshape(len(matrix), -1).T
    assert list(matrix.shape) == expected["shape"]
    assert matrix.sum(dtype=np.float64) == pytest.approx(expected["sum"], rel=1e-12)
    assert np.abs(matrix).sum(dtype=np.float64) == pytest.approx(expected["abs_sum"], rel=1e-12)
    for place, value in expected["elements"]:
        assert matrix[tuple(place)] == np.float32(value)


def assert_all_same(matrices, expected):
    """Compare each matrix of a batch with the original's."""
    for matrix, part in zip(matrices, expected, strict=True):
        assert_same(matrix, part)


def assert_views_same(provider, expected, sums):
    """Compare all views of batch 6, one behind the other, and the sums of their images."""
    arrays = provider.test_arrays(6)
    views = [provider.prepare_test(arrays, view=view) for view in range(provider.views)]
    assert_all_same([tf.concat(parts, axis=0) for parts in zip(*views, strict=True)], expected)
    found = [np.asarray(images).sum(dtype=np.float64) for images, _ in views]
    assert found == pytest.approx(sums, abs=1e-6)


def legacy_draws(cases, border):
    """The draws of the original after seeding numpy's legacy generator with 5: Y, X, coin for each case."""
    rng = np.random.RandomState(5)
    ends = (2 * border + 1, 2 * border + 1, 2)
    draws = np.array([[rng.randint(0, end) for end in ends] for _ in range(cases)], np.int32)
    draws[:, 2] = draws[:, 2] == 0
    return draws


def test_cifar_as_the_original(tiny, original):
    provider = open_provider("cifar", tiny)
    assert provider.shapes == ((32, 32, 3), (1,))
    arrays = provider.training_arrays(1, np.random.default_rng(0))
    assert [array.dtype for array in arrays] == [np.uint8, np.int32]
    assert_all_same(provider.prepare_training(arrays), original["cifar train batch 1"][2:])


def test_cropped_training_as_the_original(tiny, original):
    provider = open_provider("cifar-cropped", tiny)
    images, labels, draws = provider.training_arrays(1, np.random.default_rng(0))
    assert (draws.dtype, draws.shape) == (np.int32, (60, 3))
    matrices = provider.prepare_training((images, labels, legacy_draws(60, 4)))
    assert_all_same(matrices, original["cifar-cropped train batch 1 border 4, numpy legacy seed 5"])


def test_cropped_test_as_the_original(tiny, original):
    provider = open_provider("cifar-cropped", tiny)
    assert provider.views == 1
    matrices = provider.prepare_test(provider.test_arrays(6))
    assert_all_same(matrices, original["cifar-cropped test centre batch 6 border 4"])


def test_ten_views_as_the_original(tiny, original):
    provider = open_provider("cifar-cropped", tiny, test_views=10)
    sums = original["cifar-cropped multiview per-view sums"]
    assert_views_same(provider, original["cifar-cropped test multiview batch 6 border 4"], sums)


def test_inner_crops_as_the_second_original(tiny, second):
    provider = open_provider("cifar", tiny, inner_size=24)
    assert provider.shapes == ((24, 24, 3), (1,))
    images, labels, draws = provider.training_arrays(1, np.random.default_rng(0))
    assert (images.dtype, draws.shape) == (np.uint8, (60, 3))
    matrices = provider.prepare_training((images, labels, legacy_draws(60, 4)))
    assert_all_same(matrices, second["train batch 1 numpy legacy seed 5"])
    assert_all_same(provider.prepare_test(provider.test_arrays(6)), second["test batch 6"])


def test_nine_views_as_the_second_original(tiny, second):
    provider = open_provider("cifar", tiny, inner_size=24, test_views=9)
    sums = second["test batch 6 multiview per-view sums"]
    assert_views_same(provider, second["test batch 6 multiview"], sums)


def test_the_scalar_mean_is_subtracted_too(make_folder):
    folder = make_folder()
    whole = open_provider("cifar", folder)
    images = np.asarray(whole.prepare_test(whole.test_arrays(1))[0])
    for options, shift in [({}, 1), ({"scalar_mean": 0.0}, 0), ({"scalar_mean": 2.5}, -2.5)]:
        provider = open_provider("cifar", folder, inner_size=8, **options)
        found = provider.prepare_test(provider.test_arrays(1))[0]
        assert np.allclose(found, images[:, 2:10, 2:10] + shift, atol=1e-4)


@pytest.mark.parametrize("options", [{"inner_size": 0}, {"inner_size": 12}, {"scalar_mean": -1.0}])
def test_whole_images_of_the_second_original_are_still_flipped(make_folder, options):
    provider = open_provider("cifar", make_folder(), **options)
    assert provider.shapes == ((12, 12, 3), (1,))
    images, labels, draws = provider.training_arrays(1, np.random.default_rng(0))
    assert draws[:, :2].max() == 0
    assert set(draws[:, 2]) == {0, 1}
    found = np.asarray(provider.prepare_training((images, labels, draws))[0])
    for crop, image, (_, _, flip) in zip(found, images, draws, strict=True):
        pixels = image[:, ::-1] if flip else image
        assert np.array_equal(crop, pixels.astype(np.float32) + 1 - provider.source.mean)


def test_an_odd_border(make_folder):
    """Of 12 - 7 pixels, two are the border on each side: crops start at 0 to 4, the centre at 2."""
    provider = open_provider("cifar", make_folder(cases=400), inner_size=7, test_views=9)
    images, labels, draws = provider.training_arrays(1, np.random.default_rng(0))
    assert (draws[:, :2].min(), draws[:, :2].max()) == (0, 4)
    mean = provider.source.mean[2:9, 2:9]
    centre = provider.prepare_test((images, labels))[0]
    assert np.array_equal(centre, images[:, 2:9, 2:9].astype(np.float32) + 1 - mean)
    last = provider.prepare_test((images, labels), view=8)[0]
    assert np.array_equal(last, images[:, 4:11, 4:11].astype(np.float32) + 1 - mean)


def test_the_order_of_the_views():
    assert nine_views(4).tolist() == [
        *([0, 0, 0], [0, 4, 0], [0, 8, 0]),
        *([4, 0, 0], [4, 4, 0], [4, 8, 0]),
        *([8, 0, 0], [8, 4, 0], [8, 8, 0]),
    ]
    assert ten_views(4).tolist() == [
        *([0, 0, 0], [0, 8, 0], [4, 4, 0], [8, 0, 0], [8, 8, 0]),
        *([0, 0, 1], [0, 8, 1], [4, 4, 1], [8, 0, 1], [8, 8, 1]),
    ]


def test_every_crop(make_folder):
    """All rows, columns and flips at once, against slices of the file's images."""
    provider = open_provider("cifar-cropped", make_folder(), crop_border=2)
    assert provider.shapes == ((8, 8, 3), (1,))
    images, labels = provider.test_arrays(1)
    draws = np.array(
        [(row, column, flip) for row, column, flip in product(range(5), range(5), (0, 1))], np.int32
    )
    cases = np.resize(np.arange(20), len(draws))
    matrix, _ = provider.prepare_training((images[cases], labels[cases], draws))
    mean = provider.source.mean[2:10, 2:10]
    for crop, case, (row, column, flip) in zip(np.asarray(matrix), cases, draws, strict=True):
        part = images[case, row : row + 8, column : column + 8].astype(np.float32)
        assert np.array_equal(crop, (part[:, ::-1] if flip else part) - mean)


@pytest.mark.parametrize("channels", [1, 3])
def test_no_border(make_folder, channels):
    provider = open_provider("cifar-cropped", make_folder(channels=channels), crop_border=0)
    assert provider.shapes == ((12, 12, channels), (1,))
    arrays = provider.test_arrays(1)
    centre, view = provider.prepare_test(arrays)[0], provider.prepare_test(arrays, view=0)[0]
    assert np.array_equal(centre, view)


def test_draws_are_even_and_come_from_the_generator_alone(make_folder):
    provider = open_provider("cifar-cropped", make_folder(cases=3000, channels=1))
    draws = [provider.training_arrays(1, np.random.default_rng(seed))[2] for seed in (1, 1, 2)]
    assert np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])
    for column, kinds in enumerate((9, 9, 2)):
        counts = np.bincount(draws[0][:, column], minlength=kinds)
        assert len(counts) == kinds
        assert np.abs(counts - 3000 / kinds).max() < 5 * np.sqrt(3000 / kinds)


def test_in_a_loop_inside_the_graph_with_any_number_of_cases(make_folder):
    provider = open_provider("cifar-cropped", make_folder(), crop_border=2)
    arrays = provider.training_arrays(1, np.random.default_rng(0))
    signature = [tf.TensorSpec([None, *array.shape[1:]], array.dtype) for array in arrays]

    @tf.function(input_signature=[*signature, tf.TensorSpec([], tf.int32)])
    def minibatches(images, labels, draws, size):
        count = (tf.shape(images)[0] + size - 1) // size
        found = tf.TensorArray(tf.float32, size=count, infer_shape=False, element_shape=(None, 8, 8, 3))
        for index in tf.range(count):
            part = slice(index * size, (index + 1) * size)
            matrices = provider.prepare_training((images[part], labels[part], draws[part]))
            assert [tuple(matrix.shape[1:]) for matrix in matrices] == [(8, 8, 3), (1,)]
            found = found.write(index, matrices[0])
        return found.concat()

    whole, _ = provider.prepare_training(arrays)
    for size in (6, 20):
        assert np.array_equal(minibatches(*arrays, size), whole)


def test_the_view_may_be_a_tensor(make_folder):
    provider = open_provider("cifar-cropped", make_folder(), test_views=10)
    arrays = provider.test_arrays(6)

    @tf.function
    def images_of(view):
        return provider.prepare_test(arrays, view=view)[0]

    for view in range(10):
        assert np.array_equal(images_of(tf.constant(view)), provider.prepare_test(arrays, view=view)[0])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"inner_size": 13}, "inner size must be from 0 to 12 for images of 12 x 12, got 13"),
        ({"inner_size": -1}, "inner size must be from 0 to 12 for images of 12 x 12, got -1"),
        ({"inner_size": 8, "test_views": 10}, "test views must be 1 or 9, got 10"),
        (
            {"test_views": 9},
            "data provider 'cifar' has one view of each case only, unless it has an inner size",
        ),
    ],
)
def test_wrong_inner_options(make_folder, options, expected):
    with pytest.raises(UsageError) as error:
        open_provider("cifar", make_folder(), **options)
    assert str(error.value) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"crop_border": 6}, "crop border must be from 0 to 5 for images of 12 x 12, got 6"),
        ({"crop_border": -1}, "crop border must be from 0 to 5 for images of 12 x 12, got -1"),
        ({"test_views": 9}, "test views must be 1 or 10, got 9"),
    ],
)
def test_wrong_options(make_folder, options, expected):
    with pytest.raises(UsageError) as error:
        open_provider("cifar-cropped", make_folder(), **options)
    assert str(error.value) == expected


def test_range(tiny):
    provider = open_provider("cifar", tiny)
    provider.check_range([1, 2, 6])
    with pytest.raises(DataError) as error:
        provider.check_range(range(1, 6))
    assert str(error.value) == f"{tiny}: batches 3, 4 and 5 missing; there are 1, 2 and 6"
    assert error.value.exit_code == 4


def test_classes(tiny):
    provider = open_provider("cifar", tiny)
    assert provider.num_classes == 10


def test_digits():
    provider = open_provider("digits")
    assert provider.shapes == ((8, 8, 1), (1,))
    assert provider.num_classes == 10
    provider.check_range([1, 2, 3, 4])
    with pytest.raises(DataError, match=r"^digits: batch 5 missing; there are 1, 2, 3 and 4$"):
        provider.check_range([5])
    with pytest.raises(DataError, match=r"^digits: batch 5 missing; there are 1, 2, 3 and 4$"):
        provider.test_arrays(5)
    images, labels = (
        np.concatenate(part) for part in zip(*map(provider.test_arrays, (1, 2, 3, 4)), strict=True)
    )
    assert (images.shape, images.dtype, images.max()) == ((1797, 8, 8, 1), np.uint8, 16)
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert [len(provider.test_arrays(number)[1]) for number in (1, 2, 3, 4)] == [500, 500, 500, 297]
    matrix, column = provider.prepare_training((images[:1500], labels[:1500]))
    assert np.allclose(np.asarray(matrix).mean(axis=0, dtype=np.float64), 0, atol=1e-6)
    assert column.shape == (1500, 1)
