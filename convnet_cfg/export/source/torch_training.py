"""How a PyTorch program is trained: its parameter groups, its learning rates and its optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from convnet_cfg.export.source.torch_program import Program
from convnet_cfg.language.network import Owned, column_rows
from convnet_cfg.language.params import UpdateRule
from convnet_cfg.language.schedules import Schedule
from convnet_cfg.language.v2_types import BlockSpec
from convnet_cfg.language.weight_types import FilterSpec, LocalSpec

COUPLED = "weight_decay"
COUPLED_KINDS = ("cuda-convnet", "l2")  # the same update; l2 also adds its term to the reported cost


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
    """What the optimizer is told of one parameter; `rate` is an expression."""

    path: str
    rate: str
    momentum: float
    decay: float


@dataclass
class Training:
    """How a program is trained.

    `frozen` are the paths of parameters whose rate is 0. `changes` says that rates change with the progress
    of the training. `kinds` are those of weight decay, COUPLED or of BESIDE. `limits` are the calls that
    hold weights to their bounds after each step.
    """

    changes: bool
    settings: list[Setting] = field(default_factory=list)
    frozen: list[str] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)
    limits: list[str] = field(default_factory=list)

    @property
    def beside(self) -> str | None:
        """The kind of weight decay if that does not join the gradient."""
        return next(iter(self.kinds - {COUPLED}), None)


def training(program: Program, decay: str) -> Training:
    """Return how a program is trained; `decay` is the kind for weights whose layer names none."""
    owned = [each for each in program.frame.network.owned() if each.matrix.rule is not None]
    made = Training(any(each.matrix.rule.schedule.type for each in owned if each.matrix.rule))
    for each in owned:
        rule, path = each.matrix.rule, program.parameters[each.name].path
        assert rule is not None
        if rule.learning_rate <= 0:
            made.frozen.append(path)
            continue
        made.settings.append(_setting(program, made, each, rule, decay))
        made.limits += _limits(program, each, rule, f"model.{path}")
    if len(made.kinds) > 1:
        program.refuse(owned[0].layer, "weight decay of several kinds has no translation to PyTorch")
    return made


def _setting(program: Program, made: Training, owned: Owned, rule: UpdateRule, decay: str) -> Setting:
    if (period := program.frame.minibatches(owned)) > 1:
        message = f"updates after every {period} minibatches have no translation to PyTorch"
        program.refuse(owned.layer, message)
    path, taken = program.parameters[owned.name].path, max(rule.weight_decay, 0.0)
    kind = rule.decay or decay
    if kind == "none":
        taken = 0.0
    elif taken:
        made.kinds.add(COUPLED if kind in COUPLED_KINDS else kind)
    return Setting(path, _rate(program, owned, rule.schedule, made.changes), rule.momentum, taken)


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
