"""Locally connected layer: a convolution with other filters at each position (cuda-convnet: local)."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from convnet_cfg.nn.conv import Windowed, pick_channels, with_blind
from convnet_cfg.nn.weighted import as_list
from convnet_cfg.nn.windows import Span, Window, fit


def patches(image: Any, span: Span) -> Any:
    """Return the pixels of each window.

    Shapes: (rows, columns, batch, channels) -> (count, count, batch, size * size * channels). The
    gradient adds the windows up by padding them to the image, which takes a fraction of the time of
    TensorFlow's gradient of strided slices.
    """

    @tf.custom_gradient
    def cut(image):
        return _cut(image, span), lambda gradient: _add_up(gradient, span)

    return cut(image)


def _cut(image: Any, span: Span) -> Any:
    padded = fit(image, span, axes=(0, 1))
    reach = span.strides * (span.count - 1) + 1
    starts = range(span.size)
    parts = [
        padded[u : u + reach : span.strides, v : v + reach : span.strides] for u in starts for v in starts
    ]
    return tf.concat(parts, axis=-1)


def _add_up(gradient: Any, span: Span) -> Any:
    parts = tf.split(gradient, span.size**2, axis=-1)
    last = span.size - 1
    placed = []
    for index, part in enumerate(parts):
        u, v = divmod(index, span.size)
        around = [(u, last - u), (v, last - v), (0, 0), (0, 0)]
        placed.append(tf.pad(_dilate(part, span.strides), around))
    covered = tf.add_n(placed)
    return fit(covered, Span(covered.shape[0], span.side, 1, span.before, 1), axes=(0, 1))


def _dilate(image: Any, strides: int) -> Any:
    """Put strides - 1 rows and columns of zeros between those of the image."""
    if strides == 1:
        return image
    rows, columns, channels = image.shape[0], image.shape[1], image.shape[3]
    gaps = [(0, 0), (0, strides - 1), (0, 0), (0, strides - 1), (0, 0), (0, 0)]
    spread = tf.pad(image[:, None, :, None], gaps)
    spread = tf.reshape(spread, (rows * strides, columns * strides, -1, channels))
    return spread[: rows * strides - strides + 1, : columns * strides - strides + 1]


def connect(image: Any, kernel: Any, window: Window, span: Span) -> Any:
    """Return the products of an image (batch, rows, columns, channels) with the filters of each position.

    Output shape: (rows, columns, batch, filters).
    """
    if (seeing := span.seeing).count < span.count:
        seen = connect(image, kernel[: seeing.count, : seeing.count], window, seeing)
        return with_blind(seen, span, (0, 1))
    image = tf.transpose(pick_channels(image, window), (1, 2, 0, 3))
    count, filters = span.count, kernel.shape[-1] // window.groups
    parts = [
        tf.matmul(patches(group, span), tf.reshape(filter_bank, (count, count, -1, filters)))
        for group, filter_bank in zip(
            tf.split(image, window.groups, axis=-1), tf.split(kernel, window.groups, axis=-1), strict=True
        )
    ]
    return parts[0] if len(parts) == 1 else tf.concat(parts, axis=-1)


@keras.saving.register_keras_serializable("convnet_cfg")
class Local2D(Windowed):
    """Convolution without weight sharing: each position has filters and biases of its own.

    The formula is that of Conv2D with kernel_i[r, c, u, v, d, k] and bias[r, c, k].

    Input shapes: (batch, side_i, side_i, channels_i); output: (batch, output_side, output_side, filters).
    Kernels: (output_side, output_side, size, size, channels per group, filters); bias: (output_side,
    output_side, filters).
    """

    def kernel_shapes(self, input_shapes: list[Any]) -> list[tuple[int, ...]]:
        """Return the shape of the kernel of each input."""
        side = self.output_side
        return [(side, side, w.size, w.size, w.depth, self.filters) for w in self.windows]

    def bias_shape(self) -> tuple[int, ...]:
        """Return one value for each output."""
        return (self.output_side, self.output_side, self.filters)

    def call(self, inputs):
        """Return bias + sum of the products."""
        parts = [
            connect(image, kernel, window, self.span(window, image.shape[1]))
            for image, kernel, window in zip(as_list(inputs), self.used_kernels(), self.windows, strict=True)
        ]
        return tf.transpose(sum(parts[1:], parts[0]), (2, 0, 1, 3)) + self.bias
