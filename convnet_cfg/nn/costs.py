"""Objectives: functions that return one row per case; column 0 is the cost, to be summed over cases.

Labels are class numbers of any number type, of shape (cases,) or (cases, 1); fractions are cut off.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def _numbers(labels: Any) -> Any:
    return tf.cast(tf.reshape(labels, (-1,)), tf.int32)


def _at_label(labels: Any, probabilities: Any) -> Any:
    """Return the probability of each case's label; shape (cases, 1)."""
    marked = _numbers(labels)[:, None] == tf.range(probabilities.shape[1])
    return tf.reduce_sum(tf.where(marked, probabilities, tf.zeros_like(probabilities)), 1, keepdims=True)


def label_errors(labels: Any, probabilities: Any) -> Any:
    """Return 0 if the label has the largest probability, 1 if not, 1 - 1/m if it is one of m largest.

    Shapes: labels, (cases, classes) -> (cases, 1). No gradient.
    """
    probabilities = tf.stop_gradient(probabilities)
    largest = tf.reduce_max(probabilities, 1, keepdims=True)
    ties = tf.reduce_sum(tf.cast(probabilities == largest, probabilities.dtype), 1, keepdims=True)
    wrong = _at_label(labels, probabilities) < largest
    return tf.where(wrong, tf.ones_like(ties), 1.0 - 1.0 / ties)


def logreg(labels: Any, probabilities: Any) -> Any:
    """Return [-log p[label], error] of each case (cuda-convnet: cost.logreg).

    A probability of zero costs infinity. Shapes: labels, (cases, classes) -> (cases, 2).
    """
    cost = -tf.math.log(_at_label(labels, probabilities))
    return tf.concat([cost, label_errors(labels, probabilities)], axis=1)


def softmax_logreg(labels: Any, logits: Any) -> Any:
    """Return what logreg returns for softmax(logits); the gradient is softmax(logits) - onehot(labels).

    Finite also where a probability rounds to zero. Shapes: labels, (cases, classes) -> (cases, 2).
    """
    cost = tf.nn.sparse_softmax_cross_entropy_with_logits(_numbers(labels), logits)
    return tf.concat([cost[:, None], label_errors(labels, tf.nn.softmax(logits))], axis=1)


def sum_of_squares(x: Any) -> Any:
    """Return the sum of x ** 2 of each case, without a half (cuda-convnet: cost.sum2).

    Shapes: (cases, ...) -> (cases, 1).
    """
    squares = tf.square(tf.reshape(x, (tf.shape(x)[0], -1)))
    return tf.reduce_sum(squares, 1, keepdims=True)
