"""Operations on images: sampling, blurring, resizing, mirroring, colours."""

import keras
from keras import layers, ops


class Nailbed(layers.Layer):
    """Every `strides`-th pixel in both directions, from `start` on."""

    def __init__(self, start, strides, **kwargs):
        super().__init__(**kwargs)
        self.start = start
        self.strides = strides

    def call(self, images):
        """Return the sampled pixels."""
        return images[:, self.start :: self.strides, self.start :: self.strides]


class GaussianBlur(layers.Layer):
    """Gaussian blur of each channel, with zeros beyond the border; its weights sum to 1."""

    def __init__(self, size, deviation, **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.deviation = deviation

    def call(self, images):
        """Return the blurred images."""
        distance = ops.arange(self.size, dtype=images.dtype) - self.size // 2
        weights = ops.exp(-ops.square(distance) / (2 * self.deviation**2))
        weights = weights / ops.sum(weights)
        for shape in ((1, self.size, 1, 1), (self.size, 1, 1, 1)):
            kernel = ops.tile(ops.reshape(weights, shape), (1, 1, images.shape[-1], 1))
            images = ops.depthwise_conv(images, kernel, 1, "same")
        return images


class BilinearResize(layers.Layer):
    """Bilinear resizing to `target` pixels, `scale` pixels of the image apart.

    Pixel t lies at t * scale + (side - target * scale) / 2, limited to 0 ... side - 1.01: there is no
    half-pixel term, and the last row is never reached.
    """

    def __init__(self, target, scale, **kwargs):
        super().__init__(**kwargs)
        self.target = target
        self.scale = scale

    def call(self, images):
        """Return the resized images."""
        places = resized_places(ops.arange(self.target), images.shape[1], self.target, self.scale)
        return interpolate(images, places, places)


def resized_places(pixels, side, target, scale):
    """Return where pixels of images resized from `side` to `target` lie, in pixels."""
    places = ops.cast(pixels, "float64") * scale + (side - target * scale) / 2
    return ops.clip(places, 0.0, side - 1.01)


def interpolate(images, rows, columns):
    """Return the images at these rows and columns, which are fractions, linear in between."""
    for axis, places, shape in ((1, rows, (-1, 1, 1)), (2, columns, (-1, 1))):
        first = ops.minimum(ops.cast(places, "int32"), images.shape[axis] - 2)
        weight = ops.reshape(ops.cast(places - ops.cast(first, places.dtype), images.dtype), shape)
        low, high = ops.take(images, first, axis=axis), ops.take(images, first + 1, axis=axis)
        images = low * (1.0 - weight) + high * weight
    return images


class RandomScale(layers.Layer):
    """Random part of the images at a random scale in training; in tests all of them, resized.

    In training all images of a minibatch are resized to `target` + s pixels, s = 0 ... side - floor(side /
    max_scale) with a probability proportional to (s + 1) ** 2, at a random scale between those of that size
    and of one pixel more, and `target` pixels are cut out anywhere.
    """

    def __init__(self, max_scale, target, **kwargs):
        super().__init__(**kwargs)
        self.max_scale = max_scale
        self.target = target
        self.seed = keras.random.SeedGenerator()

    def call(self, images, training=False):
        """Return the resized images."""
        side = images.shape[1]
        if not training:
            places = resized_places(ops.arange(self.target), side, self.target, self.max_scale)
            return interpolate(images, places, places)
        return interpolate(images, *random_places(side, self.max_scale, self.target, self.seed))


class RandomScaleOrCentre(layers.Layer):
    """Random part of the images at a random scale in training; in tests their centre.

    In training all images of a minibatch are resized to `target` + s pixels, s = 0 ... side - floor(side /
    max_scale) with a probability proportional to (s + 1) ** 2, at a random scale between those of that size
    and of one pixel more, and `target` pixels are cut out anywhere.
    """

    def __init__(self, max_scale, target, **kwargs):
        super().__init__(**kwargs)
        self.max_scale = max_scale
        self.target = target
        self.seed = keras.random.SeedGenerator()

    def call(self, images, training=False):
        """Return the resized images, or their centre."""
        side = images.shape[1]
        if not training:
            inside = slice((side - self.target) // 2, (side - self.target) // 2 + self.target)
            return images[:, inside, inside]
        return interpolate(images, *random_places(side, self.max_scale, self.target, self.seed))


def random_places(side, max_scale, target, seed):
    """Return random rows and columns for images of `side` pixels, `target` of each."""
    numbers = keras.random.uniform((4,), seed=seed, dtype="float64")
    squares = ops.square(ops.arange(1, side - int(side / max_scale) + 2, dtype="float64"))
    larger = ops.sum(ops.cast(numbers[0] >= ops.cumsum(squares) / ops.sum(squares), "float64"))
    size = target + larger
    low = ops.maximum(side / (size + 1), 1.0)
    scale = low + numbers[1] * (side / size - low)
    for number in (numbers[2], numbers[3]):
        pixels = ops.floor(number * (larger + 1)) + ops.arange(target, dtype="float64")
        yield ops.where(size == side, pixels, resized_places(pixels, side, size, scale))


class Mirror(layers.Layer):
    """The images mirrored, left and right exchanged."""

    def call(self, images):
        """Return the mirrored images."""
        return ops.flip(images, axis=2)


class RGBToYUV(layers.Layer):
    """Colours from RGB to YUV."""

    def call(self, images):
        """Return the images in YUV."""
        rows = [(0.2126, 0.7152, 0.0722), (-0.09991, -0.33609, 0.436), (0.615, -0.55861, -0.05639)]
        return ops.matmul(images, ops.transpose(ops.array(rows, images.dtype)))


class RGBToLAB(layers.Layer):
    """Colours from RGB in 0 ... 1 to L*a*b*; `offset` is subtracted from L."""

    def __init__(self, offset, **kwargs):
        super().__init__(**kwargs)
        self.offset = offset

    def call(self, images):
        """Return the images in L*a*b*."""
        rows = [(0.49, 0.31, 0.2), (0.17697, 0.8124, 0.01063), (0.0, 0.01, 0.99)]
        xyz = ops.matmul(images, ops.transpose(ops.array(rows, images.dtype)))
        edge = 0.0088564517
        root = ops.power(ops.maximum(xyz, edge), 0.3333)
        x, y, z = ops.unstack(ops.where(xyz > edge, root, 7.787037 * xyz + 0.13793103), 3, axis=-1)
        return ops.stack([116.0 * y - self.offset, 500.0 * (x - y), 200.0 * (y - z)], axis=-1)
