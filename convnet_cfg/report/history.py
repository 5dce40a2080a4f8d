"""How the costs of a run went, epoch by epoch, from its log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Any, NamedTuple

from convnet_cfg.training.observer import costs_of

KINDS = ("train", "test")


class EpochCosts(NamedTuple):
    """The costs of one epoch: the mean over all cases trained, and that over all tested, by cost layer."""

    epoch: int
    train: Mapping[str, tuple[float, ...]]
    test: Mapping[str, tuple[float, ...]]


def epoch_costs(lines: Iterable[Mapping[str, Any]]) -> list[EpochCosts]:
    """Return the costs of the lines of a log (`RunDirectory.results`), the first epoch first."""
    found: dict[int, dict[str, list[Any]]] = {}
    for line in lines:
        of_epoch = found.setdefault(line["epoch"], {kind: [] for kind in KINDS})
        of_epoch[line["kind"]].append(line)
    return [EpochCosts(epoch, *(_means(found[epoch][kind]) for kind in KINDS)) for epoch in sorted(found)]


def chosen(rows: Sequence[EpochCosts], most: int) -> list[EpochCosts]:
    """Return at most so many, evenly far from each other, the last one among them."""
    step = ceil(len(rows) / most) if rows else 1
    return list(rows[::-1][::step][::-1])


def _means(lines: Iterable[Mapping[str, Any]]) -> dict[str, tuple[float, ...]]:
    """Return the means over the cases of all lines, in which costs are means over the cases of a batch."""
    sums: dict[str, list[float]] = {}
    cases: dict[str, int] = {}
    for line in lines:
        for name, values in costs_of(line).items():
            before = sums.get(name, [0.0] * len(values))
            sums[name] = [total + line["cases"] * value for total, value in zip(before, values, strict=False)]
            cases[name] = cases.get(name, 0) + line["cases"]
    return {name: tuple(total / max(cases[name], 1) for total in totals) for name, totals in sums.items()}
