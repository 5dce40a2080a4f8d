"""Layers with weights."""

import math

import torch
import torch.nn.functional as F
from torch import nn


class LocallyConnected(nn.Module):
    """A convolution with other filters, and another bias, at each position; `side` is that of the output.

    Shapes: weight (positions, groups, filters of a group, channels of a group * size * size), bias (filters,
    side, side).
    """

    def __init__(self, channels, filters, size, side, stride=1, padding=0, groups=1):
        super().__init__()
        self.windows = {"kernel_size": size, "stride": stride, "padding": padding}
        depth = channels // groups * size**2
        self.weight = nn.Parameter(torch.zeros(side**2, groups, filters // groups, depth))
        self.bias = nn.Parameter(torch.zeros(filters, side, side))

    def forward(self, image):
        """Return the sums at each position."""
        return local_products(F.unfold(image, **self.windows), self.weight) + self.bias


class LocalProduct(nn.Module):
    """What a further input of a locally connected layer adds to it; `side` is that of the output.

    Shape of the weight: (positions, groups, filters of a group, channels of a group * size * size).
    """

    def __init__(self, channels, filters, size, side, stride=1, padding=0, groups=1):
        super().__init__()
        self.windows = {"kernel_size": size, "stride": stride, "padding": padding}
        depth = channels // groups * size**2
        self.weight = nn.Parameter(torch.zeros(side**2, groups, filters // groups, depth))

    def forward(self, image):
        """Return the products at each position."""
        return local_products(F.unfold(image, **self.windows), self.weight)


def local_products(windows, weight):
    """Return the products of windows, (N, groups * depth, positions), with the filters of their positions."""
    positions, groups, _, _ = weight.shape
    products = torch.einsum("ngdp,pgfd->ngfp", windows.unflatten(1, (groups, -1)), weight)
    side = math.isqrt(positions)
    return products.reshape(len(windows), -1, side, side)


class PartwiseLinear(nn.Module):
    """Several linear layers side by side, each for a part of the inputs and of the outputs.

    Shapes: weight (parts, outputs of a part, inputs of a part), bias (outputs,).
    """

    def __init__(self, inputs, outputs, parts):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(parts, outputs // parts, inputs // parts))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        """Return the sums of each part."""
        return partwise_products(x, self.weight) + self.bias


class PartwiseProduct(nn.Module):
    """What a further input of several linear layers side by side adds to them.

    Shape of the weight: (parts, outputs of a part, inputs of a part).
    """

    def __init__(self, inputs, outputs, parts):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(parts, outputs // parts, inputs // parts))

    def forward(self, x):
        """Return the products of each part."""
        return partwise_products(x, self.weight)


def partwise_products(x, weight):
    """Return the products of each part of the values of a case with the weights of that part."""
    return torch.einsum("npi,poi->npo", x.unflatten(1, (len(weight), -1)), weight).flatten(1)


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
        """Return the sums, with or without some weights."""
        if not self.training:
            return (1 - self.rate) * super().forward(x)
        for kept in (self.weight_kept, self.bias_kept):
            kept.bernoulli_(1 - self.rate)
        return F.linear(x, self.weight_kept * self.weight, self.bias_kept * self.bias)


class CaseDropConnect(nn.Linear):
    """A linear layer that drops each weight and bias with probability `rate` in training.

    Each case has a choice of its own. Tests multiply the output by 1 - rate.
    """

    def __init__(self, inputs, outputs, rate):
        super().__init__(inputs, outputs)
        self.rate = rate

    def forward(self, x):
        """Return the sums, with or without some weights."""
        if not self.training:
            return (1 - self.rate) * super().forward(x)
        weight, bias = (self.masked(parameter, len(x)) for parameter in (self.weight, self.bias))
        return torch.einsum("noi,ni->no", weight, x) + bias

    def masked(self, parameter, cases):
        """Return a parameter for each of so many cases, with zeros where it is dropped."""
        kept = parameter.new_empty(cases, *parameter.shape).bernoulli_(1 - self.rate)
        return kept * parameter


def with_gradient_scale(weight, factor):
    """Return the weight; what this use of it adds to its gradient is multiplied by `factor`."""
    return weight.detach() + factor * (weight - weight.detach())


@torch.no_grad()
def set_values(weight, rows):
    """Give a weight these numbers."""
    weight.copy_(torch.tensor(rows))


@torch.no_grad()
def draw_distributions(weight):
    """Give a weight random numbers from 0 to 1, those of each output divided by their sum."""
    weight.uniform_()
    weight.div_(weight.sum(1, keepdim=True))


@torch.no_grad()
def make_distributions(weight):
    """Set negative weights to 0, and divide those of each output by their sum, if they have one."""
    weight.clamp_(min=0)
    total = weight.sum(1, keepdim=True)
    weight.div_(total.where(total > 0, 1))
