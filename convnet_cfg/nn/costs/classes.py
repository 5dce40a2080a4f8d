"""Costs of one right class a case.

Labels are class numbers of any number type, of shape (cases,) or (cases, 1); fractions are cut off.
Errors are 0 or 1 but where scores are equal: of m equal ones that compete for f places, each has f/m.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from convnet_cfg.nn.costs.rows import row_sum, with_derivative

NO_LABEL = -1


def class_numbers(labels: Any) -> Any:
    """Return labels as integers; shape (cases,)."""
    return tf.cast(tf.reshape(labels, (-1,)), tf.int32)


def label_mask(labels: Any, values: Any) -> Any:
    """Return what is at the label; shapes: labels, (cases, classes) -> (cases, classes) of truth values."""
    return class_numbers(labels)[:, None] == tf.range(values.shape[1])


def at_label(labels: Any, values: Any) -> Any:
    """Return the value at each case's label, shape (cases, 1); 0 where there is no such class."""
    return row_sum(tf.where(label_mask(labels, values), values, tf.zeros_like(values)))


def label_errors(labels: Any, scores: Any, top_k: int = 1) -> Any:
    """Return 0 if the label is among the top_k largest scores, 1 if not, a fraction if by a tie.

    With above = scores larger than the label's and ties = scores equal to it, itself included:

        error = 1 - (top_k - above) / ties, cut to 0 ... 1

    Shapes: labels, (cases, classes) -> (cases, 1). No gradient.
    """
    scores = tf.stop_gradient(scores)
    own = at_label(labels, scores)
    above, ties = (row_sum(tf.cast(found, scores.dtype)) for found in (scores > own, scores == own))
    return 1.0 - tf.clip_by_value((top_k - above) / ties, 0.0, 1.0)


def _with_errors(cost: Any, labels: Any, scores: Any, top_k: int | None) -> Any:
    """Return [cost, error], with top_k also the error among the top_k."""
    counts = (1,) if top_k is None else (1, top_k)
    return tf.concat([cost, *(label_errors(labels, scores, count) for count in counts)], axis=1)


def logreg(labels: Any, probabilities: Any, top_k: int | None = None) -> Any:
    """Return [-log p[label], error] of each case, with top_k also that error (cuda-convnet: cost.logreg).

    A probability of zero costs infinity. Shapes: labels, (cases, classes) -> (cases, 2 or 3).
    """
    cost = -tf.math.log(at_label(labels, probabilities))
    return _with_errors(cost, labels, probabilities, top_k)


def softmax_logreg(labels: Any, logits: Any, top_k: int | None = None) -> Any:
    """Return what logreg returns for softmax(logits); the gradient is softmax(logits) - onehot(labels).

    Finite also where a probability rounds to zero. Shapes: labels, (cases, classes) -> (cases, 2 or 3).
    """
    cost = tf.nn.sparse_softmax_cross_entropy_with_logits(class_numbers(labels), logits)
    return _with_errors(cost[:, None], labels, tf.nn.softmax(logits), top_k)


def log_logreg(labels: Any, log_probabilities: Any) -> Any:
    """Return logreg of the exponentials (cost.reg of a fork, fed by its logsoftmax layer).

    Through a log-softmax layer the gradient is that of softmax_logreg, which is the fused form. Shapes:
    labels, (cases, classes) -> (cases, 2).
    """
    return _with_errors(-at_label(labels, log_probabilities), labels, log_probabilities, None)


# -- some cases only


def _logreg_of_some(counted: Any, labels: Any, probabilities: Any, top_k: int | None) -> Any:
    """Return logreg of the cases that are counted, zeros and no gradient for the others."""
    labels = tf.where(counted, class_numbers(labels), 0)
    own = at_label(labels, probabilities)
    cost = -tf.math.log(tf.where(counted[:, None], own, tf.ones_like(own)))
    return _only(counted, _with_errors(cost, labels, probabilities, top_k))


def _softmax_logreg_of_some(counted: Any, labels: Any, logits: Any, top_k: int | None) -> Any:
    labels = tf.where(counted, class_numbers(labels), 0)
    return _only(counted, softmax_logreg(labels, logits, top_k))


def _only(counted: Any, values: Any) -> Any:
    return tf.where(counted[:, None], values, tf.zeros_like(values))


def masked_logreg(labels: Any, probabilities: Any) -> Any:
    """Return logreg of the cases that have a label, -1 meaning none (cost.logreg of a fork).

    Rows without a label are 0; the others are multiplied by cases / labelled cases, so that the sum
    divided by all cases is the mean over the labelled ones. The gradient is that of the unscaled cost.
    Shapes: labels, (cases, classes) -> (cases, 2).
    """
    known = class_numbers(labels) != NO_LABEL
    return _as_mean_over(known, _logreg_of_some(known, labels, probabilities, None))


def softmax_masked_logreg(labels: Any, logits: Any) -> Any:
    """Return what masked_logreg returns for softmax(logits); fused, shapes as there.

    The gradient is softmax(logits) - onehot(labels), 0 in cases without a label.
    """
    known = class_numbers(labels) != NO_LABEL
    return _as_mean_over(known, _softmax_logreg_of_some(known, labels, logits, None))


def _as_mean_over(counted: Any, values: Any) -> Any:
    """Return the rows times cases / counted cases, with the gradient of the rows as they were."""
    cases, found = tf.size(counted), tf.math.count_nonzero(counted, dtype=tf.int32)
    return _shown_times(values, tf.cast(cases / tf.maximum(found, 1), values.dtype))


@tf.custom_gradient
def _shown_times(values, factor):
    return values * factor, lambda g: (g, None)


def task_logreg(labels: Any, tasks: Any, probabilities: Any, task: int, top_k: int = 1) -> Any:
    """Return logreg of the cases of one task, zeros for the others (cost.tasklogreg of a fork).

    Sums are to be divided by all cases, as of any cost. Shapes: labels, tasks like labels,
    (cases, classes) -> (cases, 3).
    """
    return _logreg_of_some(class_numbers(tasks) == task, labels, probabilities, top_k)


def softmax_task_logreg(labels: Any, tasks: Any, logits: Any, task: int, top_k: int = 1) -> Any:
    """Return what task_logreg returns for softmax(logits); fused, shapes as there.

    The gradient is softmax(logits) - onehot(labels), 0 in cases of other tasks.
    """
    return _softmax_logreg_of_some(class_numbers(tasks) == task, labels, logits, top_k)


def hinge_loss(labels: Any, values: Any) -> Any:
    """Return [max(0, 1 + largest other value - v[label]), error] (cost.hingeloss of a fork).

    The gradient is 1 at the first of the largest others and -1 at the label, 0 where the cost is.
    Shapes: labels, (cases, classes) -> (cases, 2), at least two classes.
    """
    right = label_mask(labels, values)
    others = tf.where(right, values.dtype.min, values)
    rival = tf.reduce_max(others, 1, keepdims=True)
    tied = tf.cast(others == rival, values.dtype)
    first = tf.where(tf.cumsum(tied, 1) == 1, tied, tf.zeros_like(tied))
    cost = tf.nn.relu(1.0 + rival - at_label(labels, values))
    derivative = tf.sign(cost) * (first - tf.cast(right, values.dtype))
    return _with_errors(with_derivative(cost, values, derivative), labels, values, None)
