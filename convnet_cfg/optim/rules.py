"""One step of momentum with weight decay, as pure functions of arrays or tensors of any kind.

Letters, as in the formulas below: W weight, V velocity, G gradient of the mean cost, e learning
rate now, e0 learning rate at the start, m momentum, d weight decay. W and V on the right-hand
side are those before the step.

Sources: cuda-convnet (`weights.cuh`); G. Hinton, Learning Translation Invariant Recognition in a
Massively Parallel Network (1987); I. Loshchilov and F. Hutter, Decoupled Weight Decay
Regularization (arXiv 1711.05101).
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, NamedTuple

__all__ = ["DECAYS", "Decay", "Settings", "momentum_step"]


class Settings(NamedTuple):
    """The numbers of one group at one step: e, m, d and e0.

    A weight decay below zero must have been replaced by 0. Each number may be a Python float, or
    a scalar of the same library and type as the arrays of the step.
    """

    learning_rate: Any
    momentum: Any
    weight_decay: Any
    base_learning_rate: Any


class Decay(NamedTuple):
    """Where weight decay enters a step of momentum.

    Attributes:
        formula: the whole step in the letters of this module.
        coupled: d W joins the gradient, so that the rate scales it and the velocity carries it on.
        shrink: the share of the weight that is taken off beside the velocity; None: nothing is.
        after: the share is one of the moved weight W + V, not of W.
        in_cost: d / 2 |W|^2 belongs to the reported cost.
    """

    formula: str
    coupled: bool = False
    shrink: Callable[[Settings], Any] | None = None
    after: bool = False
    in_cost: bool = False


def _whole(now: Settings) -> Any:
    return now.weight_decay


def _times_rate(now: Settings) -> Any:
    return now.learning_rate * now.weight_decay


def _times_schedule(now: Settings) -> Any:
    return now.learning_rate / now.base_learning_rate * now.weight_decay


def _matched(now: Settings) -> Any:
    return now.learning_rate / (1 - now.momentum) * now.weight_decay


DECAYS: MappingProxyType[str, Decay] = MappingProxyType(
    {
        "cuda-convnet": Decay("V = m V - e (G + d W); W = W + V", coupled=True),
        "l2": Decay(
            "V = m V - e (G + d W); W = W + V; d/2 |W|^2 is added to the cost", coupled=True, in_cost=True
        ),
        "decoupled": Decay("V = m V - e G; W = W + V - d W", shrink=_whole),
        "decoupled-lr": Decay("V = m V - e G; W = W + V - e d W", shrink=_times_rate),
        "decoupled-schedule": Decay("V = m V - e G; W = W + V - (e/e0) d W", shrink=_times_schedule),
        "decoupled-matched": Decay("V = m V - e G; W = W + V - e/(1-m) d W", shrink=_matched),
        "after-step": Decay("V = m V - e G; W = (1 - d) (W + V)", shrink=_whole, after=True),
        "none": Decay("V = m V - e G; W = W + V; d is ignored"),
    }
)
"""The kinds of weight decay by name; iterating gives the names in the order of the documentation."""


def momentum_step(weight: Any, velocity: Any, gradient: Any, now: Settings, decay: Decay) -> tuple[Any, Any]:
    """Return weight and velocity after one step; nothing is changed in place.

    At momentum 0.9 and equal d, `cuda-convnet` pulls ten times harder in the long run than
    `decoupled-lr`, the rule behind `weight_decay` of Keras and of PyTorch's AdamW.
    """
    if decay.coupled:
        gradient = gradient + now.weight_decay * weight
    velocity = now.momentum * velocity - now.learning_rate * gradient
    moved = weight + velocity
    if decay.shrink is None:
        return moved, velocity
    # Not (1 - share) * weight: in float32 that makes a share of 1e-7 a fifth larger.
    return moved - decay.shrink(now) * (moved if decay.after else weight), velocity
