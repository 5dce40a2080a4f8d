"""Convolution over one or several images (cuda-convnet: conv)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from convnet_cfg.nn.weighted import KernelSource, Weighted, as_list, as_shapes
from convnet_cfg.nn.windows import Span, Window, fit


def pick_channels(image: Any, window: Window) -> Any:
    """Return the channels that the groups see, one group after the other, on the last axis."""
    return image if window.connections is None else tf.gather(image, window.connections, axis=-1)


class Windowed(Weighted):
    """Base of the layers that slide filters over square images; `filters` counts those of all groups."""

    def __init__(
        self,
        filters: int,
        windows: Sequence[Window],
        output_side: int,
        kernel_sources: Sequence[KernelSource] | None = None,
        gradient_scales: Sequence[float] | None = None,
        **keras_arguments: Any,
    ) -> None:
        super().__init__(len(windows), kernel_sources, gradient_scales, **keras_arguments)
        self.filters = filters
        self.windows = tuple(Window(*window) for window in windows)
        self.output_side = output_side

    def span(self, window: Window, side: int) -> Span:
        """Return where the windows lie on an image of that side."""
        return Span(side, window.size, window.strides, -window.padding, self.output_side)

    def compute_output_shape(self, input_shape):
        """Return (batch, output_side, output_side, filters)."""
        return (as_shapes(input_shape)[0][0], self.output_side, self.output_side, self.filters)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        own = {"filters": self.filters, "windows": self.windows, "output_side": self.output_side}
        return {**super().get_config(), **own}


def with_blind(values: Any, span: Span, axes: tuple[int, int]) -> Any:
    """Return the values of the windows that see some of the image with zeros for the other windows."""
    missing = [(0, 0)] * 4
    for axis in axes:
        missing[axis] = (0, span.count - span.seeing.count)
    return tf.pad(values, missing)


def convolve(image: Any, kernel: Any, window: Window, span: Span) -> Any:
    """Return the (grouped) convolution of an image (batch, rows, columns, channels) with a kernel.

    TensorFlow's own explicit padding takes up to twice as long on a CPU as padding first.
    """
    if (seeing := span.seeing).count < span.count:
        return with_blind(convolve(image, kernel, window, seeing), span, (1, 2))
    image = pick_channels(image, window)
    if span.mode is None:
        image = fit(image, span)
    padding = span.mode or "VALID"
    if window.groups == 1:
        return tf.nn.conv2d(image, kernel, window.strides, padding)
    if window.size == window.strides == 1:
        return _multiply_groups(image, kernel, window.groups)
    images = tf.split(image, window.groups, axis=-1)
    kernels = tf.split(kernel, window.groups, axis=-1)
    parts = [tf.nn.conv2d(i, k, window.strides, padding) for i, k in zip(images, kernels, strict=True)]
    return tf.concat(parts, axis=-1)


def _multiply_groups(image: Any, kernel: Any, groups: int) -> Any:
    """Return the grouped convolution with filters of one pixel: one product instead of one a group."""
    rows, columns, channels = image.shape[1:]
    depth, filters = kernel.shape[2:]
    parts = tf.reshape(image, (-1, rows, columns, groups, channels // groups))
    products = tf.einsum("brcgd,dgf->brcgf", parts, tf.reshape(kernel, (depth, groups, filters // groups)))
    return tf.reshape(products, (-1, rows, columns, filters))


@keras.saving.register_keras_serializable("convnet_cfg")
class Conv2D(Windowed):
    """Convolution (correlation, as everywhere) of one or several square images (cuda-convnet: conv).

    y[r, c, k] = bias + sum over inputs, u, v, channels d of
                 kernel_i[u, v, d, k] * x_i[r * strides - padding + u, c * strides - padding + v, d]

    with zeros outside the image. Filter k belongs to group k // (filters / groups) and sees that
    group's channels only.

    Input shapes: (batch, side_i, side_i, channels_i); output: (batch, output_side, output_side, filters).
    Kernels: (size, size, channels per group, filters); bias: (filters,) if `shared_bias`, else
    (output_side, output_side, filters).
    """

    def __init__(
        self,
        filters: int,
        windows: Sequence[Window],
        output_side: int,
        shared_bias: bool = True,
        kernel_sources: Sequence[KernelSource] | None = None,
        gradient_scales: Sequence[float] | None = None,
        **keras_arguments: Any,
    ) -> None:
        super().__init__(filters, windows, output_side, kernel_sources, gradient_scales, **keras_arguments)
        self.shared_bias = shared_bias

    def kernel_shapes(self, input_shapes: list[Any]) -> list[tuple[int, ...]]:
        """Return (size, size, channels per group, filters) of each input."""
        return [(w.size, w.size, w.depth, self.filters) for w in self.windows]

    def bias_shape(self) -> tuple[int, ...]:
        """Return (filters,), or one value for each output."""
        return (self.filters,) if self.shared_bias else (self.output_side, self.output_side, self.filters)

    def call(self, inputs):
        """Return bias + sum of the convolutions."""
        parts = [
            convolve(image, kernel, window, self.span(window, image.shape[1]))
            for image, kernel, window in zip(as_list(inputs), self.used_kernels(), self.windows, strict=True)
        ]
        total = sum(parts[1:], parts[0])
        return tf.nn.bias_add(total, self.bias) if self.shared_bias else total + self.bias

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "shared_bias": self.shared_bias}
