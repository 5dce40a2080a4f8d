"""Maximum and average over square windows (cuda-convnet: pool), and over channels (cmpool)."""

from __future__ import annotations

import math
from collections.abc import Collection
from functools import cache, partial, reduce
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


def largest_magnitude(a: Any, b: Any) -> Any:
    """Return a where |a| > |b|, else b: of equal magnitudes the later one."""
    return tf.where(tf.abs(a) > tf.abs(b), a, b)


def max_abs_pool(image: Any, span: Span) -> Any:
    """Return the value of largest magnitude of each window, of equal ones the last, row by row.

    Each pixel equal to that value, sign included, gets the full gradient. Shapes as in max_pool.
    """

    @tf.custom_gradient
    def pool(image):
        # Zeros stand for pixels that do not exist: they never win over one that does.
        output = fit(image, span)
        # First along the rows, then of these the last row: the order of a scan row by row.
        for axis in (2, 1):
            output = reduce(largest_magnitude, _offsets(output, span, axis))
        return output, lambda gradient: _max_pool_gradient(span)(image, output, gradient)

    return pool(image)


def _offsets(image: Any, span: Span, axis: int) -> list[Any]:
    """Return, for each offset inside a window, that pixel of all windows along an axis."""
    reach = span.strides * (span.count - 1) + 1
    cuts = [[slice(None)] * axis + [slice(k, k + reach, span.strides)] for k in range(span.size)]
    return [image[tuple(cut)] for cut in cuts]


def average_pool(image: Any, span: Span, divisor: str = "existing") -> Any:
    """Return the sum of each window divided by what DIVISORS says.

    Shapes: (batch, side, side, channels) -> (batch, count, count, channels).
    """
    if span.mode == "VALID" or (span.mode == "SAME" and divisor == "existing"):
        means = tf.nn.avg_pool2d(image, span.size, span.strides, span.mode)
    else:
        means = tf.nn.avg_pool2d(fit(image, span), span.size, span.strides, "VALID")
        if divisor == "existing":
            existing = span.existing()
            correction = span.size**2 / np.outer(existing, existing)
            means *= tf.constant(correction[..., None], means.dtype)
    return means * span.size**2 if divisor == "none" else means


DIVISORS = {
    "existing": "the number of the window's pixels inside the image",
    "nominal": "size ** 2, as if there were zeros around the image",
    "none": "1",
}


def check_divisor(divisor: str, allowed: Collection[str] = tuple(DIVISORS)) -> str:
    """Return the divisor; raise ValueError if it is not allowed."""
    if divisor not in allowed:
        raise ValueError(f"divisor must be one of {', '.join(allowed)}, got {divisor!r}")
    return divisor


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
class MaxAbsPool2D(Pool2D):
    """Value of largest magnitude, with its sign, of each window (cuda-convnet: pool=maxabs).

    Of values of equal magnitude it is the last one, row by row. Every pixel that equals the output
    gets the full gradient. Shapes as in MaxPool2D.
    """

    def call(self, inputs):
        """Return the value of largest magnitude of each window."""
        return max_abs_pool(inputs, self.span(inputs.shape[1]))


@keras.saving.register_keras_serializable("convnet_cfg")
class AveragePool2D(Pool2D):
    """Sum over the existing pixels of each window, divided by their number (cuda-convnet: pool=avg).

    With `divisor` "nominal" the sum is divided by size ** 2 at the border as well, as cuda-convnet
    did until July 2012; with "none" it is not divided (cuda-convnet2: sum=1).
    Input shape: (batch, side, side, channels); output: (batch, output_side, output_side, channels).
    """

    def __init__(
        self,
        size: int,
        strides: int,
        start: int = 0,
        output_side: int | None = None,
        divisor: str = "existing",
        **keras_arguments: Any,
    ) -> None:
        super().__init__(size, strides, start, output_side, **keras_arguments)
        self.divisor = check_divisor(divisor)

    def call(self, inputs):
        """Return the mean or sum of each window."""
        return average_pool(inputs, self.span(inputs.shape[1]), self.divisor)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "divisor": self.divisor}


def channel_pool(values: Any, span: Span) -> Any:
    """Return the maximum of each window of channels; each value equal to it gets the full gradient.

    Shapes: (..., side) -> (..., count).
    """

    @tf.custom_gradient
    def pool(values):
        take = partial(tf.gather, axis=-1)
        first = span.start + span.strides * np.arange(span.count)
        # An offset beyond the existing channels of a window takes the nearest of them once more.
        low, high = np.maximum(first, 0), np.minimum(first + span.size, span.side) - 1
        output = reduce(tf.maximum, [take(values, np.clip(first + k, low, high)) for k in range(span.size)])

        def gradient(g):
            parts = []
            for window, inside in _windows_of_channels(span):
                equal = inside & (values == take(output, window))
                parts.append(tf.where(equal, take(g, window), tf.zeros((), g.dtype)))
            return sum(parts[1:], parts[0])

        return output, gradient

    return pool(values)


def _windows_of_channels(span: Span) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return all (window, inside) where channel c is in window[c] if inside[c]; each pair once."""
    channel = np.arange(span.side)
    pairs = []
    for step in range(span.reach):
        window = (channel - span.start) // span.strides - step
        inside = (window >= 0) & (window < span.count)
        inside &= channel - span.start - window * span.strides < span.size
        pairs.append((np.clip(window, 0, span.count - 1), inside))
    return pairs


@keras.saving.register_keras_serializable("convnet_cfg")
class CrossMapMaxPool(keras.layers.Layer):
    """Maximum over neighbouring channels at the same pixel (cuda-convnet2: cmpool).

    y[..., o] = max of x[..., start + o * strides + k] over the existing channels, 0 <= k < size

    Every channel that equals the maximum gets the full gradient. `call` raises ValueError if a window
    has no channel of the image. Input shape: (..., channels); output shape: (..., outputs).
    """

    def __init__(self, size: int, strides: int, start: int, outputs: int, **keras_arguments: Any) -> None:
        super().__init__(**keras_arguments)
        self.size = size
        self.strides = strides
        self.start = start
        self.outputs = outputs

    def call(self, inputs):
        """Return the maximum of each window of channels."""
        span = Span(inputs.shape[-1], self.size, self.strides, self.start, self.outputs)
        if self.outputs < 1 or span.existing().min() < 1:
            raise ValueError(f"{self.name}: a window lies outside the channels: {span}")
        return channel_pool(inputs, span)

    def compute_output_shape(self, input_shape):
        """Return (..., outputs)."""
        return (*input_shape[:-1], self.outputs)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        own = {name: getattr(self, name) for name in ("size", "strides", "start", "outputs")}
        return {**super().get_config(), **own}
