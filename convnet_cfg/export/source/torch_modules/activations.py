"""Functions of single values, with cuda-convnet's derivatives where they bend."""

import torch
import torch.nn.functional as F


def absolute(x):
    """Return |x|; the derivative at 0 is -1."""
    return torch.where(x > 0, x, -x)


def softrelu(x):
    """Return log(1 + exp(x)), and x above 4; the derivative is 1 where the value is above 4."""
    soft = F.softplus(x)
    bent = torch.where(soft > 4, soft.detach() + x - x.detach(), soft)
    return torch.where(x > 4, x, bent)


def double_relu(x, a):
    """Return x - a * tanh(x / a)."""
    return x - a * torch.tanh(x / a)


def step_down(x, bound):
    """Return 0 below 0, and from there on the bound, which is not above 0; the derivative is 0.

    It depends on x all the same: without any gradient, the weights below would not decay.
    """
    return torch.where(x < 0, 0 * x, 0 * x + bound)
