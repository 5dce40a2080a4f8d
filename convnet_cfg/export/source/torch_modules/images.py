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
