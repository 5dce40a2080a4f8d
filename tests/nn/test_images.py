import keras
import numpy as np
import pytest
import references
import tensorflow as tf

from convnet_cfg import nn

from .gradients import assert_differences_agree, normal, run


@pytest.mark.parametrize(
    ("side", "strides", "samples"),
    [(32, 2, range(1, 32, 2)), (5, 3, (1, 4)), (7, 2, (0, 2, 4, 6)), (6, 1, range(6)), (3, 5, (1,))],
)
def test_nailbed(side, strides, samples):
    x = normal(2, side, side, 3)
    wanted = x[:, list(samples)][:, :, list(samples)]
    layer = nn.Nailbed(strides, dtype="float64")
    np.testing.assert_array_equal(layer(tf.constant(x)), wanted)
    assert layer(keras.Input((side, side, 3))).shape == (None, *wanted.shape[1:])


def test_nailbed_gradient():
    assert_differences_agree(nn.Nailbed(2, dtype="float64"), normal(2, 5, 5, 3))


@pytest.mark.parametrize("size", [3, 5, 9])
def test_blur(size):
    x, stdev = normal(2, 9, 9, 2), 1.3
    distance = np.arange(9)[:, None] - np.arange(9)
    taps = np.exp(-((np.arange(size) - size // 2) ** 2) / (2 * stdev**2)).sum()
    weights = np.exp(-(distance**2) / (2 * stdev**2)) * (abs(distance) <= size // 2) / taps
    wanted = np.einsum("ri,bijc,sj->brsc", weights, x, weights)
    layer = nn.GaussianBlur(size, stdev, dtype="float64")
    np.testing.assert_allclose(layer(tf.constant(x)), wanted, atol=1e-13)
    assert_differences_agree(layer, x)


def test_blur_weights_worked_by_hand():
    np.testing.assert_allclose(
        nn.GaussianBlur(5, 1.0).weights_along_axis()[:3], [0.0545, 0.2442, 0.4026], atol=5e-5
    )


@pytest.mark.parametrize("scale", [0.5, 0.7, 1.0, 1.25, 1.5, 2.0])
def test_resize(scale):
    side = 9
    x = normal(1, side, side, 2)
    target = int(side / scale)
    wanted = references.resize(x, target, scale)
    layer = nn.BilinearResize(scale, dtype="float64")
    np.testing.assert_allclose(layer(tf.constant(x)), wanted, atol=1e-12)
    assert layer(keras.Input((side, side, 2))).shape == (None, target, target, 2)


def test_resize_never_reaches_the_last_row():
    x = np.zeros((1, 4, 4, 1))
    x[0, 3, :, 0] = 1.0
    np.testing.assert_allclose(nn.BilinearResize(1.0, dtype="float64")(x)[0, :, 0, 0], [0, 0, 0, 0.99])


SCALES = [(8, 1.25, 7), (8, 1.6, 5), (8, 2.0, 4), (8, 1.5, 8), (9, 1.0, 9), (12, 1.25, 10)]


@pytest.mark.parametrize(("side", "max_scale", "target"), SCALES)
def test_random_scale_in_tests_resizes_the_whole_image(side, max_scale, target):
    x = normal(2, side, side, 3)
    layer = nn.RandomScale(max_scale, target, dtype="float64")
    np.testing.assert_allclose(layer(tf.constant(x)), references.resize(x, target, max_scale), atol=1e-12)
    assert layer(keras.Input((side, side, 3))).shape == (None, target, target, 3)


@pytest.mark.parametrize(("side", "max_scale", "target"), SCALES)
def test_random_scale_in_training(side, max_scale, target):
    x = normal(2, side, side, 3)
    layer = nn.RandomScale(max_scale, target, dtype="float64")
    draws = [*np.random.default_rng(5).random((60, 4)), np.zeros(4), np.full(4, 1 - 2**-24)]
    for numbers in draws:
        layer.uniform = lambda shape, numbers=numbers: tf.constant(numbers)
        wanted = references.random_scale(x, max_scale, target, numbers)
        np.testing.assert_allclose(layer(tf.constant(x), training=True), wanted, atol=1e-12)


def test_random_scale_draws_once_a_minibatch():
    layer = nn.RandomScale(1.6, 5, seed=2)
    x = np.repeat(normal(1, 8, 8, 1).astype(np.float32), 4, axis=0)
    first, second = (layer(x, training=True).numpy() for _ in range(2))
    assert (first != second).any()
    np.testing.assert_array_equal(first, np.repeat(first[:1], 4, axis=0))
    layer.seed_generator.state.assign(nn.RandomScale(1.6, 5, seed=2).seed_generator.state)
    np.testing.assert_array_equal(layer(x, training=True), first)


def test_random_scale_inside_a_compiled_function():
    layer = nn.RandomScale(1.6, 5, seed=2)
    layer.build((None, 8, 8, 1))
    output = tf.function(lambda x: layer(x, training=True))(tf.zeros((2, 8, 8, 1)))
    assert output.shape == (2, 5, 5, 1)


def test_horizontal_flip():
    x = normal(2, 4, 4, 3)
    output, g, (gradient,) = run(nn.HorizontalFlip(dtype="float64"), x)
    for column in range(4):
        np.testing.assert_array_equal(output[:, :, column], x[:, :, 3 - column])
        np.testing.assert_array_equal(gradient[:, :, column], g[:, :, 3 - column])


def test_crop():
    x = normal(2, 6, 6, 3)
    layer = nn.Crop2D(1, 2, 4, dtype="float64")
    np.testing.assert_array_equal(layer(tf.constant(x)), x[:, 1:5, 2:6])
    assert layer(keras.Input((6, 6, 3))).shape == (None, 4, 4, 3)
    assert_differences_agree(layer, x)


@pytest.mark.parametrize("place", [(3, 0, 4), (0, 3, 4), (-1, 0, 4), (0, 0, 7)])
def test_crop_must_lie_inside_the_image(place):
    with pytest.raises(ValueError, match="is not inside 6 pixels"):
        nn.Crop2D(*place)(tf.zeros((1, 6, 6, 3)))


def test_yuv_of_white_and_red():
    colours = np.array([[[[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]]])
    wanted = [[[[1.0, 0.0, 0.0], [0.2126, -0.09991, 0.615]]]]
    np.testing.assert_allclose(nn.RGBToYUV(dtype="float64")(colours), wanted, atol=1e-6)


def test_lab_of_white_black_and_blue():
    colours = np.array([[[[1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]]])
    x, y, z = 0.2**0.3333, 0.01063**0.3333, 0.99**0.3333
    wanted = [[[[100, 0, 0], [0, 0, 0], [116 * y - 16, 500 * (x - y), 200 * (y - z)]]]]
    lab = nn.RGBToLAB(dtype="float64")(colours)
    np.testing.assert_allclose(lab, wanted, atol=1e-5)
    centred = nn.RGBToLAB(center=True, dtype="float64")(colours)
    np.testing.assert_allclose(centred, lab - np.array([50.0, 0.0, 0.0]), atol=1e-12)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Nailbed(2),
        nn.GaussianBlur(3, 1.0),
        nn.BilinearResize(1.5),
        nn.RandomScale(1.5, 6),
        nn.HorizontalFlip(),
        nn.Crop2D(1, 2, 5),
        nn.RGBToLAB(True),
        nn.RGBToYUV(),
    ],
)
def test_configuration(layer):
    again = type(layer).from_config(layer.get_config())
    x = np.abs(normal(2, 8, 8, 3)).astype(np.float32)
    np.testing.assert_array_equal(again(x), layer(x))


@pytest.mark.parametrize(("side", "target", "first"), [(9, 5, 2), (8, 5, 1), (6, 6, 0)])
def test_random_scale_may_cut_out_the_centre_in_tests(side, target, first):
    image = normal(2, side, side, 3)
    found = nn.RandomScale(2.0, target, crops=True, dtype="float64")(tf.constant(image))
    np.testing.assert_array_equal(found, image[:, first : first + target, first : first + target])
