"""Sets of dialects in words: a dialect with all that are based on it is its family."""

from __future__ import annotations

from collections.abc import Collection

from convnet_cfg.language.dialect import Dialect
from convnet_cfg.language.dialects import DIALECTS


def family(name: str) -> frozenset[str]:
    """Return a dialect and those that are based on it, directly or not."""
    return frozenset({name}).union(*(family(other) for other in DIALECTS if DIALECTS[other].base == name))


def with_type(type_name: str) -> frozenset[str]:
    """Return the dialects that have a layer type."""
    return frozenset(name for name, dialect in DIALECTS.items() if type_name in dialect.layer_types)


def in_words(chosen: Collection[str], among: Collection[str] = DIALECTS) -> str:
    """Return which of some dialects are meant, "all" if all of them are."""
    if set(chosen) == set(among):
        return "all"
    listed, others = _listed(chosen, among), _listed(set(among) - set(chosen), among)
    return ", ".join(listed) if len(listed) <= len(others) + 1 else f"all but {', '.join(others)}"


def _listed(chosen: Collection[str], among: Collection[str]) -> list[str]:
    """Return names of families that are chosen as a whole, and of single dialects."""
    left, words = set(chosen), []
    for name in DIALECTS:
        members = family(name) & set(among)
        if name in left and len(members) > 1 and members <= left:
            words.append(f"`{name}` family")
            left -= members
        elif name in left:
            words.append(f"`{name}`")
            left.remove(name)
    return words


def base_of(dialect: Dialect) -> Dialect | None:
    """Return the dialect that another one is based on."""
    return DIALECTS[dialect.base] if dialect.base else None
