"""A YAML file as frozen dataclasses: each key a declared field, each problem with its place, all at once."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import yaml

from convnet_cfg.errors import ConfigError, Place, Problem, UsageError, did_you_mean, shorten
from convnet_cfg.language.kinds import ExplainedError, Kind, read_value

NO_DEFAULT: Any = dataclasses.MISSING
PLAIN_TAGS = frozenset(
    f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp")
)
NULL_TAG = "tag:yaml.org,2002:null"

KeyPath = tuple[str | int, ...]
Declared = TypeVar("Declared")


class Setting(NamedTuple):
    """The declaration of one key: a kind of value or a dataclass, one or a list of them."""

    kind: Kind | type[Any]
    default: Any
    is_list: bool

    @property
    def expected(self) -> str:
        """The words that complete "... must be"."""
        one = self.kind.expected if isinstance(self.kind, Kind) else ", ".join(declared_settings(self.kind))
        if isinstance(self.kind, Kind):
            return f"a list: each item {one}" if self.is_list else one
        return f"{'a list of ' if self.is_list else ''}keys with values ({one})"


def setting(kind: Kind | type[Any], *, default: Any = NO_DEFAULT, is_list: bool = False) -> Any:
    """Declare a dataclass field that is read from the key of its name."""
    return dataclasses.field(metadata={"setting": Setting(kind, default, is_list)})


def declared_settings(declarations: type[Any]) -> dict[str, Setting]:
    """Return the declarations of a dataclass by name."""
    return {
        field.name: field.metadata["setting"] for field in dataclasses.fields(declarations) if field.metadata
    }


class _UnreadError(Exception):
    """A value could not be read; its problem is reported."""


class Document:
    """The nodes of a YAML file, the places of its keys, and what is wrong with them.

    A key path such as `("stages", 1, "epochs")` names a value; items count from 0 there, from 1 in messages.

    Raises:
        UsageError: the file cannot be read.
        ConfigError: it is not YAML.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self._places: dict[KeyPath, Place] = {(): Place(str(path), 1)}
        self._root = self._compose()

    def read(self, declarations: type[Declared], **given: Any) -> Declared | None:
        """Return the file as a dataclass, or None where a value is missing or wrong, which is reported.

        `given` are the values of the fields that are no keys of the file.
        """
        try:
            return self._mapping(declarations, self._root, (), given)
        except _UnreadError:
            return None

    def error(self, path: KeyPath, message: str) -> None:
        """Report a problem of a value, at its place or the nearest one above that the file has."""
        known = next(path[:end] for end in range(len(path), -1, -1) if path[:end] in self._places)
        within = path[:-1] if path and isinstance(path[-1], str) else path
        section = ".".join(name if isinstance(name, str) else str(name + 1) for name in within)
        self.problems.append(Problem(self._places[known], section or None, message))

    def _compose(self) -> yaml.Node | None:
        try:
            return yaml.compose(self.path.read_bytes(), Loader=yaml.SafeLoader)
        except OSError as error:
            raise UsageError(f"cannot read {self.path}: {error.strerror or error}") from None
        except (yaml.YAMLError, RecursionError) as error:
            raise ConfigError([self._syntax_problem(error)]) from None

    def _syntax_problem(self, error: Exception) -> Problem:
        mark = getattr(error, "problem_mark", None)
        place = Place(str(self.path), mark.line + 1, mark.column + 1) if mark else self._places[()]
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or "nested too deeply"
        return Problem(place, None, f"this is not YAML: {what}")

    def _unread(self, path: KeyPath, message: str) -> _UnreadError:
        self.error(path, message)
        return _UnreadError()

    def _mapping(
        self, declarations: type[Declared], node: yaml.Node | None, path: KeyPath, given: dict[str, Any]
    ) -> Declared:
        keys = declared_settings(declarations)
        if not isinstance(node, yaml.MappingNode):
            what = f"{path[-1]} must be" if path and isinstance(path[-1], str) else "expected"
            raise self._unread(path, f"{what} keys with values ({', '.join(keys)})")
        entries = self._entries(node, path)
        for name in (name for name in entries if name not in keys):
            self.error((*path, name), f"unknown key {shorten(name)!r}{did_you_mean(name, keys)}")
        values, whole = dict(given), True
        for name, declared in keys.items():
            try:
                values[name] = self._value(declared, entries.get(name), (*path, name))
            except _UnreadError:
                whole = False
        if not whole:
            raise _UnreadError
        return declarations(**values)

    def _entries(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, yaml.Node]:
        """Return the values by key, and remember their places; a key without a value counts as absent."""
        entries: dict[str, yaml.Node] = {}
        for name_node, value in node.value:
            name = name_node.value if isinstance(name_node, yaml.ScalarNode) else "?"
            twice = (*path, name) in self._places
            self._places[(*path, name)] = self._place(name_node)
            if twice:
                self.error((*path, name), f"{name} is given twice")
            if value.tag != NULL_TAG:
                entries[name] = value
        return entries

    def _value(self, declared: Setting, node: yaml.Node | None, path: KeyPath) -> Any:
        if node is None:
            if declared.default is NO_DEFAULT:
                raise self._unread(path, f"{path[-1]} is missing: expected {declared.expected}")
            return declared.default
        if node.tag not in PLAIN_TAGS:
            raise self._unread(path, f"{path[-1]} has the tag {node.tag!r}: a recipe has none")
        if not declared.is_list:
            return self._item(declared.kind, node, path)
        if not isinstance(node, yaml.SequenceNode):
            raise self._unread(path, f"{path[-1]} must be {declared.expected}")
        return self._items(declared.kind, node, path)

    def _items(self, kind: Kind | type[Any], node: yaml.SequenceNode, path: KeyPath) -> tuple[Any, ...]:
        items, whole = [], True
        for index, item in enumerate(node.value):
            self._places[(*path, index)] = self._place(item)
            try:
                items.append(self._item(kind, item, (*path, index)))
            except _UnreadError:
                whole = False
        if not whole:
            raise _UnreadError
        return tuple(items)

    def _item(self, kind: Kind | type[Any], node: yaml.Node, path: KeyPath) -> Any:
        if not isinstance(kind, Kind):
            return self._mapping(kind, node, path, {})
        name = str(path[-1]) if isinstance(path[-1], str) else f"item {path[-1] + 1}"
        if not isinstance(node, yaml.ScalarNode):
            raise self._unread(path, f"{name} must be {kind.expected}, not a list or keys with values")
        try:
            return read_value(kind, name, node.value)
        except ExplainedError as error:
            raise self._unread(path, str(error)) from None

    def _place(self, node: yaml.Node) -> Place:
        return Place(str(self.path), node.start_mark.line + 1, node.start_mark.column + 1)
