"""The options that a run was started with, as checkpoints record them (spec/checkpoints.md section 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from convnet_cfg.data.unpickling import PickledObject
from convnet_cfg.errors import CheckpointError
from convnet_cfg.legacy.freezing import Freezer, described, text
from convnet_cfg.legacy.values import Option, OptionParser

_MODULES = ("options", "python_util.options")
_NAMES = (
    *("OptionsParser", "Option", "OptionExpression", "IntegerOptionParser", "BooleanOptionParser"),
    *("StringOptionParser", "FloatOptionParser", "RangeOptionParser", "ListOptionParser"),
)
CLASSES = tuple(f"{module} {name}" for module in _MODULES for name in _NAMES)
"""The classes that a checkpoint may mention, for `data.load_pickle` (spec/checkpoints.md section 4)."""


def read_options(parser: object, freezer: Freezer) -> Mapping[str, Option]:
    """Return the options by name, in the order of their names; none if the file has no `op`.

    Raises:
        CheckpointError: they are not as the original wrote them.
    """
    if parser is None:
        return MappingProxyType({})
    options = _attributes(parser, "OptionsParser", "op").get("options")
    if type(options) is not dict:
        raise CheckpointError(f"op.options must be a dictionary, got {described(options)}")
    named = {text(name, "the name of an option"): value for name, value in options.items()}
    return MappingProxyType({name: _option(name, named[name], freezer) for name in sorted(named)})


def _attributes(value: object, cls: str, where: str) -> dict[str, Any]:
    if not isinstance(value, PickledObject) or value.cls.name != cls:
        raise CheckpointError(f"{where} must be an object of {cls}, got {described(value)}")
    return value.attributes


def _option(name: str, value: object, freezer: Freezer) -> Option:
    where = f"option {name!r:.80}"
    attributes = _attributes(value, "Option", where)
    if missing := sorted(set(ATTRIBUTES) - set(attributes)):
        raise CheckpointError(f"{where} has no {missing[0]!r}")
    frozen = {key: freezer.freeze(each, f"{key!r:.80} of {where}") for key, each in attributes.items()}
    known = {field: read(frozen.pop(key), where) for key, (field, read) in ATTRIBUTES.items()}
    return Option(**known, others=MappingProxyType(frozen))


def _parser(value: object, where: str) -> OptionParser:
    if not isinstance(value, OptionParser):
        raise CheckpointError(f"the parser of {where} must be a class or an object of one")
    return value


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, int):
        raise CheckpointError(f"{where} must say yes or no, got {described(value)}")
    return bool(value)


def _any(value: object, _where: str) -> object:
    return value


ATTRIBUTES: dict[str, tuple[str, Callable[[object, str], Any]]] = {
    "name": ("name", text),
    "letter": ("letter", text),
    "desc": ("description", text),
    "parser": ("parser", _parser),
    "default": ("default", _any),
    "value": ("value", _any),
    "value_given": ("given", _flag),
    "set_once": ("set_once", _flag),
    "save": ("saved", _flag),
    "excuses": ("excuses", _any),
    "requires": ("requires", _any),
    "prefixed_letter": ("prefixed_letter", text),
}
"""The attributes of an option: what `values.Option` calls them, and how they are read."""
