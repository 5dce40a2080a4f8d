import keras
import numpy as np
import pytest
import tensorflow as tf

from convnet_cfg import nn

from .gradients import assert_differences_agree, normal


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
    weights = np.zeros((target, side))
    for t in range(target):
        place = min(max(t * scale + side / 2 - target * scale / 2, 0.0), side - 1.01)
        weights[t, int(place)] = 1 - (place - int(place))
        weights[t, int(place) + 1] = place - int(place)
    wanted = np.einsum("ri,bijc,sj->brsc", weights, x, weights)
    layer = nn.BilinearResize(scale, dtype="float64")
    np.testing.assert_allclose(layer(tf.constant(x)), wanted, atol=1e-12)
    assert layer(keras.Input((side, side, 2))).shape == (None, target, target, 2)


def test_resize_never_reaches_the_last_row():
    x = np.zeros((1, 4, 4, 1))
    x[0, 3, :, 0] = 1.0
    np.testing.assert_allclose(nn.BilinearResize(1.0, dtype="float64")(x)[0, :, 0, 0], [0, 0, 0, 0.99])


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
    [nn.Nailbed(2), nn.GaussianBlur(3, 1.0), nn.BilinearResize(1.5), nn.RGBToLAB(True), nn.RGBToYUV()],
)
def test_configuration(layer):
    again = type(layer).from_config(layer.get_config())
    x = np.abs(normal(2, 8, 8, 3)).astype(np.float32)
    np.testing.assert_array_equal(again(x), layer(x))
