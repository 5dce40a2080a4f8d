"""Dropout as cuda-convnet2 and the forks of cuda-convnet do it."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import keras
import tensorflow as tf

from convnet_cfg.nn.randomness import MaskLayer


class Dropout(MaskLayer):
    """Base of the layers whose output has the shape of their input."""

    def compute_output_shape(self, input_shape):
        """Return the input's shape."""
        return input_shape


@keras.saving.register_keras_serializable("convnet_cfg")
class MaskDropout(Dropout):
    """Zero a random part of the values in training, scale all of them in tests.

    y = x * mask          in training, mask = 0 with probability `rate`, else 1
    y = x * (1 - rate)    otherwise

    Unlike keras.layers.Dropout, nothing is rescaled in training (cuda-convnet's fork with a `dropout`
    parameter; dropout2 of cuda-convnet2). Input and output shape: any.
    """

    def call(self, inputs, training=None):
        """Return the masked or scaled values."""
        if training:
            return inputs * self.draw_mask(tf.shape(inputs))
        return inputs * (1.0 - self.rate)


@keras.saving.register_keras_serializable("convnet_cfg")
class InvertedDropout(Dropout):
    """Zero a random part of the values in training and scale the others up (cuda-convnet2: dropout).

    y = x * mask / keep   in training, mask = 1 with probability `keep`, else 0
    y = x                 otherwise

    Input and output shape: any.
    """

    def __init__(self, keep: float, seed: int | None = None, **keras_arguments: Any) -> None:
        if not 0.0 < keep <= 1.0:
            raise ValueError(f"keep must be above 0 and at most 1, got {keep!r}")
        super().__init__(1.0 - keep, seed, **keras_arguments)
        self.keep = keep

    def call(self, inputs, training=None):
        """Return the masked and scaled values, or the inputs."""
        return inputs * (self.draw_mask(tf.shape(inputs)) / self.keep) if training else inputs

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        config = super().get_config()
        del config["rate"]
        return {**config, "keep": self.keep}


@keras.saving.register_keras_serializable("convnet_cfg")
class FixedCountDropout(Dropout):
    """Keep a fixed number of the units, the same ones for all cases (fork of stephenyan1231: fc dropout).

    y = x * mask          in training, mask = 1 for floor(units * (1 - rate)) random units, else 0
    y = x * (1 - rate)    otherwise

    The rate is the decimal number that it is written as: of 100 units, 0.9 drops 90. Input and output
    shape: (batch, units).
    """

    def kept(self, units: int) -> int:
        """Return how many of so many units are kept."""
        return floor(units * (1 - Fraction(str(self.rate))))

    def draw_mask(self, shape: Any) -> Any:
        """Return a new mask of zeros and ones for (units,)."""
        (units,) = shape
        order = keras.random.shuffle(tf.range(units), seed=self.seed_generator)
        return tf.cast(order < self.kept(units), self.compute_dtype)

    def call(self, inputs, training=None):
        """Return the masked or scaled values."""
        return inputs * (self.draw_mask(inputs.shape[1:]) if training else 1.0 - self.rate)
