"""Layers that multiply their inputs by matrices: fully connected, in blocks, for each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from convnet_cfg.nn.weighted import KernelSource, Weighted, as_list, as_shapes


@keras.saving.register_keras_serializable("convnet_cfg")
class Dense(Weighted):
    """Fully connected layer with one or several inputs (cuda-convnet: fc).

    y = bias + sum over the inputs of x_i @ kernel_i

    Input shapes: (batch, features_i); output shape: (batch, units). Kernels: (features_i, units);
    bias: (units,). `build` raises ValueError if the number of inputs or the shape of a shared kernel
    does not fit.
    """

    def __init__(
        self,
        units: int,
        inputs: int = 1,
        kernel_sources: Sequence[KernelSource] | None = None,
        gradient_scales: Sequence[float] | None = None,
        **keras_arguments: Any,
    ) -> None:
        super().__init__(inputs, kernel_sources, gradient_scales, **keras_arguments)
        self.units = units
        self.inputs = inputs

    def kernel_shapes(self, input_shapes: list[Any]) -> list[tuple[int, ...]]:
        """Return (features, units) of each input."""
        return [(shape[-1], self.units) for shape in input_shapes]

    def bias_shape(self) -> tuple[int, ...] | None:
        """Return (units,)."""
        return (self.units,)

    def call(self, inputs):
        """Return bias + sum of the products."""
        products = [self.product(x, k) for x, k in zip(as_list(inputs), self.used_kernels(), strict=True)]
        total = sum(products[1:], products[0])
        return total if self.bias is None else tf.nn.bias_add(total, self.bias)

    def product(self, x: Any, kernel: Any) -> Any:
        """Return what one input adds; shape (batch, units)."""
        return tf.matmul(x, kernel)

    def compute_output_shape(self, input_shape):
        """Return (batch, units)."""
        return (as_shapes(input_shape)[0][0], self.units)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "units": self.units, "inputs": self.inputs}


def share(features: int, blocks: int, name: str) -> int:
    """Return the features of each of several equal blocks; raise ValueError if they are not equal."""
    if features % blocks:
        raise ValueError(f"{name}: {features} features cannot be divided into {blocks} equal blocks")
    return features // blocks


def block_product(x: Any, kernels: Any) -> Any:
    """Return the product of each block of the features with a kernel of its own.

    Shapes: (batch, blocks * features), (blocks, features, units) -> (batch, blocks * units).
    """
    blocks, features, units = kernels.shape
    parts = tf.transpose(tf.reshape(x, (-1, blocks, features)), (1, 0, 2))
    products = tf.transpose(tf.matmul(parts, kernels), (1, 0, 2))
    return tf.reshape(products, (-1, blocks * units))


@keras.saving.register_keras_serializable("convnet_cfg")
class BlockDense(Dense):
    """Fully connected layer in separate parts (cuda-convnet2: sfc): `units` are those of one part.

    y[block q] = bias[block q] + sum over the inputs of x_i[block q] @ kernel_i[row block q]

    with `parts` equal blocks of consecutive features, rows or units. Input shapes: (batch, features_i);
    output shape: (batch, parts * units). Kernels: (features_i, units); bias: (parts * units,).
    """

    def __init__(
        self,
        units: int,
        parts: int,
        inputs: int = 1,
        kernel_sources: Sequence[KernelSource] | None = None,
        gradient_scales: Sequence[float] | None = None,
        **keras_arguments: Any,
    ) -> None:
        super().__init__(units, inputs, kernel_sources, gradient_scales, **keras_arguments)
        self.parts = parts

    def kernel_shapes(self, input_shapes: list[Any]) -> list[tuple[int, ...]]:
        """Return (features, units) of each input."""
        for shape in input_shapes:
            share(shape[-1], self.parts, self.name)
        return super().kernel_shapes(input_shapes)

    def bias_shape(self) -> tuple[int, ...] | None:
        """Return (parts * units,)."""
        return (self.parts * self.units,)

    def product(self, x: Any, kernel: Any) -> Any:
        """Return what one input adds; shape (batch, parts * units)."""
        return block_product(x, tf.reshape(kernel, (self.parts, -1, self.units)))

    def compute_output_shape(self, input_shape):
        """Return (batch, parts * units)."""
        return (as_shapes(input_shape)[0][0], self.parts * self.units)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "parts": self.parts}


@keras.saving.register_keras_serializable("convnet_cfg")
class PixelDense(Weighted):
    """The same fully connected layer for each pixel, in groups of channels (Network in Network: cccp).

    y[p, block g] = bias[block g] + x[p, block g] @ kernel[:, block g]

    with `groups` equal blocks of consecutive channels or units, `units` in each: a convolution of
    size 1. Input shape: (batch, ..., channels), the pixels in rows and columns or in one row; output
    shape: (batch, ..., groups * units). Kernel: (channels / groups, groups * units); bias: (groups *
    units,).
    """

    def __init__(
        self,
        units: int,
        groups: int = 1,
        kernel_sources: Sequence[KernelSource] | None = None,
        gradient_scales: Sequence[float] | None = None,
        **keras_arguments: Any,
    ) -> None:
        super().__init__(1, kernel_sources, gradient_scales, **keras_arguments)
        self.units = units
        self.groups = groups

    def kernel_shapes(self, input_shapes: list[Any]) -> list[tuple[int, ...]]:
        """Return (channels of a group, groups * units)."""
        return [(share(input_shapes[0][-1], self.groups, self.name), self.groups * self.units)]

    def bias_shape(self) -> tuple[int, ...] | None:
        """Return (groups * units,)."""
        return (self.groups * self.units,)

    def call(self, inputs):
        """Return bias + the product of each pixel."""
        (kernel,) = self.used_kernels()
        kernels = tf.transpose(tf.reshape(kernel, (-1, self.groups, self.units)), (1, 0, 2))
        pixels = block_product(tf.reshape(inputs, (-1, inputs.shape[-1])), kernels)
        pixels = tf.nn.bias_add(pixels, self.bias)
        return tf.reshape(pixels, (-1, *self.compute_output_shape(inputs.shape)[1:]))

    def compute_output_shape(self, input_shape):
        """Return (batch, ..., groups * units)."""
        return (*input_shape[:-1], self.groups * self.units)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "units": self.units, "groups": self.groups}


@keras.saving.register_keras_serializable("convnet_cfg")
class ConditionalProbability(Dense):
    """Probabilities from probabilities by a matrix without a bias (fork of Cysu: condprob).

    y = sum over the inputs of x_i @ kernel_i

    That the kernels are probabilities is for constraints.NonNegativeColumns to see to after each
    update. Input shapes: (batch, features_i); output: (batch, units). Kernels: (features_i, units).
    """

    def bias_shape(self) -> tuple[int, ...] | None:
        """Return None: no bias."""
        return None


@keras.saving.register_keras_serializable("convnet_cfg")
class Scaling(Weighted):
    """One factor and one summand for all values (fork of stephenyan1231: scaling).

    y = kernel * x + bias

    Input and output shape: any. Kernel and bias: ().
    """

    def __init__(
        self,
        kernel_sources: Sequence[KernelSource] | None = None,
        gradient_scales: Sequence[float] | None = None,
        **keras_arguments: Any,
    ) -> None:
        super().__init__(1, kernel_sources, gradient_scales, **keras_arguments)

    def kernel_shapes(self, input_shapes: list[Any]) -> list[tuple[int, ...]]:
        """Return (): one number."""
        return [()]

    def bias_shape(self) -> tuple[int, ...] | None:
        """Return (): one number."""
        return ()

    def call(self, inputs):
        """Return kernel * x + bias."""
        (kernel,) = self.used_kernels()
        return kernel * inputs + self.bias

    def compute_output_shape(self, input_shape):
        """Return the input's shape."""
        return input_shape
