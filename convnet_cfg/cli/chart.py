"""Curves as plain text, for terminals and files alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

import numpy as np

Points = Sequence[tuple[float, float]]

MARKS = "o+x*"
SEVERAL = "#"
WIDTH, HEIGHT = 64, 11


def chart_lines(
    title: str, curves: Mapping[str, Points], x_label: str, width: int = WIDTH, height: int = HEIGHT
) -> Iterator[str]:
    """Yield the lines of a chart: curves of percentages from 0 to 100 over a common x, each with a mark.

    A column shows the mean of the points that fall into it; between columns with points a curve is straight.
    Where two curves meet there is a `#`.
    """
    last = max((x for points in curves.values() for x, _ in points), default=0)
    grid = [[" "] * width for _ in range(height)]
    for mark, points in zip(MARKS, curves.values(), strict=False):
        for column, value in _columns(points, last, width).items():
            line = grid[height - 1 - round(min(max(value, 0), 100) / 100 * (height - 1))]
            line[column] = mark if line[column] == " " else SEVERAL
    yield title
    for number, row in enumerate(grid):
        level = 100 * (height - 1 - number) / (height - 1)
        label = f"{level:4.0f}%" if number % 2 == 0 else ""
        yield f"{label:>5} |{''.join(row)}".rstrip()
    end = f"{last:,.0f} {x_label}"
    yield f"      +{'-' * width}"
    yield f"       0{end:>{width - 1}}"
    yield "       " + "   ".join(f"{mark} {name}" for mark, name in zip(MARKS, curves, strict=False))


def _columns(points: Points, last: float, width: int) -> dict[int, float]:
    """Return the value in each column from the first with points to the last."""
    found: dict[int, list[float]] = {}
    for x, y in points:
        found.setdefault(min(width - 1, int(width * x / last)) if last else 0, []).append(y)
    if not found:
        return {}
    there = sorted(found)
    columns = range(there[0], there[-1] + 1)
    values = np.interp(columns, there, [fmean(found[column]) for column in there])
    return dict(zip(columns, values.tolist(), strict=True))
