"""Binary cross-entropies that report how many of the positives are found, and how many others."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from convnet_cfg.nn.costs.classes import NO_LABEL
from convnet_cfg.nn.costs.entropy import binary_derivative, binary_terms, declared, wrong_bits
from convnet_cfg.nn.costs.rows import constant_like, fused, row_sum


def detection_cross_entropy(targets: Any, predictions: Any, positive_weight: float = 1.0) -> Any:
    """Return [cost, wrong bits, then for each class declared, t, true positive] (cuda-convnet: cost.dce).

    Cost, wrong bits and gradient are those of binary_cross_entropy. Declared is 1 where y > 0.5, true
    positive is t where that is right. Shapes: (cases, classes) twice -> (cases, 2 + 3 * classes).
    """
    targets = constant_like(targets, predictions)
    cost = row_sum(binary_terms(targets, predictions, positive_weight))
    found = declared(predictions)
    right = targets * tf.cast(found == targets, targets.dtype)
    counts = tf.reshape(tf.stack([found, targets, right], 2), (-1, 3 * predictions.shape[1]))
    return tf.concat([cost, wrong_bits(targets, predictions), counts], 1)


def logistic_detection_cross_entropy(targets: Any, logits: Any, positive_weight: float = 1.0) -> Any:
    """Return what detection_cross_entropy returns for logistic(logits); fused, shapes as there.

    Gradient: (1 - t) y - w t (1 - y).
    """
    predictions = tf.sigmoid(logits)
    values = detection_cross_entropy(targets, predictions, positive_weight)
    return fused(values, logits, binary_derivative(targets, predictions, positive_weight))


def detection_summary(sums: Any, cases: int) -> np.ndarray:
    """Return what is printed of the column sums of detection_cross_entropy over so many cases.

    Mean cost, mean share of wrong bits, then for each class precision = true positives / declared and
    recall = true positives / positives, infinite if nothing is declared or positive. Shapes:
    (2 + 3 * classes,) -> (2 + 2 * classes,).
    """
    sums = np.asarray(sums, np.float64)
    counts, right = sums[2:].reshape(-1, 3)[:, :2], sums[4::3, None]
    rates = np.divide(right, counts, out=np.full(counts.shape, np.inf), where=counts != 0)
    return np.concatenate([sums[:2] / cases, rates.ravel()])


def masked_binary_cross_entropy(targets: Any, predictions: Any) -> Any:
    """Return [cost, true positive rate, false positive rate] (cost.binxent of a fork).

    cost = -sum of t log y + (1 - t) log(1 - y) over the outputs whose target is not -1

    The rates are those of the whole minibatch, over all outputs: of the targets of 1, and of 0, the share
    with y > 0.5; 0 if there are none. They are the same in each row. Shapes: (cases, outputs) twice ->
    (cases, 3).
    """
    targets = constant_like(targets, predictions)
    terms = binary_terms(targets, predictions)
    cost = row_sum(tf.where(targets == NO_LABEL, tf.zeros_like(terms), terms))
    rates = [tf.fill(tf.shape(cost), _rate(targets == wanted, predictions)) for wanted in (1, 0)]
    return tf.concat([cost, *rates], 1)


def _rate(chosen: Any, predictions: Any) -> Any:
    """Return the share of the chosen outputs that are declared; a scalar."""
    chosen = tf.cast(chosen, predictions.dtype)
    return tf.math.divide_no_nan(tf.reduce_sum(chosen * declared(predictions)), tf.reduce_sum(chosen))


def logistic_masked_binary_cross_entropy(targets: Any, logits: Any) -> Any:
    """Return what masked_binary_cross_entropy returns for logistic(logits); fused, shapes as there.

    Gradient: y - t, 0 where the target is -1.
    """
    targets, predictions = constant_like(targets, logits), tf.sigmoid(logits)
    derivative = tf.where(targets == NO_LABEL, tf.zeros_like(targets), predictions - targets)
    return fused(masked_binary_cross_entropy(targets, predictions), logits, derivative)
