"""`convnet reproduce`: train a published network through all stages of its recipe."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convnet_cfg.cli.arguments import absolute
from convnet_cfg.cli.arms import compare_arms
from convnet_cfg.cli.list import print_networks
from convnet_cfg.cli.stages import error_of, expectations, final_test, run_stages
from convnet_cfg.errors import ConfigError, Place, Problem, UsageError, join_words
from convnet_cfg.zoo import load_recipe
from convnet_cfg.zoo.recipes import Recipe

if TYPE_CHECKING:
    from convnet_cfg.training.observer import Result


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("recipe", metavar="RECIPE", required=False)
@click.option("--data", "data_path", metavar="DIR", help="Where the data batches are.")
@click.option("--save-path", default="runs", show_default=True, metavar="DIR", help="Where the run is made.")
@click.option("--seed", type=click.IntRange(0), help="Another seed than the recipe's.")
@click.option(
    "-f", "--load-file", metavar="RUN", help="Go on with a run of this recipe that was interrupted."
)
@click.option("--log-format", type=click.Choice(["plain", "convnet"]), default="plain", help="How to print.")
@click.option("-v", "--verbose", is_flag=True, help="Also show what TensorFlow says.")
def reproduce(
    recipe: str | None,
    data_path: str | None,
    save_path: str,
    seed: int | None,
    load_file: str | None,
    log_format: str,
    verbose: bool,
) -> None:
    """Train through the stages of a RECIPE, a shipped one or a YAML file, and compare with what is known.

    A recipe with several arms is trained once for each of them and each seed, and shows their curves. Without
    a recipe, those that come along are listed.
    """
    if recipe is None:
        print_networks()
        return
    from convnet_cfg.data import needs_path

    found = load_recipe(recipe)
    _check_options(found)
    run = Path(load_file) if load_file else None
    if run is not None:
        if seed is not None:
            raise UsageError("--seed is for a new run: with -f, a run keeps its own")
        if found.arms:
            raise UsageError(f"a recipe with arms makes new runs; go on with one: convnet-train -f {run}")
        _check_run(run, found)
    elif data_path is None and needs_path(found.data.provider):
        raise UsageError(f"--data is missing: where the batches for provider {found.data.provider!r} are")
    click.echo(found.title)
    values = {"log_format": log_format, "verbose": verbose, "save_path": save_path}
    given = {"data_path": absolute(data_path), "seed": seed}
    changes = {name: value for name, value in given.items() if value is not None}
    if found.arms:
        compare_arms(found, changes, values)
    else:
        _run(found, run, changes, {**values, "again": ("convnet", "reproduce", recipe)})


def _run(recipe: Recipe, run: Path | None, changes: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Train in one run, and compare what it reaches with what is known."""
    trained = run_stages(recipe, run, changes, values)
    _compare(recipe, final_test(recipe, trained, values))
    from convnet_cfg.cli.running import say_what_next

    say_what_next(trained.session.run_directory.path, trained.session.position.epoch)


def _check_options(recipe: Recipe) -> None:
    """Raise ConfigError if a recipe has options that its data provider does not take."""
    from convnet_cfg.data import options_of

    name = recipe.data.provider
    given = {option for stage in recipe.stages for option in recipe.provider_options(stage)}
    if unknown := sorted(given.difference(options_of(name))):
        message = f"data provider {name!r} does not take {join_words(unknown, 'or')}"
        raise ConfigError([Problem(Place(str(recipe.path), 1), "data", message)])


def _check_run(path: Path, recipe: Recipe) -> None:
    """Raise UsageError if a run is none of the recipe: of another network, other data or minibatches."""
    from convnet_cfg.training.options import Options
    from convnet_cfg.training.record import read_file
    from convnet_cfg.training.run_directory import LAYERS, sha256
    from convnet_cfg.training.setup import locate

    run, _ = locate(path)
    record = run.read_record()
    options = Options.from_json(record["options"])
    layers = recipe.files[0]
    differences = []
    if record["files"][LAYERS]["sha256"] != sha256(read_file(layers)):
        differences.append(f"its definition is not {layers}")
    if options.data_provider != recipe.data.provider:
        differences.append(f"its data provider is {options.data_provider!r}, not {recipe.data.provider!r}")
    if options.minibatch != recipe.minibatch:
        differences.append(f"its minibatches have {options.minibatch} cases, not {recipe.minibatch}")
    if differences:
        raise UsageError(f"{path} is no run of the recipe {recipe.name!r}: {'; '.join(differences)}")


def _compare(recipe: Recipe, result: Result) -> None:
    """Print what was reached beside what is expected; exit code 1 if a bound is not held."""
    error = error_of(result.costs)
    if error is None:
        return
    published = recipe.expected.published_error_percent
    accepted = recipe.expected.accepted_error_percent
    click.echo(
        f"\ntest error {error:.2f}%" + (f"; published {published:g}%" if published is not None else "")
    )
    for line in expectations(recipe.expected):
        click.echo(f"  {line}")
    if accepted is not None and error > accepted:
        click.echo(f"this is more than the {accepted:g}% that the recipe accepts", err=True)
        sys.exit(1)
