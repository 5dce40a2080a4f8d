"""How a section becomes a typed value: keys are dataclass fields, read as they are declared."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, Protocol, TypeVar

from convnet_cfg.errors import ConfigError, Place, Problem, Severity, did_you_mean, shorten
from convnet_cfg.language.grammar import Entry, Section
from convnet_cfg.language.kinds import ExplainedError, Kind, Syntax, as_list, read_list, read_value

REQUIRED: Any = dataclasses.MISSING


class Key(NamedTuple):
    """The declaration of one key: its name in the file, its kind, whether it has a value for each input."""

    name: str
    kind: Kind | Syntax
    default: Any
    per_input: bool
    is_list: bool
    aliases: tuple[str, ...]
    missing_hint: str
    only_with: str
    broadcasts: bool
    doc: str

    @property
    def names(self) -> tuple[str, ...]:
        """The names under which the key is found, the usual one first."""
        return (self.name, *self.aliases)


class Ignored(NamedTuple):
    """Why a program does not read a key that a relative of it reads, and how much that matters."""

    reason: str
    severity: Severity = Severity.WARNING


class Reading(Protocol):
    """How a dialect reads values."""

    @property
    def broadcasts(self) -> bool:
        """Whether one value stands for all inputs of a layer."""

    @property
    def kinds(self) -> Mapping[Syntax, Kind]:
        """How this program wrote what each program wrote in its own way."""

    @property
    def ignored(self) -> Mapping[str, Ignored]:
        """The keys, lower-cased, that this program does not read wherever they stand."""


def key(
    name: str,
    kind: Kind | Syntax,
    *,
    default: Any = REQUIRED,
    per_input: bool = False,
    is_list: bool = False,
    aliases: tuple[str, ...] = (),
    missing_hint: str = "",
    only_with: str = "",
    broadcasts: bool = True,
    doc: str = "",
) -> Any:
    """Declare a dataclass field that is read from the key `name`.

    `only_with` names an earlier field, a list: the key is looked at only if one of its items is true.
    `broadcasts`: in a dialect where one value stands for all inputs, it does so here.
    `doc` is a sentence for the reference, with units; without it, that of the field declared anew counts.
    """
    declaration = Key(
        name, kind, default, per_input, is_list, aliases, missing_hint, only_with, broadcasts, doc
    )
    return dataclasses.field(metadata={"key": declaration})


class Report:
    """Collects what is to be said of one section; `declarations` say what other names its keys may have."""

    def __init__(
        self, problems: list[Problem], section: Section, declarations: type[Any] | None = None
    ) -> None:
        self.problems = problems
        self.section = section
        self.declarations = declarations

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

    def about_key(self, entry: Entry, message: str, severity: Severity, ignored: bool) -> None:
        """Add a problem at the key itself, not at its value; see `Problem` for `ignored`."""
        self.problems.append(Problem(entry.place, self.section.name, message, severity, ignored))

    def written(self, key: str) -> str:
        """Return the name by which the section has a key: an older one where it has that."""
        keys = declared_keys(self.declarations).values() if self.declarations else ()
        names = next((declared.names for declared in keys if declared.name == key), ())
        return next((name for name in names if self.section.find(name)), key)

    def _place(self, key: str | None) -> Place:
        entry = self.section.find(self.written(key)) if key else None
        return entry.value_place if entry else self.section.place


Declared = TypeVar("Declared")


@dataclass(frozen=True)
class _Unread:
    """Stands for a value that could not be read; its problem is reported."""


UNREAD = _Unread()


def declared_keys(declarations: Any) -> Mapping[str, Key]:
    """Return the declarations of a dataclass by field name."""
    return _declared_keys(declarations)


@cache
def _declared_keys(declarations: Any) -> Mapping[str, Key]:
    return {field.name: field.metadata["key"] for field in dataclasses.fields(declarations) if field.metadata}


def documented_keys(declarations: type[Any]) -> dict[str, Key]:
    """Return the declarations of a dataclass by field name, each with the sentence that counts for it."""
    sentences: dict[str, str] = {}
    for base in reversed(declarations.__mro__):
        keys = declared_keys(base) if dataclasses.is_dataclass(base) else {}
        anew = vars(base).get("__annotations__", {})
        sentences |= {name: key.doc for name, key in keys.items() if name in anew and key.doc}
    return {
        name: key._replace(doc=sentences.get(name, "")) for name, key in declared_keys(declarations).items()
    }


def key_names(declarations: type[Any], dialect: Reading) -> list[str]:
    """Return the names, aliases among them, of the keys that a dialect reads of a dataclass."""
    names = [name for key in declared_keys(declarations).values() for name in key.names]
    return [name for name in names if name.lower() not in dialect.ignored]


def read_spec(
    declarations: type[Declared],
    section: Section,
    report: Report,
    dialect: Reading,
    inputs: int | None = None,
) -> Declared | None:
    """Build a dataclass from a section; None where a value is missing or wrong, which is reported.

    `inputs` is the number of values that keys with a value for each input must have, None if it is unknown.
    """
    reader = _Reader(section, report, dialect, inputs, key_names(declarations, dialect))
    values: dict[str, Any] = {}
    for name, declared in declared_keys(declarations).items():
        if declared.only_with and not _has_true(values[declared.only_with]):
            values[name] = reader.default(declared)
        else:
            values[name] = reader.value(declared)
    if any(value is UNREAD for value in values.values()):
        return None
    return declarations(**values)


class _Reader:
    """Reads the keys of one section."""

    def __init__(
        self, section: Section, report: Report, dialect: Reading, inputs: int | None, known: list[str]
    ) -> None:
        self.section = section
        self.report = report
        self.dialect = dialect
        self.inputs = inputs
        lowered = {name.lower() for name in known}
        self.strangers = [entry.key for name, entry in section.entries.items() if name not in lowered]
        self.wrong: set[str] = set()  # names whose values are reported, that two keys may have in common

    def value(self, declared: Key) -> Any:
        """Return the value of a key, or UNREAD where it is missing or wrong, which is reported."""
        kind = self._kind(declared)
        try:
            found = self._entries(declared)
        except ConfigError as error:
            self.report.problems.extend(error.problems)
            return UNREAD
        if found:
            return self._read(declared, kind, found)
        if declared.default is not REQUIRED:
            return self.default(declared)
        hint = did_you_mean(declared.name, self.strangers).replace("did you mean", "is it meant by")
        several = declared.is_list or (declared.per_input and self.inputs not in (None, 1))
        expected = as_list(kind) if several else kind.expected
        self.report.error(f"{declared.name} is missing: expected {expected}{declared.missing_hint}{hint}")
        return UNREAD

    def default(self, declared: Key) -> Any:
        """Return what counts without the key."""
        return (declared.default,) * (self.inputs or 1) if declared.per_input else declared.default

    def _kind(self, declared: Key) -> Kind:
        kind = declared.kind
        return self.dialect.kinds[kind] if isinstance(kind, Syntax) else kind

    def _entries(self, declared: Key) -> dict[str, Entry]:
        """Return the entries of a key by the names that they have, their references replaced."""
        names = [name for name in declared.names if name.lower() not in self.dialect.ignored]
        return {name: entry for name in names if (entry := self.section.get(name)) is not None}

    def _read(self, declared: Key, kind: Kind, found: Mapping[str, Entry]) -> Any:
        *_, older = found
        if len({entry.text for entry in found.values()}) > 1:
            given = " and ".join(f"{name}={shorten(entry.text)}" for name, entry in found.items())
            self.report.error(f"{given} are two names of one key: give one of them", older)
            return UNREAD
        try:
            return self._convert(declared, kind, older, found[older].text)
        except ExplainedError as error:
            if older not in self.wrong:
                self.report.error(str(error), older)
            self.wrong.add(older)
            return UNREAD

    def _convert(self, declared: Key, kind: Kind, name: str, text: str) -> Any:
        if not (declared.per_input or declared.is_list):
            return read_value(kind, name, text)
        values = read_list(kind, name, text)
        inputs = self.inputs
        if not declared.per_input or inputs is None or len(values) == inputs:
            return values
        broadcasts = declared.broadcasts and self.dialect.broadcasts
        if len(values) == 1 and broadcasts:
            return values * inputs
        one = " (1 would do for all)" if broadcasts and inputs > 1 else ""
        raise ExplainedError(f"{name} has {count(len(values), 'value')} for {count(inputs, 'input')}{one}")


def _has_true(values: Any) -> bool:
    """Return whether one of the values is true, or there is no telling."""
    return values is UNREAD or any(values)


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return "1 value", "2 values"."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
