"""Layers with filters that Keras lacks: in groups, of each place, with a bias for each place, shared."""

from keras import layers, ops
from keras.initializers import Constant

from convnet_cfg.export.source.keras_layers.initial import normal


class GroupedFilters(layers.Layer):
    """Convolution in groups: the filters of a group see the channels of that group only; no bias.

    `groups=` of keras.layers.Conv2D needs XLA on some machines, and cannot be written as ONNX.
    Kernel: (size, size, channels of a group, filters).
    """

    def __init__(self, filters, size, groups, strides=1, padding="valid", deviation=0.0, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.size = size
        self.groups = groups
        self.strides = strides
        self.padding = padding
        self.deviation = deviation

    def build(self, input_shape):
        """Make the kernel."""
        shape = (self.size, self.size, input_shape[-1] // self.groups, self.filters)
        self.kernel = self.add_weight(shape=shape, initializer=normal(self.deviation), name="kernel")

    def call(self, images):
        """Return the filtered images of all groups, one group behind the other."""
        parts = ops.split(images, self.groups, axis=-1)
        kernels = ops.split(ops.convert_to_tensor(self.kernel), self.groups, axis=-1)
        filtered = [
            ops.conv(part, kernel, self.strides, self.padding)
            for part, kernel in zip(parts, kernels, strict=True)
        ]
        return ops.concatenate(filtered, axis=-1)


class GroupedConv2D(GroupedFilters):
    """Convolution in groups, with a bias for each filter."""

    def __init__(self, filters, size, groups, first_bias=0.0, **kwargs):
        super().__init__(filters, size, groups, **kwargs)
        self.first_bias = first_bias

    def build(self, input_shape):
        """Make kernel and bias."""
        super().build(input_shape)
        self.bias = self.add_weight(shape=(self.filters,), initializer=Constant(self.first_bias), name="bias")

    def call(self, images):
        """Return the filtered images with the bias added."""
        return super().call(images) + self.bias


class TakeChannels(layers.Layer):
    """The channels whose numbers are in a text, in that order."""

    def __init__(self, channels, **kwargs):
        super().__init__(**kwargs)
        self.channels = [int(number) for number in channels.split()]

    def call(self, images):
        """Return the chosen channels."""
        return ops.take(images, self.channels, axis=-1)


class BiasOfEachFilter(layers.Layer):
    """Adds a bias that each filter has: (filters,)."""

    def __init__(self, first_bias=0.0, **kwargs):
        super().__init__(**kwargs)
        self.first_bias = first_bias

    def build(self, input_shape):
        """Make the bias."""
        shape = input_shape[-1:]
        self.bias = self.add_weight(shape=shape, initializer=Constant(self.first_bias), name="bias")

    def call(self, images):
        """Return the images with the bias added."""
        return images + self.bias


class BiasOfEachPlace(layers.Layer):
    """Adds a bias that each filter has at each place: (rows, columns, filters)."""

    def __init__(self, first_bias=0.0, **kwargs):
        super().__init__(**kwargs)
        self.first_bias = first_bias

    def build(self, input_shape):
        """Make the bias."""
        self.bias = self.add_weight(shape=input_shape[1:], initializer=Constant(self.first_bias), name="bias")

    def call(self, images):
        """Return the images with the bias added."""
        return images + self.bias


class LocalFilters(layers.Layer):
    """Convolution with other filters at each place; no bias.

    Kernel: (rows, columns, size, size, channels, filters).
    """

    def __init__(self, filters, size, strides=1, deviation=0.0, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.size = size
        self.strides = strides
        self.deviation = deviation

    def build(self, input_shape):
        """Make the kernel."""
        rows, columns = ((side - self.size) // self.strides + 1 for side in input_shape[1:3])
        shape = (rows, columns, self.size, self.size, input_shape[-1], self.filters)
        self.kernel = self.add_weight(shape=shape, initializer=normal(self.deviation), name="kernel")

    def call(self, images):
        """Return the sum over the pixels of the windows, each times its own part of the filters."""
        return sum(
            ops.einsum("nrcd,rcdf->nrcf", pixels, self.kernel[:, :, u, v])
            for u, v, pixels in pixels_of_windows(images, self.size, self.strides)
        )


class LocallyConnected2D(LocalFilters):
    """Convolution with other filters at each place, and a bias for each of them: (rows, columns, filters)."""

    def __init__(self, filters, size, first_bias=0.0, **kwargs):
        super().__init__(filters, size, **kwargs)
        self.first_bias = first_bias

    def build(self, input_shape):
        """Make kernel and bias."""
        super().build(input_shape)
        shape = (*self.kernel.shape[:2], self.filters)
        self.bias = self.add_weight(shape=shape, initializer=Constant(self.first_bias), name="bias")

    def call(self, images):
        """Return the filtered images with the bias added."""
        return super().call(images) + self.bias


class GroupedLocalFilters(layers.Layer):
    """Convolution with other filters at each place, which see the channels of their group only; no bias.

    Kernel: (rows, columns, size, size, channels of a group, filters).
    """

    def __init__(self, filters, size, groups, strides=1, deviation=0.0, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.size = size
        self.groups = groups
        self.strides = strides
        self.deviation = deviation

    def build(self, input_shape):
        """Make the kernel."""
        rows, columns = ((side - self.size) // self.strides + 1 for side in input_shape[1:3])
        depth = input_shape[-1] // self.groups
        shape = (rows, columns, self.size, self.size, depth, self.filters)
        self.kernel = self.add_weight(shape=shape, initializer=normal(self.deviation), name="kernel")

    def call(self, images):
        """Return the filtered images of all groups, one group behind the other."""
        parts = ops.split(images, self.groups, axis=-1)
        kernels = ops.split(ops.convert_to_tensor(self.kernel), self.groups, axis=-1)
        filtered = [
            sum(
                ops.einsum("nrcd,rcdf->nrcf", pixels, kernel[:, :, u, v])
                for u, v, pixels in pixels_of_windows(part, self.size, self.strides)
            )
            for part, kernel in zip(parts, kernels, strict=True)
        ]
        return ops.concatenate(filtered, axis=-1)


class GroupedLocallyConnected2D(GroupedLocalFilters):
    """Convolution in groups with other filters at each place, and a bias for each of them."""

    def __init__(self, filters, size, groups, first_bias=0.0, **kwargs):
        super().__init__(filters, size, groups, **kwargs)
        self.first_bias = first_bias

    def build(self, input_shape):
        """Make kernel and bias."""
        super().build(input_shape)
        shape = (*self.kernel.shape[:2], self.filters)
        self.bias = self.add_weight(shape=shape, initializer=Constant(self.first_bias), name="bias")

    def call(self, images):
        """Return the filtered images with the bias added."""
        return super().call(images) + self.bias


def pixels_of_windows(images, size, strides):
    """Yield u, v and pixel (u, v) of all windows: (cases, rows, columns, channels) each."""
    rows, columns = ((side - size) // strides * strides + 1 for side in images.shape[1:3])
    for u in range(size):
        for v in range(size):
            yield u, v, images[:, u : u + rows : strides, v : v + columns : strides]


class SharedFilters(layers.Layer):
    """Convolution with the kernel of another layer; no bias."""

    def __init__(self, kernel, strides=1, padding="valid", **kwargs):
        super().__init__(**kwargs)
        self.kernel = kernel
        self.strides = strides
        self.padding = padding

    def call(self, images):
        """Return the filtered images."""
        return ops.conv(images, self.kernel, self.strides, self.padding)


class SharedConv2D(SharedFilters):
    """Convolution with the kernel of another layer, and a bias of its own."""

    def __init__(self, kernel, first_bias=0.0, **kwargs):
        super().__init__(kernel, **kwargs)
        self.first_bias = first_bias

    def build(self, input_shape):
        """Make the bias."""
        shape = self.kernel.shape[-1:]
        self.bias = self.add_weight(shape=shape, initializer=Constant(self.first_bias), name="bias")

    def call(self, images):
        """Return the filtered images with the bias added."""
        return super().call(images) + self.bias


class SharedProduct(layers.Layer):
    """Product with the kernel of another fully connected layer; no bias."""

    def __init__(self, kernel, **kwargs):
        super().__init__(**kwargs)
        self.kernel = kernel

    def call(self, values):
        """Return the product with the kernel."""
        return ops.matmul(values, self.kernel)


class SharedDense(SharedProduct):
    """Fully connected layer with the kernel of another one, and a bias of its own."""

    def __init__(self, kernel, first_bias=0.0, **kwargs):
        super().__init__(kernel, **kwargs)
        self.first_bias = first_bias

    def build(self, input_shape):
        """Make the bias."""
        shape = self.kernel.shape[-1:]
        self.bias = self.add_weight(shape=shape, initializer=Constant(self.first_bias), name="bias")

    def call(self, values):
        """Return the product with the kernel, and the bias."""
        return super().call(values) + self.bias
