"""What a training prints: our own lines, or those of the original with `--log-format=convnet`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convnet_cfg.training.observer import Costs, Observer, Result

if TYPE_CHECKING:
    from convnet_cfg.training.session import WeightSummary

RULE_WIDTH = 55
SummarizeWeights = Callable[[], "Iterable[WeightSummary]"]


def batch_list(numbers: Sequence[int]) -> str:
    """Return consecutive numbers as `1-5`, one as `6`."""
    return f"{numbers[0]}-{numbers[-1]}" if len(numbers) > 1 else str(numbers[0])


def cost_text(result: Result) -> str:
    """Return the costs of a result: `logprob 1.5070, error 52.82%`; without a name a value is as it is.

    There may be more names than values: those of a cost with children are as many as all of them have.
    """
    parts = []
    for name, (cost, *values) in result.costs.items():
        parts.append(f"{name} {cost:.4f}")
        names = result.columns.get(name, ())
        named = [(what, value) for what, value in zip(names, values, strict=False) if what]
        parts += [f"{what} {_share(value)}" for what, value in named]
        parts += [f"{value:.4f}" for value in values[len(names) :]]
    return ", ".join(parts)


def _share(value: float) -> str:
    """Return a share in percent; `inf` as the original had it, for a share of nothing."""
    return f"{100 * value:.2f}%" if isfinite(value) else "inf"


class NoLines(Observer):
    """Prints nothing: what runs the training has its own words for it."""

    def close(self) -> None:
        """Nothing is open."""


class PlainLines(Observer):
    """A line for each batch and each test; on a terminal, a progress bar below them."""

    def __init__(self, epochs: int, progress: bool | None = None) -> None:
        self.epochs = epochs
        self.bar = progress_bar() if (sys.stdout.isatty() if progress is None else progress) else None
        self.task: Any = None

    def batch_started(self, epoch: int, batch: int, minibatches: int) -> None:
        """Show an empty bar."""
        if self.bar is not None:
            self.bar.start()
            if self.task is not None:
                self.bar.remove_task(self.task)
            self.task = self.bar.add_task(f"epoch {epoch}/{self.epochs} batch {batch}", total=minibatches)

    def minibatches_done(self, done: int, minibatches: int) -> None:
        """Move the bar."""
        if self.bar is not None:
            self.bar.update(self.task, completed=done)

    def batch_done(self, result: Result, seconds: float, test_follows: bool) -> None:
        """Print the line of the batch."""
        speed = f"{result.cases / max(seconds, 1e-9):,.0f} cases/s"
        self.say(f"{result.position!s:>7}  {cost_text(result)}  ({seconds:.2f} s, {speed})")

    def tested(self, result: Result, seconds: float | None) -> None:
        """Print the line of the test."""
        kind = "final test" if result.kind == "final-test" else "test"
        views = f", {result.views} views" if result.views > 1 else ""
        where = f"batch {batch_list(result.test_batches)}{views}"
        how = "as tested before" if seconds is None else f"{seconds:.2f} s"
        self.say(f"{kind:>7}  {cost_text(result)}  ({where}; {how})")

    def say(self, line: str) -> None:
        """Print a line, above the bar if there is one."""
        if self.bar is not None:
            self.bar.console.print(line, highlight=False, markup=False, soft_wrap=True)
        else:
            click.echo(line)

    def close(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.stop()


class ConvnetLines(Observer):
    """The lines that cuda-convnet v1 printed (spec: training.md section 3).

    `test_only`: each batch of a test has its line too.
    """

    def __init__(self, test_only: bool = False) -> None:
        self.test_only = test_only
        self.summarize: SummarizeWeights = list
        self._batch_seconds = 0.0
        self._block_seconds: float | None = None

    def batch_done(self, result: Result, seconds: float, test_follows: bool) -> None:
        """Print `3.2... logprob:  1.412033, 0.508900 (1.402 sec)`."""
        time = "" if test_follows else f" ({seconds:.3f} sec)"
        click.echo(f"{result.position}... {_convnet_costs(result)}{time}")
        self._batch_seconds = seconds

    def batch_tested(self, batch: int, sums: Costs, cases: int) -> None:
        """Print `batch 6: ({'logprob': [14550.4, 5237.0]}, 10000)`."""
        if self.test_only:
            click.echo(f"batch {batch}: ({ {name: list(values) for name, values in sums.items()} }, {cases})")

    def tested(self, result: Result, seconds: float | None) -> None:
        """Print the block of a test, up to where the checkpoint is named; of one made before, nothing."""
        if seconds is None:
            return
        if result.kind == "final-test":
            click.echo()
        click.echo("Test output".center(RULE_WIDTH, "="))
        click.echo(_convnet_costs(result))
        click.echo("-" * RULE_WIDTH)
        for summary in self.summarize():
            click.echo(f"Layer '{summary.layer}' {summary.what}: {summary.mean:e} [{summary.increment:e}]")
        click.echo("-" * RULE_WIDTH)
        self._block_seconds = seconds
        if result.kind == "final-test":
            self._end_block()

    def saved(self, path: Path) -> None:
        """Print where the checkpoint is, and the end of the block of a test."""
        if self._block_seconds is not None:
            click.echo(f"Saved checkpoint to {path.parent}")
            self._end_block(self._batch_seconds)

    def _end_block(self, batch_seconds: float = 0.0) -> None:
        click.echo(f"{'=' * RULE_WIDTH} ({batch_seconds + (self._block_seconds or 0.0):.3f} sec)")
        self._block_seconds = None

    def close(self) -> None:
        """Nothing is open."""


def _convnet_costs(result: Result) -> str:
    return " ".join(
        f"{name}:  {', '.join(f'{value:.6f}' for value in values)}" for name, values in result.costs.items()
    )


def progress_bar() -> Any:
    """Return a bar that shows how many of how many are done, and the time left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(), transient=True)
