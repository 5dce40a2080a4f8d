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
