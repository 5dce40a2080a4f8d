"""Layers that combine or reorder values without weights."""

from functools import reduce

from keras import layers, ops


class Scale(layers.Layer):
    """All values times a factor."""

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, values):
        """Return the scaled values."""
        return self.factor * values


class WeightedSum(layers.Layer):
    """Sum of the inputs, each times its coefficient."""

    def __init__(self, coefficients, **kwargs):
        super().__init__(**kwargs)
        self.coefficients = coefficients

    def call(self, inputs):
        """Return the sum."""
        return sum(factor * values for factor, values in zip(self.coefficients, inputs, strict=True))


class MaximumOfAll(layers.Layer):
    """The largest of the inputs; every one that equals it gets the whole gradient."""

    def call(self, inputs):
        """Return the maximum."""
        largest = ops.stop_gradient(reduce(ops.maximum, inputs))
        return largest + sum(ops.where(x == largest, x - ops.stop_gradient(x), 0.0) for x in inputs)


class Slice(layers.Layer):
    """The values from `start` up to `end` without it."""

    def __init__(self, start, end, **kwargs):
        super().__init__(**kwargs)
        self.start = start
        self.end = end

    def call(self, values):
        """Return the part of the values."""
        return values[:, self.start : self.end]


def channels_first(image):
    """Return an image as a vector in the order channel, row, column."""
    return layers.Flatten()(layers.Permute((3, 1, 2))(image))


def image_of(vector, channels, side):
    """Return a vector in the order channel, row, column as an image."""
    return layers.Permute((2, 3, 1))(layers.Reshape((channels, side, side))(vector))


def pixels_of(vector, channels):
    """Return a vector in the order channel, pixel as pixels: (pixels, channels)."""
    return layers.Permute((2, 1))(layers.Reshape((channels, -1))(vector))
