"""What a session tells of its progress; the command line prints it, a test counts it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite
from pathlib import Path
from typing import Any

from convnet_cfg.training.position import Position

Costs = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Result:
    """The costs of a batch, or of a test, as means over its cases."""

    kind: str  # train, test or final-test
    position: Position  # the batch; for a test, the batch after which it was made
    costs: Costs
    cases: int
    test_batches: tuple[int, ...] = ()
    views: int = 1
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)  # names of the values behind the first

    def to_json(self) -> dict[str, Any]:
        """Return the result as a line of log.jsonl; JSON has no infinity, which is null there."""
        line: dict[str, Any] = {"kind": self.kind, "epoch": self.position.epoch, "batch": self.position.batch}
        if self.test_batches:
            line.update(test_batches=list(self.test_batches), views=self.views)
        return {
            **line,
            "cases": self.cases,
            "costs": {
                name: [value if isfinite(value) else None for value in values]
                for name, values in self.costs.items()
            },
        }


def costs_of(line: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    """Return the costs of a result that `to_json` made."""
    return {
        name: tuple(inf if value is None else value for value in values)
        for name, values in line["costs"].items()
    }


def checked_line(line: Any) -> dict[str, Any]:
    """Return a line of log.jsonl that has all that `to_json` writes.

    Raises:
        ValueError: it has not.
    """
    costs = line.get("costs") if isinstance(line, dict) else None
    if (
        not isinstance(costs, dict)
        or line.get("kind") not in ("train", "test")
        or not all(type(line.get(name)) is int for name in ("epoch", "batch", "cases"))
        or not all(isinstance(values, list) for values in costs.values())
        or not all(type(value) in (int, float, type(None)) for values in costs.values() for value in values)
    ):
        raise ValueError
    found: dict[str, Any] = line
    return found


class Observer:
    """Hears nothing; overriding a method hears of that."""

    def batch_started(self, epoch: int, batch: int, minibatches: int) -> None:
        """A training batch begins or goes on."""

    def minibatches_done(self, done: int, minibatches: int) -> None:
        """So many minibatches of the batch are done."""

    def batch_done(self, result: Result, seconds: float, test_follows: bool) -> None:
        """A training batch is done; `seconds` it took, a test after it not counted."""

    def batch_tested(self, batch: int, sums: Costs, cases: int) -> None:
        """One of the batches of a test is done; `sums` are the costs of all its cases together."""

    def tested(self, result: Result, seconds: float | None) -> None:
        """A test is done; without `seconds` it is one that was made before."""

    def saved(self, path: Path) -> None:
        """A checkpoint is on the disk."""
