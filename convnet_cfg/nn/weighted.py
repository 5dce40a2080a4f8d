"""What all layers with weights have in common: kernels of their own or of others, and a bias."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self, TypeAlias

import keras
import tensorflow as tf

KernelSource: TypeAlias = "keras.Variable | int | None"


def as_list(inputs: Any) -> list[Any]:
    """Return the inputs of a layer as a list, be it one tensor or several."""
    return list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]


def as_shapes(input_shape: Any) -> list[Any]:
    """Return the shapes of the inputs of a layer as a list, be it one shape or several."""
    several = isinstance(input_shape[0], (list, tuple))
    return list(input_shape) if several else [input_shape]


def one_or_all(tensors: list[Any]) -> Any:
    """Return the tensor of a list of one, else the list: what a layer is called with."""
    return tensors[0] if len(tensors) == 1 else tensors


def scale_gradient(tensor: Any, factor: float) -> Any:
    """Return the tensor itself; its gradient is multiplied by `factor`."""
    if factor == 1.0:
        return tensor
    if factor == 0.0:
        return tf.stop_gradient(tensor)

    @tf.custom_gradient
    def scaled(value):
        return tf.identity(value), lambda gradient: gradient * factor

    return scaled(tensor)


class Weighted(keras.layers.Layer):
    """Base of the layers with one kernel per input and one bias: y = bias + sum of x_i * kernel_i.

    `kernel_sources[i]` is a variable used instead of a kernel of its own, the index of an earlier
    kernel of this layer, or None. The gradient that this use sends to kernel i is multiplied by
    `gradient_scales[i]`; the gradient of the input is not.

    `bias_source` is a variable used instead of a bias of its own. Kernels and biases start at zero.
    Attributes: `kernels` (list of variables) and `bias` (None if `bias_shape` returns None).
    """

    def __init__(
        self,
        inputs: int,
        kernel_sources: Sequence[KernelSource] | None = None,
        gradient_scales: Sequence[float] | None = None,
        bias_source: keras.Variable | None = None,
        **keras_arguments: Any,
    ) -> None:
        super().__init__(**keras_arguments)
        self.bias_source = bias_source
        self.kernel_sources = tuple(kernel_sources or (None,) * inputs)
        self.gradient_scales = tuple(gradient_scales or (1.0,) * inputs)
        if not inputs == len(self.kernel_sources) == len(self.gradient_scales):
            raise ValueError(
                f"{inputs} inputs need as many kernel_sources and gradient_scales, "
                f"got {len(self.kernel_sources)} and {len(self.gradient_scales)}"
            )

    def kernel_shapes(self, input_shapes: list[Any]) -> list[tuple[int, ...]]:
        """Return the shape of the kernel of each input."""
        raise NotImplementedError

    def bias_shape(self) -> tuple[int, ...] | None:
        """Return the shape of the bias, None for no bias."""
        raise NotImplementedError

    def build(self, input_shape: Any) -> None:
        """Make the variables that are not shared."""
        shapes = as_shapes(input_shape)
        if len(shapes) != len(self.kernel_sources):
            raise ValueError(f"{self.name}: expected {len(self.kernel_sources)} inputs, got {len(shapes)}")
        self.kernels = []
        for index, shape in enumerate(self.kernel_shapes(shapes)):
            self.kernels.append(self._kernel(index, shape))
        self.bias = self._bias(self.bias_shape()) if self.bias_source is None else self.bias_source

    def _bias(self, shape: tuple[int, ...] | None) -> Any:
        return None if shape is None else self.add_weight(name="bias", shape=shape, initializer="zeros")

    def _kernel(self, index: int, shape: tuple[int, ...]) -> keras.Variable:
        source = self.kernel_sources[index]
        if source is None:
            name = "kernel" if len(self.kernel_sources) == 1 else f"kernel_{index}"
            return self.add_weight(name=name, shape=shape, initializer="zeros")
        kernel = self.kernels[source] if isinstance(source, int) else source
        if tuple(kernel.shape) != tuple(shape):
            raise ValueError(
                f"{self.name}: kernel {index} has shape {tuple(shape)}, its source {tuple(kernel.shape)}"
            )
        return kernel

    def used_kernels(self) -> list[Any]:
        """Return the kernels as tensors, each with its gradient scale."""
        kernels = [tf.convert_to_tensor(kernel) for kernel in self.kernels]
        return [scale_gradient(*pair) for pair in zip(kernels, self.gradient_scales, strict=True)]

    @property
    def shares(self) -> bool:
        """Whether it uses variables of other layers."""
        return any(isinstance(source, keras.Variable) for source in (*self.kernel_sources, self.bias_source))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer; variables of other layers cannot be among them."""
        if self.shares:
            raise NotImplementedError(f"{self.name}: a layer with shared kernels cannot be serialized alone")
        own = {"kernel_sources": self.kernel_sources, "gradient_scales": self.gradient_scales}
        return {**super().get_config(), **own}

    def separate(self) -> Self:
        """Return a layer like this, not built, that has variables of its own instead of those of others."""
        shared = self.kernel_sources, self.bias_source
        # get_config is that of a subclass: it has to see a layer that shares nothing.
        self.kernel_sources = tuple(each if isinstance(each, int) else None for each in self.kernel_sources)
        self.bias_source = None
        try:
            return type(self).from_config(self.get_config())
        finally:
            self.kernel_sources, self.bias_source = shared
