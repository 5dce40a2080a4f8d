"""The stages of a recipe, trained in a new run or in the one that there is, and the test after them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convnet_cfg.cli.arguments import Pair
from convnet_cfg.cli.output import say
from convnet_cfg.zoo.recipes import Expected, Recipe, Stage

if TYPE_CHECKING:
    from convnet_cfg.cli.running import Trained
    from convnet_cfg.training.observer import Costs, Result
    from convnet_cfg.training.position import Position


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
    return _position(run).next_batch(_batches(stage, recipe))[0] > stage.epochs


def _position(run: Path) -> Position:
    """Return where a run stands, or one of its checkpoints."""
    from convnet_cfg.training.checkpoints import read_checkpoint
    from convnet_cfg.training.position import Position
    from convnet_cfg.training.setup import locate

    return Position(*read_checkpoint(locate(run)[1])[1]["position"])


def _batches(stage: Stage, recipe: Recipe) -> tuple[int, ...]:
    return tuple(stage.train_range or recipe.data.train_range)


def _stage_text(stage: Stage) -> str:
    rates = f", rates times {stage.rate_factor:g}" if stage.rate_factor != 1 else ""
    return rates + (f" ({stage.note})" if stage.note else "")


def _run_stage(
    recipe: Recipe, stage: Stage, run: Path | None, changes: Mapping[str, Any], values: Mapping[str, Any]
) -> Trained:
    """Train to the end of a stage, in a new run or in the one that there is."""
    from convnet_cfg.cli.train import prepare_pair
    from convnet_cfg.cli.values import with_recipe

    options = {
        "train_range": _batches(stage, recipe),
        "test_range": tuple(stage.test_range or recipe.data.test_range),
        "epochs": stage.epochs,
        "rate_factor": stage.rate_factor,
    }
    if run is None:
        pair = Pair(recipe.files[0], recipe.params_of(stage), recipe)
        prepared = prepare_pair(pair, with_recipe(pair, {}, {**options, **values, **changes}))

        from convnet_cfg.cli.running import train_new

        return train_new(prepared, Path(values["save_path"]), True, values)
    return _go_on(recipe, stage, run, {**options, **changes}, values)


def _go_on(
    recipe: Recipe, stage: Stage, run: Path, options: Mapping[str, Any], values: Mapping[str, Any]
) -> Trained:
    """Train to the end of a stage in the run that there is; options of its provider that only it has stay."""
    from convnet_cfg.cli.describe import describe_again
    from convnet_cfg.cli.values import provider_options
    from convnet_cfg.training.setup import prepare_again

    own_params = _own_params(recipe, stage, run)
    own_options = provider_options(recipe.data.provider, recipe.provider_options(stage))
    changes = {**options, "provider_options": {**_kept_options(recipe, run), **own_options}}
    again = prepare_again(run, changes, own_params, shipped=own_params is not None)
    if values["log_format"] != "quiet":
        describe_again(again, values["verbose"])

    from convnet_cfg.cli.running import train_again

    return train_again(again, values)


def _own_params(recipe: Recipe, stage: Stage, path: Path) -> Path | None:
    """Return the parameter file that a stage begins with; None where the one in the run directory counts.

    That is so within the stage, and where all stages have one file; what the recipe does not say is said.
    """
    from convnet_cfg.language.grammar import decode
    from convnet_cfg.training.parameter_changes import changed_values
    from convnet_cfg.training.record import read_file
    from convnet_cfg.training.run_directory import PARAMS, sha256
    from convnet_cfg.training.setup import locate

    run, _ = locate(path)
    own = recipe.params_of(stage)
    content, inside, known = read_file(own), read_file(run.params), run.read_record()["files"][PARAMS]
    before = recipe.stages[: recipe.stages.index(stage)]
    begins = bool(before) and _position(path).epoch <= before[-1].epochs
    if begins and any(each.params for each in recipe.stages) and known["sha256"] != sha256(content):
        if known["sha256"] != sha256(inside):
            say(f"note: {run.params} was edited; from this stage on it is {own}, as the recipe has it")
        return own
    if changes := changed_values(decode(content), decode(inside)):
        say(f"note: {run.params} is not as the recipe has it: {'; '.join(changes)}")
    return None


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
    from convnet_cfg.cli.values import run_changes
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
