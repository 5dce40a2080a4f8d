"""What layers have in common that share weights."""

from keras import layers, ops


class SharedKernel:
    """Mixed into a layer: its kernel is that of another one."""

    def __init__(self, kernel, *arguments, **options):
        super().__init__(*arguments, **options)
        self.other = kernel

    def add_weight(self, *arguments, name, **options):
        """Return the kernel of the other layer, or make another weight."""
        return self.other if name == "kernel" else super().add_weight(*arguments, name=name, **options)


class ScaledGradient:
    """Mixed into a layer with the kernel of another one, to train that at a learning rate of its own.

    The kernel has one learning rate. What this layer adds to its gradient is multiplied by `gradient_scale`,
    the ratio of the two rates.
    """

    def __init__(self, *arguments, gradient_scale, **options):
        super().__init__(*arguments, **options)
        self.gradient_scale = gradient_scale

    @property
    def kernel(self):
        """The kernel of the other layer, its gradient multiplied."""
        added = self.whole - ops.stop_gradient(self.whole)  # 0
        return self.whole + (self.gradient_scale - 1) * added

    @kernel.setter
    def kernel(self, kernel):
        self.whole = kernel


class SharedBias(layers.Layer):
    """Adds the bias of another layer."""

    def __init__(self, bias, **kwargs):
        super().__init__(**kwargs)
        self.bias = bias

    def call(self, values):
        """Return the values with the bias added."""
        return values + self.bias
