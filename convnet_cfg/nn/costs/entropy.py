"""Cross-entropies between targets and predictions of equal width.

Logarithms are cut: log u is -50 where u is not positive. The gradient of that is 1/u, as in the original,
save that it is 0 at u = 0, where the original divides by zero.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from convnet_cfg.nn.costs.rows import bounded_log, constant_like, fused, row_sum, share_of_largest

THRESHOLD = 0.5


def cross_entropy(targets: Any, probabilities: Any) -> Any:
    """Return [-sum of q log p, error] for target distributions q (cuda-convnet: cost.crossent).

    With m largest probabilities, the error is 1 - 1/m if one of them has a positive target, else 1.
    Gradient: -q / p. Shapes: (cases, classes) twice -> (cases, 2).
    """
    targets = constant_like(targets, probabilities)
    cost = -row_sum(targets * bounded_log(probabilities))
    shares = share_of_largest(probabilities)
    hit = tf.reduce_any((shares > 0) & (targets > 0), 1, keepdims=True)
    correct = tf.where(hit, tf.reduce_max(shares, 1, keepdims=True), tf.zeros_like(cost))
    return tf.concat([cost, 1.0 - correct], 1)


def softmax_cross_entropy(targets: Any, logits: Any) -> Any:
    """Return what cross_entropy returns for softmax(logits); the gradient is softmax(logits) - targets.

    That is the derivative if the targets of each case sum to 1. Shapes: (cases, classes) twice ->
    (cases, 2).
    """
    probabilities = tf.nn.softmax(logits)
    derivative = probabilities - constant_like(targets, logits)
    return fused(cross_entropy(targets, probabilities), logits, derivative)


def binary_cross_entropy(
    targets: Any, predictions: Any, positive_weight: float = 1.0, *, aggregated: bool = False
) -> Any:
    """Return [cost, wrong bits, error] of each case, or [cost] if aggregated (cuda-convnet: cost.bce).

    cost = -sum of w t log y + (1 - t) log(1 - y), w being the positive weight
    wrong bits = share of outputs where (y > 0.5) is not t; a target between 0 and 1 is always wrong
    error = 1 - sum of the targets at the m largest outputs / m

    Gradient: -w t / y + (1 - t) / (1 - y). With `aggregated` also the original's cost.crossent2. Shapes:
    (cases, outputs) twice -> (cases, 3 or 1).
    """
    targets = constant_like(targets, predictions)
    cost = row_sum(binary_terms(targets, predictions, positive_weight))
    if aggregated:
        return cost
    error = 1.0 - row_sum(targets * share_of_largest(predictions))
    return tf.concat([cost, wrong_bits(targets, predictions), error], 1)


def logistic_binary_cross_entropy(
    targets: Any, logits: Any, positive_weight: float = 1.0, *, aggregated: bool = False
) -> Any:
    """Return what binary_cross_entropy returns for logistic(logits); fused, shapes as there.

    Gradient: (1 - t) y - w t (1 - y), which is y - t for a weight of 1.
    """
    predictions = tf.sigmoid(logits)
    values = binary_cross_entropy(targets, predictions, positive_weight, aggregated=aggregated)
    return fused(values, logits, binary_derivative(targets, predictions, positive_weight))


def independent_cross_entropy(targets: Any, logits: Any) -> Any:
    """Return [-sum of t log y + (1 - t) log(1 - y), wrong bits], y = logistic(logits) (cost.ice of a fork).

    Exact for logits of any size, and without a floor. Gradient: y - t. Shapes: (cases, outputs) twice ->
    (cases, 2).
    """
    targets, predictions = constant_like(targets, logits), tf.sigmoid(logits)
    cost = row_sum(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits))
    return fused(tf.concat([cost, wrong_bits(targets, predictions)], 1), logits, predictions - targets)


# -- parts


def binary_terms(targets: Any, predictions: Any, positive_weight: float = 1.0) -> Any:
    """Return -(w t log y + (1 - t) log(1 - y)); shapes: (cases, outputs) twice -> (cases, outputs)."""
    positive = positive_weight * targets * bounded_log(predictions)
    return -positive - (1.0 - targets) * bounded_log(1.0 - predictions)


def binary_derivative(targets: Any, predictions: Any, positive_weight: float) -> Any:
    """Return the derivative of binary_terms with respect to the input of the logistic neurons."""
    targets = constant_like(targets, predictions)
    return (1.0 - targets) * predictions - positive_weight * targets * (1.0 - predictions)


def declared(predictions: Any) -> Any:
    """Return 1 where a prediction is above 0.5, else 0. No gradient."""
    return tf.cast(tf.stop_gradient(predictions) > THRESHOLD, predictions.dtype)


def wrong_bits(targets: Any, predictions: Any) -> Any:
    """Return the share of outputs that are declared something else than the target; shape (cases, 1)."""
    wrong = declared(predictions) != targets
    return tf.reduce_mean(tf.cast(wrong, predictions.dtype), 1, keepdims=True)
