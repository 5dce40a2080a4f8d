"""Dropout as the fork of cuda-convnet with a `dropout` parameter does it."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("convnet_cfg")
class MaskDropout(keras.layers.Layer):
    """Zero a random part of the values in training, scale all of them in tests.

    y = x * mask          in training, mask = 0 with probability `rate`, else 1
    y = x * (1 - rate)    otherwise

    Unlike keras.layers.Dropout, nothing is rescaled in training. The state of the generator is a
    variable. Input and output shape: any.
    """

    def __init__(self, rate: float, seed: int | None = None, **keras_arguments: Any) -> None:
        super().__init__(**keras_arguments)
        if not 0.0 <= rate <= 1.0:
            raise ValueError(f"rate must be between 0 and 1, got {rate!r}")
        self.rate = rate
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def draw_mask(self, shape):
        """Return a new mask of zeros and ones."""
        numbers = keras.random.uniform(shape, seed=self.seed_generator, dtype="float32")
        return tf.cast(numbers >= self.rate, self.compute_dtype)

    def call(self, inputs, training=None):
        """Return the masked or scaled values."""
        if training:
            return inputs * self.draw_mask(tf.shape(inputs))
        return inputs * (1.0 - self.rate)

    def compute_output_shape(self, input_shape):
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
