"""Values of a checkpoint as the text of a configuration file, which is read as exactly the same values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import TypeAlias

from convnet_cfg.errors import ConfigError
from convnet_cfg.language.dialect import EXTENSIONS, Dialect
from convnet_cfg.language.grammar import parse_sections
from convnet_cfg.language.kinds import Kind, Syntax
from convnet_cfg.language.schedules import DECIMAL
from convnet_cfg.legacy.values import Value

Entries: TypeAlias = Mapping[str, str]


class UnwritableError(ValueError):
    """A value that no text stands for; the message completes "conv1: padding "."""


def value_text(value: Value, kind: Kind | Syntax, dialect: Dialect) -> str:
    """Return the text of a value, or of a list of them.

    Raises:
        UnwritableError: there is none.
    """
    if isinstance(value, tuple):
        return ",".join(value_text(item, kind, dialect) for item in value)
    if isinstance(value, Mapping) and kind in _MAPPINGS:
        return _MAPPINGS[kind](value, dialect)
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int | float):
        return number_text(value)
    raise UnwritableError("is no number, text or list of them")


def number_text(number: float) -> str:
    """Return the shortest decimal without an exponent that is read as exactly this number.

    Raises:
        UnwritableError: it is infinite, or not a number.
    """
    if not math.isfinite(number):
        raise UnwritableError(f"is {number}")
    return format(Decimal(repr(number)), "f").removesuffix(".0")


def rate_text(rate: Mapping[str, Value], dialect: Dialect) -> str:
    """Return a learning rate with its schedule: a plain decimal, or `name[base=b;key=value]`."""
    name, values = _type_and_values(rate, "schedule")
    schedule = {**EXTENSIONS.schedules, **dialect.schedules}.get(name)
    if schedule is None:
        raise UnwritableError(f"has the schedule {name!r}, which {dialect.title} does not have")
    names = ("base", *schedule.parameters)
    texts = _texts(values, names, f"schedule {name}")
    if name == "const" and DECIMAL.fullmatch(texts[0]):
        return texts[0]
    return f"{name}[{';'.join(f'{key}={text}' for key, text in zip(names, texts, strict=True))}]"


def neuron_text(neuron: Mapping[str, Value], dialect: Dialect) -> str:
    """Return an activation with its parameters: `relu`, `tanh[1.7,0.66]`."""
    name, values = _type_and_values(neuron, "neuron")
    known = {**EXTENSIONS.neurons, **dialect.neurons}.get(name)
    if known is None:
        raise UnwritableError(f"is {name!r}, which {dialect.title} does not have")
    texts = _texts(values, known.parameters, f"neuron {name}")
    return f"{name}[{','.join(texts)}]" if texts else name


def shape_text(shape: Mapping[str, Value], _dialect: Dialect) -> str:
    """Return the schedule that stands beside a rate in the 2012 AlexNet program."""
    name, values = _type_and_values(shape, "schedule")
    if not values:
        return ""
    names = [*(key for key in values if key == "tgtFactor"), "noiseStdev"]
    names += [key for key in values if key not in names]
    texts = _texts(values, names, f"schedule {name}")
    return f"{name}[{','.join(f'{key}={text}' for key, text in zip(names, texts, strict=True))}]"


def _type_and_values(described: Mapping[str, Value], what: str) -> tuple[str, Mapping[str, Value]]:
    name, values = described.get("type"), described.get("params", {})
    if not isinstance(name, str) or not isinstance(values, Mapping):
        raise UnwritableError(f"is not a {what}: it has no type and parameters")
    return name, values


def _texts(values: Mapping[str, Value], names: Iterable[str], what: str) -> list[str]:
    wanted = list(names)
    if set(values) != set(wanted):
        raise UnwritableError(f"must have {', '.join(wanted) or 'no values'} for {what}")
    numbers = [values[name] for name in wanted]
    if not all(isinstance(number, int | float) for number in numbers):
        raise UnwritableError(f"has values of {what} that are no numbers")
    return [number_text(number) for number in numbers]  # type: ignore[arg-type]


_MAPPINGS: Mapping[object, Callable[[Mapping[str, Value], Dialect], str]] = {
    Syntax.RATE: rate_text,
    Syntax.NEURON: neuron_text,
    Syntax.REQUIRED_NEURON: neuron_text,
}


def section_text(name: str, entries: Entries, comments: Iterable[str] = ()) -> str:
    """Return a section of a configuration file."""
    lines = [f"# {comment}" for comment in comments]
    lines += [f"[{name}]", *(f"{key}={_escaped(text)}" for key, text in entries.items())]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def is_read_back(name: str, entries: Entries) -> bool:
    """Return whether a section is read as just this name with just these entries.

    Names and texts of a file may hold what would begin a line, a section, a comment or a reference.
    """
    try:
        sections = parse_sections(section_text(name, entries), "")
        found = {key: sections[each].get(key) for each in sections for key in sections[each].all_entries()}
    except ConfigError:
        return False
    read = {key: entry.text for key, entry in found.items() if entry is not None}
    return list(sections) == [name] and read == {key.lower(): text for key, text in entries.items()}
