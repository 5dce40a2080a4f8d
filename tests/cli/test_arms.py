"""`convnet reproduce` with a recipe that has arms: tiny data, and Hinton's experiment."""

from __future__ import annotations

import json
import re
from statistics import fmean

import pytest
from tiny_runs import FLAT_LAYERS, FLAT_PARAMS, log, record, write_pair

RECIPE = """
title: two kinds of decay
pair: net
data:
  provider: cifar
  train_range: 1-2
  test_range: 4
minibatch: 16
seeds: [3, 8]
test_frequency: 2
arms:
  - name: some decay
    decay: after-step
    published_error_percent: 12.5
  - name: none
    decay: none
stages:
  - epochs: 1
  - epochs: 2
    rate_factor: 0.1
final_test:
  test_range: 4
expected:
  source: nowhere
  uncertain: [all of it]
"""


@pytest.fixture
def recipe(tmp_path):
    write_pair(tmp_path, FLAT_LAYERS, FLAT_PARAMS)
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    return path


@pytest.mark.slow
def test_each_arm_is_trained_with_each_seed_through_all_stages(convnet, recipe, data, the_run):
    printed = convnet("reproduce", recipe, "--data", data).stdout
    folder = the_run()
    assert folder.name.startswith("recipe__")
    names = {path.name.partition("__")[0]: path for path in folder.iterdir() if path.is_dir()}
    assert set(names) == {f"{arm}-seed-{seed}" for arm in ("some-decay", "none") for seed in (3, 8)}
    for name, path in names.items():
        options = record(path)["options"]
        assert options["seed"] == int(name[-1])
        assert options["decay"] == ("none" if name.startswith("none") else "after-step")
        assert (options["epochs"], options["rate_factor"]) == (2, 0.1)
        assert [line["epoch"] for line in log(path) if line["kind"] == "train"] == [1, 1, 2, 2]
    assert printed.index("decay      after-step:") < printed.index("decay      none:")
    rows = re.findall(r"^ +seed [38]  training error .*%, held-out error .*%$", printed, re.MULTILINE)
    assert len(rows) == 4
    assert "\nHeld-out error, means of 2 seeds\n 100% |" in printed
    assert "\nTraining error, means of 2 seeds\n 100% |" in printed
    assert " 12 updates\n" in printed  # 40 cases are three minibatches
    assert "o some decay   + none\n" in printed
    assert printed.endswith(
        "source: nowhere\nuncertain: all of it\n\n"
        f"The runs are in runs/{folder.name}, with results.json and report.txt\n"
    )
    assert (folder / "report.txt").read_text() in printed
    results = json.loads((folder / "results.json").read_text())["arms"]
    assert [(arm["name"], arm["decay"]) for arm in results] == [
        ("some decay", "after-step"),
        ("none", "none"),
    ]
    for arm in results:
        assert_results_of_runs(arm["runs"], folder)
        errors = [run["held_out_error_percent"] for run in arm["runs"]]
        row = f"{fmean(errors):.2f}% +{min(errors):.2f}% +{max(errors):.2f}%"
        assert re.search(rf"^  {arm['name']} .* {row}", printed, re.MULTILINE)


def assert_results_of_runs(runs, folder):
    for run in runs:
        (final,) = record(folder / run["run"])["final_tests"][-1:]
        assert run["held_out_error_percent"] == 100 * final["costs"]["logprob"][1]
        errors = [
            100 * line["costs"]["logprob"][1] for line in log(folder / run["run"]) if line["kind"] == "train"
        ]
        curves = run["error_percent_by_updates"]
        assert curves["training"] == [[3 * number, error] for number, error in enumerate(errors, 1)]
        assert [updates for updates, _ in curves["held_out"]] == [6, 12]


def test_one_seed(convnet, recipe, data, the_run):
    printed = convnet("reproduce", recipe, "--data", data, "--seed=5").stdout
    assert sorted(path.name.partition("__")[0] for path in the_run().iterdir() if path.is_dir()) == [
        "none-seed-5",
        "some-decay-seed-5",
    ]
    assert "\nHeld-out error\n" in printed


def test_what_cannot_be_done(convnet, recipe, data, tmp_path):
    message = convnet("reproduce", recipe, "-f", "a-run", code=2).stderr
    assert message == "a recipe with arms makes new runs; go on with one: convnet-train -f a-run\n"
    recipe.write_text(RECIPE.replace("after-step", "after"))
    assert f"{recipe}:13:5: [arms.1] decay must be " in convnet("reproduce", recipe, code=3).stderr
    recipe.write_text(RECIPE.replace("  train_range", "  options: [sweeps=3]\n  train_range"))
    message = convnet("reproduce", recipe, "--data", data, code=2).stderr
    assert "'cifar' takes inner_size, scalar_mean, test_views, not 'sweeps'" in message


def test_a_recipe_of_its_own_gives_its_seed_to_the_data(convnet, the_run):
    convnet("train", "hinton-1987", "--epochs=1", "--seed=4", "--provider-option", "sweeps=2")
    options = record(the_run())["options"]
    assert options["provider_options"] == {"sweeps": 2, "split": 4}
    assert (options["decay"], options["minibatch"], options["seed"]) == ("decoupled", 160, 4)


@pytest.mark.slow
def test_hinton_1987_generalizes_with_weight_decay_only(convnet, the_run):
    convnet("reproduce", "hinton-1987")
    results = json.loads((the_run() / "results.json").read_text())
    errors = {
        arm["name"]: fmean(run["held_out_error_percent"] for run in arm["runs"]) for arm in results["arms"]
    }
    # 30% and 70%, give or take: how a seed ends depends on the last bit of its sums.
    assert errors["with decay"] < errors["without decay"] - 15
    trained = [run["training_error_percent"] for arm in results["arms"] for run in arm["runs"]]
    assert sorted(trained)[len(trained) // 2] < 5
