"""The cost of a set of classes that should contain the label.

Each set A of `size` classes has a probability proportional to exp(sum of the energies in A). The sums over
all sets are elementary symmetric polynomials of the exponentials, computed by adding one class after the
other, as logarithms: nothing overflows, and nothing is subtracted.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from convnet_cfg.nn.costs.classes import at_label, label_errors, label_mask
from convnet_cfg.nn.costs.rows import with_derivative

NOTHING = float("-inf")


def subset_logreg(labels: Any, energies: Any, size: int) -> Any:
    """Return [-log P(label in A), top-1 error, top-size error] (the 2012 program's cost.msm).

    A is a random set of `size` classes with P(A) proportional to exp(sum of its energies); errors are by
    energy. The gradient is P(class in A) - P(class in A | label in A). Shapes: labels, (cases, classes) ->
    (cases, 3), size from 1 to classes - 1.
    """
    marked = label_mask(labels, energies)
    shifted = tf.stop_gradient(energies - tf.reduce_max(energies, 1, keepdims=True))
    total, inside = _inclusion(shifted, size)
    rest, beside = _inclusion(tf.where(marked, tf.constant(NOTHING, shifted.dtype), shifted), size - 1)
    cost = total - rest - at_label(labels, shifted)
    derivative = inside - tf.where(marked, tf.ones_like(beside), beside)
    errors = [label_errors(labels, energies, count) for count in (1, size)]
    return tf.concat([with_derivative(cost, energies, derivative), *errors], 1)


def _inclusion(energies: Any, size: int) -> tuple[Any, Any]:
    """Return the logarithm of the sum over all sets, and the probability that each class is in the set.

    Shapes: (cases, classes) -> (cases, 1), (cases, classes).
    """
    up, down = _log_sums(energies, size), _log_sums(tf.reverse(energies, [1]), size)
    total = up[-1, :, -1:]
    before, after = up[:-1, :, :size], tf.reverse(down[:-1, :, :size], [0, 2])
    others = tf.transpose(tf.reduce_logsumexp(before + after, 2))
    return total, tf.exp(energies + others - total)


def _log_sums(energies: Any, size: int) -> Any:
    """Return the logarithms of the sums over all sets of 0 to `size` of the first 0, 1, 2 ... classes.

    Shapes: (cases, classes) -> (classes + 1, cases, size + 1).
    """

    def with_one_more(sums: Any, energy: Any) -> Any:
        chosen = tf.pad(sums[:, :-1], [(0, 0), (1, 0)], constant_values=NOTHING) + energy[:, None]
        return tf.reduce_logsumexp(tf.stack([sums, chosen]), 0)

    one = tf.zeros_like(energies[:, :1])
    none = tf.pad(one, [(0, 0), (0, size)], constant_values=NOTHING)
    return tf.concat([none[None], tf.scan(with_one_more, tf.transpose(energies), none)], 0)
