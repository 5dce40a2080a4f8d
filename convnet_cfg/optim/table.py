"""What every variable gets, as text and as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from io import StringIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convnet_cfg.optim.handles import GroupHandle

__all__ = ["Table", "variable_table"]

HEADINGS = (
    "variable",
    "shape",
    "group",
    "learning rate",
    "momentum",
    "weight decay",
    "kind of decay",
    "rule",
)
NUMERIC = (3, 4, 5)


class Table(str):
    """Lines of text that a notebook shows as an HTML table."""

    __slots__ = ("_rows",)
    _rows: Sequence[Sequence[str]]

    def _repr_html_(self) -> str:
        """Return the same table in HTML; Jupyter asks for it."""
        head = "".join(f"<th>{escape(heading)}</th>" for heading in HEADINGS)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in self._rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def variable_table(handles: Iterable[GroupHandle], factor: float) -> Table:
    """Return a line for every variable of the groups, with the numbers of this moment.

    Learning rates are those of the groups times the factor over all groups; if that is not 1, a last
    line says so. Groups that have no variables yet have one line, with `-` for the variable.
    """
    rows = [row for handle in handles for row in _rows(handle, factor)]
    note = "" if factor == 1 else f"\n(learning rates: those of the groups times {factor:g}, the optimizer's)"
    table = Table(_text(rows) + note)
    table._rows = rows
    return table


def _rows(handle: GroupHandle, factor: float) -> list[tuple[str, ...]]:
    rate = handle.learning_rate * factor
    numbers = (
        f"{rate:g}" if rate > 0 else f"{rate:g} (frozen)",
        f"{handle.momentum:g}",
        f"{handle.weight_decay:g}",
    )
    position = handle.as_group().rate_position
    rule = handle.rule if position is None else f"{handle.rule}, rate {position}"
    names = [(variable.path, _shape(variable.shape)) for variable in handle.variables] or [("-", "-")]
    return [(*name, handle.name, *numbers, handle.decay, rule) for name in names]


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "scalar"


def _text(rows: Sequence[Sequence[str]]) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable

    table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for number, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if number in NUMERIC else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    text = StringIO()
    Console(file=text, width=10_000, color_system=None, markup=False).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())
