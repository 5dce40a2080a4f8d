"""`convnet reproduce`: train a published network through all stages of its recipe."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convnet_cfg.cli.arguments import Pair
from convnet_cfg.zoo import load_recipe
from convnet_cfg.zoo.recipes import Recipe, Stage

if TYPE_CHECKING:
    from convnet_cfg.training.observer import Result
    from convnet_cfg.training.session import Session


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("recipe", metavar="RECIPE")
@click.option("--data", "data_path", metavar="DIR", help="Where the data batches are.")
@click.option("--save-path", default="runs", show_default=True, metavar="DIR", help="Where the run is made.")
@click.option("--seed", type=click.IntRange(0), help="Another seed than the recipe's.")
@click.option("--log-format", type=click.Choice(["plain", "convnet"]), default="plain", help="How to print.")
@click.option("-v", "--verbose", is_flag=True, help="Also show what TensorFlow says.")
def reproduce(
    recipe: str, data_path: str | None, save_path: str, seed: int | None, log_format: str, verbose: bool
) -> None:
    """Train through the stages of a RECIPE, a shipped one or a YAML file, and compare with what is known.

    A recipe that is interrupted is taken up again with convnet-train -f, stage by stage.
    """
    found = load_recipe(recipe)
    values = {"log_format": log_format, "verbose": verbose, "save_path": save_path}
    session: Session | None = None
    for number, stage in enumerate(found.stages, start=1):
        click.echo(f"\nstage {number} of {len(found.stages)}: to epoch {stage.epochs}" + _stage_text(stage))
        session = _run_stage(found, stage, session, data_path, seed, values)
    assert session is not None
    result = _final_test(found, session, values)
    _compare(found, result)
    from convnet_cfg.cli.running import say_what_next

    say_what_next(session)


def _stage_text(stage: Stage) -> str:
    rates = f", rates times {stage.rate_factor:g}" if stage.rate_factor != 1 else ""
    return rates + (f" ({stage.note})" if stage.note else "")


def _run_stage(
    recipe: Recipe,
    stage: Stage,
    before: Session | None,
    data_path: str | None,
    seed: int | None,
    values: Mapping[str, Any],
) -> Session:
    from convnet_cfg.cli.describe import describe
    from convnet_cfg.cli.train import prepare_pair, recipe_values
    from convnet_cfg.training.setup import prepare_again

    options = {
        "train_range": tuple(stage.train_range or recipe.data.train_range),
        "test_range": tuple(stage.test_range or recipe.data.test_range),
        "epochs": stage.epochs,
        "rate_factor": stage.rate_factor,
    }
    if before is None:
        pair = Pair(*recipe.files, recipe)
        chosen = {**recipe_values(pair), **options, "data_path": data_path, **values}
        prepared = prepare_pair(pair, chosen | ({"seed": seed} if seed is not None else {}))

        from convnet_cfg.cli.running import train_new

        return train_new(prepared, Path(values["save_path"]), True, values)
    again = prepare_again(before.run_directory.path, options)
    describe(again.prepared, values["verbose"])

    from convnet_cfg.cli.running import train_again

    return train_again(again, values)


def _final_test(recipe: Recipe, session: Session, values: Mapping[str, Any]) -> Result:
    """Test as the recipe says: on its test batches, over ten views if it asks for them."""
    from convnet_cfg.cli.running import test_again
    from convnet_cfg.cli.train import run_changes
    from convnet_cfg.training.setup import prepare_again

    path = session.run_directory.path
    given = {"multiview": True} if recipe.final_test.multiview else {}
    click.echo("\nthe recipe's final test")
    batches = tuple(recipe.final_test.test_range)
    return test_again(
        prepare_again(path, run_changes(path, {**given, "test_range": batches})), batches, values
    )


def _compare(recipe: Recipe, result: Result) -> None:
    """Print what was reached beside what is expected; exit code 1 if a bound is not held."""
    errors = [100 * values[1] for values in result.costs.values() if len(values) > 1]
    if not errors:
        return
    error = errors[0]
    published = recipe.expected.published_error_percent
    accepted = recipe.expected.accepted_error_percent
    click.echo(
        f"\ntest error {error:.2f}%" + (f"; published {published:g}%" if published is not None else "")
    )
    if accepted is not None and error > accepted:
        click.echo(f"this is more than the {accepted:g}% that the recipe accepts", err=True)
        sys.exit(1)
