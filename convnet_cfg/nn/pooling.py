"""Maximum and average over square windows (cuda-convnet: pool)."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from convnet_cfg.nn.windows import Span, fit


def max_pool(image: Any, span: Span) -> Any:
    """Return the maximum of each window; each pixel equal to it gets the full gradient.

    Pixels outside the image do not exist. Shapes: (batch, side, side, channels) -> (batch, count,
    count, channels). TensorFlow's own gradient reaches the first maximum only.
    """

    @tf.custom_gradient
    def pool(image):
        padded = image if span.mode else fit(image, span, fill=-math.inf)
        output = tf.nn.max_pool2d(padded, span.size, span.strides, span.mode or "VALID")
        return output, lambda gradient: _max_pool_gradient(span)(image, output, gradient)

    return pool(image)


@cache
def _max_pool_gradient(span: Span) -> Any:
    """Return the function (image, output, gradient of output) -> gradient of image.

    The image is seen as a grid of cells of `strides` pixels, aligned with the windows. Window o
    reaches over cells o, o + 1, ..., so that a pixel of cell u is compared with windows u, u - 1, ...
    XLA turns all of it into one pass over the image, about as fast as copying it.
    """
    steps = [divmod(index, span.reach) for index in range(span.reach**2)]
    cells = -(-(span.side + span.lead) // span.strides)
    around = (span.lead, cells * span.strides - span.lead - span.side)
    inside = slice(span.lead, span.lead + span.side)

    @tf.function(jit_compile=True, autograph=False)
    def gradient_function(image, output, gradient):
        channels = image.shape[3]
        grid = tf.pad(image, [(0, 0), around, around, (0, 0)])
        grid = tf.reshape(grid, (-1, cells, span.strides, cells, span.strides, channels))
        parts = []
        for step in steps:
            equal = grid == _windows(output, span, step, cells, math.inf)
            for axis, cells_before in enumerate(step):
                if not (covered := _covered(span, cells_before)).all():
                    equal &= covered.reshape((-1, 1, 1, 1) if axis == 0 else (-1, 1))
            parts.append(
                tf.where(equal, _windows(gradient, span, step, cells, 0.0), tf.zeros((), grid.dtype))
            )
        total = sum(parts[1:], parts[0])
        total = tf.reshape(total, (-1, cells * span.strides, cells * span.strides, channels))
        return total[:, inside, inside]

    return gradient_function


def _covered(span: Span, cells_before: int) -> np.ndarray:
    """Return which pixels of a cell a window reaches that begins so many cells before it."""
    return np.arange(span.strides) + span.strides * cells_before < span.size


def _windows(values: Any, span: Span, step: tuple[int, int], cells: int, fill: float) -> Any:
    """Return, for each cell, the value of the window that begins `step` cells before it, or `fill`.

    Shapes: (batch, count, count, channels) -> (batch, cells, 1, cells, 1, channels).
    """
    cut, around = [slice(None)] * 4, [(0, 0)] * 4
    for axis in (1, 2):
        first = span.before // span.strides - step[axis - 1]
        start, stop = (min(max(place, 0), span.count) for place in (first, first + cells))
        cut[axis] = slice(start, stop)
        low = min(max(-first, 0), cells)
        around[axis] = (low, cells - low - (stop - start))
    return tf.pad(values[tuple(cut)], around, constant_values=fill)[:, :, None, :, None]


def average_pool(image: Any, span: Span) -> Any:
    """Return the mean of the existing pixels of each window.

    Shapes: (batch, side, side, channels) -> (batch, count, count, channels).
    """
    if span.mode:
        return tf.nn.avg_pool2d(image, span.size, span.strides, span.mode)
    means = tf.nn.avg_pool2d(fit(image, span), span.size, span.strides, "VALID")
    existing = span.existing()
    correction = span.size**2 / np.outer(existing, existing)
    return means * tf.constant(correction[..., None], means.dtype)


class Pool2D(keras.layers.Layer):
    """Base of the pooling layers.

    Windows begin at `start` (of any sign) and every `strides` pixels. By default there are
    ceil((side - start - size) / strides) + 1 of them, so that the last may reach beyond the image.
    `call` raises ValueError if a window has no pixel of the image.
    """

    def __init__(
        self, size: int, strides: int, start: int = 0, output_side: int | None = None, **keras_arguments: Any
    ) -> None:
        super().__init__(**keras_arguments)
        self.size = size
        self.strides = strides
        self.start = start
        self.output_side = output_side

    def span(self, side: int) -> Span:
        """Return where the windows lie on an image of that side."""
        count = self.output_side or -(-(side - self.start - self.size) // self.strides) + 1
        span = Span(side, self.size, self.strides, self.start, count)
        if count < 1 or span.existing().min() < 1:
            raise ValueError(f"{self.name}: a window lies outside the image: {span}")
        return span

    def compute_output_shape(self, input_shape):
        """Return (batch, count, count, channels)."""
        count = self.span(input_shape[1]).count
        return (input_shape[0], count, count, input_shape[3])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        own = {name: getattr(self, name) for name in ("size", "strides", "start", "output_side")}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("convnet_cfg")
class MaxPool2D(Pool2D):
    """Maximum over the existing pixels of each window (cuda-convnet: pool=max).

    y[r, c, d] = max of x[start + r * strides + u, start + c * strides + v, d] over 0 <= u, v < size

    Every pixel that equals the maximum gets the full gradient. Input shape: (batch, side, side,
    channels); output shape: (batch, output_side, output_side, channels).
    """

    def call(self, inputs):
        """Return the maximum of each window."""
        return max_pool(inputs, self.span(inputs.shape[1]))


@keras.saving.register_keras_serializable("convnet_cfg")
class AveragePool2D(Pool2D):
    """Mean over the existing pixels of each window (cuda-convnet: pool=avg).

    At the border the sum is divided by the number of pixels inside the image, not by size ** 2.
    Input shape: (batch, side, side, channels); output: (batch, output_side, output_side, channels).
    """

    def call(self, inputs):
        """Return the mean of each window."""
        return average_pool(inputs, self.span(inputs.shape[1]))
