"""Normalization within and across channels. A window of even size has one element more on the low side."""

from keras import layers, ops


class CrossChannelNorm(layers.Layer):
    """Divides each value by the energy of the channels around it, at its place.

    y[c] = x[c] / (constant + scale * sum of x[k] ** 2 over the `size` channels k around c) ** power
    """

    def __init__(self, size, scale, power, constant=1.0, **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.scale = scale
        self.power = power
        self.constant = constant

    def call(self, images):
        """Return the normalized images."""
        before, after = self.size // 2, (self.size - 1) // 2
        squares = ops.pad(ops.square(images), [(0, 0), (0, 0), (0, 0), (before, after)])
        channels = images.shape[-1]
        energy = sum(squares[..., k : k + channels] for k in range(self.size))
        return images * (self.constant + self.scale * energy) ** -self.power


class BlockNorm(layers.Layer):
    """Divides each value by the energy of its block of channels, at its place; the last block may be short.

    y[c] = x[c] / (constant + scale * sum of x[k] ** 2 over the channels k of the block of c) ** power
    """

    def __init__(self, size, scale, power, constant=1.0, **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.scale = scale
        self.power = power
        self.constant = constant

    def call(self, images):
        """Return the normalized images."""
        blocks = [images[..., k : k + self.size] for k in range(0, images.shape[-1], self.size)]
        return ops.concatenate([self.normalized(block) for block in blocks], axis=-1)

    def normalized(self, block):
        """Return one block of channels, divided by its energy."""
        energy = ops.sum(ops.square(block), axis=-1, keepdims=True)
        return block * (self.constant + self.scale * energy) ** -self.power


class ResponseNorm(layers.Layer):
    """Divides each pixel by the energy of the window around it, within its channel.

    y[p] = x[p] / (constant + scale * sum of x[q] ** 2 over the size x size window around p) ** power
    """

    def __init__(self, size, scale, power, constant=1.0, **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.scale = scale
        self.power = power
        self.constant = constant

    def call(self, images):
        """Return the normalized images."""
        energy = sum_around(ops.square(images), self.size)
        return images * (self.constant + self.scale * energy) ** -self.power


class ContrastNorm(layers.Layer):
    """Divides each pixel by the contrast of the window around it, within its channel.

    y[p] = x[p] / (constant + scale * sum of (x[q] - mean around q) ** 2 over the window around p) ** power

    The means, over the pixels inside the image, are constants to the gradient.
    """

    def __init__(self, size, scale, power, constant=1.0, **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.scale = scale
        self.power = power
        self.constant = constant

    def call(self, images):
        """Return the normalized images."""
        counts = sum_around(ops.ones((1, *images.shape[1:3], 1), images.dtype), self.size)
        means = ops.stop_gradient(sum_around(images, self.size) / counts)
        energy = sum_around(ops.square(images - means), self.size)
        return images * (self.constant + self.scale * energy) ** -self.power


class NominalContrastNorm(layers.Layer):
    """Divides each pixel by the contrast of the window around it, within its channel.

    y[p] = x[p] / (constant + scale * sum of (x[q] - mean around q) ** 2 over the window around p) ** power

    The means are sums divided by size ** 2, at the border too; they are constants to the gradient.
    """

    def __init__(self, size, scale, power, constant=1.0, **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.scale = scale
        self.power = power
        self.constant = constant

    def call(self, images):
        """Return the normalized images."""
        means = ops.stop_gradient(sum_around(images, self.size) / self.size**2)
        energy = sum_around(ops.square(images - means), self.size)
        return images * (self.constant + self.scale * energy) ** -self.power


def sum_around(images, size):
    """Return the sum over the size x size window around each pixel, with zeros beyond the border."""
    around = (size // 2, (size - 1) // 2)
    padded = ops.pad(images, [(0, 0), around, around, (0, 0)])
    return ops.average_pool(padded, size, 1, "valid") * size**2
