"""Costs made of squares: sums of them, roots of sums of them, and a logarithm."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from convnet_cfg.nn.costs.classes import class_numbers
from convnet_cfg.nn.costs.rows import constant_like, flat, row_sum, with_derivative
from convnet_cfg.nn.normalization import around, around_mirrored, window_sum

TOPOGRAPHIC_MARGIN = 0.001
SPARSITY_MARGIN = 2.5e-7


def sum_of_squares(x: Any, factor: float = 1.0) -> Any:
    """Return factor times the sum of x ** 2 of each case (cuda-convnet: cost.sum2).

    The original has a factor of 1, the program of Network in Network 0.5. Shapes: (cases, ...) ->
    (cases, 1).
    """
    return factor * row_sum(tf.square(flat(x)))


def squared_difference(a: Any, b: Any) -> Any:
    """Return half the sum of (a - b) ** 2 of each case (cost.l2-reg of a fork).

    Both inputs have a gradient. Shapes: (cases, ...) twice -> (cases, 1).
    """
    return sum_of_squares(a - b, 0.5)


def gated_sum_of_squares(gate: Any, x: Any) -> Any:
    """Return gate times the sum of x ** 2 of each case (the 2012 program's cost.gsum2).

    Both inputs have a gradient. Shapes: (cases, 1), (cases, ...) -> (cases, 1).
    """
    return gate * sum_of_squares(x)


def cauchy(targets: Any, predictions: Any) -> Any:
    """Return the sum of log(1 + (p - t) ** 2) of each case (the 2012 program's cost.rflickr).

    Shapes: (cases, outputs) twice -> (cases, 1).
    """
    difference = predictions - constant_like(targets, predictions)
    return row_sum(tf.math.log1p(tf.square(difference)))


def topographic_energy(image: Any, size: int) -> Any:
    """Return the sum of root[p] over channels and pixels of each case (the 2012 program's cost.tica).

    root[p] = square root of the sum of x[q] ** 2 over the size x size window around p
    gradient = x[q] * sum of 1 / (root[p] + 0.001) over the windows that q is in

    The windows are those of ResponseNorm2D. Shapes: (cases, side, side, channels) -> (cases, 1).
    """
    near, far = (form(image.shape[1], size) for form in (around, around_mirrored))
    root = tf.sqrt(window_sum(tf.square(image), near, 1.0))
    derivative = image * window_sum(1.0 / (root + TOPOGRAPHIC_MARGIN), far, 1.0)
    return with_derivative(row_sum(flat(root)), flat(image), flat(derivative))


def group_sparsity(labels: Any, image: Any) -> Any:
    """Return the sum of root[label, c] over labels and channels (cost.gsinlabel of Network in Network).

    root[l, c] = square root of n[l] * sum of x ** 2 over the n[l] cases of label l and all pixels
    gradient = n[l] * x / (root[l, c] + 2.5e-7)

    The cost is that of a minibatch, spread evenly over its cases. Shapes: labels, (cases, ..., channels) ->
    (cases, 1).
    """
    numbers = class_numbers(labels)
    same = tf.cast(numbers[:, None] == numbers, image.dtype)
    count = row_sum(same)
    pixels = tf.reshape(image, (tf.size(numbers), -1, image.shape[-1]))
    root = tf.sqrt(count * tf.matmul(same, tf.reduce_sum(tf.square(pixels), 1)))
    derivative = pixels * (count / (root + SPARSITY_MARGIN))[:, None]
    total = with_derivative(tf.reduce_sum(root / count), pixels, derivative)
    return tf.fill(tf.shape(count), total / tf.cast(tf.size(numbers), image.dtype))
