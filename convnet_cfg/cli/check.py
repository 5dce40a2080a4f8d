"""`convnet check`: read a configuration, say what it describes, or everything that is wrong with it."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import click

from convnet_cfg.cli.arguments import find_pair, reading_options
from convnet_cfg.cli.data_sizes import data_sizes, read_sizes
from convnet_cfg.cli.output import print_remarks, print_table, say
from convnet_cfg.errors import ConfigError
from convnet_cfg.language import Network, Reading, build_network, read_pair
from convnet_cfg.language.describe import describe, describe_problems, parameter_groups
from convnet_cfg.language.network import Layer
from convnet_cfg.language.params import DECAYS, DEFAULT_DECAY
from convnet_cfg.language.traps import traps


@click.command(short_help="Read a configuration and say what it describes, or what is wrong.")
@click.argument("layers", type=click.Path())
@click.argument("params", type=click.Path(), required=False)
@click.option(
    "--data-dims",
    callback=read_sizes,
    metavar="N,N,...",
    help="Values for each case of data matrix 0, 1, ...; guessed if not given.",
)
@click.option(
    "--classes",
    type=click.IntRange(min=1),
    help="Number of classes of the data; taken from the softmax layer if not given.",
)
@reading_options
@click.option(
    "--decay",
    type=click.Choice(DECAYS),
    default=DEFAULT_DECAY,
    show_default=True,
    help="The kind of weight decay that wc would mean in a training.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("-v", "--verbose", is_flag=True, help="Also note what only the GPU kernels refused.")
def check(
    layers: str,
    params: str | None,
    data_dims: tuple[int, ...] | None,
    classes: int | None,
    mode: str | None,
    dialect: str | None,
    average_divisor: str | None,
    extensions: tuple[str, ...],
    decay: str,
    as_json: bool,
    verbose: bool,
) -> None:
    """Read LAYERS and PARAMS, or the network of that name that came along, and say what they describe.

    Prints the layers, the update rules and the totals, or every problem of both files.
    """
    files = find_pair(layers, params)
    if extensions:
        from convnet_cfg.extend import load_extensions

        load_extensions(extensions)
    try:
        reading = Reading(mode or "default", dialect, average_divisor)
        pair = read_pair(files.layers, files.params, reading)
        sizes = data_sizes(data_dims, files.recipe, pair, classes)
        network = build_network(pair, sizes.dims, classes)
    except ConfigError as error:
        if as_json:
            _print_json({"status": "error", **describe_problems(error.problems)})
        raise
    found = traps(network, decay)
    print_remarks((*network.remarks, *found), verbose)
    for name, (layer, _) in network.functions.items():
        say(
            f"warning: {layer.place}: [{layer.name}] training needs --allow-init-func {name} to run that code"
        )
    if as_json:
        remarks = [str(trap) for trap in found]
        _print_json({**describe(network), "data_dims_guessed": sizes.guessed, "traps": remarks})
    else:
        _print_network(network)


def _print_json(values: dict[str, Any]) -> None:
    json.dump(values, sys.stdout, indent=2)
    click.echo()


def _print_network(network: Network) -> None:
    click.echo(f"dialect: {network.dialect.name} ({network.dialect.title}): {network.recognized_by}")
    for deviation in network.deviations:
        click.echo(f"differs: {deviation}")
    click.echo()
    rows = [_layer_row(layer) for layer in network.layers]
    total = ("total", "", "", "", *_numbers(network.layers))
    columns = ["layer", "type", "inputs", "output", "parameters", "multiply-adds"]
    print_table("Layers", columns, [*rows, total], right=columns[4:])
    if network.has_params:
        columns = ["layer", "matrix", "shape", "learning rate", "momentum", "weight decay", "also"]
        trained = _trained_by_others(network)
        rows = [_group_row(group, trained) for group in parameter_groups(network)]
        shown = len(columns) if any(row[-1] for row in rows) else len(columns) - 1
        print_table("Parameter groups", columns[:shown], [row[:shown] for row in rows], right=columns[3:6])


def _layer_row(layer: Layer) -> Sequence[str]:
    inputs = ", ".join(source.name for source in layer.inputs)
    return (layer.name, layer.type, inputs, _shape(layer), *_numbers([layer]))


def _numbers(layers: Sequence[Layer]) -> tuple[str, str]:
    return (
        f"{sum(layer.parameters for layer in layers):,}",
        f"{sum(layer.multiply_adds for layer in layers):,}",
    )


def _shape(layer: Layer) -> str:
    image = layer.output.image
    if image is not None:
        return f"{image.channels} x {image.side} x {image.side}"
    return str(layer.output.size) if layer.output.size else ""


def _trained_by_others(network: Network) -> set[str]:
    """Return the matrices that a layer with a rate of its own shares, as the table names their owner."""
    if not network.dialect.shared_rates:
        return set()
    return {
        matrix.source.words
        for layer in network.layers
        for matrix in layer.matrices
        if matrix.source and matrix.rule and matrix.rule.learning_rate > 0
    }


def _group_row(group: dict[str, Any], trained: Collection[str]) -> Sequence[str]:
    shape = " x ".join(map(str, group["shape"]))
    if "shared_with" in group:
        return (group["layer"], group["matrix"], shape, f"= {group['shared_with']}", "", "", "")
    matrix = group["matrix"].replace("weights", group["layer"])
    frozen = " (frozen)" if group["learning_rate"] <= 0 and matrix not in trained else ""
    rate = f"{group['learning_rate']:g}{frozen}"
    rule = (f"{group[name]:g}" for name in ("momentum", "weight_decay"))
    return (group["layer"], group["matrix"], shape, rate, *rule, ", ".join(_also(group)))


def _also(group: dict[str, Any]) -> Iterator[str]:
    """Yield what else there is to a rule of update: a schedule, bounds, a period."""
    if schedule := group["schedule"]:
        values = ";".join(f"{name}={value:g}" for name, value in schedule["params"].items())
        yield f"{schedule['type']}[{values}]"
    for name, value in (group["limits"] or {}).items():
        yield name.replace("_", " ") if value is True else f"{name.replace('_', ' ')} {value:g}"
    if group["decay"]:
        yield f"decay {group['decay']}"
    if group["update_period"] > 1:
        yield f"every {group['update_period']} passes"
