"""The element-wise functions (cuda-convnet: neuron), exact at their kinks.

Where automatic differentiation would choose another value at a kink than cuda-convnet, the gradient
is written out: |x| has -1 at 0, abstanh has -a * b at 0, brelu has 0 at both kinks, softrelu has 1
above an output of 4. That of drelu is written out because it would lose its digits near 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf


def identity(x):
    """Return x."""
    return x


def tanh(x, a, b):
    """Return a * tanh(b * x)."""
    return a * tf.tanh(b * x)


def linear(x, a, b):
    """Return a * x + b."""
    return a * x + b


@tf.custom_gradient
def absolute(x):
    """Return |x|; the gradient at 0 is -1."""
    return tf.abs(x), lambda gradient: tf.where(x > 0, gradient, -gradient)


@tf.custom_gradient
def softrelu(x):
    """Return log(1 + exp(x)) up to x = 4, x above (a step of -0.018).

    The gradient is 1 - exp(-y) up to an output y of 4, 1 above.
    """
    y = tf.where(x > 4, x, tf.nn.softplus(x))
    return y, lambda gradient: tf.where(y > 4, gradient, -gradient * tf.math.expm1(-y))


def bounded_relu(x, bound):
    """Return 0 below 0, else x, but at most `bound`; the gradient is 0 unless 0 < y < bound."""

    @tf.custom_gradient
    def clip(x):
        y = tf.where(x < 0, tf.zeros_like(x), tf.minimum(x, bound))
        return y, lambda gradient: tf.where((y > 0) & (y < bound), gradient, tf.zeros_like(gradient))

    return clip(x)


def log(x, a):
    """Return log(a + x)."""
    return tf.math.log(a + x)


def double_relu(x, a):
    """Return x - a * tanh(x / a); the gradient is tanh(x / a) ** 2."""

    @tf.custom_gradient
    def bend(x):
        steep = tf.tanh(x / a)
        return x - a * steep, lambda gradient: gradient * tf.square(steep)

    return bend(x)


def absolute_tanh(x, a, b):
    """Return a * tanh(|b| * |x|); the gradient is that of x < 0 at 0 as well: -a * |b|."""

    @tf.custom_gradient
    def fold(x):
        y = tf.tanh(abs(b) * tf.abs(x))
        slope = a * abs(b) * (1.0 - tf.square(y))
        return a * y, lambda gradient: gradient * tf.where(x > 0, slope, -slope)

    return fold(x)


def power(x, a):
    """Return x ** a; the gradient is a * x ** (a - 1)."""
    return tf.pow(x, a)


ACTIVATIONS: dict[str, Callable[..., Any]] = {
    "ident": identity,
    "logistic": tf.sigmoid,
    "tanh": tanh,
    "relu": tf.nn.relu,
    "brelu": bounded_relu,
    "abs": absolute,
    "softrelu": softrelu,
    "square": tf.square,
    "sqrt": tf.sqrt,
    "linear": linear,
    "log": log,
    "drelu": double_relu,
    "abstanh": absolute_tanh,
    "power": power,
}
PARAMETER_COUNTS = {"tanh": 2, "brelu": 1, "linear": 2, "log": 1, "drelu": 1, "abstanh": 2, "power": 1}


def check_parameters(
    function: str, parameters: Sequence[float], known: Mapping[str, Any], counts: Mapping[str, int]
) -> tuple[float, ...]:
    """Return the parameters; raise ValueError for an unknown function or a wrong number of them."""
    if function not in known:
        raise ValueError(f"unknown activation {function!r}, expected one of {', '.join(known)}")
    expected = counts.get(function, 0)
    if len(parameters) != expected:
        raise ValueError(f"{function} takes {expected} parameters, got {len(parameters)}")
    return tuple(parameters)


@keras.saving.register_keras_serializable("convnet_cfg")
class Activation(keras.layers.Layer):
    """One of ACTIVATIONS, applied to each value (cuda-convnet: neuron).

    Raises ValueError for an unknown function or a wrong number of parameters. Input and output
    shape: any.
    """

    def __init__(self, function: str, parameters: tuple[float, ...] = (), **keras_arguments: Any) -> None:
        super().__init__(**keras_arguments)
        self.function = function
        self.parameters = check_parameters(function, parameters, ACTIVATIONS, PARAMETER_COUNTS)

    def call(self, inputs):
        """Return the function of each value."""
        return ACTIVATIONS[self.function](inputs, *self.parameters)

    def compute_output_shape(self, input_shape):
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "function": self.function, "parameters": self.parameters}
