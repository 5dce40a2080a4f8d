"""Where a training stands: epoch, batch and case (spec: training.md section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from convnet_cfg.language.schedules import Progress


class Position(NamedTuple):
    """So much is done: batch number `batch` of epoch `epoch`, wholly, or its first `cases` only.

    Epochs count from 1; (0, 0) is before the first batch. `cases` is None where the batch is done.
    """

    epoch: int = 0
    batch: int = 0
    cases: int | None = None

    def __str__(self) -> str:
        part = f"+{self.cases}" if self.cases is not None else ""
        return f"{self.epoch}.{self.batch}{part}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Return the position that `str` made; ValueError for anything else."""
        whole, plus, cases = text.partition("+")
        epoch, batch = whole.split(".")
        return cls(int(epoch), int(batch), int(cases) if plus else None)

    @property
    def order(self) -> tuple[int, int, float]:
        """A key that sorts positions by what is done."""
        return self.epoch, self.batch, float("inf") if self.cases is None else self.cases

    def next_batch(self, batches: Sequence[int]) -> tuple[int, int]:
        """Return epoch and number of the batch to train on next.

        A batch that is not in the range is followed by the next higher one of the range or, behind the last,
        by the next epoch: positions only grow, so that the checkpoint of the latest one is the newest.
        """
        if self.epoch == 0:
            return 1, batches[0]
        if self.cases is not None and self.batch in batches:
            return self.epoch, self.batch
        left = self._left(batches)
        return (self.epoch, left[0]) if left else (self.epoch + 1, batches[0])

    def _left(self, batches: Sequence[int]) -> Sequence[int]:
        """Return the batches of the range that are behind this one."""
        if self.batch in batches:
            return batches[list(batches).index(self.batch) + 1 :]
        return [number for number in batches if number > self.batch]


def progress(epoch: int, batch: int, batches: Sequence[int], epochs: int) -> Progress:
    """Return how far a training is when it comes to a batch (spec: training.md section 9)."""
    before = batches_done(epoch, batch, batches) - 1
    return Progress(min(max(before / (epochs * len(batches)), 0.0), 1.0), epochs)


def batches_done(epoch: int, batch: int, batches: Sequence[int]) -> int:
    """Return how many batches a training over this range has done with this one."""
    return len(batches) * (epoch - 1) + list(batches).index(batch) + 1
