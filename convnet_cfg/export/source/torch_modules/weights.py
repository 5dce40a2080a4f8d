"""Layers with weights."""

import torch
import torch.nn.functional as F
from torch import nn


class LocallyConnected(nn.Module):
    """A convolution with other filters, and another bias, at each position.

    `side` is that of the output. Shapes: weight (positions, groups, filters of a group, channels of a group
    * size * size), bias (filters, side, side).
    """

    def __init__(self, channels, filters, size, side, stride=1, padding=0, groups=1, bias=True):
        super().__init__()
        self.size, self.stride, self.padding, self.groups, self.side = size, stride, padding, groups, side
        depth = channels // groups * size * size
        self.weight = nn.Parameter(torch.zeros(side * side, groups, filters // groups, depth))
        self.bias = nn.Parameter(torch.zeros(filters, side, side)) if bias else None

    def forward(self, image):
        windows = F.unfold(image, self.size, padding=self.padding, stride=self.stride)
        windows = windows.unflatten(1, (self.groups, -1))  # (cases, groups, depth, positions)
        sums = torch.einsum("ngdp,pgfd->ngfp", windows, self.weight)
        sums = sums.reshape(len(image), -1, self.side, self.side)
        return sums if self.bias is None else sums + self.bias


class PartwiseLinear(nn.Module):
    """Several linear layers side by side, each for a part of the inputs and of the outputs.

    Shapes: weight (parts, outputs of a part, inputs of a part), bias (parts * outputs of a part,).
    """

    def __init__(self, inputs, outputs, parts, bias=True):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(parts, outputs // parts, inputs // parts))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x):
        parts = x.unflatten(1, (len(self.weight), -1))
        sums = torch.einsum("npi,poi->npo", parts, self.weight).flatten(1)
        return sums if self.bias is None else sums + self.bias


class DropConnect(nn.Linear):
    """A linear layer that drops each weight and bias with probability `rate` in training.

    A minibatch has one choice, in `weight_kept` and `bias_kept`. Tests multiply the output by 1 - rate.
    """

    def __init__(self, inputs, outputs, rate):
        super().__init__(inputs, outputs)
        self.rate = rate
        self.register_buffer("weight_kept", torch.ones_like(self.weight), persistent=False)
        self.register_buffer("bias_kept", torch.ones_like(self.bias), persistent=False)

    def forward(self, x):
        if not self.training:
            return (1 - self.rate) * super().forward(x)
        for kept in (self.weight_kept, self.bias_kept):
            kept.bernoulli_(1 - self.rate)
        return F.linear(x, self.weight_kept * self.weight, self.bias_kept * self.bias)


def with_gradient_scale(weight, factor):
    """Return the weight; what this use of it adds to its gradient is multiplied by `factor`."""
    return weight.detach() + factor * (weight - weight.detach())
