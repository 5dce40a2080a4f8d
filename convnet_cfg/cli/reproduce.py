"""`convnet reproduce`: train a published network through all stages of its recipe."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convnet_cfg.cli.arguments import Pair, absolute
from convnet_cfg.cli.list import print_networks
from convnet_cfg.cli.output import say
from convnet_cfg.errors import ConfigError, Place, Problem, UsageError, join_words
from convnet_cfg.zoo import load_recipe
from convnet_cfg.zoo.recipes import Expected, Recipe, Stage

if TYPE_CHECKING:
    from convnet_cfg.cli.running import Trained
    from convnet_cfg.training.observer import Result
    from convnet_cfg.training.position import Position


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

    Without one, the recipes that come along are listed.
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
        _check_run(run, found)
    elif data_path is None and needs_path(found.data.provider):
        raise UsageError(f"--data is missing: where the batches for provider {found.data.provider!r} are")
    click.echo(found.title)
    again = ("convnet", "reproduce", recipe)
    values = {"log_format": log_format, "verbose": verbose, "save_path": save_path, "again": again}
    given = {"data_path": absolute(data_path), "seed": seed}
    changes = {name: value for name, value in given.items() if value is not None}
    trained: Trained | None = None
    for number, stage in enumerate(found.stages, start=1):
        if run is not None and number < len(found.stages) and _is_done(run, stage, found):
            continue
        click.echo(f"\nstage {number} of {len(found.stages)}: to epoch {stage.epochs}" + _stage_text(stage))
        trained = _run_stage(found, stage, run, changes, values)
        run = trained.session.run_directory.path
    assert trained is not None
    _compare(found, _final_test(found, trained, values))
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
    from convnet_cfg.cli.describe import describe_again
    from convnet_cfg.cli.train import prepare_pair, provider_options, recipe_values
    from convnet_cfg.training.setup import prepare_again

    options = {
        "train_range": _batches(stage, recipe),
        "test_range": tuple(stage.test_range or recipe.data.test_range),
        "epochs": stage.epochs,
        "rate_factor": stage.rate_factor,
    }
    if run is None:
        pair = Pair(recipe.files[0], recipe.params_of(stage), recipe)
        prepared = prepare_pair(pair, {**recipe_values(pair, {}), **options, **values, **changes})

        from convnet_cfg.cli.running import train_new

        return train_new(prepared, Path(values["save_path"]), True, values)
    options["provider_options"] = provider_options(recipe.data.provider, recipe.provider_options(stage))
    own_params = _own_params(recipe, stage, run)
    again = prepare_again(run, {**options, **changes}, own_params, shipped=own_params is not None)
    describe_again(again, values["verbose"])

    from convnet_cfg.cli.running import train_again

    return train_again(again, values)


def _final_test(recipe: Recipe, trained: Trained, values: Mapping[str, Any]) -> Result:
    """Return the test that the recipe asks for; it is made unless the training ended with it."""
    batches = tuple(recipe.final_test.test_range)
    if not recipe.final_test.multiview and trained.result.test_batches == batches:
        return trained.result
    from convnet_cfg.cli.running import test_again
    from convnet_cfg.cli.train import run_changes
    from convnet_cfg.training.setup import prepare_again

    click.echo("\nthe recipe's final test")
    path = trained.session.run_directory.path
    given = {"multiview": True} if recipe.final_test.multiview else {}
    changes = run_changes(path, {**given, "test_range": batches})
    return test_again(prepare_again(path, changes, training=False), batches, values)


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
    for line in _expectations(recipe.expected):
        click.echo(f"  {line}")
    if accepted is not None and error > accepted:
        click.echo(f"this is more than the {accepted:g}% that the recipe accepts", err=True)
        sys.exit(1)


def _expectations(expected: Expected) -> Iterator[str]:
    """Yield where the published figure is from, what is uncertain of it, and what this project measured."""
    yield f"source: {expected.source}"
    yield from (f"uncertain: {what}" for what in expected.uncertain)
    for measured in expected.measured:
        note = f" ({measured.note})" if measured.note else ""
        yield f"measured: {measured.error_percent:.2f}% on {measured.data}{note}"
