"""The original's weight matrices and ours: the same numbers in another order (spec: layers.md section 0.3).

The original keeps activations as (channel, row, column, case) and every weight as a matrix; we keep images as
(case, row, column, channel) and a kernel as (row, column, channel, filter).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from convnet_cfg.language.layer_types import Image
from convnet_cfg.language.network import Layer
from convnet_cfg.language.weight_types import ConvSpec, FilterSpec, FullSpec, LocalSpec

Array = npt.NDArray[np.float32]
Images = Mapping[tuple[str, int], Image | None]


class Layout(NamedTuple):
    """How a matrix becomes a kernel: reshape to `axes`, transpose by `order`, reshape to `shape`."""

    matrix: tuple[int, ...]
    axes: tuple[int, ...]
    order: tuple[int, ...]
    shape: tuple[int, ...]

    def to_kernel(self, matrix: Array) -> Array:
        """Return the numbers of the original's matrix in our order."""
        return matrix.reshape(self.axes).transpose(self.order).reshape(self.shape)

    def to_matrix(self, kernel: Array) -> Array:
        """Return the numbers of our kernel in the original's order."""
        moved = tuple(self.axes[axis] for axis in self.order)
        back = tuple(int(axis) for axis in np.argsort(self.order))
        return kernel.reshape(moved).transpose(back).reshape(self.matrix)


def layout_of(layer: Layer, number: int | None, images: Images) -> Layout:
    """Return the layout of the weight matrix of an input, or of the bias (None).

    `images` says, by layer and input, what inputs of fully connected layers are to us (`kernel_layout`).
    """
    return (
        bias_layout(layer)
        if number is None
        else kernel_layout(layer, number, images.get((layer.name, number)))
    )


def kernel_layout(layer: Layer, index: int, image: Image | None = None) -> Layout:
    """Return the layout of the weight matrix of one input.

    `image` is what the input of a fully connected layer is to us: rows of its kernel follow the order of
    (row, column, channel) then; None where the input is a vector.
    """
    matrix = tuple(layer.matrices[index].shape)
    spec = layer.spec
    if isinstance(spec, FullSpec):
        if image is None:
            return Layout(matrix, matrix, (0, 1), matrix)
        planes = (image.channels, image.side, image.side, spec.outputs)
        return Layout(matrix, planes, (1, 2, 0, 3), matrix)
    if not isinstance(spec, FilterSpec):
        return Layout(matrix, matrix, (0, 1), matrix)
    depth, size, filters = spec.filter_channels(index), spec.sizes[index], spec.total_filters(index)
    if isinstance(spec, LocalSpec):
        side = output_side(layer)
        axes = (side, side, depth, size, size, filters)
        return Layout(matrix, axes, (0, 1, 3, 4, 2, 5), (side, side, size, size, depth, filters))
    return Layout(matrix, (depth, size, size, filters), (1, 2, 0, 3), (size, size, depth, filters))


def bias_layout(layer: Layer) -> Layout:
    """Return the layout of the bias."""
    assert layer.bias is not None
    matrix = tuple(layer.bias.shape)
    spec = layer.spec
    if not isinstance(spec, FilterSpec) or (isinstance(spec, ConvSpec) and spec.shared_biases):
        flat = (prod(matrix),)
        return Layout(matrix, flat, (0,), flat)
    side, filters = output_side(layer), spec.total_filters()
    return Layout(matrix, (filters, side, side), (1, 2, 0), (side, side, filters))


def output_side(layer: Layer) -> int:
    """Return the side of the image that a layer makes."""
    assert layer.output.image is not None
    return layer.output.image.side
