"""Each value divided by the energy of its neighbourhood."""

import torch
import torch.nn.functional as F
from torch import nn


def window_means(image, size):
    """Return the mean of the size x size window around each pixel, with zeros around the image.

    An even window reaches one pixel further up and to the left.
    """
    around = (size // 2, (size - 1) // 2) * 2
    return F.avg_pool2d(F.pad(image, around), size, stride=1)


class ResponseNorm(nn.Module):
    """x / (k + alpha * mean of x ** 2 over the size x size window around the pixel) ** beta.

    The window is one of the same channel, with zeros around the image: nn.LocalResponseNorm does the same
    across channels.
    """

    def __init__(self, size, alpha, beta, k=1.0):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x):
        """Return the normalized image."""
        return x * (self.k + self.alpha * window_means(x.square(), self.size)) ** -self.beta


class ContrastNorm(nn.Module):
    """x / (k + alpha * mean of z ** 2 over the size x size window around the pixel) ** beta.

    z = x - mean of x over those pixels of the window that the image has. These means are constants to the
    gradient, and x itself is not centred, as in cuda-convnet.
    """

    def __init__(self, size, alpha, beta, k=1.0):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x):
        """Return the normalized image."""
        shares = window_means(torch.ones_like(x[:1, :1]), self.size)
        centred = x - (window_means(x, self.size) / shares).detach()
        return x * (self.k + self.alpha * window_means(centred.square(), self.size)) ** -self.beta


class NominalContrastNorm(nn.Module):
    """x / (k + alpha * mean of z ** 2 over the size x size window around the pixel) ** beta.

    z = x - mean of x over the window, with zeros around the image. These means are constants to the
    gradient, and x itself is not centred, as in cuda-convnet.
    """

    def __init__(self, size, alpha, beta, k=1.0):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x):
        """Return the normalized image."""
        centred = x - window_means(x, self.size).detach()
        return x * (self.k + self.alpha * window_means(centred.square(), self.size)) ** -self.beta


class BlockedResponseNorm(nn.Module):
    """x / (k + alpha / size * sum of x ** 2 over the channels of its block) ** beta.

    Blocks are `size` channels side by side, the last one perhaps of fewer.
    """

    def __init__(self, size, alpha, beta, k=1.0):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x):
        """Return the normalized image."""
        sums = [block.square().sum(1, keepdim=True).expand_as(block) for block in x.split(self.size, 1)]
        return x * (self.k + self.alpha / self.size * torch.cat(sums, 1)) ** -self.beta
