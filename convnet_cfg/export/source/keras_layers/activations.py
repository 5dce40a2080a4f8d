"""Activations that Keras lacks, or whose gradients at a kink are others there."""

from keras import layers, ops


class ScaledTanh(layers.Layer):
    """a * tanh(b * x)."""

    def __init__(self, a, b, **kwargs):
        super().__init__(**kwargs)
        self.a = a
        self.b = b

    def call(self, x):
        """Return the function of each value."""
        return self.a * ops.tanh(self.b * x)


class Linear(layers.Layer):
    """a * x + b."""

    def __init__(self, a, b, **kwargs):
        super().__init__(**kwargs)
        self.a = a
        self.b = b

    def call(self, x):
        """Return the function of each value."""
        return self.a * x + self.b


class BoundedReLU(layers.Layer):
    """min(bound, max(0, x)); its gradient is 0 at both kinks."""

    def __init__(self, bound, **kwargs):
        super().__init__(**kwargs)
        self.bound = bound

    def call(self, x):
        """Return the function of each value."""
        return ops.where((x < 0) | (x < self.bound), ops.relu(x), self.bound)


def absolute(x):
    """Return |x|; the gradient at 0 is -1."""
    return ops.where(x > 0, x, -x)


def soft_relu(x):
    """Return log(1 + exp(x)) up to x = 4, x above.

    The gradient is 1 wherever the value is above 4.
    """
    y = ops.where(x > 4, x, ops.softplus(x))
    return ops.where(y > 4, x + ops.stop_gradient(y - x), y)


class Logarithm(layers.Layer):
    """log(a + x)."""

    def __init__(self, a, **kwargs):
        super().__init__(**kwargs)
        self.a = a

    def call(self, x):
        """Return the function of each value."""
        return ops.log(self.a + x)


class DoubleReLU(layers.Layer):
    """x - a * tanh(x / a); the gradient is tanh(x / a) ** 2, written out: its digits are lost near 0 else."""

    def __init__(self, a, **kwargs):
        super().__init__(**kwargs)
        self.a = a

    def call(self, x):
        """Return the function of each value."""
        steep = ops.tanh(x / self.a)
        y = ops.stop_gradient(x - self.a * steep)
        return y + ops.stop_gradient(ops.square(steep)) * (x - ops.stop_gradient(x))


class AbsoluteTanh(layers.Layer):
    """a * tanh(|b| * |x|); the gradient at 0 is that of x < 0."""

    def __init__(self, a, b, **kwargs):
        super().__init__(**kwargs)
        self.a = a
        self.b = b

    def call(self, x):
        """Return the function of each value."""
        return self.a * ops.tanh(abs(self.b) * ops.where(x > 0, x, -x))


class Power(layers.Layer):
    """x ** a."""

    def __init__(self, a, **kwargs):
        super().__init__(**kwargs)
        self.a = a

    def call(self, x):
        """Return the function of each value."""
        return ops.power(x, self.a)
