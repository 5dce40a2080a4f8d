"""Learning rates that follow the progress of a training, as tensors of any Keras backend.

The shapes are those of cuda-convnet2 (spec: params.md section 3). P is the fraction of the training
done, from 0 to 1: `GroupedOptimizer(total_steps=...)` says how long the training is.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any

import keras
import numpy as np
from keras import ops

__all__ = ["Exponential", "Linear", "ProgressSchedule", "Steps"]


class ProgressSchedule:
    """A learning rate as a function of the progress; derive from it for a shape of your own.

    A derived class that is to be saved with a model has `get_config`, and is registered with
    `keras.saving.register_keras_serializable`.
    """

    follows_progress = True

    def __call__(self, progress: Any) -> Any:
        """Return the rate at a progress from 0 to 1, a float or a scalar tensor."""
        raise NotImplementedError


@dataclass(frozen=True)
class _Falling(ProgressSchedule):
    """From `base` at the start to `base / target_factor` at the end.

    Attributes:
        base: the rate at the start.
        target_factor: how many times smaller the rate is at the end; above 0.

    Raises:
        TypeError: a number is none.
        ValueError: a number is not finite, or the factor not above 0.
    """

    base: float
    target_factor: float

    def __post_init__(self) -> None:
        """Check the numbers."""
        name = type(self).__name__
        for field, value in {"base": self.base, "target_factor": self.target_factor}.items():
            if isinstance(value, bool) or not isinstance(value, Real):
                raise TypeError(f"{name}: {field} must be a number, got {value!r}")
        if not math.isfinite(self.base):
            raise ValueError(f"{name}: base must be finite, got {self.base!r}")
        if not (math.isfinite(self.target_factor) and self.target_factor > 0):
            raise ValueError(f"{name}: target_factor must be finite and above 0, got {self.target_factor!r}")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the schedule."""
        return asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Return the schedule of these arguments."""
        return cls(**config)


@keras.saving.register_keras_serializable("convnet_cfg")
class Linear(_Falling):
    """Rate = base (1 - P) + base / target_factor P."""

    def __call__(self, progress: Any) -> Any:
        """Return the rate at a progress from 0 to 1."""
        return self.base * (1 - progress) + self.base / self.target_factor * progress


@keras.saving.register_keras_serializable("convnet_cfg")
class Exponential(_Falling):
    """Rate = base target_factor^-P."""

    def __call__(self, progress: Any) -> Any:
        """Return the rate at a progress from 0 to 1."""
        return self.base * self.target_factor**-progress


@keras.saving.register_keras_serializable("convnet_cfg")
@dataclass(frozen=True)
class Steps(_Falling):
    """Rate = base target_factor^(-i / (steps - 1)), i the smallest with P <= (i + 1) / steps.

    Attributes:
        base: the rate at the start.
        target_factor: how many times smaller the rate is at the end; above 0.
        steps: the number of different rates, at least 2.

    Raises:
        ValueError: a number is not finite, the factor not above 0, or there are fewer than two steps.
    """

    steps: int

    def __post_init__(self) -> None:
        """Check the numbers."""
        super().__post_init__()
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 2:
            raise ValueError(f"Steps: steps must be an integer >= 2, got {self.steps!r}")

    def __call__(self, progress: Any) -> Any:
        """Return the rate at a progress from 0 to 1."""
        # The original compared P in float32 with an end in float64; with the end rounded down it is the same.
        ends = ops.convert_to_tensor([_rounded_down((i + 1) / self.steps) for i in range(self.steps - 1)])
        done = ops.sum(ops.cast(ops.cast(progress, "float32") > ends, "float32"))
        return self.base * self.target_factor ** (-done / (self.steps - 1))


def _rounded_down(value: float) -> np.float32:
    """Return the largest float32 that is not above a number."""
    nearest = np.float32(value)
    return nearest if float(nearest) <= value else np.nextafter(nearest, np.float32(0))
