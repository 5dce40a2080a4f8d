"""Shared by the tests of costs: the rows of a cost, and the gradient of their first column."""

import numpy as np
import tensorflow as tf

from .gradients import assert_differences_agree


def rows_and_gradient(cost, x, weights=None):
    """Return the rows, and the gradient of the sum of column 0, each case times its weight."""
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        rows = cost(x)
        first = rows[:, :1] if weights is None else rows[:, :1] * tf.constant(weights)
        total = tf.reduce_sum(first)
    return rows.numpy(), tape.gradient(total, x).numpy()


def assert_only_the_cost_has_a_gradient(cost, x):
    """The gradient of all columns must be that of column 0."""
    x = tf.constant(x)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        rows = cost(x)
        everything, first = tf.reduce_sum(rows), tf.reduce_sum(rows[:, 0])
    np.testing.assert_array_equal(tape.gradient(everything, x), tape.gradient(first, x))


def assert_derivative(cost, *inputs, **options):
    """Compare the gradient with finite differences, and the gradient of the reported columns with 0."""
    assert_differences_agree(cost, *inputs, **options)
    if len(inputs) == 1:
        assert_only_the_cost_has_a_gradient(cost, *inputs)


def softmax(x):
    """Return exp(x) / sum of exp(x) over the last axis."""
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def logistic(x):
    """Return 1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))
