"""The options of a data provider as a command line gives them: `name=value`."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from convnet_cfg.data.registry import check_options, maker_of
from convnet_cfg.errors import UsageError
from convnet_cfg.language.kinds import FLAG, INTEGER, NUMBER, ExplainedError, Kind, read_value

TEXT = Kind(str, "a text")
KINDS: Mapping[type, Kind] = {bool: FLAG, int: INTEGER, float: NUMBER, str: TEXT}


def read_options(provider: str, texts: Iterable[str]) -> dict[str, Any]:
    """Return the keyword arguments for a provider that texts such as `noise=0.2` give.

    A value is read as one of the type that the keyword's default has; without a default, or with one of
    another type, as a whole number, a number or a text, whichever it is.

    Raises:
        UsageError: the provider has no such option, or a value is not of its type.
    """
    return dict(_read_option(provider, text) for text in texts)


def _read_option(provider: str, text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"an option of a data provider must be NAME=VALUE, got {text!r}")
    check_options(provider, [name])
    default = inspect.signature(maker_of(provider)).parameters[name].default
    try:
        return name, read_value(KINDS.get(type(default)) or _plainest_kind(value), name, value)
    except ExplainedError as error:
        raise UsageError(f"data provider {provider!r}: {error}") from None


def _plainest_kind(text: str) -> Kind:
    """Return the first kind that a text is of."""
    for kind in (INTEGER, NUMBER):
        try:
            kind.convert(text)
        except (ValueError, OverflowError):
            continue
        return kind
    return TEXT
