"""Layers without weights whose output has the shape of each input."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import keras
import tensorflow as tf

from convnet_cfg.nn.weighted import as_list, as_shapes


class Elementwise(keras.layers.Layer):
    """Base of the layers whose output has the shape of each of their inputs."""

    def compute_output_shape(self, input_shape):
        """Return the shape of one input."""
        return as_shapes(input_shape)[0]


@keras.saving.register_keras_serializable("convnet_cfg")
class WeightedSum(Elementwise):
    """Sum of the inputs, each times its coefficient (cuda-convnet: eltsum).

    y = sum of coefficients[i] * x_i

    Takes as many tensors of one shape as there are coefficients; raises ValueError otherwise.
    """

    def __init__(self, coefficients: Sequence[float], **keras_arguments: Any) -> None:
        super().__init__(**keras_arguments)
        self.coefficients = tuple(coefficients)

    def call(self, inputs):
        """Return the sum."""
        terms = [c * x for c, x in zip(self.coefficients, as_list(inputs), strict=True)]
        return sum(terms[1:], terms[0])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "coefficients": self.coefficients}


@keras.saving.register_keras_serializable("convnet_cfg")
class Maximum(Elementwise):
    """Largest of the inputs (cuda-convnet: eltmax); every input equal to it gets the full gradient.

    Takes any number of tensors of one shape.
    """

    def call(self, inputs):
        """Return the maximum."""
        return maximum(*as_list(inputs))


@tf.custom_gradient
def maximum(*inputs):
    """Return the largest of the tensors; every one equal to it gets the full gradient."""
    output = reduce(tf.maximum, inputs)

    def gradient(g):
        return [tf.where(x == output, g, tf.zeros_like(g)) for x in inputs]

    return output, gradient


@keras.saving.register_keras_serializable("convnet_cfg")
class LogSoftmax(Elementwise):
    """Logarithm of the softmax (fork of stephenyan1231: logsoftmax).

    y = x - log(sum of exp(x))

    Input and output shape: (batch, classes).
    """

    def call(self, inputs):
        """Return the logarithms of the probabilities."""
        return tf.nn.log_softmax(inputs)
