import keras
import numpy as np
import pytest
import tensorflow as tf

from convnet_cfg import nn

from .gradients import normal, run


def test_weighted_sum():
    x, y, z = (normal(4, 3, seed=seed) for seed in range(3))
    layer = nn.WeightedSum((1.0, -0.5, 2.0), dtype="float64")
    output, g, gradients = run(lambda *inputs: layer(list(inputs)), x, y, z)
    np.testing.assert_allclose(output, x - 0.5 * y + 2 * z)
    for gradient, coefficient in zip(gradients, (1.0, -0.5, 2.0), strict=True):
        np.testing.assert_allclose(gradient, coefficient * g)


def test_weighted_sum_of_one_and_of_the_same_twice():
    x = tf.constant(normal(4, 3))
    np.testing.assert_allclose(nn.WeightedSum([3.0], dtype="float64")(x), 3 * x)
    _, g, (gradient,) = run(lambda x: nn.WeightedSum([0.5, -2.0], dtype="float64")([x, x]), x)
    np.testing.assert_allclose(gradient, -1.5 * g)


def test_as_many_coefficients_as_inputs():
    with pytest.raises(ValueError, match="zip"):
        nn.WeightedSum([1.0, 2.0])([tf.zeros((1, 1))] * 3)


def test_maximum_sends_the_gradient_to_every_tied_input():
    x, y, z = (np.round(normal(50, 4, seed=seed)) for seed in range(3))
    layer = nn.Maximum(dtype="float64")
    output, g, gradients = run(lambda *inputs: layer(list(inputs)), x, y, z)
    wanted = np.maximum(np.maximum(x, y), z)
    np.testing.assert_array_equal(output, wanted)
    for gradient, value in zip(gradients, (x, y, z), strict=True):
        np.testing.assert_array_equal(gradient, g * (value == wanted))


def test_log_softmax():
    x = normal(5, 4)
    output, g, (gradient,) = run(nn.LogSoftmax(dtype="float64"), x)
    exponentials = np.exp(x)
    probabilities = exponentials / exponentials.sum(1, keepdims=True)
    np.testing.assert_allclose(output, x - np.log(exponentials.sum(1, keepdims=True)))
    np.testing.assert_allclose(gradient, g - probabilities * g.sum(1, keepdims=True), atol=1e-14)
    large = nn.LogSoftmax()(np.float32([[1000.0, 0.0]]))
    np.testing.assert_array_equal(large, [[0.0, -1000.0]])


@pytest.mark.parametrize(("shape", "axis"), [((3, 5), -1), ((3, 2, 2, 4), (1, 2, 3))])
def test_unit_normalization_of_each_case(shape, axis):
    x = normal(*shape)
    output, g, (gradient,) = run(nn.UnitNormalization(axis, dtype="float64"), x)
    case = tuple(range(1, len(shape)))
    length = np.sqrt((x**2).sum(case, keepdims=True))
    np.testing.assert_allclose(output, x / length)
    along = (g * x).sum(case, keepdims=True) / length**2
    np.testing.assert_allclose(gradient, (g - along * x) / length, atol=1e-13)


def test_configuration():
    assert nn.WeightedSum.from_config(nn.WeightedSum([1, 2]).get_config()).coefficients == (1, 2)
    assert nn.Maximum()([keras.Input((3,)), keras.Input((3,))]).shape == (None, 3)
