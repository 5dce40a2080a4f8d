"""Fully connected layers that Keras lacks: in blocks, for each pixel, with dropped weights."""

import keras
from keras import layers, ops
from keras.initializers import Constant

from convnet_cfg.export.source.keras_layers.initial import normal


class BlockProducts(layers.Layer):
    """Product in blocks: each block of outputs depends on its block of inputs only; no bias.

    Kernel: (inputs, outputs of a block), block under block.
    """

    def __init__(self, units, blocks, deviation=0.0, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.blocks = blocks
        self.deviation = deviation

    def build(self, input_shape):
        """Make the kernel."""
        shape = (input_shape[-1], self.units)
        self.kernel = self.add_weight(shape=shape, initializer=normal(self.deviation), name="kernel")

    def call(self, values):
        """Return the outputs of all blocks, one behind the other."""
        parts = ops.split(values, self.blocks, axis=-1)
        kernels = ops.split(ops.convert_to_tensor(self.kernel), self.blocks, axis=0)
        products = [ops.matmul(part, kernel) for part, kernel in zip(parts, kernels, strict=True)]
        return ops.concatenate(products, axis=-1)


class BlockDense(BlockProducts):
    """Fully connected layer in blocks, with a bias: (outputs of all blocks,)."""

    def __init__(self, units, blocks, first_bias=0.0, **kwargs):
        super().__init__(units, blocks, **kwargs)
        self.first_bias = first_bias

    def build(self, input_shape):
        """Make kernel and bias."""
        super().build(input_shape)
        shape = (self.blocks * self.units,)
        self.bias = self.add_weight(shape=shape, initializer=Constant(self.first_bias), name="bias")

    def call(self, values):
        """Return the outputs of all blocks with the bias added."""
        return super().call(values) + self.bias


class GroupedPixelDense(layers.Layer):
    """The same fully connected layer for each pixel, in groups of channels: a convolution of size 1.

    Kernel: (channels of a group, groups * units); bias: (groups * units,).
    """

    def __init__(self, units, groups, deviation=0.0, first_bias=0.0, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.groups = groups
        self.deviation = deviation
        self.first_bias = first_bias

    def build(self, input_shape):
        """Make kernel and bias."""
        outputs = self.groups * self.units
        shape = (input_shape[-1] // self.groups, outputs)
        self.kernel = self.add_weight(shape=shape, initializer=normal(self.deviation), name="kernel")
        self.bias = self.add_weight(shape=(outputs,), initializer=Constant(self.first_bias), name="bias")

    def call(self, pixels):
        """Return the outputs of all groups, one behind the other."""
        parts = ops.split(pixels, self.groups, axis=-1)
        kernels = ops.split(ops.convert_to_tensor(self.kernel), self.groups, axis=-1)
        products = [ops.matmul(part, kernel) for part, kernel in zip(parts, kernels, strict=True)]
        return ops.concatenate(products, axis=-1) + self.bias


class DropConnectDense(layers.Layer):
    """Fully connected layer that drops weights and biases in training, the same ones for all cases.

    In tests all outputs are multiplied by 1 - rate; nothing is scaled in training. The mask of the kernel is
    kept, because dropped weights lose their momentum.
    """

    def __init__(self, units, rate, deviation=0.0, first_bias=0.0, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.rate = rate
        self.deviation = deviation
        self.first_bias = first_bias
        self.seed = keras.random.SeedGenerator()

    def build(self, input_shape):
        """Make kernel, bias and the kernel's mask."""
        shape = (input_shape[-1], self.units)
        self.kernel = self.add_weight(shape=shape, initializer=normal(self.deviation), name="kernel")
        self.bias = self.add_weight(shape=(self.units,), initializer=Constant(self.first_bias), name="bias")
        self.mask = self.add_weight(shape=shape, initializer="ones", trainable=False, name="mask")

    def call(self, values, training=False):
        """Return the product with the kernel, and the bias."""
        if not training:
            return (1 - self.rate) * (ops.matmul(values, self.kernel) + self.bias)
        self.mask.assign(self.draw_mask(self.kernel.shape))
        kernel, bias = self.kernel * self.mask, self.bias * self.draw_mask(self.bias.shape)
        return ops.matmul(values, kernel) + bias

    def draw_mask(self, shape):
        """Return zeros with the probability `rate`, else ones."""
        return ops.cast(keras.random.uniform(shape, seed=self.seed) >= self.rate, self.compute_dtype)


class CaseDropConnectDense(layers.Layer):
    """Fully connected layer that drops weights and biases in training, others for each case.

    In tests all outputs are multiplied by 1 - rate; nothing is scaled in training.
    """

    def __init__(self, units, rate, deviation=0.0, first_bias=0.0, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.rate = rate
        self.deviation = deviation
        self.first_bias = first_bias
        self.seed = keras.random.SeedGenerator()

    def build(self, input_shape):
        """Make kernel and bias."""
        shape = (input_shape[-1], self.units)
        self.kernel = self.add_weight(shape=shape, initializer=normal(self.deviation), name="kernel")
        self.bias = self.add_weight(shape=(self.units,), initializer=Constant(self.first_bias), name="bias")

    def call(self, values, training=False):
        """Return the product with the kernel, and the bias."""
        if not training:
            return (1 - self.rate) * (ops.matmul(values, self.kernel) + self.bias)
        cases = ops.shape(values)[0]
        kernels = self.kernel * self.draw_mask((cases, *self.kernel.shape))
        return ops.einsum("ni,nio->no", values, kernels) + self.bias * self.draw_mask((cases, self.units))

    def draw_mask(self, shape):
        """Return zeros with the probability `rate`, else ones."""
        return ops.cast(keras.random.uniform(shape, seed=self.seed) >= self.rate, self.compute_dtype)
