"""What the costs have in common: rows of sums, a logarithm with a floor, gradients that are given."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

LOG_OF_ZERO = -50.0


def flat(x: Any) -> Any:
    """Return (cases, ...) as (cases, values)."""
    return tf.reshape(x, (tf.shape(x)[0], -1))


def row_sum(values: Any) -> Any:
    """Return the sum over each row; shapes: (cases, values) -> (cases, 1)."""
    return tf.reduce_sum(values, 1, keepdims=True)


def constant_like(values: Any, like: Any) -> Any:
    """Return values without gradient, of the type of `like`."""
    return tf.stop_gradient(tf.cast(values, like.dtype))


def share_of_largest(values: Any) -> Any:
    """Return 1/m at each of the m largest of a row, else 0; shape (cases, values). No gradient."""
    values = tf.stop_gradient(values)
    largest = tf.cast(values == tf.reduce_max(values, 1, keepdims=True), values.dtype)
    return largest / row_sum(largest)


@tf.custom_gradient
def bounded_log(x):
    """Return log x, and -50 where x is not positive; the gradient is g / x there too, but 0 at 0."""
    positive = tf.where(x <= 0, tf.ones_like(x), x)
    value = tf.where(x <= 0, tf.constant(LOG_OF_ZERO, x.dtype), tf.math.log(positive))
    return value, lambda g: tf.math.divide_no_nan(g, x)


@tf.custom_gradient
def with_derivative(cost, x, derivative):
    """Return the cost, with this derivative of it with respect to x and no other.

    Shapes: (cases, 1), (cases, values) twice -> (cases, 1); or a scalar cost, and x of any shape.
    """
    return tf.identity(cost), lambda g: (None, g * derivative, None)


def fused(values: Any, x: Any, derivative: Any) -> Any:
    """Return the rows of a cost, column 0 with this derivative with respect to x and no other.

    Shapes: (cases, columns), (cases, values) twice -> (cases, columns).
    """
    return tf.concat([with_derivative(values[:, :1], x, derivative), values[:, 1:]], 1)
