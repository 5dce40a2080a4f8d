"""Pooling over windows that may reach beyond the border, with the original's gradients."""

from functools import reduce

from keras import layers, ops

from convnet_cfg.export.source.keras_layers.filters import pixels_of_windows


class MaxPooling(layers.Layer):
    """Maximum of each window; `padding` counts the pixels that windows reach beyond the border.

    Every pixel that equals the maximum gets the whole gradient. That of keras.layers.MaxPooling2D goes to one
    of them, which matters wherever an image is flat.
    """

    def __init__(self, size, strides, padding, **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.strides = strides
        self.padding = padding

    def call(self, images, training=False):
        """Return the maxima."""
        padded = pad_with(images, self.padding, float("-inf"))
        largest = ops.max_pool(padded, self.size, self.strides, "valid")
        return with_gradient_of_all(largest, padded, self.size, self.strides) if training else largest


class MaxMagnitudePooling(layers.Layer):
    """The value of largest magnitude of each window, the last one of several, row by row.

    `padding` counts the pixels that windows reach beyond the border. Every pixel that equals the value gets
    the whole gradient.
    """

    def __init__(self, size, strides, padding, **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.strides = strides
        self.padding = padding

    def call(self, images, training=False):
        """Return the values of largest magnitude."""
        padded = pad_with(images, self.padding, 0.0)
        pixels = [pixels for _, _, pixels in pixels_of_windows(padded, self.size, self.strides)]
        largest = reduce(lambda a, b: ops.where(ops.abs(a) > ops.abs(b), a, b), pixels)
        return with_gradient_of_all(largest, padded, self.size, self.strides) if training else largest


def pad_with(images, padding, value):
    """Return the images with rows and columns of a value around them: (before, after) on both axes."""
    return ops.pad(images, [(0, 0), padding, padding, (0, 0)], constant_values=value)


def with_gradient_of_all(largest, images, size, strides):
    """Return the largest values as they are; each pixel that equals that of a window gets its gradient."""
    largest = ops.stop_gradient(largest)
    zeros = (
        ops.where(pixels == largest, pixels - ops.stop_gradient(pixels), 0.0)
        for _, _, pixels in pixels_of_windows(images, size, strides)
    )
    return largest + sum(zeros)


class AveragePooling(layers.Layer):
    """Sum of each window divided by the number of its pixels inside the image.

    `padding` counts the pixels that windows reach beyond the border.
    """

    def __init__(self, size, strides, padding, **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.strides = strides
        self.padding = padding

    def call(self, images):
        """Return the averages."""
        pixels = ops.ones((1, *images.shape[1:3], 1), images.dtype)
        sums, counts = (
            ops.average_pool(pad_with(each, self.padding, 0.0), self.size, self.strides, "valid")
            for each in (images, pixels)
        )
        return sums / counts


class ChannelMaxPooling(layers.Layer):
    """Maximum over neighbouring channels; `padding` counts the channels that windows reach beyond the others.

    Every channel that equals the maximum gets the whole gradient.
    """

    def __init__(self, size, strides, padding, **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.strides = strides
        self.padding = padding

    def call(self, images):
        """Return the maxima."""
        around = [(0, 0), (0, 0), (0, 0), self.padding]
        padded = ops.pad(images, around, constant_values=float("-inf"))
        reach = (padded.shape[-1] - self.size) // self.strides * self.strides + 1
        channels = [padded[..., k : k + reach : self.strides] for k in range(self.size)]
        largest = ops.stop_gradient(reduce(ops.maximum, channels))
        zeros = (ops.where(each == largest, each - ops.stop_gradient(each), 0.0) for each in channels)
        return largest + sum(zeros)
