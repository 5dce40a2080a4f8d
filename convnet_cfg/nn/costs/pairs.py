"""Costs that compare cases, or the outputs of several layers for one case."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from convnet_cfg.nn.costs.classes import class_numbers
from convnet_cfg.nn.costs.rows import constant_like, flat, row_sum, with_derivative

LEAST_DISTANCE = 1e-8
RANKING_MARGIN = 5.0


def contrastive(labels: Any, x: Any, margin: float) -> Any:
    """Return the cost of pairs of cases, each with the case half a minibatch further (cost.l2-sn of a fork).

    d = length of x[n] - x[n + half] + 1e-8
    cost of the pair = d ** 2 / 2 if the labels are equal, else max(0, margin - d) ** 2 / 2

    Each of a pair has half of its cost; the last of an odd number of cases has none. Where the two
    are equal the gradient is 0. A negative margin, for which the fork chooses one in each minibatch,
    raises ValueError. Shapes: labels, (cases, ...) -> (cases, 1).
    """
    if margin < 0:
        raise ValueError(f"margin must be at least 0, got {margin}")
    half = tf.shape(x)[0] // 2
    first, second = slice(None, half), slice(half, 2 * half)
    numbers, x = class_numbers(labels)[:, None], flat(x)
    distance = _length(x[first] - x[second]) + LEAST_DISTANCE
    gap = tf.where(numbers[first] == numbers[second], distance, tf.nn.relu(margin - distance))
    shares = tf.square(gap) / 4
    return tf.concat([shares, shares, tf.zeros_like(x[2 * half :, :1])], 0)


def _length(x: Any) -> Any:
    """Return the length of each row; the gradient of a length of 0 is 0. Shape (cases, 1)."""
    squares = row_sum(tf.square(x))
    return tf.where(squares > 0, tf.sqrt(tf.where(squares > 0, squares, tf.ones_like(squares))), 0)


def ranking(first: Any, second: Any, third: Any, weights: Any, coefficient: float = 1.0) -> Any:
    """Return w max(0, 5 + sum of b1 (b3 - b2) / 2), b = 2 x - 1 of three layers (cost.locrank of a fork).

    The gradient of `first` has a further part that belongs to no cost: 2 w mean(b1) / cases, the mean
    being over the minibatch. The original does not multiply that part by the cost's coefficient;
    hence it is divided by `coefficient`, the number by which the caller multiplies the cost. The weights
    have no gradient. Shapes: (cases, outputs) three times, (cases, 1) -> (cases, 1).
    """
    weights = constant_like(weights, first)
    signs, nearer, farther = (2.0 * x - 1.0 for x in (first, second, third))
    cost = weights * tf.nn.relu(RANKING_MARGIN + row_sum(signs * (farther - nearer)) / 2)
    if coefficient == 0:
        return cost
    pull = 2.0 * weights * tf.reduce_mean(signs, 0) / tf.cast(tf.shape(first)[0], first.dtype)
    return cost + with_derivative(tf.zeros_like(cost), first, pull / coefficient)
