"""`convnet list`: the networks that come along, each with its recipe."""

from __future__ import annotations

from collections.abc import Sequence

import click

from convnet_cfg.cli.output import print_table
from convnet_cfg.zoo import find_config, load_recipe, names
from convnet_cfg.zoo.recipes import Recipe

COLUMNS = ("name", "data", "published", "parameters", "cost")
HELP = {"help_option_names": ["-h", "--help"]}


@click.command("list", context_settings=HELP)
def list_networks() -> None:
    """List the networks that come along, and what their recipes take and reach."""
    print_networks()


def print_networks() -> None:
    """Print a table of the networks, and what can be done with them."""
    rows = [_row(load_recipe(find_config(name))) for name in names()]
    print_table("Networks", COLUMNS, rows, right=COLUMNS[2:4])
    click.echo("convnet check NAME      what it consists of")
    click.echo("convnet-train NAME      train it through the first stage of its recipe")
    click.echo("convnet reproduce NAME  train it through all stages of its recipe")


def _row(recipe: Recipe) -> Sequence[str]:
    published = recipe.expected.published_error_percent
    return (
        recipe.name,
        recipe.data.provider,
        f"{published:g}% error" if published is not None else "",
        f"{recipe.cost.parameters:,}" if recipe.cost else "",
        recipe.cost.time if recipe.cost else "",
    )
