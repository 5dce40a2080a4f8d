"""What cuda-convnet2 and the forks hold weights to after each update (wball, wcNorm, condprob).

A column holds the weights of one unit or filter: the last axis of a kernel counts them, and a column
runs along the others, or along `axes` where that is an argument. Columns of zeros stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import keras
import tensorflow as tf


def column_axes(kernel: Any) -> tuple[int, ...]:
    """Return all axes but the last."""
    return tuple(range(len(kernel.shape) - 1))


def lengths(kernel: Any, axes: tuple[int, ...]) -> Any:
    """Return the L2 norm of each column, the axes kept."""
    return tf.sqrt(tf.reduce_sum(tf.square(kernel), axes, keepdims=True))


def scale_from(kernel: Any, measures: Any, targets: Any) -> Any:
    """Return the kernel times targets / measures; where a measure is 0 the kernel as it is."""
    return kernel * tf.where(measures > 0, targets / measures, tf.ones_like(measures))


def set_column_norm(kernel: Any, norm: float) -> Any:
    """Return the kernel with columns of exactly this L2 norm."""
    return scale_from(kernel, lengths(kernel, column_axes(kernel)), norm)


def limit_column_norm(kernel: Any, limit: float, axes: tuple[int, ...]) -> Any:
    """Return the kernel with columns of at most this L2 norm; shorter ones stay as they are."""
    found = lengths(kernel, axes)
    return scale_from(kernel, found, tf.minimum(found, limit))


def limit_column_spread(kernel: Any, minimum: float, maximum: float) -> Any:
    """Return the kernel with columns whose spread is between two numbers.

    The spread of a column w of n weights is sqrt(sum of (w - mean of w) ** 2) / n: the length of its
    deviations over n, not their standard deviation. The column itself is scaled, its mean too.
    """
    axes = column_axes(kernel)
    deviations = kernel - tf.reduce_mean(kernel, axes, keepdims=True)
    spread = lengths(deviations, axes) / float(kernel.shape.num_elements() // kernel.shape[-1])
    return scale_from(kernel, spread, tf.clip_by_value(spread, minimum, maximum))


def make_probabilities(kernel: Any) -> Any:
    """Return max(kernel, 0) with columns that sum to 1."""
    kernel = tf.maximum(kernel, 0.0)
    return scale_from(kernel, tf.reduce_sum(kernel, column_axes(kernel), keepdims=True), 1.0)


@keras.saving.register_keras_serializable("convnet_cfg")
class ColumnNorm(keras.constraints.Constraint):
    """Gives each column an L2 norm of exactly `norm`, also shorter ones (cuda-convnet2: wball).

    For kernels of Dense, BlockDense (whole columns, over all parts) and Conv2D.
    """

    def __init__(self, norm: float) -> None:
        self.norm = norm

    def __call__(self, kernel: Any) -> Any:
        """Return the kernel with columns of that norm."""
        return set_column_norm(tf.convert_to_tensor(kernel), self.norm)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constraint."""
        return {"norm": self.norm}


@keras.saving.register_keras_serializable("convnet_cfg")
class ColumnNormLimit(keras.constraints.Constraint):
    """Shortens columns whose L2 norm is above `limit` (wball of local layers, and in 2012 of all layers).

    A column runs along `axes`: by default all but the last; LOCAL_AXES for kernels of Local2D, which
    have a column for each position and filter.
    """

    def __init__(self, limit: float, axes: Sequence[int] | None = None) -> None:
        self.limit = limit
        self.axes = None if axes is None else tuple(axes)

    def __call__(self, kernel: Any) -> Any:
        """Return the kernel with columns of at most that norm."""
        kernel = tf.convert_to_tensor(kernel)
        return limit_column_norm(kernel, self.limit, self.axes or column_axes(kernel))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constraint."""
        return {"limit": self.limit, "axes": self.axes}


LOCAL_AXES = (2, 3, 4)


@keras.saving.register_keras_serializable("convnet_cfg")
class ColumnSpread(keras.constraints.Constraint):
    """Scales columns whose spread is below `minimum` or above `maximum` (wcNormMin, wcNormMax).

    limit_column_spread says what the spread is. For kernels of Conv2D.
    """

    def __init__(self, minimum: float, maximum: float) -> None:
        if not 0.0 <= minimum <= maximum or maximum == 0.0:
            wanted = "0 <= minimum <= maximum and maximum > 0"
            raise ValueError(f"{wanted} must hold, got {minimum} and {maximum}")
        self.minimum = minimum
        self.maximum = maximum

    def __call__(self, kernel: Any) -> Any:
        """Return the kernel with columns of a spread between the two numbers."""
        return limit_column_spread(tf.convert_to_tensor(kernel), self.minimum, self.maximum)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constraint."""
        return {"minimum": self.minimum, "maximum": self.maximum}


@keras.saving.register_keras_serializable("convnet_cfg")
class NonNegativeColumns(keras.constraints.Constraint):
    """Sets negative weights to 0, then divides each column by its sum (fork of Cysu: condprob)."""

    def __call__(self, kernel: Any) -> Any:
        """Return the kernel with columns of probabilities."""
        return make_probabilities(tf.convert_to_tensor(kernel))


@keras.saving.register_keras_serializable("convnet_cfg")
class Chain(keras.constraints.Constraint):
    """Several constraints, one after the other."""

    def __init__(self, constraints: Sequence[keras.constraints.Constraint]) -> None:
        self.constraints = tuple(constraints)

    def __call__(self, kernel: Any) -> Any:
        """Return the kernel after all constraints."""
        return reduce(lambda weights, constraint: constraint(weights), self.constraints, kernel)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constraint."""
        return {"constraints": [keras.saving.serialize_keras_object(part) for part in self.constraints]}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Chain:
        """Return the chain of these arguments."""
        return cls([keras.saving.deserialize_keras_object(part) for part in config["constraints"]])
