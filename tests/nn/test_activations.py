import numpy as np
import pytest
import tensorflow as tf

from convnet_cfg import nn

from .gradients import normal, value_and_gradient

X = np.array([-50, -3.0, -1.0, -0.25, 0.0, 0.25, 1.0, 2.0, 2.5, 3.0, 3.99, 4.0, 4.01, 50])
STEP = np.where(X > 0, 1.0, 0.0)
SOFT = np.where(X > 4, X, np.log1p(np.exp(X)))
SIGMOID = 1 / (1 + np.exp(-X))

# name -> parameters, values, gradients at X
CASES = {
    "ident": ((), X, np.ones(14)),
    "logistic": ((), SIGMOID, SIGMOID * (1 - SIGMOID)),
    "tanh": ((1.7159, 0.6667), 1.7159 * np.tanh(0.6667 * X), 1.7159 * 0.6667 / np.cosh(0.6667 * X) ** 2),
    "relu": ((), np.maximum(X, 0), STEP),
    "brelu": ((2.5,), np.clip(X, 0, 2.5), ((X > 0) & (X < 2.5)) * 1.0),
    "abs": ((), np.abs(X), np.where(X > 0, 1.0, -1.0)),
    "softrelu": ((), SOFT, np.where(SOFT > 4, 1.0, SIGMOID)),
    "square": ((), X**2, 2 * X),
    "sqrt": ((), np.sqrt(np.abs(X)), np.inf),
    "log": ((60.0,), np.log(60 + X), 1 / (60 + X)),
    "drelu": ((1.5,), X - 1.5 * np.tanh(X / 1.5), np.tanh(X / 1.5) ** 2),
    "abstanh": (
        (1.79, -0.66),
        1.79 * np.tanh(0.66 * np.abs(X)),
        np.where(X > 0, 1, -1) * 1.79 * 0.66 / np.cosh(0.66 * X) ** 2,
    ),
    "power": ((3.0,), X**3, 3 * X**2),
    "linear": ((-1.5, 0.25), -1.5 * X + 0.25, np.full(14, -1.5)),
}


def evaluate(name, x, parameters, dtype="float64"):
    return value_and_gradient(nn.Activation(name, parameters, dtype=dtype), tf.constant(x, dtype))


def test_every_activation_has_a_case():
    assert set(CASES) == set(nn.ACTIVATIONS)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(set(CASES) - {"sqrt"}))
def test_values_and_gradients(name, dtype):
    parameters, values, gradients = CASES[name]
    y, gradient = evaluate(name, X, parameters, dtype)
    assert y.dtype == dtype
    tolerance = 1e-6 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(y, values, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(gradient, gradients, rtol=10 * tolerance, atol=tolerance)


def test_square_root():
    y, gradient = evaluate("sqrt", [0.0, 4.0, -1.0], ())
    np.testing.assert_array_equal(y, [0.0, 2.0, np.nan])
    np.testing.assert_array_equal(gradient, [np.inf, 0.25, np.nan])


def test_gradients_at_the_kinks():
    assert evaluate("abs", [0.0], ())[1] == [-1.0]
    assert evaluate("relu", [0.0], ())[1] == [0.0]
    np.testing.assert_array_equal(evaluate("brelu", [0.0, 2.5], (2.5,))[1], [0.0, 0.0])
    np.testing.assert_array_equal(evaluate("softrelu", [3.99, 4.0, 4.01], ())[1], [1.0, 1.0, 1.0])


def test_more_gradients_at_the_kinks():
    assert evaluate("abstanh", [0.0], (2.0, 3.0))[1] == [-6.0]
    assert evaluate("drelu", [0.0], (2.0,))[1] == [0.0]
    np.testing.assert_array_equal(evaluate("log", [-2.0, -1.0], (2.0,))[1], [np.inf, 1.0])


def test_abstanh_worked_by_hand():
    y, gradient = evaluate("abstanh", [0.5], (1.79, 0.66))
    np.testing.assert_allclose([y, gradient], [[0.5701522], [1.0615405]], rtol=1e-7)


def test_powers():
    x = np.array([0.0, 0.25, 4.0, -1.0])
    y, gradient = evaluate("power", x, (0.5,))
    np.testing.assert_array_equal(y, [0.0, 0.5, 2.0, np.nan])
    np.testing.assert_array_equal(gradient, [np.inf, 1.0, 0.25, np.nan])
    y, gradient = evaluate("power", x, (1.0,))
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(gradient, np.ones(4))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_drelu_keeps_its_gradient_near_zero(dtype):
    x = np.array([1e-12, -1e-6, 1e-3])
    np.testing.assert_allclose(evaluate("drelu", x, (1.0,), dtype)[1], np.tanh(x) ** 2, rtol=1e-6)


@pytest.mark.parametrize("bound", [-1.0, 0.0])
def test_a_bound_below_zero_is_for_inputs_from_zero_on(bound):
    x = np.array([-2.0, -0.5, 0.0, 0.5, 2.0])
    y, gradient = evaluate("brelu", x, (bound,))
    np.testing.assert_array_equal(y, [0.0 if value < 0 else min(value, bound) for value in x])
    np.testing.assert_array_equal(gradient, np.zeros(5))


def test_softrelu_steps_down_above_four():
    y, _ = evaluate("softrelu", [4.0, 4.0001], ())
    np.testing.assert_allclose(y, [4.0181, 4.0001], atol=1e-4)


@pytest.mark.parametrize("name", ["relu", "logistic", "tanh", "abs", "softrelu", "square", "linear", "ident"])
def test_not_a_number_stays(name):
    y, _ = evaluate(name, [np.nan], CASES[name][0], "float32")
    assert np.isnan(y).all()


def test_mistakes_are_explained():
    with pytest.raises(ValueError, match="unknown activation 'relo', expected one of ident, logistic"):
        nn.Activation("relo")
    with pytest.raises(ValueError, match="tanh takes 2 parameters, got 1"):
        nn.Activation("tanh", (1.0,))


def test_configuration():
    layer = nn.Activation("tanh", (1.5, 2.0))
    again = nn.Activation.from_config(layer.get_config())
    x = normal(3, 4)
    np.testing.assert_array_equal(again(x), layer(x))
