"""How a PyTorch program is trained: its parameter groups, its learning rates and its optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from convnet_cfg.export.source.text import INDENT
from convnet_cfg.export.source.torch_program import Program
from convnet_cfg.export.source.updates import (
    BY_EPOCHS,
    first_rate_problem,
    gathers_at_rates,
    reached_by_costs,
    rule_of,
)
from convnet_cfg.language.network import Owned, column_rows
from convnet_cfg.language.params import UpdateRule
from convnet_cfg.language.schedules import Schedule
from convnet_cfg.language.v2_types import BlockSpec
from convnet_cfg.language.weight_types import FilterSpec, LocalSpec

COUPLED = "weight_decay"


class Hook(NamedTuple):
    """What takes weight decay off beside the velocity: the name of a part, and when it is called."""

    part: str
    when: str


BESIDE: Mapping[str, Hook] = {
    "decoupled": Hook("decay_by_share", "pre"),
    "decoupled-lr": Hook("decay_by_rate", "pre"),
    "decoupled-schedule": Hook("decay_by_schedule", "pre"),
    "decoupled-matched": Hook("decay_by_long_run_rate", "pre"),
    "after-step": Hook("decay_by_share", "post"),
}


class Setting(NamedTuple):
    """What the optimizer is told of one parameter; `rate` is an expression.

    `kind` is that of its weight decay, COUPLED or of BESIDE. `period` minibatches make an update; with
    `own_rates` their gradients count with the learning rate of each, not with the last one. `counts` says
    that a cost depends on the parameter.
    """

    path: str
    rate: str
    momentum: float
    decay: float
    kind: str
    period: int
    own_rates: bool
    counts: bool


@dataclass
class Training:
    """How a program is trained.

    `frozen` are the paths of parameters whose rate is 0. `changes` says that rates change with the progress
    of the training, `in_epochs` that they need the number of its epochs. `limits` are the lines that hold
    weights to their bounds after each step.
    """

    changes: bool
    in_epochs: bool
    settings: list[Setting] = field(default_factory=list)
    frozen: list[str] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)

    @property
    def kinds(self) -> list[str]:
        """The kinds of weight decay: first COUPLED, then those of BESIDE."""
        found = {each.kind for each in self.settings if each.decay}
        return [kind for kind in (COUPLED, *BESIDE) if kind in found]

    @property
    def several_kinds(self) -> bool:
        """Whether weights of this network decay in different ways."""
        return len(self.kinds) > 1

    @property
    def gathers(self) -> bool:
        """Whether updates are made after several minibatches."""
        return any(each.period > 1 for each in self.settings)

    @property
    def own_rates(self) -> bool:
        """Whether gradients that are gathered count with the learning rates of their minibatches."""
        return any(each.own_rates for each in self.settings)

    @property
    def needs_zeros(self) -> bool:
        """Whether a parameter is to be updated though no cost depends on it, and so it has no gradient."""
        return any(
            not each.counts and (self.gathers or (each.decay and each.kind == COUPLED))
            for each in self.settings
        )


def training(program: Program, decay: str) -> Training:
    """Return how a program is trained; `decay` is the kind for weights whose layer names none."""
    owned = [each for each in program.frame.network.owned() if each.matrix.rule is not None]
    schedules = [rule_of(each).schedule for each in owned if rule_of(each).learning_rate > 0]
    made = Training(
        changes=any(schedule.type for schedule in schedules),
        in_epochs=any(schedule.name == BY_EPOCHS for schedule in schedules),
    )
    counted = reached_by_costs(program.frame)
    for each in owned:
        rule, path = rule_of(each), program.parameters[each.name].path
        if rule.learning_rate <= 0:
            made.frozen.append(path)
            continue
        made.settings.append(_setting(program, made, each, rule, decay, each.name in counted))
        made.limits += _when_due(made.settings[-1], list(_limits(program, each, rule, f"model.{path}")))
    return made


def _setting(
    program: Program, made: Training, owned: Owned, rule: UpdateRule, decay: str, counts: bool
) -> Setting:
    kind = (rule.decay or decay) if rule.weight_decay > 0 else "none"
    if problem := first_rate_problem(owned, kind):
        program.problems.append(problem)
    return Setting(
        path=program.parameters[owned.name].path,
        rate=_rate(program, owned, rule.schedule, made.changes),
        momentum=rule.momentum,
        decay=rule.weight_decay if kind != "none" else 0.0,
        kind=kind if kind in BESIDE else COUPLED,
        period=program.frame.minibatches(owned),
        own_rates=gathers_at_rates(program.frame, owned),
        counts=counts,
    )


def _when_due(setting: Setting, limits: list[str]) -> list[str]:
    """Return the lines that hold a weight to its bounds when it has been updated."""
    if setting.period == 1 or not limits:
        return limits
    return [f"if model.{setting.path}.grad is not None:", *(f"{INDENT}{limit}" for limit in limits)]


# -- learning rates


def _stepwise(name: str) -> Callable[..., str]:
    """Return the code of rates in steps; a single step is at the last rate from the start."""

    def code(base: float, factor: float, count: int) -> str:
        return f"{name}({base!r}, {factor!r}, {count})" if count > 1 else f"constant({base / factor!r})"

    return code


SCHEDULES: Mapping[str, Callable[..., str]] = {
    "const": lambda base: f"constant({base!r})",
    "linear": lambda base, factor: f"linear({base!r}, {factor!r})",
    "exp": lambda base, factor: f"exponential({base!r}, {factor!r})",
    "dexp": _stepwise("steps"),
    "jdexp": _stepwise("smoothed_steps"),
    BY_EPOCHS: lambda base, tau, count: f"epoch_steps({base!r}, {tau!r}, {max(count, 1)}, epochs)",
}


def _rate(program: Program, owned: Owned, schedule: Schedule, changes: bool) -> str:
    if not changes:
        return repr(schedule.base)
    if schedule.name not in SCHEDULES:
        program.refuse(owned.layer, f"schedule {schedule.name} has no translation to PyTorch")
        return ""
    return SCHEDULES[schedule.name](schedule.base, *schedule.values)


# -- what weights are held to


def _limits(program: Program, owned: Owned, rule: UpdateRule, path: str) -> Iterator[str]:
    """Yield the calls that hold a matrix to its bounds (as model/ has them)."""
    limits = rule.limits
    if owned.input is None or not limits:
        return
    dim = _within_unit(owned)
    if limits.most_spread > 0:
        bounds = f"{max(limits.least_spread, 0.0)!r}, {limits.most_spread!r}"
        yield f"limit_spread({path}, {bounds}, dim={dim})"
    if limits.norm > 0:
        rows = column_rows(owned.layer, owned.matrix) if limits.norm_per_row else 1
        kind = "limit_norm" if limits.norm_only_shrinks else "set_norm"
        yield f"{kind}({path}, {limits.norm * rows!r}, dim={dim})"
    if limits.distributions:
        yield f"make_distributions({path})"


def _within_unit(owned: Owned) -> str:
    """Return the dimensions of a parameter along which the weights of one unit or filter lie."""
    spec = owned.layer.spec
    if isinstance(spec, LocalSpec):
        return "3"
    if isinstance(spec, BlockSpec):
        return "(0, 2)"
    return "(1, 2, 3)" if isinstance(spec, FilterSpec) else "1"
