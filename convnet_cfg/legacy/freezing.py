"""From what a pickle held to frozen values: checked, counted, and with references to layers as names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from convnet_cfg.data.unpickling import PickledArray, PickledClass, PickledObject
from convnet_cfg.errors import CheckpointError, shorten
from convnet_cfg.legacy.values import Array, Expression, OptionParser, Value

MAXIMUM_DEPTH = 20
"""How deep lists and dictionaries of a field may stand in each other."""

MAXIMUM_REPEATED = 200_000
"""How many values there may be in lists and dictionaries that the file holds once and mentions again."""

LARGEST_INTEGER = 1 << 63


class Freezer:
    """Turns values of one file into frozen ones.

    `layer_names` are those of the dictionaries of layers, by identity. Lists that the file mentions again are
    counted, since with them a short file can describe an endless one.
    """

    def __init__(self, layer_names: Mapping[int, str]) -> None:
        self._layer_names = layer_names
        self._arrays: dict[int, Array] = {}
        self._seen: set[int] = set()
        self._left = MAXIMUM_REPEATED

    def freeze(self, value: object, where: str, depth: int = 0) -> Value:
        """Return the frozen value; `where` says in an error what it is.

        Raises:
            CheckpointError: it is of a kind that no checkpoint has, too deep, or there are too many.
        """
        if depth > MAXIMUM_DEPTH:
            raise CheckpointError(f"{where} is nested more than {MAXIMUM_DEPTH} levels deep")
        if id(value) in self._layer_names:
            return self._layer_names[id(value)]
        kind = np.generic if isinstance(value, np.generic) else type(value)
        if kind not in _FREEZERS:
            raise CheckpointError(f"{where} is {described(value)}: expected numbers, text, arrays, lists")
        return _FREEZERS[kind](self, value, where, depth)

    def _count(self, value: list[Any] | tuple[Any, ...] | dict[Any, Any], where: str) -> None:
        if id(value) in self._seen:
            self._left -= 1 + len(value)
            if self._left < 0:
                raise CheckpointError(f"{where} holds the same lists more than {MAXIMUM_REPEATED:,} times")
        self._seen.add(id(value))

    def _integer(self, value: int, where: str, _depth: int) -> Value:
        if abs(value) >= LARGEST_INTEGER:
            raise CheckpointError(f"{where} is an integer of more than 64 bits")
        return value

    def _array(self, value: PickledArray, where: str, _depth: int) -> Value:
        if id(value) not in self._arrays:
            plain = value.view(np.ndarray)
            if plain.dtype.kind not in "biuf":
                raise CheckpointError(f"{where} is an array of {plain.dtype}: expected numbers")
            plain.flags.writeable = False
            self._arrays[id(value)] = Array(plain)
        return self._arrays[id(value)]

    def _items(self, value: list[Any] | tuple[Any, ...], where: str, depth: int) -> Value:
        self._count(value, where)
        return tuple(self.freeze(item, where, depth + 1) for item in value)

    def _mapping(self, value: dict[Any, Any], where: str, depth: int) -> Value:
        self._count(value, where)
        return MappingProxyType(
            {str(text_of(key)): self.freeze(item, where, depth + 1) for key, item in value.items()}
        )

    def _object(self, value: PickledObject, where: str, depth: int) -> Value:
        attributes = value.attributes
        if value.cls.name == "OptionExpression":
            return Expression(text(attributes.get("expr"), f"the expression of {where}"))
        if value.cls.name.endswith("Parser"):
            items = attributes.get("parsers", ())
            names = [
                _class_name(item, where) for item in (items if type(items) in (list, tuple) else [items])
            ]
            separator = attributes.get("sepchar")
            return OptionParser(
                value.cls.name,
                tuple(names),
                None if separator is None else text(separator, f"the separator of {where}"),
            )
        raise CheckpointError(f"{where} is an object of {value.cls.name}: expected a value")


def text(value: object, where: str) -> str:
    """Return the value if it is text, of Python 2 or 3.

    Raises:
        CheckpointError: it is something else.
    """
    found = text_of(value)
    if not isinstance(found, str):
        raise CheckpointError(f"{where} must be text, got {described(value)}")
    return found


def integer(value: object, where: str) -> int:
    """Return the value if it is an integer, of Python or of numpy.

    Raises:
        CheckpointError: it is something else, or has more than 64 bits.
    """
    value = value.item() if isinstance(value, np.integer) else value
    if type(value) is not int or abs(value) >= LARGEST_INTEGER:
        raise CheckpointError(f"{where} must be an integer, got {described(value)}")
    return value


def text_of(value: object) -> object:
    """Return bytes, which are the text of Python 2, as text; anything else as it is."""
    return value.decode("latin-1") if isinstance(value, bytes) else value


def described(value: object) -> str:
    """Return a short value as it is written, and the type of any other: it may be endless."""
    if isinstance(value, str):
        return repr(shorten(value))
    if value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) < LARGEST_INTEGER):
        return repr(value)
    return _WORDS.get(type(value)) or f"a {type(value).__name__}"


_WORDS = {
    int: "an integer of more than 64 bits",
    dict: "a dictionary",
    PickledArray: "an array",
    PickledClass: "a class",
    PickledObject: "an object",
}


def _class_name(value: object, where: str) -> str:
    if not isinstance(value, PickledClass):
        raise CheckpointError(f"a parser of {where} is {described(value)}: expected a class")
    return value.name


_FREEZERS: dict[type, Callable[[Freezer, Any, str, int], Value]] = {
    type(None): lambda _self, value, *_: value,
    bool: lambda _self, value, *_: value,
    int: Freezer._integer,
    np.generic: lambda self, value, where, depth: self.freeze(value.item(), where, depth + 1),
    float: lambda _self, value, *_: value,
    str: lambda _self, value, *_: value,
    bytes: lambda _self, value, *_: value.decode("latin-1"),
    PickledArray: Freezer._array,
    list: Freezer._items,
    tuple: Freezer._items,
    dict: Freezer._mapping,
    PickledClass: lambda _self, value, *_: OptionParser(value.name),
    PickledObject: Freezer._object,
}
