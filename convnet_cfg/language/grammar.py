"""Text to sections of entries, each with its place: the INI dialect that cuda-convnet read.

The dialect is that of Python 2.7's `SafeConfigParser` (spec: grammar.md, sections 1 to 3), which differs
from today's `configparser` in nearly every rule about comments, indentation and continuation lines.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from convnet_cfg.errors import ConfigError, Place, Problem, UsageError, shorten

DEFAULT_SECTION = "DEFAULT"
MAX_INTERPOLATION_DEPTH = 10
MAX_INTERPOLATION_LENGTH = 100_000

BLANKS = " \t\r\n\f\v"  # to Python 2, nothing else was white space: no no-break space, for instance
HEADER = re.compile(r"\[(?P<name>[^]]+)\]")
OPTION = re.compile(r"(?P<key>[^:=\s][^:=]*)[:=]\s*(?P<value>.*)$", re.DOTALL | re.ASCII)
REMARK = re.compile(r"rem(\s|$)", re.IGNORECASE | re.ASCII)
REFERENCE = re.compile(r"%(?:%|\((?P<name>[^)]{,200}+)\)s)?")  # a limit, lest `%(%(%(...` take minutes


@dataclass
class Entry:
    """One `key=value`; `key` and `text` as written, continuation lines joined by newlines."""

    key: str
    text: str
    place: Place
    value_place: Place


@dataclass
class Section:
    """One `[name]` with its entries by lower-cased key; `defaults` are those of `[DEFAULT]`."""

    name: str
    place: Place
    entries: dict[str, Entry] = field(default_factory=dict)
    defaults: dict[str, Entry] = field(default_factory=dict)

    def get(self, key: str) -> Entry | None:
        """Return the entry of a key in any case, its references replaced, or None.

        Raises:
            ConfigError: a `%` reference is malformed, missing or nested too deeply.
        """
        entry = self.find(key)
        if entry is None:
            return None
        return Entry(entry.key, _Interpolation(self, entry).result, entry.place, entry.value_place)

    def find(self, key: str) -> Entry | None:
        """Return the entry of a key in any case as it stands in the file, or None."""
        lowered = key.lower()
        return self.entries.get(lowered) or self.defaults.get(lowered)

    def all_entries(self) -> dict[str, Entry]:
        """Return the entries with those of `[DEFAULT]` behind them."""
        return {**self.defaults, **self.entries}


class _Interpolation:
    """Replaces `%(other)s` in an entry by another entry of the section, and `%%` by `%`."""

    def __init__(self, section: Section, entry: Entry) -> None:
        self.section = section
        self.entry = entry
        self.length = 0  # of everything inserted, so that a few lines cannot ask for terabytes
        self.result = self._expand(entry.text, 0)

    def _expand(self, text: str, depth: int) -> str:
        if depth > MAX_INTERPOLATION_DEPTH:
            raise self._error("refers to itself through '%(...)s', or too deeply")
        return REFERENCE.sub(lambda match: self._replacement(match, depth), text)

    def _replacement(self, match: re.Match[str], depth: int) -> str:
        if match[0] == "%%":
            return "%"
        name = match["name"]
        if name is None:
            raise self._error("has a lone '%': write '%%', or '%(key)s' for a value")
        if name.lower() == "__name__":
            return self.section.name
        other = self.section.find(name)
        if other is None:
            raise self._error(f"refers to '%({shorten(name)})s', and there is no such key here")
        self.length += len(other.text) + 1
        if self.length > MAX_INTERPOLATION_LENGTH:
            raise self._error("grows too long through '%(...)s'")
        return self._expand(other.text, depth + 1)

    def _error(self, message: str) -> ConfigError:
        key = shorten(self.entry.key)
        return ConfigError([Problem(self.entry.value_place, self.section.name, f"{key} {message}")])


def read_sections(path: str | Path) -> dict[str, Section]:
    """Read a configuration file into its sections, in the order of their first appearance.

    Raises:
        UsageError: the file cannot be read.
        ConfigError: lines that are neither header nor option; all of them.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    return parse_sections(decode(content), str(path))


def parse_sections(text: str, file: str) -> dict[str, Section]:
    """Return the sections of a text; `file` is the name for places. See `read_sections`."""
    reader = _Reader(file)
    for number, line in _lines(text):
        reader.feed(number, line)
    if reader.problems:
        raise ConfigError(reader.problems)
    return reader.finish()


def decode(content: bytes) -> str:
    """Return the text: UTF-8 where it is, else Latin-1, in which any bytes are text."""
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield number and text of the lines that are neither blank nor comments."""
    for number, line in enumerate(text.split("\n" if "\n" in text else "\r"), start=1):
        if line.strip(BLANKS) and not is_comment(line):
            yield number, line


def is_comment(line: str) -> bool:
    """Return whether a line that is not blank is a comment.

    Comments start in column 0; indented ones continue the value before them.
    """
    return line[0] in "#;" or REMARK.match(line) is not None


def default_section(sections: Collection[Section]) -> Section | None:
    """Return `[DEFAULT]`, less the keys that stand there for `%(key)s`; None if nothing is left."""
    entries = next(iter(sections)).defaults if sections else {}
    found = [*entries.values(), *(entry for section in sections for entry in section.entries.values())]
    names = {match["name"] for entry in found for match in REFERENCE.finditer(entry.text)}
    referred = {name.lower() for name in names if name}
    left = {key: entry for key, entry in entries.items() if key not in referred}
    return Section(DEFAULT_SECTION, next(iter(left.values())).place, left) if left else None


class _Reader:
    """The sections read so far, and the option that a continuation line would continue."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.sections: dict[str, Section] = {}
        self.problems: list[Problem] = []
        self._section: Section | None = None
        self._option: Entry | None = None

    def feed(self, number: int, line: str) -> None:
        """Take the next line."""
        if line[0] in BLANKS and self._option is not None:
            self._option.text += "\n" + line.strip(BLANKS)
        elif header := HEADER.match(line):
            self._start_section(header["name"], Place(self.file, number))
        elif self._section is None:
            self._complain_once(number, "expected a [section] header before the first option")
        elif option := OPTION.match(line):
            self._add_option(number, option)
        else:
            self._complain(number, _explain_bad_line(line))

    def finish(self) -> dict[str, Section]:
        """Return the sections, those of `[DEFAULT]` handed to each."""
        defaults = self.sections.pop(DEFAULT_SECTION, None)
        for section in self.sections.values():
            section.defaults = defaults.entries if defaults else {}
        return self.sections

    def _start_section(self, name: str, place: Place) -> None:
        self._section = self.sections.setdefault(name, Section(name, place))
        self._option = None

    def _add_option(self, number: int, option: re.Match[str]) -> None:
        assert self._section is not None
        key = option["key"].rstrip(BLANKS)
        place = Place(self.file, number)
        value_place = Place(self.file, number, option.start("value") + 1)
        self._option = Entry(key, _clean_value(option["value"]), place, value_place)
        self._section.entries[key.lower()] = self._option

    def _complain_once(self, number: int, message: str) -> None:
        if not self.problems:
            self._complain(number, message)

    def _complain(self, number: int, message: str) -> None:
        name = self._section.name if self._section else None
        self.problems.append(Problem(Place(self.file, number), name, message))


def _clean_value(value: str) -> str:
    """Cut an inline comment: the first `;`, and only if white space precedes it."""
    position = value.find(";")
    if position >= 0 and value[position - 1] in BLANKS:  # [-1] where it is the first, as in the original
        value = value[:position]
    value = value.strip(BLANKS)
    return "" if value == '""' else value


def _explain_bad_line(line: str) -> str:
    if line[0] in BLANKS:
        return f"an option must start in the first column, got {shorten(line.strip())!r}"
    if line[0] == "[":
        return f"expected a section header like [name], got {shorten(line.strip())!r}"
    return f"expected 'key=value', got {shorten(line.strip())!r}"
