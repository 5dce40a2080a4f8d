"""One step of an update rule with weight decay, as pure functions of arrays or tensors of any kind.

Letters, as in the formulas below: W weight, V velocity, G gradient of the mean cost, e learning
rate now, e0 learning rate at the start, m momentum, d weight decay. W and V on the right-hand
side are those before the step. D is what the rule moves a weight by, before decoupled decay.

Sources: cuda-convnet (`weights.cuh`); Y. Nesterov (1983), in the form of I. Sutskever et al., On the
importance of initialization and momentum in deep learning (2013); D. Kingma and J. Ba, Adam (arXiv
1412.6980), algorithm 1; G. Hinton, Learning Translation Invariant Recognition in a Massively Parallel
Network (1987); I. Loshchilov and F. Hutter, Decoupled Weight Decay Regularization (arXiv 1711.05101).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, NamedTuple

__all__ = ["DECAYS", "RULES", "Decay", "Numbers", "Rule", "Settings", "normalized_decay", "take_step"]


class Settings(NamedTuple):
    """The numbers of groups as they are set: e, m, d and e0; floats, or arrays with an entry a group."""

    learning_rate: Any
    momentum: Any
    weight_decay: Any
    base_learning_rate: Any


class Numbers(NamedTuple):
    """What one step needs, scalars of the type of the weight; chosen so that a frozen group stays as it is.

    Attributes:
        active: whether the group is not frozen.
        rate: e; frozen: 0.
        scale: by which the gradient is multiplied before it joins the velocity: -e with the rate inside
            of it, 1 with the rate outside; frozen: 0.
        step: by which the velocity is multiplied before it is taken off the weight: -1 with the rate
            inside, e outside and with Adam; frozen: 0.
        momentum: m; frozen: 1.
        rest: 1 - m; frozen: 0.
        weight_decay: d.
        share: of the weight, taken off beside the velocity; frozen: 0.
        second_momentum: beta_2 of Adam; a float.
        epsilon: of Adam; a float.
    """

    active: Any
    rate: Any
    scale: Any
    step: Any
    momentum: Any
    rest: Any
    weight_decay: Any
    share: Any
    second_momentum: float = 0.999
    epsilon: float = 1e-8


class Decay(NamedTuple):
    """Where weight decay enters a step.

    Attributes:
        formula: the whole step of momentum in the letters of this module.
        coupled: d W joins the gradient, so that the rate scales it and the velocity carries it on.
        share: the share of the weight that is taken off beside the velocity, from `Settings` and the
            rule's `gain`; None: nothing is.
        after: the share is one of the moved weight W + D, not of W.
        in_cost: d / 2 |W|^2 belongs to the reported cost.
    """

    formula: str
    coupled: bool = False
    share: Callable[[Settings, Any], Any] | None = None
    after: bool = False
    in_cost: bool = False


def _whole(now: Settings, gain: Any) -> Any:
    return now.weight_decay


def _times_rate(now: Settings, gain: Any) -> Any:
    return now.learning_rate * now.weight_decay


def _times_schedule(now: Settings, gain: Any) -> Any:
    return now.learning_rate / now.base_learning_rate * now.weight_decay


def _matched(now: Settings, gain: Any) -> Any:
    return now.learning_rate * gain * now.weight_decay


DECAYS: MappingProxyType[str, Decay] = MappingProxyType(
    {
        "cuda-convnet": Decay("V = m V - e (G + d W); W = W + V", coupled=True),
        "l2": Decay(
            "V = m V - e (G + d W); W = W + V; d/2 |W|^2 is added to the cost", coupled=True, in_cost=True
        ),
        "decoupled": Decay("V = m V - e G; W = W + V - d W", share=_whole),
        "decoupled-lr": Decay("V = m V - e G; W = W + V - e d W", share=_times_rate),
        "decoupled-schedule": Decay("V = m V - e G; W = W + V - (e/e0) d W", share=_times_schedule),
        "decoupled-matched": Decay("V = m V - e G; W = W + V - e/(1-m) d W", share=_matched),
        "after-step": Decay("V = m V - e G; W = (1 - d) (W + V)", share=_whole, after=True),
        "none": Decay("V = m V - e G; W = W + V; d is ignored"),
    }
)
"""The kinds of weight decay by name; iterating gives the names in the order of the documentation."""

State = tuple[Any, ...]


class Rule(NamedTuple):
    """An update rule.

    Attributes:
        inside: its formulas with the learning rate inside of the velocity.
        outside: the same with the rate outside.
        slots: the names of what it keeps for each weight.
        gain: by how much a weight moves in the long run for one gradient of 1 and e = 1, from m.
        move: the step D of a weight and the new state, from the state, the gradient and `Numbers`.
    """

    inside: str
    outside: str
    slots: tuple[str, ...]
    gain: Callable[[Any], Any]
    move: Callable[[State, Any, Numbers], tuple[Any, State]]


def _momentum(state: State, gradient: Any, now: Numbers) -> tuple[Any, State]:
    velocity = now.momentum * state[0] + now.scale * gradient
    return -now.step * velocity, (velocity,)


def _nesterov(state: State, gradient: Any, now: Numbers) -> tuple[Any, State]:
    pull = now.scale * gradient
    velocity = now.momentum * state[0] + pull
    return -now.step * (pull + now.momentum * velocity), (velocity,)


def _adam(state: State, gradient: Any, now: Numbers) -> tuple[Any, State]:
    """Algorithm 1; `sums` are those of the weights that all gradients so far have in M and in S.

    1 - m^t is such a sum. Gathered like M itself it is as exact as M, also if m was changed on the way.
    """
    from keras import ops

    first, second, sums = state
    second_rest = (1 - now.second_momentum) * ops.cast(now.rest != 0, second.dtype)
    sums = sums + ops.cast(ops.stack([now.rest, second_rest]), sums.dtype) * (1 - sums)
    bias = ops.where(sums > 0, sums, 1)
    first = first + now.rest * (gradient - first)
    # S of weights of half precision is kept in single precision, so the rest is computed in it.
    square = ops.square(ops.cast(gradient, second.dtype))
    second = second + second_rest * (square - second)
    shrunk = ops.cast(bias[1] ** 0.5, second.dtype)
    rate = ops.cast(now.step, second.dtype) * ops.cast(bias[1] ** 0.5 / bias[0], second.dtype)
    move = -rate * ops.cast(first, second.dtype) / (ops.sqrt(second) + now.epsilon * shrunk)
    return ops.cast(move, first.dtype), (first, second, sums)


def _sum_of_powers(momentum: Any) -> Any:
    return 1 / (1 - momentum)


RULES: MappingProxyType[str, Rule] = MappingProxyType(
    {
        "momentum": Rule(
            "V = m V - e G; D = V", "V = m V + G; D = -e V", ("velocity",), _sum_of_powers, _momentum
        ),
        "nesterov": Rule(
            "V = m V - e G; D = m V - e G, with the new V",
            "V = m V + G; D = -e (G + m V), with the new V",
            ("velocity",),
            _sum_of_powers,
            _nesterov,
        ),
        "adam": Rule(
            "M = m M + (1 - m) G; S = s S + (1 - s) G^2; "
            "D = -e M / (1 - m^t) / (sqrt(S / (1 - s^t)) + epsilon)",
            "",
            ("velocity", "squares", "sums"),
            lambda momentum: 1.0,
            _adam,
        ),
    }
)
"""The update rules by name. Adam's rate is always outside of its mean, which is called velocity too."""


def take_step(
    weight: Any, state: State, gradient: Any, now: Numbers, decay: Decay, rule: Rule = RULES["momentum"]
) -> tuple[Any, State]:
    """Return weight and state after one step; nothing is changed in place.

    At momentum 0.9 and equal d, `cuda-convnet` pulls ten times harder in the long run than
    `decoupled-lr`, the rule behind `weight_decay` of Keras and of PyTorch's AdamW.
    """
    if decay.coupled:
        gradient = gradient + now.weight_decay * weight
    move, state = rule.move(state, gradient, now)
    moved = weight + move
    if decay.share is None:
        return moved, state
    # Not (1 - share) * weight: in float32 that makes a share of 1e-7 a fifth larger.
    return moved - now.share * (moved if decay.after else weight), state


def normalized_decay(normalized: float, *, batch_size: int, cases: int, epochs: float) -> float:
    """Return d = d_norm sqrt(b / (B T)), which suits trainings of other lengths (arXiv 1711.05101, B.1).

    Args:
        normalized: d_norm, the decay of a training of one update.
        batch_size: b, cases of an update.
        cases: B, cases of the training set.
        epochs: T, passes over it.

    Raises:
        ValueError: the decay is negative or not finite, or a size is not above zero.
    """
    if not math.isfinite(normalized) or normalized < 0:
        raise ValueError(f"normalized must be a finite number >= 0, got {normalized!r}")
    for name, value in {"batch_size": batch_size, "cases": cases, "epochs": epochs}.items():
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be a finite number > 0, got {value!r}")
    return normalized * math.sqrt(batch_size / (cases * epochs))
