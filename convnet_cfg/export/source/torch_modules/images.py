"""Images blurred, resized, and in other colours."""

import torch
import torch.nn.functional as F
from torch import nn


class GaussianBlur(nn.Module):
    """Each channel blurred by a Gaussian of `size` x `size` pixels, with zeros around the image."""

    def __init__(self, size, deviation):
        super().__init__()
        distance = torch.arange(size, dtype=torch.float64) - size // 2
        weights = torch.exp(-distance.square() / (2 * deviation**2))
        self.register_buffer("weights", (weights / weights.sum()).float(), persistent=False)

    def forward(self, image):
        """Return the blurred image."""
        channels, size = image.shape[1], len(self.weights)
        across = self.weights.expand(channels, 1, 1, size)
        image = F.conv2d(image, across, padding=(0, size // 2), groups=channels)
        return F.conv2d(image, across.mT, padding=(size // 2, 0), groups=channels)


class BilinearResize(nn.Module):
    """The image resized from `side` to int(side / scale), linear between pixels.

    Pixel t of the output lies at t * scale + (side - output side * scale) / 2 of the input, limited to
    0 ... side - 1.01: F.interpolate has other places.
    """

    def __init__(self, side, scale):
        super().__init__()
        target = int(side / scale)
        places = torch.arange(target, dtype=torch.float64) * scale + (side - target * scale) / 2
        places = places.clamp(0, side - 1.01)
        first = places.long().clamp(max=side - 2)
        matrix = torch.zeros(target, side, dtype=torch.float64)
        matrix.scatter_(1, first[:, None], (1 - places + first)[:, None])
        matrix.scatter_(1, first[:, None] + 1, (places - first)[:, None])
        self.register_buffer("matrix", matrix.float(), persistent=False)  # of each output, its two pixels

    def forward(self, image):
        """Return the resized image."""
        return self.matrix @ image @ self.matrix.mT


class RandomScale(nn.Module):
    """A random part of the image at a random scale in training; in tests all of it, resized.

    In training all images of a minibatch are resized to `target` + s pixels, s = 0 ... side - int(side /
    max_scale) with a probability proportional to (s + 1) ** 2, at a random scale between those of that size
    and of one pixel more, and `target` pixels are cut out anywhere.
    """

    def __init__(self, max_scale, target):
        super().__init__()
        self.max_scale, self.target = max_scale, target

    def forward(self, image):
        """Return the resized image."""
        side = image.shape[2]
        if self.training:
            return interpolated(image, *random_places(side, self.max_scale, self.target))
        places = resized_places(torch.arange(self.target), side, self.target, self.max_scale)
        return interpolated(image, places, places)


class RandomScaleOrCentre(nn.Module):
    """A random part of the image at a random scale in training; in tests its centre.

    In training all images of a minibatch are resized to `target` + s pixels, s = 0 ... side - int(side /
    max_scale) with a probability proportional to (s + 1) ** 2, at a random scale between those of that size
    and of one pixel more, and `target` pixels are cut out anywhere.
    """

    def __init__(self, max_scale, target):
        super().__init__()
        self.max_scale, self.target = max_scale, target

    def forward(self, image):
        """Return the resized image, or its centre."""
        side = image.shape[2]
        if self.training:
            return interpolated(image, *random_places(side, self.max_scale, self.target))
        first = (side - self.target) // 2
        return image[:, :, first : first + self.target, first : first + self.target]


def random_places(side, max_scale, target):
    """Return random rows and columns for an image of `side` pixels, `target` of each."""
    which, between, *corner = torch.rand(4, dtype=torch.float64).tolist()
    squares = torch.arange(1, side - int(side / max_scale) + 2, dtype=torch.float64).square()
    larger = int((which >= squares.cumsum(0) / squares.sum()).sum())
    size = target + larger
    low = max(side / (size + 1), 1.0)
    scale = low + between * (side / size - low)
    for number in corner:
        pixels = int(number * (larger + 1)) + torch.arange(target, dtype=torch.float64)
        yield pixels if size == side else resized_places(pixels, side, size, scale)


def resized_places(pixels, side, target, scale):
    """Return where pixels of an image resized from `side` to `target` lie on it."""
    places = pixels.double() * scale + (side - target * scale) / 2
    return places.clamp(0, side - 1.01)


def interpolated(image, rows, columns):
    """Return an image at these rows and columns, which are fractions, linear between pixels."""
    down, across = (between_pixels(places, image.shape[2]).to(image) for places in (rows, columns))
    return down @ image @ across.mT


def between_pixels(places, side):
    """Return the shares that the `side` pixels of a line have in the values at these places."""
    first = places.long().clamp(max=side - 2)
    shares = torch.zeros(len(places), side, dtype=torch.float64)
    shares.scatter_(1, first[:, None], (1 - places + first)[:, None])
    return shares.scatter_(1, first[:, None] + 1, (places - first)[:, None])


def mix_colours(image, matrix):
    """Return matrix @ the colour of each pixel."""
    return torch.einsum("ij,njrc->nirc", image.new_tensor(matrix), image)


def rgb_to_yuv(image):
    """Return an image in YUV."""
    yuv = ((0.2126, 0.7152, 0.0722), (-0.09991, -0.33609, 0.436), (0.615, -0.55861, -0.05639))
    return mix_colours(image, yuv)


def rgb_to_lab(image, base):
    """Return an image, its values from 0 to 1, in L*a*b*; `base` is taken off L, 16 if it is to start at 0.

    The root is the power 0.3333, as in cuda-convnet.
    """
    xyz = ((0.49, 0.31, 0.2), (0.17697, 0.8124, 0.01063), (0.0, 0.01, 0.99))
    values = mix_colours(image, xyz)
    edge = 0.0088564517
    roots = torch.where(values > edge, values.clamp(min=edge) ** 0.3333, 7.787037 * values + 0.13793103)
    x, y, z = roots.unbind(1)
    return torch.stack([116 * y - base, 500 * (x - y), 200 * (y - z)], 1)
