"""Costs of probabilities, as means over the cases of a minibatch."""

import torch


def bounded_log(x):
    """Return log(x), and -50 where x is 0."""
    return torch.where(x > 0, x, 1).log().where(x > 0, -50.0)


def cross_entropy(probabilities, targets):
    """Return minus the expected log probability, for targets that are distributions."""
    return -(targets * bounded_log(probabilities)).sum() / len(targets)


def binary_cross_entropy(predictions, targets, positive_weight=1.0):
    """Return the cross-entropy of predictions and targets from 0 to 1, summed over the outputs of a case."""
    positive = positive_weight * targets * bounded_log(predictions)
    negative = (1 - targets) * bounded_log(1 - predictions)
    return -(positive + negative).sum() / len(targets)
