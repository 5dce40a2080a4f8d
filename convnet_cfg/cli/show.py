"""`convnet show`: where a run stands, how its costs went, how large its weights are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from convnet_cfg.cli.lines import batch_list
from convnet_cfg.cli.output import print_table
from convnet_cfg.errors import printable
from convnet_cfg.report.history import EpochCosts, chosen, epoch_costs
from convnet_cfg.training.checkpoints import VELOCITY, read_checkpoint
from convnet_cfg.training.options import Options
from convnet_cfg.training.position import Position
from convnet_cfg.training.setup import locate

WISHES = ("conv_to_local", "unshare_weights")  # what `transform` records


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--epochs",
    "most",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    metavar="N",
    help="At most so many epochs, evenly spaced.",
)
def show(run: Path, most: int) -> None:
    """Show a RUN, a run directory or a checkpoint in one, its own or imported: costs and weights.

    Neither the data nor TensorFlow are needed.
    """
    directory, checkpoint = locate(run)
    arrays, counters = read_checkpoint(checkpoint)
    record = directory.read_record()
    options = Options.from_json(record["options"])
    click.echo(f"run        {printable(str(directory.path))}")
    if isinstance(origin := record.get("imported"), dict):
        click.echo(f"imported   from {printable(str(origin.get('path')))}, of {origin.get('program')}")
    click.echo(f"checkpoint {checkpoint.name}: {_standing(Position(*counters['position']))}")
    ranges = f"trained on {batch_list(options.train_range)}, tested on {batch_list(options.test_range)}"
    click.echo(f"data       {options.data_provider}: {ranges}")
    click.echo(f"decay      {options.decay}")
    for change in record["changes"]:
        click.echo(f"changed    at {change['at']}: {', '.join(_changes(change))}")
    click.echo()
    # Of an older checkpoint the costs up to it; a run at work may have newer ones than its checkpoint.
    size = counters["log_size"] if run.is_file() else None
    _print_costs(epoch_costs(directory.results(size)), most)
    _print_weights(arrays)


def _standing(position: Position) -> str:
    if position.epoch == 0:
        return "before the first batch"
    part = f" after {position.cases} of its cases" if position.cases is not None else ""
    return f"epoch {position.epoch}, batch {position.batch}{part or ' done'}"


def _changes(change: Mapping[str, Any]) -> Iterator[str]:
    """Yield what was changed: options with both values, the parameter file, layers and matrices."""
    for name, (before, now) in change.get("options", {}).items():
        yield f"{name} from {before} to {now}"
    if "params" in change:
        yield "the parameter file"
    for name in WISHES:
        if wished := change.get(name):
            yield f"--{name.replace('_', '-')}={','.join(map(str, wished))}"


def _print_costs(epochs: Sequence[EpochCosts], most: int) -> None:
    if not epochs:
        return
    names = list(dict.fromkeys(name for epoch in epochs for name in (*epoch.train, *epoch.test)))
    shown = chosen(epochs, most)
    some = f", {len(shown)} of {len(epochs)} epochs" if len(shown) < len(epochs) else ""
    columns = ["epoch", *(f"{kind} {name}" for name in names for kind in ("train", "test"))]
    rows = [
        [str(epoch.epoch), *(_values(costs.get(name)) for name in names for costs in epoch[1:])]
        for epoch in shown
    ]
    print_table(f"Costs (means over the cases of an epoch{some})", columns, rows, columns)


def _values(values: Sequence[float] | None) -> str:
    return ", ".join(f"{value:.4f}" for value in values or ())


def _print_weights(arrays: Mapping[str, np.ndarray]) -> None:
    columns = ["name", "shape", "mean |w|", "mean |increment|"]
    rows = [
        [name, " x ".join(map(str, array.shape)), _mean(array), _mean(arrays[name + VELOCITY])]
        for name, array in arrays.items()
        if name + VELOCITY in arrays
    ]
    print_table("Weights and their last increments", columns, rows, columns[2:])


def _mean(array: np.ndarray) -> str:
    return f"{float(np.abs(array).mean(dtype=np.float64)):.4g}"
