"""`convnet reproduce`: a recipe of two stages over tiny data."""

from __future__ import annotations

import os
import re
import signal

import pytest
from tiny_runs import LAYERS, log, newest, record, write_pair

from convnet_cfg.cli.lines import PlainLines
from convnet_cfg.data.registry import check_options
from convnet_cfg.zoo import load_recipe, names

RECIPE = """
title: a small network
pair: net
data:
  provider: cifar-cropped
  crop_border: 1
  train_range: 1-3
  test_range: 4
minibatch: 16
seed: 3
test_frequency: 2
stages:
  - epochs: 1
  - epochs: 2
    rate_factor: 0.1
    train_range: 1-4
    test_range: 5
    note: all of it
final_test:
  test_range: 5
  multiview: true
expected:
  published_error_percent: 26
  accepted_error_percent: {accepted}
  source: nowhere
  uncertain: [the data, the length]
  measured:
    - {{error_percent: 25, data: something else, note: once}}
"""


@pytest.fixture
def recipe(tmp_path):
    write_pair(tmp_path)
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.format(accepted=100))
    return path


def test_the_stages_and_the_final_test(convnet, recipe, data, the_run):
    printed = convnet("reproduce", recipe, "--data", data).stdout
    assert printed.startswith("a small network\n")
    assert "stage 1 of 2: to epoch 1\n" in printed
    assert "stage 2 of 2: to epoch 2, rates times 0.1 (all of it)\n" in printed
    assert "(batch 5, 10 views; " in printed
    known = (
        "; published 26%\n  source: nowhere\n  uncertain: the data\n  uncertain: the length\n"
        "  measured: 25.00% on something else (once)\n"
    )
    assert known in printed
    batches = [(line["epoch"], line["batch"]) for line in log(the_run()) if line["kind"] == "train"]
    assert batches == [(epoch, batch) for epoch in (1, 2) for batch in (1, 2, 3, 4)]
    assert newest(the_run()).name == "2.4.safetensors"
    found = record(the_run())
    assert found["options"]["seed"] == 3
    assert found["options"]["rate_factor"] == 0.1


LATER = RECIPE.format(accepted=100).replace("rate_factor: 0.1", "params: later")


@pytest.fixture
def staged(recipe, tmp_path):
    """The recipe with another parameter file, frozen for the most part, in its second stage."""
    frozen = re.sub("eps(.)=.*", r"eps\1=0", (tmp_path / "net.params.cfg").read_text(), count=2)
    (tmp_path / "later.params.cfg").write_text(frozen)
    recipe.write_text(LATER)
    return recipe


def test_a_stage_with_a_parameter_file_of_its_own(convnet, staged, data, the_run, tmp_path):
    convnet("reproduce", staged, "--data", data)
    frozen = (tmp_path / "later.params.cfg").read_text()
    assert (the_run() / "params.cfg").read_text() == frozen
    (change,) = [each for each in record(the_run())["changes"] if "params" in each]
    assert "+epsW=0" in change["params"]["diff"]
    assert record(the_run())["files"]["params.cfg"]["path"] is None
    assert "not as the recipe has it" not in convnet("reproduce", staged, "-f", the_run()).stderr
    assert (the_run() / "params.cfg").read_text() == frozen


def test_the_first_stage_may_have_one_too(convnet, staged, data, the_run, tmp_path):
    staged.write_text(LATER.replace("  - epochs: 1\n", "  - epochs: 1\n    params: later\n"))
    convnet("reproduce", staged, "--data", data)
    assert (the_run() / "params.cfg").read_text() == (tmp_path / "later.params.cfg").read_text()
    assert [change for change in record(the_run())["changes"] if "params" in change] == []


def test_an_edit_within_a_stage_counts_and_a_new_version_of_its_file_does_not(
    convnet, staged, data, the_run, tmp_path
):
    convnet("reproduce", staged, "--data", data)
    own, params = tmp_path / "later.params.cfg", the_run() / "params.cfg"
    own.write_text(own.read_text().replace("momB=0.9", "momB=0.8", 1))
    edited = params.read_text().replace("epsW=0\n", "epsW=0.0003\n", 1)
    params.write_text(edited)
    staged.write_text(LATER.replace("epochs: 2", "epochs: 3"))
    again = convnet("reproduce", staged, "-f", the_run())
    assert params.read_text() == edited
    assert "not as the recipe has it: [conv1] epsW: 0 -> 0.0003; [conv1] momB: 0.8 -> 0.9\n" in again.stderr
    assert "+epsW=0.0003" in record(the_run())["changes"][-1]["params"]["diff"]


def test_an_edit_before_a_stage_with_a_file_of_its_own_is_said_to_end(
    convnet, staged, data, the_run, tmp_path
):
    start, end = LATER.index("  - epochs: 2"), LATER.index("final_test")
    staged.write_text(LATER[:start] + LATER[end:])
    convnet("reproduce", staged, "--data", data)
    params, own = the_run() / "params.cfg", tmp_path / "later.params.cfg"
    params.write_text(params.read_text().replace("epsB=0.002", "epsB=0.003", 1))
    staged.write_text(LATER)
    noted = convnet("reproduce", staged, "-f", the_run()).stderr
    assert f"note: {params} was edited; from this stage on it is {own}, as the recipe has it\n" in noted
    assert params.read_text() == own.read_text()


def test_another_seed(convnet, recipe, data, the_run):
    convnet("reproduce", recipe, "--data", data, "--seed=9", "--save-path=runs")
    assert record(the_run())["options"]["seed"] == 9


def test_a_result_that_is_not_good_enough(convnet, recipe, data):
    recipe.write_text(RECIPE.format(accepted=0.01))
    message = convnet("reproduce", recipe, "--data", data, code=1).stderr
    assert "this is more than the 0.01% that the recipe accepts" in message


def test_going_on_with_an_interrupted_recipe(convnet, recipe, data, the_run, tmp_path):
    whole = convnet("reproduce", recipe, "--data", data, "--save-path", tmp_path / "whole").stdout
    # Stopped at the end of the first stage: all that is left is the second.
    stages = RECIPE.format(accepted=100)
    start, end = stages.index("  - epochs: 2"), stages.index("final_test")
    recipe.write_text(stages[:start] + stages[end:])
    convnet("reproduce", recipe, "--data", data)
    recipe.write_text(stages)
    rest = convnet("reproduce", recipe, "-f", the_run()).stdout
    assert "stage 1" not in rest
    assert "stage 2 of 2" in rest
    assert re.findall("test error .*", rest) == re.findall("test error .*", whole) != []


def test_what_goes_on_after_ctrl_c(convnet, recipe, data, the_run, monkeypatch):
    """Not `convnet-train`, which would end with the stage."""
    with monkeypatch.context() as patch:
        patch.setattr(PlainLines, "batch_done", lambda *_: os.kill(os.getpid(), signal.SIGINT))
        stopped = convnet("reproduce", recipe, "--data", data, code=130).stderr
    (rest,) = re.findall(r"; go on with: convnet (.*)\n", stopped)
    assert rest == f"reproduce {recipe} -f runs/{the_run().name}"
    assert "\ntest error " in convnet(*rest.split()).stdout


def test_going_on_from_a_checkpoint_of_any_name(convnet, recipe, data, the_run):
    whole = convnet("reproduce", recipe, "--data", data).stdout
    best = newest(the_run()).rename(the_run() / "best.safetensors")
    rest = convnet("reproduce", recipe, "-f", best).stdout
    assert "stage 1" not in rest
    assert "stage 2 of 2" in rest
    assert re.findall("test error .*", rest) == re.findall("test error .*", whole) != []


def test_a_run_with_parameters_of_its_own_is_remarked_upon(convnet, recipe, data, the_run):
    convnet("reproduce", recipe, "--data", data)
    params = the_run() / "params.cfg"
    params.write_text("# faster\n" + params.read_text())
    assert "not as the recipe has it" not in convnet("reproduce", recipe, "-f", the_run()).stderr
    params.write_text(params.read_text().replace("epsB=0.002", "epsB=0.003", 1))
    done = convnet("reproduce", recipe, "-f", the_run())
    assert f"note: {params} is not as the recipe has it: [conv1] epsB: 0.002 -> 0.003\n" in done.stderr


def test_a_finished_recipe_leaves_no_second_record_of_one_test(convnet, recipe, data, the_run):
    convnet("reproduce", recipe, "--data", data)
    before = record(the_run())["final_tests"]
    convnet("reproduce", recipe, "-f", the_run())
    assert record(the_run())["final_tests"] == before


def test_a_run_of_something_else(convnet, recipe, data, the_run, tmp_path):
    convnet("reproduce", recipe, "--data", data)
    before = {path.name: path.read_bytes() for path in the_run().iterdir()}
    text = RECIPE.format(accepted=100)

    def refused(*arguments):
        return convnet("reproduce", recipe, "-f", the_run(), *arguments, code=2).stderr

    assert "--seed is for a new run" in refused("--seed=3")
    beginning = f"{the_run()} is no run of the recipe 'recipe': "
    recipe.write_text(text.replace("minibatch: 16", "minibatch: 20"))
    assert refused() == f"{beginning}its minibatches have 16 cases, not 20\n"
    recipe.write_text(text.replace("cifar-cropped\n  crop_border: 1", "cifar\n  inner_size: 6"))
    assert refused() == f"{beginning}its data provider is 'cifar-cropped', not 'cifar'\n"
    recipe.write_text(text)
    (tmp_path / "net.cfg").write_text(LAYERS.replace("filters=4", "filters=5"))
    assert refused() == f"{beginning}its definition is not {tmp_path / 'net.cfg'}\n"
    assert {path.name: path.read_bytes() for path in the_run().iterdir()} == before


def test_what_is_wrong_with_a_recipe(convnet, recipe, tmp_path):
    where = "where the batches for provider 'cifar-cropped' are"
    assert convnet("reproduce", recipe, code=2).stderr == f"--data is missing: {where}\n"
    assert "no such folder" in convnet("reproduce", recipe, "--data=nowhere", code=4).stderr
    assert "there is no file 'unknown'" in convnet("reproduce", "unknown", code=2).stderr
    recipe.write_text(RECIPE.format(accepted=100).replace("minibatch", "minbatch"))
    assert "unknown key 'minbatch'" in convnet("reproduce", recipe, code=3).stderr
    assert not (tmp_path / "runs").exists()


def test_an_option_that_the_provider_does_not_take(convnet, recipe, data, tmp_path):
    """It is an error before the first stage, not only where the second begins."""
    recipe.write_text(RECIPE.format(accepted=100).replace("cifar-cropped", "cifar"))
    message = convnet("reproduce", recipe, "--data", data, code=3).stderr
    assert f"{recipe}:1:1: [data] data provider 'cifar' does not take crop_border\n" in message
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", names())
def test_shipped_recipes_have_options_that_their_providers_take(name):
    recipe = load_recipe(name)
    for stage in recipe.stages:
        check_options(recipe.data.provider, recipe.provider_options(stage))
