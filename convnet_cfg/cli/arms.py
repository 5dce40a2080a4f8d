"""A recipe with arms: each is trained with each seed, and their curves and errors are compared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import click

from convnet_cfg.cli.chart import Points, chart_lines
from convnet_cfg.cli.output import table_lines
from convnet_cfg.cli.stages import error_of, expectations, final_test, run_stages
from convnet_cfg.errors import UsageError
from convnet_cfg.zoo.recipes import Arm, Recipe

RESULTS, REPORT = "results.json", "report.txt"
COLUMNS = ("arm", "training error", "held-out error", "lowest", "highest", "published")


@dataclass(frozen=True)
class Run:
    """What came of one training: errors in percent, curves over the updates made."""

    directory: str
    seed: int
    training_error: float
    held_out_error: float
    training: Points
    held_out: Points

    def to_json(self) -> dict[str, Any]:
        """Return the run as it stands in results.json."""
        curves = {"training": self.training, "held_out": self.held_out}
        return {
            "run": self.directory,
            "seed": self.seed,
            "training_error_percent": self.training_error,
            "held_out_error_percent": self.held_out_error,
            "error_percent_by_updates": curves,
        }


Runs = Mapping[Arm, Sequence[Run]]


def compare_arms(recipe: Recipe, changes: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Train each arm with each seed (or with the one in `changes`), print what came of it, and keep that.

    Raises:
        CheckpointError: a directory or a file cannot be written.
        UsageError: the network has no error to compare.
    """
    from convnet_cfg.training.checkpoints import explaining_failure
    from convnet_cfg.training.run_directory import make_folder

    save_path = Path(values["save_path"])
    with explaining_failure(f"cannot make a directory in {save_path}"):
        folder = make_folder(save_path, recipe.name)
    seeds = [changes["seed"]] if "seed" in changes else recipe.seeds or [recipe.seed or 0]
    runs: dict[Arm, list[Run]] = {}
    for arm in recipe.arms:
        _announce(recipe, arm, {**changes, "seed": seeds[0]}, values["verbose"])
        for seed in seeds:
            run = _train(recipe, arm, folder, {**changes, "seed": seed}, values)
            click.echo(
                f"{f'seed {seed}':>9}  training error {run.training_error:.2f}%, "
                f"held-out error {run.held_out_error:.2f}%"
            )
            runs.setdefault(arm, []).append(run)
    report = "\n".join(report_lines(recipe, runs))
    click.echo(f"\n{report}")
    _write(folder, recipe, runs, report)
    click.echo(f"\nThe runs are in {folder}, with {RESULTS} and {REPORT}")


def _announce(recipe: Recipe, arm: Arm, changes: Mapping[str, Any], verbose: bool) -> None:
    """Say which arm begins, and what its first run trains."""
    from convnet_cfg.cli.arguments import Pair
    from convnet_cfg.cli.train import prepare_pair
    from convnet_cfg.cli.values import with_recipe

    click.echo(f"\n{arm.name}")
    pair = Pair(*recipe.files, recipe)
    given = {**changes, "decay": arm.decay, "epochs": recipe.stages[-1].epochs, "verbose": verbose}
    prepare_pair(pair, with_recipe(pair, {}, given))


def _train(
    recipe: Recipe, arm: Arm, folder: Path, changes: Mapping[str, Any], values: Mapping[str, Any]
) -> Run:
    """Train one arm with one seed through all stages."""
    log_format = "quiet" if values["log_format"] == "plain" else values["log_format"]
    name = f"{arm.name.replace(' ', '-')}-seed-{changes['seed']}"
    quiet = {**values, "log_format": log_format, "save_path": folder, "run_name": name}
    trained = run_stages(recipe, None, {**changes, "decay": arm.decay}, quiet)
    held_out = error_of(final_test(recipe, trained, quiet).costs)
    if held_out is None:
        raise UsageError(f"no cost of {recipe.files[0]} has an error that arms could be compared by")
    path = trained.session.run_directory.path
    training, tests = _curves(path / "log.jsonl", recipe.minibatch)
    return Run(path.name, changes["seed"], training[-1][1], held_out, training, tests)


def _curves(log: Path, minibatch: int) -> tuple[Points, Points]:
    """Return the errors in training and in tests that a log.jsonl has, each over the updates made so far."""
    curves: dict[str, list[tuple[float, float]]] = {"train": [], "test": []}
    updates = 0
    for line in map(json.loads, log.read_text(encoding="utf-8").splitlines()):
        if line["kind"] == "train":
            updates += -(-line["cases"] // minibatch)
        curves[line["kind"]].append((updates, error_of(line["costs"]) or 0.0))
    return curves["train"], curves["test"]


def report_lines(recipe: Recipe, runs: Runs) -> Iterator[str]:
    """Yield the curves and the errors of all arms, and what is known of them."""
    count = len(next(iter(runs.values())))
    means = f", means of {count} seeds" if count > 1 else ""
    held_out = {arm.name: [point for run in of_arm for point in run.held_out] for arm, of_arm in runs.items()}
    training = {arm.name: [point for run in of_arm for point in run.training] for arm, of_arm in runs.items()}
    yield from chart_lines(f"Held-out error{means}", held_out, "updates")
    yield ""
    yield from chart_lines(f"Training error{means}", training, "updates")
    yield ""
    yield f"Errors at the end{means}"
    yield from table_lines(COLUMNS, [_row(arm, of_arm) for arm, of_arm in runs.items()], right=COLUMNS[1:])
    yield ""
    yield from expectations(recipe.expected)


def _row(arm: Arm, runs: Sequence[Run]) -> tuple[str, ...]:
    held_out = [run.held_out_error for run in runs]
    published = arm.published_error_percent
    return (
        arm.name,
        f"{fmean(run.training_error for run in runs):.2f}%",
        *(f"{value:.2f}%" for value in (fmean(held_out), min(held_out), max(held_out))),
        f"{published:g}%" if published is not None else "",
    )


def _write(folder: Path, recipe: Recipe, runs: Runs, report: str) -> None:
    """Write what was printed, and all numbers behind it."""
    from convnet_cfg.training.checkpoints import explaining_failure

    arms = [
        {"name": arm.name, "decay": arm.decay, "runs": [run.to_json() for run in of_arm]}
        for arm, of_arm in runs.items()
    ]
    results = json.dumps({"recipe": recipe.name, "arms": arms}, indent=1)
    with explaining_failure(f"cannot write results in {folder}"):
        (folder / RESULTS).write_text(f"{results}\n", encoding="utf-8")
        (folder / REPORT).write_text(f"{report}\n", encoding="utf-8")
