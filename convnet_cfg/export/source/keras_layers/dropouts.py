"""Dropout that scales in tests, and nothing in training."""

import keras
from keras import layers, ops


class MaskDropout(layers.Layer):
    """Sets values to 0 with the probability `rate` in training; in tests multiplies all by 1 - rate.

    That of Keras scales in training instead.
    """

    def __init__(self, rate, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate
        self.seed = keras.random.SeedGenerator()

    def call(self, values, training=False):
        """Return the masked or scaled values."""
        if not training:
            return (1 - self.rate) * values
        kept = keras.random.uniform(ops.shape(values), seed=self.seed) >= self.rate
        return values * ops.cast(kept, self.compute_dtype)


class FixedCountDropout(layers.Layer):
    """Keeps `kept` random units in training, the same ones for all cases; in tests multiplies by 1 - rate."""

    def __init__(self, rate, kept, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate
        self.kept = kept
        self.seed = keras.random.SeedGenerator()

    def call(self, values, training=False):
        """Return the masked or scaled values."""
        if not training:
            return (1 - self.rate) * values
        order = keras.random.shuffle(ops.arange(values.shape[-1]), seed=self.seed)
        return values * ops.cast(order < self.kept, self.compute_dtype)
