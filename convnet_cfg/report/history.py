"""How the costs of a run went, epoch by epoch, from its log."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

from convnet_cfg.errors import CheckpointError
from convnet_cfg.training.checkpoints import explaining_failure
from convnet_cfg.training.observer import costs_of
from convnet_cfg.training.run_directory import LOG

KINDS = ("train", "test")


class EpochCosts(NamedTuple):
    """The costs of one epoch: the mean over all cases trained, and that over all tested, by cost layer."""

    epoch: int
    train: Mapping[str, tuple[float, ...]]
    test: Mapping[str, tuple[float, ...]]


def epoch_costs(run: Path) -> list[EpochCosts]:
    """Return the costs of a run directory, the first epoch first; none if it has no log.

    Raises:
        CheckpointError: the log is damaged.
    """
    found: dict[int, dict[str, list[Any]]] = {}
    for line in _lines(run / LOG):
        of_epoch = found.setdefault(line["epoch"], {kind: [] for kind in KINDS})
        of_epoch[line["kind"]].append(line)
    return [EpochCosts(epoch, *(_means(found[epoch][kind]) for kind in KINDS)) for epoch in sorted(found)]


def chosen(rows: Sequence[EpochCosts], most: int) -> list[EpochCosts]:
    """Return at most so many, evenly far from each other, the last one among them."""
    step = ceil(len(rows) / most) if rows else 1
    return list(rows[::-1][::step][::-1])


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    with explaining_failure(f"cannot read {path}"), path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, 1):
            line = json.loads(text)
            if not isinstance(line, dict) or line.get("kind") not in KINDS or "costs" not in line:
                raise CheckpointError(f"{path} is damaged: line {number} is no result of a batch")
            yield line


def _means(lines: Iterable[Mapping[str, Any]]) -> dict[str, tuple[float, ...]]:
    """Return the means over the cases of all lines, in which costs are means over the cases of a batch."""
    sums: dict[str, list[float]] = {}
    cases: dict[str, int] = {}
    for line in lines:
        for name, values in costs_of(line).items():
            before = sums.get(name, [0.0] * len(values))
            sums[name] = [total + line["cases"] * value for total, value in zip(before, values, strict=False)]
            cases[name] = cases.get(name, 0) + line["cases"]
    return {name: tuple(total / cases[name] for total in totals) for name, totals in sums.items()}
