"""Running a session from the command line: lines on the terminal, signals, what to do next."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from convnet_cfg.cli.lines import ConvnetLines, NoLines, PlainLines
from convnet_cfg.cli.quiet import start_tensorflow
from convnet_cfg.cli.signals import stopping
from convnet_cfg.errors import UsageError, printable, shell_word
from convnet_cfg.training.record import record_final_test
from convnet_cfg.training.setup import Prepared, PreparedAgain, begin, go_on, reopen

if TYPE_CHECKING:
    from convnet_cfg.training.observer import Observer, Result
    from convnet_cfg.training.session import Session

STOPPING = b"stopping: finishing the minibatch and saving (again: at once)\n"
CLEAR_LINE = b"\r\x1b[K"

Lines = PlainLines | ConvnetLines | NoLines


def make_lines(log_format: str, epochs: int, test_only: bool = False) -> Lines:
    """Return what prints the progress: `plain`, `convnet`, or `quiet` for nothing."""
    if log_format == "quiet":
        return NoLines()
    return ConvnetLines(test_only) if log_format == "convnet" else PlainLines(epochs)


class Trained(NamedTuple):
    """A session that is done, and its final test."""

    session: Session
    result: Result


def train_new(prepared: Prepared, save_path: Path, shipped: bool, values: Mapping[str, Any]) -> Trained:
    """Begin a run and train to its last epoch."""

    def make(lines: Observer) -> Session:
        name = values.get("run_name")
        return begin(prepared, save_path, lines, shipped=shipped, command=sys.argv, name=name)

    return _train(make, prepared, values)


def train_again(again: PreparedAgain, values: Mapping[str, Any]) -> Trained:
    """Go on with a run to its last epoch."""
    return _train(lambda lines: go_on(again, lines), again.prepared, values)


def _train(make: Callable[[Observer], Session], prepared: Prepared, values: Mapping[str, Any]) -> Trained:
    with opened(make, prepared.options.epochs, values) as session:
        if values["log_format"] != "quiet":
            click.echo(f"run        {session.run_directory.path}")
        return Trained(session, train_until_stopped(session, values.get("again", ("convnet-train",))))


@contextmanager
def opened(
    make: Callable[[Observer], Session], epochs: int, values: Mapping[str, Any], test_only: bool = False
) -> Iterator[Session]:
    """Make a session that prints its progress, and close it and what it prints to in the end."""
    start_tensorflow(values["verbose"])
    lines = make_lines(values["log_format"], epochs, test_only)
    session = make(lines)
    if isinstance(lines, ConvnetLines):
        lines.summarize = session.weight_summaries
    try:
        yield session
    finally:
        lines.close()
        session.close()


def train_until_stopped(session: Session, again: Sequence[str]) -> Result:
    """Train; a signal ends it after the minibatch at work, saved. `again` is the command that goes on.

    Raises:
        Interrupted: it did; with the exit code of the signal.
    """
    from convnet_cfg.training.session import Interrupted

    def stop() -> None:
        session.stop_requested = True
        announce_stop()

    with stopping(stop) as received:
        try:
            result = session.train()
        except Interrupted as interrupted:
            further = " ".join([command(again[0]), *again[1:]])
            run = shell_word(session.run_directory.path)
            stopped = Interrupted(f"{interrupted}; go on with: {further} -f {run}")
            stopped.exit_code = received.exit_code
            raise stopped from None
    record_final_test(session.run_directory, result, session.options)
    if received.number is not None:
        sys.exit(received.exit_code)
    return result


def announce_stop() -> None:
    """Say that a signal was heard; on a terminal in the place of the progress bar, which follows below."""
    # Not by click.echo: a signal may come while that is at work.
    os.write(2, (CLEAR_LINE if os.isatty(2) else b"") + STOPPING)


def test_again(again: PreparedAgain, batches: tuple[int, ...], values: Mapping[str, Any]) -> Result:
    """Test a run on batches; nothing in its directory is changed, unless `values` have it `recorded`."""
    if values["log_format"] == "plain":
        click.echo(f"checkpoint {again.checkpoint}")
    epochs = again.prepared.options.epochs
    with opened(lambda lines: reopen(again, lines), epochs, values, test_only=True) as session:
        if samples := values.get("samples"):
            _sample(session, samples)
        result = session.test(batches, "final-test")
        if values.get("recorded"):
            record_final_test(again.run, result, again.prepared.options, again.params)
        return result


def _sample(session: Session, samples: int) -> None:
    """Let the layers that drop connections for each case sample so often in tests."""
    from convnet_cfg.nn import DropConnectDense

    layers = [
        layer
        for layer in session.built.layers.values()
        if isinstance(layer, DropConnectDense) and layer.per_case
    ]
    if not layers:
        raise UsageError("--dropconnect-samples: no layer of this network is of type fcdropcf")
    for layer in layers:
        layer.samples = samples


def command(name: str) -> str:
    """Return what to type for a command of ours: its name, or its path where a shell does not find it."""
    beside = Path(sys.argv[0]).with_name(name)
    return str(beside) if shutil.which(name) is None and beside.is_file() else name


def say_what_next(path: Path, epochs: int) -> None:
    """Say where everything of a run is, of which so many epochs are done, and what can be done with it."""
    click.echo(f"\nThe run directory is {printable(str(path))}")
    further = epochs + max(1, epochs // 4)
    run = shell_word(path)
    click.echo(f"  test it again:      {command('convnet')} test {run}")
    click.echo(f"  train it further:   {command('convnet-train')} -f {run} --epochs {further}")
    click.echo(f"  change its rates:   edit {shell_word(path / 'params.cfg')}, then train it further")


def check_gradients(prepared: Prepared, verbose: bool) -> int:
    """Print the check of every gradient on the first training batch; return how many are wrong."""
    start_tensorflow(verbose)
    from convnet_cfg.model import InitFunctions
    from convnet_cfg.training import gradients

    options = prepared.options
    checks = gradients.check_gradients(
        prepared.network,
        prepared.provider,
        options.train_range[0],
        seed=options.seed,
        functions=InitFunctions(frozenset(options.allowed_functions)),
    )
    lines = gradients.report_lines(checks)
    while True:
        try:
            click.echo(next(lines))
        except StopIteration as end:
            return int(end.value)
