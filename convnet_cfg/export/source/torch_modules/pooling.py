"""Largest values and means of windows."""

import math
from itertools import product

import torch
import torch.nn.functional as F
from torch import nn


class GradientToAllEqual(torch.autograd.Function):
    """One value for each window of an image; every pixel that equals it gets its full gradient.

    So it was in cuda-convnet; PyTorch's own maxima send it to one pixel only.
    """

    @staticmethod
    def forward(context, image, values, size, stride):
        """Return the values."""
        context.save_for_backward(image, values)
        context.size, context.stride = size, stride
        return values

    @staticmethod
    def backward(context, gradient):
        """Return the gradient of the image."""
        image, values = context.saved_tensors
        total = torch.zeros_like(image)
        lasts = [stride * (count - 1) for stride, count in zip(context.stride, values.shape[2:], strict=True)]
        for row, column in product(*map(range, context.size)):
            rows = slice(row, row + lasts[0] + 1, context.stride[0])
            columns = slice(column, column + lasts[1] + 1, context.stride[1])
            total[:, :, rows, columns] += gradient * (image[:, :, rows, columns] == values)
        return total, None, None, None


class MaxPool(nn.Module):
    """Maximum of each window as nn.MaxPool2d has it, but every pixel that equals it gets the full gradient.

    The image has `before` rows and columns of nothing above and to the left, `behind` below and to the
    right, which the windows reach over.
    """

    def __init__(self, size, stride, before=0, behind=0):
        super().__init__()
        self.size, self.stride, self.around = (size, size), (stride, stride), (before, behind) * 2

    def forward(self, image):
        """Return the maxima."""
        image = F.pad(image, self.around, value=-math.inf)
        maxima = F.max_pool2d(image.detach(), self.size, self.stride)
        return GradientToAllEqual.apply(image, maxima, self.size, self.stride)


class MaxAbsPool(nn.Module):
    """Value of largest magnitude of each window, of equal ones the last, row by row.

    Every pixel that equals it gets the full gradient. The image has `before` rows and columns of zeros
    above and to the left, `behind` below and to the right.
    """

    def __init__(self, size, stride, before=0, behind=0):
        super().__init__()
        self.size, self.stride, self.around = (size, size), (stride, stride), (before, behind) * 2

    def forward(self, image):
        """Return the values of largest magnitude."""
        image = F.pad(image, self.around)
        turned = image.detach().flip(2, 3)  # PyTorch finds the first of equal ones
        _, places = F.max_pool2d(turned.abs(), self.size, self.stride, return_indices=True)
        values = turned.flatten(2).gather(2, places.flatten(2)).view_as(places).flip(2, 3)
        return GradientToAllEqual.apply(image, values, self.size, self.stride)


class ChannelMaxPool(nn.Module):
    """Maximum of neighbouring channels at each pixel; every one that equals it gets the full gradient.

    There are `before` channels of nothing below the first, and `behind` above the last.
    """

    def __init__(self, size, stride, before=0, behind=0):
        super().__init__()
        self.size, self.stride, self.around = (size, 1), (stride, 1), (0, 0, before, behind)

    def forward(self, image):
        """Return the maxima."""
        planes = F.pad(image.flatten(2)[:, None], self.around, value=-math.inf)
        maxima = F.max_pool2d(planes.detach(), self.size, self.stride)
        maxima = GradientToAllEqual.apply(planes, maxima, self.size, self.stride)
        return maxima.view(len(image), -1, *image.shape[2:])


class MeanPool(nn.Module):
    """Mean of those pixels of each window that the image has.

    The image has `before` rows and columns of nothing above and to the left, `behind` below and to the
    right, which the windows reach over.
    """

    def __init__(self, size, stride, before=0, behind=0):
        super().__init__()
        self.size, self.stride, self.around = size, stride, (before, behind) * 2

    def forward(self, image):
        """Return the means."""
        ones = torch.ones_like(image[:1, :1])
        means, shares = (F.avg_pool2d(F.pad(x, self.around), self.size, self.stride) for x in (image, ones))
        return means / shares


def greatest(*inputs):
    """Return the greatest of the inputs, value by value; each one that equals it gets the full gradient."""
    top = torch.stack(inputs).amax(0).detach()
    return top + sum((x - x.detach()) * (x == top) for x in inputs)
