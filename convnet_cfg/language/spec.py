"""How a section becomes a typed value: keys are dataclass fields, read as they are declared."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from convnet_cfg.errors import ConfigError, Place, Problem, Severity, did_you_mean
from convnet_cfg.language.grammar import Entry, Section
from convnet_cfg.language.kinds import ExplainedError, Kind, read_list, read_value

REQUIRED: Any = dataclasses.MISSING


class Key(NamedTuple):
    """The declaration of one key: its name in the file, its kind, whether it has a value for each input."""

    name: str
    kind: Kind
    default: Any
    per_input: bool
    is_list: bool
    aliases: tuple[str, ...]
    missing_hint: str
    only_with: str


def key(
    name: str,
    kind: Kind,
    *,
    default: Any = REQUIRED,
    per_input: bool = False,
    is_list: bool = False,
    aliases: tuple[str, ...] = (),
    missing_hint: str = "",
    only_with: str = "",
) -> Any:
    """Declare a dataclass field that is read from the key `name`.

    `only_with` names an earlier field, a list: the key is looked at only if one of its items is true.
    """
    declaration = Key(name, kind, default, per_input, is_list, aliases, missing_hint, only_with)
    return dataclasses.field(metadata={"key": declaration})


class Report:
    """Collects what is to be said of one section."""

    def __init__(self, problems: list[Problem], section: Section) -> None:
        self.problems = problems
        self.section = section

    def error(self, message: str, key: str | None = None, severity: Severity = Severity.ERROR) -> None:
        """Add a problem, at the value of `key` if the section has it."""
        self.problems.append(Problem(self._place(key), self.section.name, message, severity))

    def suspect(self, message: str, key: str | None = None) -> None:
        """Add what is an error unless the reader is lenient."""
        self.error(message, key, Severity.SUSPECT)

    def warning(self, message: str, key: str | None = None) -> None:
        """Add a warning."""
        self.error(message, key, Severity.WARNING)

    def note(self, message: str, key: str | None = None) -> None:
        """Add what only the curious want to know."""
        self.error(message, key, Severity.NOTE)

    def about_key(self, entry: Entry, message: str, severity: Severity) -> None:
        """Add a problem at the key itself, not at its value."""
        self.problems.append(Problem(entry.place, self.section.name, message, severity))

    def _place(self, key: str | None) -> Place:
        entry = self.section.all_entries().get(key.lower()) if key else None
        return entry.value_place if entry else self.section.place


Declared = TypeVar("Declared")


@dataclass(frozen=True)
class _Unread:
    """Stands for a value that could not be read; its problem is reported."""


UNREAD = _Unread()


def declared_keys(declarations: type[Any]) -> dict[str, Key]:
    """Return the declarations of a dataclass by field name."""
    return {field.name: field.metadata["key"] for field in dataclasses.fields(declarations) if field.metadata}


def key_names(declarations: type[Any]) -> list[str]:
    """Return the names, aliases among them, of the keys that a dataclass declares."""
    return [name for key in declared_keys(declarations).values() for name in (key.name, *key.aliases)]


def read_spec(
    declarations: type[Declared], section: Section, report: Report, inputs: int | None = None
) -> Declared | None:
    """Build a dataclass from a section; None where a value is missing or wrong, which is reported.

    `inputs` is the number of values that keys with a value for each input must have, None if it is unknown.
    """
    known = {name.lower() for name in key_names(declarations)}
    strangers = [entry.key for name, entry in section.entries.items() if name not in known]
    values: dict[str, Any] = {}
    for name, declared in declared_keys(declarations).items():
        if declared.only_with and not _has_true(values[declared.only_with]):
            values[name] = _default(declared, inputs)
        else:
            values[name] = _read_key(declared, section, report, inputs, strangers)
    if any(value is UNREAD for value in values.values()):
        return None
    return declarations(**values)


def _read_key(
    declared: Key, section: Section, report: Report, inputs: int | None, strangers: list[str]
) -> Any:
    try:
        entry = find_entry(section, (declared.name, *declared.aliases))
        if entry is not None:
            return _convert(declared, entry, inputs)
    except ConfigError as error:
        report.problems.extend(error.problems)
        return UNREAD
    except ExplainedError as error:
        report.error(str(error), declared.name)
        return UNREAD
    if declared.default is not REQUIRED:
        return _default(declared, inputs)
    hint = did_you_mean(declared.name, strangers).replace("did you mean", "is it meant by")
    report.error(
        f"{declared.name} is missing: expected {declared.kind.expected}{declared.missing_hint}{hint}"
    )
    return UNREAD


def _default(declared: Key, inputs: int | None) -> Any:
    return (declared.default,) * (inputs or 1) if declared.per_input else declared.default


def _has_true(values: Any) -> bool:
    """Return whether one of the values is true, or there is no telling."""
    return values is UNREAD or any(values)


def find_entry(section: Section, names: Iterable[str]) -> Entry | None:
    """Return the first entry that has one of the names, its references replaced."""
    return next((entry for name in names if (entry := section.get(name)) is not None), None)


def _convert(declared: Key, entry: Entry, inputs: int | None) -> Any:
    if not (declared.per_input or declared.is_list):
        return read_value(declared.kind, declared.name, entry.text)
    values = read_list(declared.kind, declared.name, entry.text)
    if declared.per_input and inputs is not None and len(values) != inputs:
        raise ExplainedError(
            f"{declared.name} has {count(len(values), 'value')} for {count(inputs, 'input')}"
        )
    return values


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return "1 value", "2 values"."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
