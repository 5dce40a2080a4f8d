"""How a network is trained: a table of rates, momenta and decays, and an optimizer that follows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from convnet_cfg import nn
from convnet_cfg.errors import ConfigError, Problem
from convnet_cfg.export.source.frame import Frame, Weight
from convnet_cfg.export.source.keras_emit import number, text
from convnet_cfg.export.source.text import INDENT, WIDTH, docstring
from convnet_cfg.export.source.updates import (
    BY_EPOCHS,
    first_rate_problem,
    gathers_at_rates,
    reached_by_costs,
    rule_of,
)
from convnet_cfg.language.params import UpdateRule
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


def _stepped_by_epochs(base: str, tau: float, steps_per_epoch: int) -> str:
    steps = max(steps_per_epoch, 1)
    count = "epochs + 1" if steps == 1 else f"{steps} * epochs + 1"
    return f"exponential_steps({base}, {number(tau * steps)}, {count})"


RATES: Mapping[str, Callable[..., str]] = {
    "const": lambda base: f"constant({base})",
    "linear": lambda base, factor: f"linear({base}, {number(factor)})",
    "exp": lambda base, factor: f"exponential({base}, {number(factor)})",
    "dexp": _stepped("steps"),
    "jdexp": _stepped("smoothed_steps"),
    BY_EPOCHS: _stepped_by_epochs,
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
# The whole step as a function of keras_layers, for networks with several kinds; {first} as above.
STEPS = {
    "cuda-convnet": "coupled",
    "l2": "coupled",
    "decoupled": "decoupled",
    "decoupled-lr": "decoupled_lr",
    "decoupled-schedule": "decoupled_schedule({first})",
    "decoupled-matched": "decoupled_matched",
    "after-step": "after_step",
    "none": "no_decay",
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
        self._check_schedules()
        schedules = [self.rule(weight).schedule for weight in self.weights if self.active(weight)]
        self.scheduled = any(schedule.type for schedule in schedules)
        self.by_epochs = any(schedule.name == BY_EPOCHS for schedule in schedules)
        self.lengths = ["total_steps"] * self.scheduled + ["epochs"] * self.by_epochs
        self.name = "hyperparameters()" if self.by_epochs else "HYPERPARAMETERS"
        kinds = {self.kind(weight) for weight in self.weights} - {"none"}
        self.several = len({STEPS[kind] for kind in kinds}) > 1
        self.decay = min(kinds, default="none")

    def _check_schedules(self) -> None:
        problems = []
        for weight in self.weights:
            layer, schedule = weight.owner.layer, self.rule(weight).schedule
            if self.active(weight) and schedule.name not in RATES:
                message = f"the schedule {schedule.name} cannot be translated"
                problems.append(Problem(layer.place, layer.name, message))
            elif problem := first_rate_problem(weight.owner, self.kind(weight)):
                problems.append(problem)
        if problems:
            raise ConfigError(problems)

    def rule(self, weight: Weight) -> UpdateRule:
        """Return the rule of update of a weight."""
        return rule_of(weight.owner)

    def active(self, weight: Weight) -> bool:
        """Return whether a weight is trained at all."""
        return self.rule(weight).learning_rate > 0

    def kind(self, weight: Weight) -> str:
        """Return the kind of decay of a weight, `none` if it does not decay."""
        rule = self.rule(weight)
        decays = self.active(weight) and rule.weight_decay > 0
        return rule.decay or self.default if decays else "none"

    def period(self, weight: Weight) -> int:
        """Return how many minibatches make one update of a weight that is trained."""
        return self.frame.minibatches(weight.owner) if self.active(weight) else 1

    def at_own_rates(self, weight: Weight) -> bool:
        """Return whether the gradients of an update count with the rates of their minibatches."""
        return gathers_at_rates(self.frame, weight.owner)

    def needs_zeros(self) -> bool:
        """Return whether a variable changes though no cost depends on it, and so it has no gradient."""
        reached = reached_by_costs(self.frame)
        alone = [weight for weight in self.weights if self.active(weight) and weight.name not in reached]
        return any(self.kind(weight) != "none" or constraint(weight.owner) is not None for weight in alone)

    # -- tables

    def table(self) -> Iterator[str]:
        """Yield the lines of the table of all variables; it is a function if it depends on the epochs."""
        if self.by_epochs:
            yield "def hyperparameters(epochs):"
            yield from docstring(f"Return of each variable: {self._columns()}.", INDENT)
            yield f"{INDENT}return {{"
            yield from self._rows(INDENT * 2)
            yield f"{INDENT}}}"
        else:
            yield f"# {self._columns()}"
            yield "HYPERPARAMETERS = {"
            yield from self._rows(INDENT)
            yield "}"

    def _columns(self) -> str:
        rate = "learning rate as a function of progress" if self.scheduled else "learning rate"
        step = ", step" if self.several else ""
        frozen = "" if all(map(self.active, self.weights)) else "; None: the variable is not trained"
        return f"{rate}, momentum, weight decay{step}{frozen}"

    def _rows(self, indent: str) -> Iterator[str]:
        for weight in self.weights:
            key, numbers = text(self.paths[weight.name]), self._numbers(weight)
            row = f"{indent}{key}: ({', '.join(numbers)})," if numbers else f"{indent}{key}: None,"
            if len(row) <= WIDTH:
                yield row
            else:
                yield from (
                    f"{indent}{key}: (",
                    *(f"{indent}{INDENT}{each}," for each in numbers),
                    f"{indent}),",
                )

    def _numbers(self, weight: Weight) -> list[str]:
        """Return what the table says of a weight, nothing if it is not trained."""
        if not self.active(weight):
            return []
        rule, kind = self.rule(weight), self.kind(weight)
        rate = rate_of(rule.schedule) if self.scheduled else number(rule.learning_rate)
        decay = 0.0 if kind == "none" else rule.weight_decay
        step = [STEPS[kind].format(first=number(rule.learning_rate))] if self.several else []
        return [rate, number(rule.momentum), number(decay), *step]

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
        if own := [self.paths[weight.name] for weight in self.weights if self.at_own_rates(weight)]:
            yield "# of these each gradient counts with the learning rate of its own minibatch"
            yield "AT_OWN_RATES = {"
            yield from (f"{INDENT}{text(path)}," for path in own)
            yield "}"
