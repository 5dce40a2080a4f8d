"""Automatic derivatives beside central differences, for functions with kinks.

The error is |n - g| / |g| over all directions, g and n being the automatic and the numeric derivatives. An
output whose second difference is not small beside its first one has bent within the step, and takes no part.
Smaller steps are tried too: what a kink adds vanishes with the step, what a wrong gradient lacks does not.
Larger steps are for values so small that rounding hides what a small step changes. A wrong gradient agrees
with no step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

# In units of the deviation of what is moved; the first that agrees will do.
STEPS = (1e-5, 1e-6, 1e-7, 1e-4, 1e-3, 1e-2)
BENT = 1e-2  # second difference over first one
ROUNDING = 4 * np.finfo(np.float64).eps  # of each output


class Function(NamedTuple):
    """What is differentiated: outputs made from variables, with what the gradient takes for constant.

    `differences` is the same function with these things held constant, `excluded` says of which outputs the
    gradient is by definition no derivative.
    """

    outputs: Callable[[], Any]
    differences: Callable[[], Any]
    excluded: Callable[[Any], Any] = tf.zeros_like
    note: str = ""


Directions = Callable[[], Iterable[Any]]


class Place(NamedTuple):
    """A function at one value of one of its variables, with the automatic gradient there."""

    function: Function
    variable: tf.Variable
    center: Any
    base: Any
    given: Any  # the weights of the outputs in the linear function of them
    gradient: Any
    single: bool = False  # whether directions are single elements

    def smallest_error(self, directions: Directions, threshold: float) -> float | str:
        """Return the error with the first step that agrees, else the smallest one, or why there is none."""
        if not np.isfinite(np.sum(self.base)):
            return "values are not finite; smaller first weights may help"
        scale = deviation(self.center)
        errors, reasons = [], []
        for step in STEPS:
            found = self.error(step * scale, directions, threshold)
            if isinstance(found, str):
                reasons.append(found)
                continue
            errors.append(found)
            if found <= threshold:
                break
        return min(errors) if errors else reasons[0]

    def error(self, step: float, directions: Directions, threshold: float) -> float | str:
        """Return the relative error of the gradient over all directions, or why it cannot be told."""
        changes, bends = zip(*(self._difference(step, direction) for direction in directions()), strict=True)
        # An output that bends in one direction is left out in all: among equal values in a pooling window
        # a direction may happen to raise and lower all by the same.
        bent = np.any(bends, axis=0)
        if 2 * np.count_nonzero(bent) > bent.size:
            return "most outputs bend within the step"
        given, slopes = self.given, self.gradient
        if bent.any():
            given = tf.where(bent, tf.zeros_like(given), given)
            (slopes,) = gradients(self.function.outputs, [self.variable], given)
        numeric = np.array([float(tf.reduce_sum(given * change)) / (2 * step) for change in changes])
        automatic = np.array([along(slopes, direction) for direction in directions()])
        missed = float(np.linalg.norm(numeric - automatic))
        # Of random directions only the length of the whole gradient is sure.
        size = np.linalg.norm(automatic) if self.single else tf.norm(slopes) * sqrt(len(changes))
        noise = float(tf.norm(ROUNDING * given * self.base)) * sqrt(len(changes)) / (2 * step)
        return relative(missed, float(size), noise, threshold)

    def _difference(self, step: float, direction: Any) -> tuple[Any, Any]:
        """Return f(x + step) - f(x - step), and which outputs have a kink in between."""
        try:
            self.variable.assign(self.center + step * direction)
            above = self.function.differences()
            self.variable.assign(self.center - step * direction)
            below = self.function.differences()
        finally:
            self.variable.assign(self.center)
        change = above - below
        bend = tf.abs(above + below - 2 * self.base)
        noise = 16 * ROUNDING * tf.reduce_max(tf.abs(self.base))
        bent = ~(bend <= BENT * tf.abs(change) + noise)  # also where it is not a number
        return tf.where(bent, tf.zeros_like(change), change), bent


def along(slopes: Any, direction: Any) -> float:
    """Return the derivative in a direction."""
    return float(tf.tensordot(slopes, direction, axes=len(direction.shape)))


def relative(missed: float, size: float, noise: float, threshold: float) -> float | str:
    """Return a difference relative to what differs, or why that cannot be told."""
    if missed <= threshold * size:
        return missed / size if size else 0.0
    if missed <= 10 * noise:
        return "changes by less than rounding does" if size else 0.0
    return missed / size if size else float("inf")


def gradients(outputs: Callable[[], Any], variables: list[tf.Variable], given: Any | None) -> list[Any]:
    """Return the automatic gradients of sum(given * outputs), None for ones; zeros where there are none."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(variables)
        values = outputs()
    zero = tf.UnconnectedGradients.ZERO
    found: list[Any] = tape.gradient(values, variables, given, unconnected_gradients=zero)
    return found


def deviation(values: Any) -> float:
    """Return the standard deviation, else the size, else 1."""
    values = np.asarray(values)
    size = float(np.sqrt(np.mean(np.square(values))))
    spread = float(values.std())
    return spread if spread > 1e-9 * size else size or 1.0
