"""Dropout."""

import torch
from torch import nn


class MaskDropout(nn.Module):
    """Zero each value with probability `rate` in training; multiply all by 1 - rate in tests.

    nn.Dropout divides by 1 - rate in training instead.
    """

    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def forward(self, x):
        """Return the masked or scaled values."""
        if self.training:
            return x * torch.empty_like(x).bernoulli_(1 - self.rate)
        return x * (1 - self.rate)


class FixedCountDropout(nn.Module):
    """Keep `kept` random outputs in training, the same ones for all cases; multiply by 1 - rate in tests."""

    def __init__(self, rate, kept):
        super().__init__()
        self.rate, self.kept = rate, kept

    def forward(self, x):
        """Return the masked or scaled values."""
        if self.training:
            return x * (torch.randperm(x.shape[1], device=x.device) < self.kept)
        return x * (1 - self.rate)
