"""The stages of a recipe, trained in a new run or in the one that there is, and the test after them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convnet_cfg.cli.arguments import Pair
from convnet_cfg.zoo.recipes import Expected, Recipe, Stage

if TYPE_CHECKING:
    from convnet_cfg.cli.running import Trained
    from convnet_cfg.training.observer import Costs, Result


def run_stages(
    recipe: Recipe, run: Path | None, changes: Mapping[str, Any], values: Mapping[str, Any]
) -> Trained:
    """Train through all stages that are not done; `changes` are options other than the recipe's."""
    trained: Trained | None = None
    for number, stage in enumerate(recipe.stages, start=1):
        if run is not None and number < len(recipe.stages) and _is_done(run, stage, recipe):
            continue
        if values["log_format"] != "quiet":
            progress = f"stage {number} of {len(recipe.stages)}: to epoch {stage.epochs}"
            click.echo(f"\n{progress}{_stage_text(stage)}")
        trained = _run_stage(recipe, stage, run, changes, values)
        run = trained.session.run_directory.path
    assert trained is not None
    return trained


def _is_done(run: Path, stage: Stage, recipe: Recipe) -> bool:
    """Return whether a run is at the end of a stage, or beyond it."""
    from convnet_cfg.training.checkpoints import read_checkpoint
    from convnet_cfg.training.position import Position
    from convnet_cfg.training.setup import locate

    position = Position(*read_checkpoint(locate(run)[1])[1]["position"])
    return position.next_batch(_batches(stage, recipe))[0] > stage.epochs


def _batches(stage: Stage, recipe: Recipe) -> tuple[int, ...]:
    return tuple(stage.train_range or recipe.data.train_range)


def _stage_text(stage: Stage) -> str:
    rates = f", rates times {stage.rate_factor:g}" if stage.rate_factor != 1 else ""
    return rates + (f" ({stage.note})" if stage.note else "")


def _run_stage(
    recipe: Recipe, stage: Stage, run: Path | None, changes: Mapping[str, Any], values: Mapping[str, Any]
) -> Trained:
    """Train to the end of a stage, in a new run or in the one that there is."""
    from convnet_cfg.cli.train import prepare_pair, with_recipe

    options = {
        "train_range": _batches(stage, recipe),
        "test_range": tuple(stage.test_range or recipe.data.test_range),
        "epochs": stage.epochs,
        "rate_factor": stage.rate_factor,
    }
    if run is None:
        pair = Pair(*recipe.files, recipe)
        prepared = prepare_pair(pair, with_recipe(pair, {}, {**options, **values, **changes}))

        from convnet_cfg.cli.running import train_new

        return train_new(prepared, Path(values["save_path"]), True, values)
    return _go_on(recipe, stage, run, {**options, **changes}, values)


def _go_on(
    recipe: Recipe, stage: Stage, run: Path, options: Mapping[str, Any], values: Mapping[str, Any]
) -> Trained:
    """Train to the end of a stage in the run that there is; options of its provider that only it has stay."""
    from convnet_cfg.cli.describe import describe_again
    from convnet_cfg.training.setup import prepare_again

    own_params = recipe.params_of(stage) if any(each.params for each in recipe.stages) else None
    provider_options = {**_kept_options(recipe, run), **recipe.provider_options(stage)}
    again = prepare_again(run, {**options, "provider_options": provider_options}, own_params)
    if values["log_format"] != "quiet":
        describe_again(again, values["verbose"])

    from convnet_cfg.cli.running import train_again

    return train_again(again, values)


def _kept_options(recipe: Recipe, run: Path) -> dict[str, Any]:
    """Return those of a run's options of its provider that a recipe sets by name."""
    from convnet_cfg.training.options import Options
    from convnet_cfg.training.setup import locate

    recorded = Options.from_json(locate(run)[0].read_record()["options"]).provider_options
    names = {text.partition("=")[0] for text in recipe.own_options(0)}
    return {name: value for name, value in recorded.items() if name in names}


def final_test(recipe: Recipe, trained: Trained, values: Mapping[str, Any]) -> Result:
    """Return the test that the recipe asks for; it is made unless the training ended with it."""
    batches = tuple(recipe.final_test.test_range)
    if not recipe.final_test.multiview and trained.result.test_batches == batches:
        return trained.result
    from convnet_cfg.cli.running import test_again
    from convnet_cfg.cli.train import run_changes
    from convnet_cfg.training.setup import prepare_again

    if values["log_format"] != "quiet":
        click.echo("\nthe recipe's final test")
    path = trained.session.run_directory.path
    given = {"multiview": True} if recipe.final_test.multiview else {}
    changes = run_changes(path, {**given, "test_range": batches})
    return test_again(prepare_again(path, changes, training=False), batches, values)


def error_of(costs: Costs) -> float | None:
    """Return the error of the first cost that has one, in percent."""
    return next((100 * values[1] for values in costs.values() if len(values) > 1), None)


def expectations(expected: Expected) -> Iterator[str]:
    """Yield where the published figure is from, what is uncertain of it, and what this project measured."""
    yield f"source: {expected.source}"
    yield from (f"uncertain: {what}" for what in expected.uncertain)
    for measured in expected.measured:
        note = f" ({measured.note})" if measured.note else ""
        yield f"measured: {measured.error_percent:.2f}% on {measured.data}{note}"
