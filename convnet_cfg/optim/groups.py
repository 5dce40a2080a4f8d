"""A parameter group: which variables, which numbers; and the check that groups cover a model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import Any

from convnet_cfg.errors import did_you_mean, join_words
from convnet_cfg.optim.rules import DECAYS

__all__ = ["NUMBERS", "Group", "check_cover", "named"]

NUMBERS = ("learning_rate", "momentum", "weight_decay", "base_learning_rate")
"""The fields of a Group that are numbers, in the order of `rules.Settings`."""


@dataclass(frozen=True, eq=False)
class Group:
    """Variables that share one learning rate, momentum and weight decay.

    Attributes:
        variables: `keras.Variable`s, at least one.
        learning_rate: e, in units of the mean cost over the cases of a minibatch. Zero or below
            freezes the group: no gradient, no decay, no momentum step, velocities untouched.
        momentum: m, any finite number, as in cuda-convnet.
        weight_decay: d; zero or below means no decay.
        decay: a name in `DECAYS`.
        name: how messages and `GroupedOptimizer.groups` call it; None: the path of its variable
            if there is but one, else "group_" and its number.
        base_learning_rate: e0, the rate before any schedule; only `decoupled-schedule` uses it.
            None: learning_rate.
        period: gradients of so many steps are gathered, and their mean makes one update: one decay,
            one momentum (cuda-convnet2: updatePeriod).
        gathers_moves: what is gathered is e G, with the rate of each step, not G.
        velocity_mask: a variable of the shape of the only variable; V is multiplied by it before
            each step (DropConnect: dropped weights lose their momentum). None: 1.

    Raises:
        TypeError: a number is not a number (a bool is none), or a variable not a variable.
        ValueError: a number is not finite, the decay is unknown, there are no variables, or the
            formula of the decay divides by zero (`decoupled-matched` at momentum >= 1,
            `decoupled-schedule` at base_learning_rate <= 0), the period is below 1, or there is
            a mask for several variables.
    """

    variables: Sequence[Any]
    _: KW_ONLY
    learning_rate: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    decay: str = "cuda-convnet"
    name: str | None = None
    base_learning_rate: float | None = None
    period: int = 1
    gathers_moves: bool = False
    velocity_mask: Any = None

    def __post_init__(self) -> None:
        """Check everything, and turn numbers into floats."""
        if self.base_learning_rate is None:
            object.__setattr__(self, "base_learning_rate", self.learning_rate)
        for field in NUMBERS:
            object.__setattr__(self, field, _number(self, field, getattr(self, field)))
        object.__setattr__(self, "variables", _variables(self))
        if isinstance(self.period, bool) or not isinstance(self.period, int) or self.period < 1:
            raise ValueError(f"{self}: period must be an integer >= 1, got {self.period!r}")
        if self.velocity_mask is not None and len(self.variables) > 1:
            raise ValueError(f"{self}: a velocity mask is for one variable, not {len(self.variables)}")
        _check_decay(self)

    def __str__(self) -> str:
        """Return what messages call it."""
        return "group" if self.name is None else f"group {self.name!r}"

    @property
    def frozen(self) -> bool:
        """Whether the rate is zero or below."""
        return self.learning_rate <= 0


def _number(group: Group, field: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{group}: {field} must be a number, got {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{group}: {field} must be finite, got {value!r}")
    return float(value)


def _variables(group: Group) -> tuple[Any, ...]:
    if hasattr(group.variables, "path") or isinstance(group.variables, str):
        raise TypeError(f"{group}: variables must be a list of variables, got {group.variables!r}")
    variables = tuple(group.variables)
    if not variables:
        raise ValueError(f"{group} has no variables")
    for variable in variables:
        if not (hasattr(variable, "path") and hasattr(variable, "assign")):
            raise TypeError(f"{group}: {variable!r} is not a keras.Variable")
    return variables


def _check_decay(group: Group) -> None:
    if group.decay not in DECAYS:
        guess = did_you_mean(str(group.decay), DECAYS)
        names = join_words(tuple(DECAYS))
        raise ValueError(f"{group}: unknown decay {group.decay!r}{guess}; it must be {names}")
    if group.decay == "decoupled-matched" and group.momentum >= 1:
        raise ValueError(f"{group}: decay 'decoupled-matched' needs momentum < 1, got {group.momentum:g}")
    base = group.base_learning_rate
    if group.decay == "decoupled-schedule" and not group.frozen and base is not None and base <= 0:
        raise ValueError(
            f"{group}: decay 'decoupled-schedule' needs base_learning_rate > 0 while learning_rate > 0, "
            f"got {base:g}"
        )


def named(groups: Iterable[Group]) -> dict[str, Group]:
    """Return the groups by name, inventing the names that are missing.

    Raises:
        ValueError: two groups have the same name.
    """
    result: dict[str, Group] = {}
    for number, group in enumerate(groups):
        alone = group.variables[0].path if len(group.variables) == 1 else f"group_{number}"
        name = alone if group.name is None else group.name
        if name in result:
            raise ValueError(f"two groups are called {name!r}")
        result[name] = group
    return result


def check_cover(groups: dict[str, Group], variables: Iterable[Any]) -> None:
    """Check that every variable is in exactly one group.

    A frozen group may hold variables that are not handed over; others may not.

    Raises:
        ValueError: one error that lists all variables at fault by path.
    """
    trained = {id(variable): variable for variable in variables}
    owners: dict[int, list[str]] = {}
    known: dict[int, Any] = {}
    for name, group in groups.items():
        for variable in group.variables:
            owners.setdefault(id(variable), []).append(name)
            known[id(variable)] = variable
    left_over = [variable.path for key, variable in trained.items() if key not in owners]
    twice = [
        f"{known[key].path} ({join_words(names, 'and')})" for key, names in owners.items() if len(names) > 1
    ]
    missing = [
        f"{known[key].path} ({names[0]})"
        for key, names in owners.items()
        if key not in trained and not all(groups[name].frozen for name in names)
    ]
    faults = {
        "in no group": left_over,
        "claimed twice": twice,
        "in a group that is not frozen, but not among the variables to train": missing,
    }
    lines = [f"  {what}: {', '.join(paths)}" for what, paths in faults.items() if paths]
    if lines:
        raise ValueError("\n".join(["each variable to train must be in exactly one group", *lines]))
