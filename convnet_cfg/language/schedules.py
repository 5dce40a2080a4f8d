"""Learning rates that change with the progress of the training (spec: params.md section 3, forks.md 1.3)."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple

from convnet_cfg.errors import did_you_mean, shorten
from convnet_cfg.language.kinds import (
    INTEGER,
    NUMBER,
    POSITIVE,
    ExplainedError,
    Kind,
    read_number,
    read_value,
)


class Progress(NamedTuple):
    """How far a training is: the fraction of all its batches, from 0 to 1, and the epochs it is to have."""

    fraction: float
    epochs: int = 1


class ScheduleType(NamedTuple):
    """A shape of schedule: its parameters beside the base rate, its formula, and the rate.

    `rate` is called with the base rate, the progress, and the values of the parameters.
    """

    parameters: Mapping[str, Kind]
    formula: str
    rate: Callable[..., float]


@dataclass(frozen=True)
class Schedule:
    """One learning rate: a base rate, and what becomes of it; `name` as in the table of schedules."""

    base: float
    name: str = "const"
    type: ScheduleType | None = None
    values: tuple[float, ...] = ()

    def rate(self, progress: Progress) -> float:
        """Return the rate that is in force.

        The fraction is rounded to float32 first, as the original did; on a boundary between two steps that
        decides which it is.
        """
        if self.type is None:
            return self.base
        (rounded,) = struct.unpack("f", struct.pack("f", progress.fraction))
        return self.type.rate(self.base, progress._replace(fraction=rounded), *self.values)

    @property
    def begins_at_base(self) -> bool:
        """Whether the rate at the start is the base rate: it is not with steps of which there is only one."""
        return self.rate(Progress(0.0)) == self.base

    def with_base(self, base: float) -> Schedule:
        """Return the same shape from another base rate."""
        return Schedule(base, self.name, self.type, self.values)

    def same_shape(self, other: Schedule) -> bool:
        """Return whether both rates keep their ratio all the time."""
        return self.with_base(other.base) == other


def _constant(base: float, now: Progress) -> float:
    return base


def _linear(base: float, now: Progress, target_factor: float) -> float:
    return base * (1 - now.fraction) + base / target_factor * now.fraction


def _exponential(base: float, now: Progress, target_factor: float) -> float:
    return float(base * target_factor**-now.fraction)


def _step(now: Progress, steps: int) -> int:
    """Return the smallest i with fraction <= (i + 1) / steps."""
    step = max(0, math.ceil(now.fraction * steps) - 1)
    while now.fraction > (step + 1) / steps:
        step += 1
    while step > 0 and now.fraction <= step / steps:
        step -= 1
    return step


def _at_step(base: float, step: int, target_factor: float, steps: int) -> float:
    return float(base * target_factor ** (-step / (steps - 1)))


def _discrete(base: float, now: Progress, target_factor: float, steps: int) -> float:
    if steps <= 1:
        return base / target_factor
    return _at_step(base, _step(now, steps), target_factor, steps)


def _smoothed(base: float, now: Progress, target_factor: float, steps: int) -> float:
    """As `dexp`, with half a step back in the second half of each step."""
    rate = _discrete(base, now, target_factor, steps)
    if steps <= 1:
        return rate
    step = _step(now, steps)
    if step > 0 and 0.2 < now.fraction < 0.9 and now.fraction > (step + 0.5) / steps:
        return math.sqrt(rate * _at_step(base, step - 1, target_factor, steps))
    return rate


def _per_epoch(base: float, now: Progress, tau: float, steps_per_epoch: int) -> float:
    per_epoch = max(steps_per_epoch, 1)
    return base * math.exp(-_step(now, per_epoch * now.epochs + 1) / (tau * per_epoch))


FACTOR = {"tgtFactor": POSITIVE}
STEPS = {**FACTOR, "numSteps": INTEGER}

V2_SCHEDULES: Mapping[str, ScheduleType] = {
    "const": ScheduleType({}, "base", _constant),
    "linear": ScheduleType(FACTOR, "base (1 - P) + base / tgtFactor P", _linear),
    "exp": ScheduleType(FACTOR, "base tgtFactor^-P", _exponential),
    "dexp": ScheduleType(
        STEPS, "base tgtFactor^(-i / (numSteps - 1)), i the smallest with P <= (i + 1) / numSteps", _discrete
    ),
}

# One parameter more than those of v2, which came to nothing: noise on the rate.
NO_NOISE = Kind(lambda text: _refuse_noise(read_number(text)), "0 (noise on rates is not supported)")
AX_SCHEDULES: Mapping[str, ScheduleType] = {
    "linear": V2_SCHEDULES["linear"],
    "exp": V2_SCHEDULES["exp"],
    "dexp": V2_SCHEDULES["dexp"],
    "jdexp": ScheduleType(
        STEPS,
        "as dexp; the geometric mean with the step before while 0.2 < P < 0.9 and P > (i + 0.5) / numSteps",
        _smoothed,
    ),
}
EMDRP_SCHEDULES: Mapping[str, ScheduleType] = {
    **V2_SCHEDULES,
    "texp": ScheduleType(
        {"tau": POSITIVE, "stepsPerEpoch": INTEGER},
        "base e^(-i / (tau stepsPerEpoch)), i the smallest with P <= (i + 1) / (stepsPerEpoch epochs + 1)",
        _per_epoch,
    ),
}


def _refuse_noise(value: float) -> float:
    if value != 0:
        raise ValueError(value)
    return value


DECIMAL = re.compile(r"(?:[0-9]*\.)?[0-9]+", re.ASCII)
WITH_ARGUMENTS = re.compile(r"(?P<name>\w+)\s*\[(?P<arguments>.*)\]\s*", re.ASCII | re.DOTALL)


CUT_OFF = "the schedule {!r} is cut off: its values are separated by ';' without a blank before it"


def _is_cut_off(text: str) -> bool:
    """Return whether a schedule ends early: a comma begins a new value, a blank and `;` a comment."""
    return "[" in text and "]" not in text


def constant_kind() -> Kind:
    """Return the kind of a rate that is a plain number, as in v1."""
    return Kind(lambda text: Schedule(read_number(text)), NUMBER.expected, NUMBER.plural)


def schedule_kind(schedules: Mapping[str, ScheduleType]) -> Kind:
    """Return the kind of a rate in the way of v2: a plain decimal, or `name[base=b;key=value]`."""
    forms = [
        f"{name}[{';'.join(f'{key}=' for key in ('base', *type.parameters))}]"
        for name, type in schedules.items()
    ]
    expected = f"a decimal number such as 0.001 (no sign, no exponent), or one of {', '.join(forms)}"

    def convert(text: str) -> Schedule:
        if DECIMAL.fullmatch(text):
            return Schedule(read_number(text))
        if (match := WITH_ARGUMENTS.fullmatch(text)) is None:
            raise ExplainedError(CUT_OFF.format(shorten(text))) if _is_cut_off(text) else ValueError(text)
        name, type = _find(match["name"], schedules)
        base, *values = _arguments(name, {"base": NUMBER, **type.parameters}, match["arguments"].split(";"))
        return _finite(Schedule(base, name, type, tuple(values)))

    return Kind(convert, expected, f"rates, each {expected}")


def shape_kind(schedules: Mapping[str, ScheduleType]) -> Kind:
    """Return the kind of `schedW` in the 2012 AlexNet program: `name[key=value,...]`, without a base."""
    orders = {name: _ax_parameters(type) for name, type in schedules.items()}
    forms = ", ".join(f"{name}[{','.join(f'{key}=' for key in keys)}]" for name, keys in orders.items())

    def convert(text: str) -> Schedule:
        if text.lower() == "default":
            return Schedule(1.0)
        match = WITH_ARGUMENTS.fullmatch(text)
        name, type = _find(match["name"] if match else text, schedules)
        target, _, *steps = _arguments(name, orders[name], match["arguments"].split(",") if match else [])
        return _finite(Schedule(1.0, name, type, (target, *steps)))

    return Kind(convert, f"default or one of {forms}")


def _finite(schedule: Schedule) -> Schedule:
    """Return the schedule if its rate stays a number: a tiny factor would divide by almost nothing."""
    try:
        rates = [schedule.rate(Progress(fraction)) for fraction in (0.0, 1.0)]
    except OverflowError:
        rates = [math.inf]
    except Exception as error:
        # One of the user's may raise anything.
        raise ExplainedError(f"schedule {schedule.name} fails: {type(error).__name__}: {error}") from error
    strange = [rate for rate in rates if not (isinstance(rate, Real) and math.isfinite(rate))]
    if strange:
        raise ExplainedError(
            f"schedule {schedule.name} must lead to rates that are finite numbers, not {strange[0]!r}"
        )
    return schedule


def _ax_parameters(type: ScheduleType) -> dict[str, Kind]:
    """The noise stands behind the factor."""
    factor, *others = type.parameters.items()
    return dict([factor, ("noiseStdev", NO_NOISE), *others])


def _find(name: str, schedules: Mapping[str, ScheduleType]) -> tuple[str, ScheduleType]:
    by_lower = {known.lower(): known for known in schedules}
    if (known := by_lower.get(name.lower())) is None:
        names = ", ".join(schedules)
        raise ExplainedError(
            f"no schedule {shorten(name)!r}{did_you_mean(name, schedules)}: there are {names}"
        )
    return known, schedules[known]


def _arguments(name: str, kinds: Mapping[str, Kind], texts: Sequence[str]) -> list[Any]:
    """Return the values of `key=value` texts, which must have just these keys in this order."""
    pairs = [tuple(part.strip() for part in text.partition("=")) for text in texts]
    if [key.lower() for key, _, _ in pairs] != [key.lower() for key in kinds] or not all(
        sign for _, sign, _ in pairs
    ):
        given = shorten(", ".join(text.strip() for text in texts))
        raise ExplainedError(
            f"schedule {name} takes {', '.join(f'{k}=' for k in kinds)} in this order, got {given!r}"
        )
    return [
        read_value(kind, f"{name}'s {key}", text)
        for (key, kind), (_, _, text) in zip(kinds.items(), pairs, strict=True)
    ]
