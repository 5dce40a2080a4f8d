import keras
import numpy as np
import pytest
import references
import tensorflow as tf

from convnet_cfg import nn
from convnet_cfg.nn.normalization import negative_power

from .gradients import assert_differences_agree, normal, run

POWERS = [0.75, 0.5, 1.0, 0.3]


def check(layer, x, centred, total, tolerance):
    """Compare a layer and its gradient with the formula."""
    numbers = {"scale": layer.scale, "power": layer.power, "constant": layer.constant}
    output, g, (gradient,) = run(layer, x)
    wide = [values.astype(np.float64) for values in (x, centred, g)]
    wanted = references.normalize(*wide[:2], total, **numbers)
    np.testing.assert_allclose(output, wanted, atol=tolerance)
    wanted = references.normalize_gradient(*wide, total, **numbers)
    np.testing.assert_allclose(gradient, wanted, atol=tolerance)


@pytest.mark.parametrize(
    ("side", "size"), [(5, 1), (5, 2), (5, 3), (5, 4), (5, 5), (8, 3), (8, 6), (8, 7), (8, 8)]
)
def test_response_norm(side, size):
    x = 2 * normal(2, side, side, 3)
    total = references.over_pixels(references.spatial_neighbours(side, size))
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-5)):
        check(nn.ResponseNorm2D(size, 0.3, 0.75, dtype=dtype), x.astype(dtype), x, total, tolerance)


@pytest.mark.parametrize("divisor", ["existing", "nominal"])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_contrast_norm(size, divisor):
    x = 2 * normal(2, 6, 6, 3)
    centred = x - references.local_means(x, size, divisor)
    total = references.over_pixels(references.spatial_neighbours(6, size))
    layer = nn.ContrastNorm2D(size, 0.3, 0.75, 1.5, divisor, dtype="float64")
    check(layer, x, centred, total, 1e-12)


@pytest.mark.parametrize("blocked", [False, True])
@pytest.mark.parametrize("size", [2, 3, 4, 5, 7])
def test_cross_map_norm(size, blocked):
    x = 2 * normal(2, 3, 3, 7)
    total = references.over_channels(references.channel_neighbours(7, size, blocked))
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-5)):
        layer = nn.CrossMapNorm(size, 0.3, 0.75, blocked=blocked, dtype=dtype)
        check(layer, x.astype(dtype), x, total, tolerance)


@pytest.mark.parametrize("cls", [nn.ResponseNorm2D, nn.CrossMapNorm])
@pytest.mark.parametrize("power", POWERS)
def test_gradients_agree_with_differences(cls, power):
    assert_differences_agree(cls(3, 0.2, power, 2.0, dtype="float64"), normal(2, 4, 4, 5))
    assert_differences_agree(cls(4, 0.2, power, dtype="float64"), normal(2, 4, 4, 5))


def test_odd_sizes_are_those_of_tensorflow():
    x = normal(2, 3, 3, 16).astype(np.float32)
    wanted = tf.nn.local_response_normalization(x, depth_radius=4, bias=1.0, alpha=0.02, beta=0.75)
    np.testing.assert_allclose(nn.CrossMapNorm(9, 0.02, 0.75)(x), wanted, rtol=1e-5)


def test_constant_and_any_rank():
    x = normal(2, 5)
    total = references.over_channels(references.channel_neighbours(5, 3))
    check(nn.CrossMapNorm(3, 0.3, 0.5, 2.0, dtype="float64"), x, x, total, 1e-12)


@pytest.mark.parametrize("power", POWERS)
def test_square_roots_stand_for_powers(power):
    base = np.geomspace(1e-6, 1e6, 10_001).astype(np.float32)
    exact = base.astype(np.float64) ** -power
    assert np.abs(negative_power(tf.constant(base), power) / exact - 1).max() < 4e-7


@pytest.mark.parametrize("cls", [nn.ResponseNorm2D, nn.ContrastNorm2D, nn.CrossMapNorm])
def test_survives_saving(cls, tmp_path):
    inputs = keras.Input((4, 4, 5))
    options = {"divisor": "nominal"} if cls is nn.ContrastNorm2D else {}
    model = keras.Model(inputs, cls(3, 0.2, 0.75, 2.0, **options)(inputs))
    model.save(tmp_path / "model.keras")
    image = normal(2, 4, 4, 5).astype(np.float32)
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(image), model(image))
