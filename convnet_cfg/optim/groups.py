"""A parameter group: which variables, which numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass
from numbers import Real
from types import FunctionType
from typing import Any

from convnet_cfg.errors import did_you_mean, join_words, shorten
from convnet_cfg.optim.rules import DECAYS, RULES, Decay, Rule
from convnet_cfg.optim.selection import selectors, title

__all__ = ["NUMBERS", "Group", "named"]

NUMBERS = ("learning_rate", "momentum", "weight_decay", "base_learning_rate")
"""The fields of a Group that can be set while training, in the order of `rules.Settings`."""

POSITIONS = ("inside", "outside")


@dataclass(frozen=True, eq=False)
class Group:
    """Variables that share one learning rate, momentum and weight decay.

    Attributes:
        variables: a `keras.Variable`, a layer (all that it trains), a pattern over the paths of
            variables, or a list of these. In a pattern `*` stands for any text, `?` for one character,
            `[ab]` for one of several; it must match the path, or an end of it that begins behind a `/`:
            `"conv*/kernel"` finds `conv1/kernel` as well as `sequential/conv1/kernel`.
        learning_rate: e, in units of the mean cost over the cases of a minibatch: a number, a
            `ProgressSchedule`, or a function of the number of steps made, such as a `LearningRateSchedule`
            of Keras. Zero or below freezes the group: no decay, no momentum step, all state untouched.
        momentum: m, from -1 to 1; with Adam beta_1, from 0 up to 1. None: 0, with Adam 0.9.
        weight_decay: d, at least 0.
        decay: a name in `DECAYS`.
        rule: a name in `RULES`: momentum, nesterov or adam.
        rate_position: where the learning rate sits in momentum: "inside" of the velocity, as in Keras,
            cuda-convnet and Caffe (None: this), or "outside", as in PyTorch; it matters when the rate
            changes.
        second_momentum: beta_2 of Adam, from 0 up to 1.
        epsilon: of Adam, above 0; beside the root of the corrected mean of squares, as in its paper.
        name: how messages and `GroupedOptimizer.groups` call it; None: the pattern, or the path of the
            layer or variable, if there is but one, else "group_" and its number.
        base_learning_rate: e0, the rate before any schedule; only `decoupled-schedule` uses it.
            None: the learning rate, of a `ProgressSchedule` at the first step; other schedules, which may
            begin with a warm-up, need it with that decay.
        period: gradients of so many steps are gathered, and their mean makes one update: one decay,
            one momentum (cuda-convnet2: updatePeriod).
        gathers_moves: what is gathered is e G, with the rate of each step, not G.
        velocity_mask: a variable of the shape of the only variable; V is multiplied by it before
            each step (DropConnect: dropped weights lose their momentum). None: 1.
        constraint: a `keras.constraints.Constraint` or another function of a weight, applied by each
            update of this group. (A constraint of the variable itself is applied at each step, by Keras.)

    Raises:
        TypeError: a number is not a number (a bool is none), or `variables` is something else.
        ValueError: a number is not finite or out of its range, a name is unknown, there are no
            variables, or the formula of the decay divides by zero (`decoupled-matched` at momentum 1,
            `decoupled-schedule` at base_learning_rate <= 0) or by what is not known.
    """

    variables: Any
    _: KW_ONLY
    learning_rate: float | Callable[[Any], Any]
    momentum: float | None = None
    weight_decay: float = 0.0
    decay: str = "cuda-convnet"
    rule: str = "momentum"
    rate_position: str | None = None
    second_momentum: float = 0.999
    epsilon: float = 1e-8
    name: str | None = None
    base_learning_rate: float | None = None
    period: int = 1
    gathers_moves: bool = False
    velocity_mask: Any = None
    constraint: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        """Check everything, and turn numbers into floats."""
        label = "group" if self.name is None else f"group {self.name!r}"
        self._set("variables", selectors(self.variables, label))
        _check_name(self, "decay", DECAYS)
        _check_name(self, "rule", RULES)
        if self.momentum is None:
            self._set("momentum", 0.9 if self.rule == "adam" else 0.0)
        if self.base_learning_rate is None:
            _check_base_is_known(self)
            self._set("base_learning_rate", _first_rate(self) if self.scheduled else self.learning_rate)
        for field in (*NUMBERS, "second_momentum", "epsilon"):
            if not (field == "learning_rate" and self.scheduled):
                self._set(field, _number(self, field, getattr(self, field)))
        _check_ranges(self)
        _check_rule(self)
        _check_decay(self)

    def _set(self, field: str, value: Any) -> None:
        object.__setattr__(self, field, value)

    def __str__(self) -> str:
        """Return what messages call it: its name, else what it takes."""
        return f"group {self.name or shorten(', '.join(map(title, self.variables)))!r}"

    @property
    def scheduled(self) -> bool:
        """Whether the rate is not a number, but follows the training."""
        return callable(self.learning_rate)

    @property
    def frozen(self) -> bool:
        """Whether the rate is a number, zero or below."""
        return not callable(self.learning_rate) and self.learning_rate <= 0

    @property
    def kind_of_decay(self) -> Decay:
        """What its decay is, of `DECAYS`."""
        return DECAYS[self.decay]

    @property
    def update_rule(self) -> Rule:
        """What its rule is, of `RULES`."""
        return RULES[self.rule]


def _first_rate(group: Group) -> object:
    rate: Any = group.learning_rate
    try:
        first = rate(0.0 if isinstance(rate, FunctionType) else 0)
        return float(first)
    except Exception as error:
        raise TypeError(
            f"{group}: learning_rate must be a number, a schedule, or a function that gives a number for the "
            f"number of steps made; at step 0: {error}"
        ) from None


def _number(group: Group, field: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{group}: {field} must be a number, got {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{group}: {field} must be finite, got {value!r}")
    return float(value)


def _check_name(group: Group, field: str, table: Iterable[str]) -> None:
    known, name = tuple(table), getattr(group, field)
    if name not in known:
        guess = did_you_mean(str(name), known)
        raise ValueError(f"{group}: unknown {field} {name!r}{guess}; it must be {join_words(known)}")


def _check_ranges(group: Group) -> None:
    momentum = (
        ("from 0 up to 1", lambda m: 0 <= m < 1) if group.rule == "adam" else ("from -1 to 1", _is_share)
    )
    ranges: dict[str, tuple[str, Callable[[float], bool]]] = {
        "momentum": momentum,
        "weight_decay": (">= 0", lambda d: d >= 0),
        "second_momentum": ("from 0 up to 1", lambda s: 0 <= s < 1),
        "epsilon": ("> 0", lambda epsilon: epsilon > 0),
    }
    for field, (words, holds) in ranges.items():
        value = getattr(group, field)
        if not holds(value):
            raise ValueError(f"{group}: {field} must be {words}, got {value:g}")


def _is_share(momentum: float) -> bool:
    return abs(momentum) <= 1


def _check_rule(group: Group) -> None:
    if group.rate_position is not None:
        _check_name(group, "rate_position", POSITIONS)
        if group.rule == "adam":
            raise ValueError(
                f"{group}: rate_position is for momentum and nesterov; Adam has the rate outside"
            )
    if isinstance(group.period, bool) or not isinstance(group.period, int) or group.period < 1:
        raise ValueError(f"{group}: period must be an integer >= 1, got {group.period!r}")
    if group.velocity_mask is not None and len(group.variables) > 1:
        raise ValueError(f"{group}: a velocity mask is for one variable, not {len(group.variables)}")
    if group.constraint is not None and not callable(group.constraint):
        raise TypeError(f"{group}: constraint must be a function of a weight, got {group.constraint!r}")


def _check_decay(group: Group) -> None:
    if group.decay == "decoupled-matched" and group.rule != "adam" and group.momentum == 1:
        raise ValueError(f"{group}: decay 'decoupled-matched' needs momentum < 1, got 1")
    base = group.base_learning_rate
    needs_base = group.decay == "decoupled-schedule" and not group.frozen
    if needs_base and base is not None and base <= 0:
        raise ValueError(
            f"{group}: decay 'decoupled-schedule' needs base_learning_rate > 0 while learning_rate > 0, "
            f"got {base:g}"
        )


def _check_base_is_known(group: Group) -> None:
    needs_base = group.decay == "decoupled-schedule" and group.scheduled
    if needs_base and not hasattr(group.learning_rate, "follows_progress"):
        raise ValueError(
            f"{group}: decay 'decoupled-schedule' divides by base_learning_rate, the rate without the "
            "schedule; give it, for a schedule may begin with a warm-up"
        )


def named(groups: Iterable[Group]) -> dict[str, Group]:
    """Return the groups by name, inventing the names that are missing.

    Raises:
        TypeError: it is not a list of groups.
        ValueError: there is no group, or two have the same name.
    """
    result: dict[str, Group] = {}
    if isinstance(groups, Group) or not isinstance(groups, Iterable):
        raise TypeError(f"groups must be a list of Groups, got {groups!r}")
    for number, group in enumerate(groups):
        if not isinstance(group, Group):
            raise TypeError(f"groups must be a list of Groups, got an item {group!r}")
        alone = title(group.variables[0]) if len(group.variables) == 1 else f"group_{number}"
        name = alone if group.name is None else group.name
        if name in result:
            raise ValueError(f"two groups are called {name!r}")
        result[name] = group
    if not result:
        raise ValueError("an optimizer needs at least one group")
    return result
