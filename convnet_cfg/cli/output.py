"""How tables and problems are printed: rich tables on a terminal, aligned text everywhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Literal

import click

from convnet_cfg.errors import Problem, Severity

WRAPPED = ("inputs", "cost")  # columns that give way on a narrow terminal


def say(message: str) -> None:
    """Tell the user something beside the results."""
    click.echo(message, err=True)


def print_remarks(problems: Iterable[Problem], with_notes: bool) -> None:
    """Print what is to be said of files that were accepted."""
    for problem in problems:
        if with_notes or problem.severity is not Severity.NOTE:
            say(problem.line)


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]
) -> None:
    """Print a table; the columns named in `right` are aligned to the right.

    On a terminal that is too narrow for it, lines run on: no cell is ever cut.
    """
    if is_terminal() and _print_rich(title, columns, rows, right):
        return
    click.echo(title)
    for line in table_lines(columns, rows, right):
        click.echo(line)
    click.echo()


def table_lines(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]) -> Iterable[str]:
    """Return the lines of a table as plain text; the columns named in `right` are aligned to the right."""
    return _aligned([columns, *rows], [column in right for column in columns])


def is_terminal() -> bool:
    """Whether someone looks at the output as it comes."""
    return sys.stdout.isatty()


def _aligned(rows: Sequence[Sequence[str]], right: Sequence[bool]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        yield f"  {'  '.join(cells)}".rstrip()


def _least_width(rows: Sequence[Sequence[str]]) -> int:
    """Return how wide a table with lines is where only the columns that give way do so, between words."""
    widths = (
        max(len(part) for cell in column for part in (cell.split() if name in WRAPPED else [cell]))
        for name, column in zip(rows[0], zip(*rows, strict=True), strict=True)
    )
    return sum(width + 2 for width in widths)


def _print_rich(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]
) -> bool:
    """Print a table with lines, or return that the terminal is too narrow for it."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    for column in columns:
        side: Literal["left", "right"] = "right" if column in right else "left"
        table.add_column(column, justify=side, overflow="fold", no_wrap=column not in WRAPPED)
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console()
    if _least_width([columns, *rows]) > console.width:
        return False
    console.print(table)
    return True
