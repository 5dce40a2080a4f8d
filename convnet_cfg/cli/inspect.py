"""`convnet inspect`: what is in a checkpoint of cuda-convnet, without building anything."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from convnet_cfg.cli.output import print_table
from convnet_cfg.errors import printable, shorten
from convnet_cfg.legacy import Checkpoint, Layer, Outputs, Value, load_checkpoint
from convnet_cfg.legacy.describe import describe, owners, plain, statistics

TITLES = {"v1": "cuda-convnet", "v1+dropout": "cuda-convnet with dropout", "v2": "cuda-convnet2"}
CONTAINERS = {"plain": "pickle", "gzip": "pickle, compressed with gzip", "zip": "pickle in a zip archive"}
HELP = {"help_option_names": ["-h", "--help"]}


@click.command(context_settings=HELP)
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print everything but the arrays' values as JSON.")
def inspect(checkpoint: Path, as_json: bool) -> None:
    """Say what is in CHECKPOINT, a file of cuda-convnet or the directory that has it.

    Of a directory the newest file is read. Nothing in the file is run: it may be from anyone.
    """
    found = load_checkpoint(checkpoint)
    if as_json:
        click.echo(json.dumps(describe(found), indent=2, allow_nan=False))
    else:
        _print(found)


def _print(checkpoint: Checkpoint) -> None:
    click.echo(f"checkpoint  {printable(str(checkpoint.path))} ({CONTAINERS[checkpoint.container]})")
    click.echo(f"program     {checkpoint.program} ({TITLES[checkpoint.program]})")
    click.echo(f"saved       after batch {checkpoint.batch} of epoch {checkpoint.epoch}")
    for name, value in checkpoint.others.items():
        click.echo(f"also        {_cell(name)}: {_shown(value)}")
    click.echo()
    _print_options(checkpoint)
    _print_layers(checkpoint.layers)
    _print_arrays(checkpoint.layers)
    _print_histories(checkpoint)


def _cell(text: str, width: int = 60) -> str:
    """Return text of the file so that it stays on its line, and does nothing to a terminal."""
    return printable(shorten(text, width))


def _shown(value: Value) -> str:
    """Return a short form of a value: text as it is, the rest as in JSON."""
    return _cell(value if isinstance(value, str) else json.dumps(plain(value)))


def _print_options(checkpoint: Checkpoint) -> None:
    options = checkpoint.options.values()
    given = [option for option in options if option.given]
    rows = [(f"--{_cell(option.letter)}", _shown(option.value)) for option in given]
    if rows:
        print_table(f"Options given (of {len(options)})", ["option", "value"], rows, right=())


def _print_layers(layers: Sequence[Layer]) -> None:
    columns = ["layer", "type", "inputs", "outputs", "arrays"]
    rows = [_layer_row(layer) for layer in layers]
    print_table("Layers", columns, rows, right=["outputs"])


def _layer_row(layer: Layer) -> Sequence[str]:
    shapes = (
        f"{name} {_shape(array.data.shape)}"
        for name, array in layer.arrays.items()
        if not name.partition("[")[0].endswith("Inc")
    )
    outputs = layer.values.get("outputs")
    return (
        _cell(layer.name),
        _cell(layer.type),
        _cell(", ".join(layer.inputs), 200),
        _shown(outputs) if outputs else "",
        _cell(", ".join(shapes), 200),
    )


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _print_arrays(layers: Sequence[Layer]) -> None:
    columns = ["layer", "array", "shape", "dtype", "order", "min", "max", "mean", "std", "not finite"]
    rows = list(_array_rows(layers))
    if rows:
        print_table("Arrays", columns, rows, right=columns[5:])


def _array_rows(layers: Sequence[Layer]) -> Iterator[Sequence[str]]:
    """Yield the statistics of each array; one that an earlier layer has too is named by that layer."""
    places = owners(layers)
    for layer in layers:
        for name, array in layer.arrays.items():
            start = (_cell(layer.name), _cell(name), _shape(array.data.shape))
            if places[id(array)] != f"{layer.name}.{name}":
                yield (*start, f"= {_cell(places[id(array)])}", *[""] * 6)
                continue
            found = statistics(array)
            numbers = (found.minimum, found.maximum, found.mean, found.deviation)
            yield (
                *start,
                array.data.dtype.name,
                array.order,
                *("" if number is None else f"{number:.4g}" for number in numbers),
                str(found.not_finite),
            )


def _print_histories(checkpoint: Checkpoint) -> None:
    rows = [
        (_cell(name), str(len(entries)), _cell(cost), *(_costs(entry, cost, checkpoint) for entry in ends))
        for name, entries in checkpoint.histories.items()
        if entries
        for ends in [(entries[0], entries[-1])]
        for cost in ends[-1].costs
    ]
    if rows:
        print_table(
            "Histories (values for each case)",
            ["history", "entries", "cost", "first", "last"],
            rows,
            ["entries"],
        )


def _costs(outputs: Outputs, cost: str, checkpoint: Checkpoint) -> str:
    """Return the values of a cost per case: v2 has sums over them."""
    cases = 1 if checkpoint.outputs_are_means else max(outputs.cases, 1)
    return ", ".join(f"{value / cases:.6g}" for value in outputs.costs.get(cost, ()))
