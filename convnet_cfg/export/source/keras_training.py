"""How a network is trained: a table of rates, momenta and decays, and an optimizer that follows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from convnet_cfg import nn
from convnet_cfg.errors import ConfigError, Problem
from convnet_cfg.export.source.frame import Frame, Weight
from convnet_cfg.export.source.keras_emit import number, text
from convnet_cfg.export.source.text import INDENT
from convnet_cfg.language.schedules import Schedule
from convnet_cfg.model import constraint
from convnet_cfg.optim import DECAYS


def rate_of(schedule: Schedule) -> str:
    """Return the expression of a learning rate that changes with progress."""
    base = number(schedule.base)
    if schedule.type is None:
        return f"constant({base})"
    return RATES[schedule.name](base, *schedule.values)


def _stepped(name: str) -> Callable[..., str]:
    def rate(base: str, factor: float, count: int) -> str:
        if count <= 1:
            return f"constant({base} / {number(factor)})"
        return f"{name}({base}, {number(factor)}, {count})"

    return rate


RATES: Mapping[str, Callable[..., str]] = {
    "const": lambda base: f"constant({base})",
    "linear": lambda base, factor: f"linear({base}, {number(factor)})",
    "exp": lambda base, factor: f"exponential({base}, {number(factor)})",
    "dexp": _stepped("steps"),
    "jdexp": _stepped("smoothed_steps"),
}
LIMITS: Mapping[type[Any], Callable[[Any, str], str]] = {
    nn.ColumnNorm: lambda limit, kernel: f"set_column_norm({kernel}, {number(limit.norm)})",
    nn.ColumnNormLimit: lambda limit, kernel: (
        f"{'limit_norm_at_each_place' if limit.axes else 'limit_column_norm'}"
        f"({kernel}, {number(limit.limit)})"
    ),
    nn.ColumnSpread: lambda limit, kernel: (
        f"limit_column_spread({kernel}, {number(limit.minimum)}, {number(limit.maximum)})"
    ),
    nn.NonNegativeColumns: lambda limit, kernel: f"make_distributions({kernel})",
}

# What a decay takes off a weight beside the velocity; {first} is the learning rate at the start.
SHARES = {
    "decoupled": "decay",
    "decoupled-lr": "rate * decay",
    "decoupled-schedule": "rate / {first} * decay",
    "decoupled-matched": "rate / (1 - momentum) * decay",
    "after-step": "decay",
}
FORMULAS = {name: decay.formula.partition("; d")[0] for name, decay in DECAYS.items()}


def limited(limit: Any, kernel: str) -> str:
    """Return the expression of a kernel that is held to a limit."""
    if isinstance(limit, nn.Chain):
        for part in limit.constraints:
            kernel = limited(part, kernel)
        return kernel
    return LIMITS[type(limit)](limit, kernel)


class Training:
    """What the parameter file says, in the words of the file that is written.

    `paths` are those of the variables in Keras by their names in a run; `decay` is the kind of weight decay
    of matrices that name none.

    Raises:
        ConfigError: something cannot be said in these words.
    """

    def __init__(self, frame: Frame, paths: Mapping[str, str], decay: str) -> None:
        self.frame = frame
        self.paths = paths
        self.default = decay
        self.weights = frame.weights
        self.scheduled = any(
            self.rule(weight).schedule.type for weight in self.weights if self.active(weight)
        )
        self._check_schedules()
        kinds = {self.kind(weight) for weight in self.weights if self.decayed(weight)}
        if len(kinds) > 1:
            first = self.weights[0].owner.layer
            message = f"decays of several kinds cannot be translated together: {', '.join(sorted(kinds))}"
            raise ConfigError([Problem(first.place, first.name, message)])
        self.decay = next(iter(kinds), "none")

    def _check_schedules(self) -> None:
        problems = []
        for weight in self.weights:
            layer, schedule = weight.owner.layer, self.rule(weight).schedule
            if self.active(weight) and schedule.name not in RATES:
                message = f"the schedule {schedule.name} cannot be translated"
                problems.append(Problem(layer.place, layer.name, message))
        if problems:
            raise ConfigError(problems)

    def rule(self, weight: Weight) -> Any:
        """Return the rule of update of a weight."""
        rule = weight.owner.matrix.rule
        assert rule is not None
        return rule

    def active(self, weight: Weight) -> bool:
        """Return whether a weight is trained at all."""
        return bool(self.rule(weight).learning_rate > 0)

    def decayed(self, weight: Weight) -> bool:
        """Return whether a weight decays."""
        return self.active(weight) and self.rule(weight).weight_decay > 0

    def kind(self, weight: Weight) -> str:
        """Return the kind of decay of a weight."""
        return self.rule(weight).decay or self.default

    def period(self, weight: Weight) -> int:
        """Return how many minibatches make one update."""
        return self.frame.minibatches(weight.owner)

    # -- tables

    def table(self) -> Iterator[str]:
        """Yield the lines of the table of all variables."""
        what = "learning rate as a function of progress" if self.scheduled else "learning rate"
        frozen = "" if all(map(self.active, self.weights)) else "; None: the variable is not trained"
        yield f"# {what}, momentum, weight decay{frozen}"
        yield "HYPERPARAMETERS = {"
        for weight in self.weights:
            yield f"{INDENT}{text(self.paths[weight.name])}: {self._row(weight)},"
        yield "}"

    def _row(self, weight: Weight) -> str:
        if not self.active(weight):
            return "None"
        rule = self.rule(weight)
        rate = rate_of(rule.schedule) if self.scheduled else number(rule.learning_rate)
        decay = rule.weight_decay if self.decayed(weight) and self.decay != "none" else 0.0
        return f"({rate}, {number(rule.momentum)}, {number(decay)})"

    def limits(self) -> Iterator[str]:
        """Yield the lines of the table of what kernels are held to; none if there is nothing."""
        found = {
            self.paths[weight.name]: limit
            for weight in self.weights
            if self.active(weight) and (limit := constraint(weight.owner)) is not None
        }
        if found:
            yield "# what kernels are held to after each update"
            yield "LIMITS = {"
            for path, limit in found.items():
                yield f"{INDENT}{text(path)}: lambda kernel: {limited(limit, 'kernel')},"
            yield "}"

    def periods(self) -> Iterator[str]:
        """Yield the lines of the table of periods of updates; none if each minibatch makes one."""
        found = {self.paths[weight.name]: self.period(weight) for weight in self.weights}
        if max(found.values(), default=1) > 1:
            yield "# how many minibatches make an update, by their mean gradient; 1 where nothing is said"
            yield "PERIODS = {"
            yield from (f"{INDENT}{text(path)}: {period}," for path, period in found.items() if period > 1)
            yield "}"
