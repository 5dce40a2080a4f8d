"""The keys of a declaration as rows of a table, equal rows of several dialects as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from benchmarks.reference.dialect_sets import in_words
from benchmarks.reference.markdown import link, names, prose, table
from convnet_cfg.language.dialect import Dialect
from convnet_cfg.language.kinds import Syntax
from convnet_cfg.language.params import DECAYS
from convnet_cfg.language.schedules import Schedule, shape_kind
from convnet_cfg.language.spec import REQUIRED, Key, documented_keys

COLUMNS = ("key", "value", "default", "meaning", "in")
SYNTAXES = {
    Syntax.NEURON: link("Activations", "an activation"),
    Syntax.REQUIRED_NEURON: link("Activations", "an activation"),
    Syntax.RATE: link("Learning rates", "a learning rate"),
}

A_DECAY = link("Kinds of weight decay", "a kind of weight decay")
A_SHAPE = link("Learning rates beside the base rate", "a schedule")


class Row(NamedTuple):
    """What the reference says of one key."""

    names: tuple[str, ...]
    value: str
    default: str
    meaning: str


Rows = Mapping[Row, frozenset[str]]  # with the names of the dialects in which it is so


def rows(declarations: type[Any], dialect: Dialect) -> list[Row]:
    """Return the keys that a dialect reads of a declaration."""
    found = []
    for key in documented_keys(declarations).values():
        read = tuple(name for name in key.names if name.lower() not in dialect.ignored)
        if read:
            found.append(Row(read, _value(key, dialect), _default(key), key.doc))
    return found


def _value(key: Key, dialect: Dialect) -> str:
    expected, plural = _expected(key, dialect)
    if key.is_list:
        return f"list of {plural}"
    shared = "" if key.broadcasts else "exactly "
    return f"{plural}, {shared}one per input" if key.per_input else expected


def _expected(key: Key, dialect: Dialect) -> tuple[str, str]:
    """Return the words for one value and for several; links where they are a long list."""
    kind = key.kind
    if isinstance(kind, Syntax):
        return SYNTAXES[kind], SYNTAXES[kind]
    if kind.words == DECAYS:
        return A_DECAY, A_DECAY
    if dialect.shapes and kind.expected == shape_kind(dialect.shapes).expected:
        return A_SHAPE, A_SHAPE
    return kind.expected, kind.plural or kind.expected


def _default(key: Key) -> str:
    if key.default is REQUIRED:
        return "required"
    if key.default is None or key.default == ():
        return "none"
    if isinstance(key.default, bool):
        return str(key.default).lower()
    if isinstance(key.default, Schedule):
        return "default"
    return f"{key.default:g}" if isinstance(key.default, float) else str(key.default)


def merged(found: Iterable[tuple[str, Iterable[Row]]]) -> Rows:
    """Return the rows of several dialects, equal ones as one, those of one key side by side."""
    where: dict[Row, frozenset[str]] = {}
    for dialect, its_rows in found:
        for row in its_rows:
            where[row] = where.get(row, frozenset()) | {dialect}
    order = {row.names[0]: number for number, row in reversed(list(enumerate(where)))}
    return dict(sorted(where.items(), key=lambda item: order[item[0].names[0]]))


def key_table(found: Rows, among: Iterable[str]) -> str:
    """Return the table of the rows; `among` are all dialects that have the type."""
    among = frozenset(among)
    return table(
        COLUMNS,
        (
            (
                " or ".join(names([name]) for name in row.names),
                row.value,
                row.default,
                prose(row.meaning),
                "" if dialects == among else in_words(dialects, among),
            )
            for row, dialects in found.items()
        ),
    )
