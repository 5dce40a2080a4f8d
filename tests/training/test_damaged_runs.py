"""Run directories that are damaged, foreign, or none."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import save_file
from tiny_runs import arrays, flat_options, newest, options, record, resume, start, train, write_pair

from convnet_cfg.errors import CheckpointError
from convnet_cfg.training.run_directory import RunDirectory
from convnet_cfg.training.setup import prepare_again


@pytest.fixture
def run(flat_pair, data):
    return train(start(flat_pair, flat_options(data, epochs=1)))


def damage(run, name, change):
    path = run / name
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize("size", [0, 7, 100, 4000])
def test_a_truncated_checkpoint(run, size):
    damage(run, newest(run).name, lambda content: content[:size])
    with pytest.raises(CheckpointError, match=r"cannot read checkpoint .*1\.3\.safetensors: "):
        prepare_again(run, {})


def test_a_foreign_checkpoint(run):
    save_file({"weight": np.zeros(3, np.float32)}, newest(run))
    with pytest.raises(CheckpointError, match="is not a checkpoint of convnet-cfg"):
        prepare_again(run, {})


def test_a_checkpoint_of_another_network(run, tmp_path, data):
    (tmp_path / "other").mkdir()
    write_pair(tmp_path / "other")
    other = train(start(tmp_path / "other", options(data, epochs=1)))
    damage(run, newest(run).name, lambda _: newest(other).read_bytes())
    with pytest.raises(CheckpointError, match="the checkpoint is not of this network"):
        resume(run)


def test_a_checkpoint_without_counters(run):
    save_file(arrays(run), newest(run), {"format": "convnet-cfg checkpoint 1", "state": "{}"})
    with pytest.raises(CheckpointError, match="is damaged"):
        prepare_again(run, {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "cannot read"),
        ('{"options": ', "cannot read"),
        ("\udcff", "cannot read"),
        ("[1, 2]", "is not the record of a run"),
        ('{"name": "something else"}', "is not the record of a run"),
        ('{"format": 2}', "is not the record of a run of this version"),
        ('{"format": 1}', "is damaged: it has no options"),
        ('{"format": 1, "options": {}, "files": {}, "changes": [], "final_tests": []}', "layers.cfg"),
    ],
)
def test_a_damaged_record(run, content, message):
    (run / "run.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(CheckpointError, match=message):
        prepare_again(run, {})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": "many"}, "wrong value for the option epochs: 'many'"),
        ({"test_range": 4}, "wrong value for the option test_range: 4"),
        ({"colour": "red"}, "options unknown to this version: colour"),
    ],
)
def test_damaged_options(run, change, message):
    content = record(run)
    content["options"].update(change)
    (run / "run.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=message):
        prepare_again(run, {})


def test_a_missing_option(run):
    content = record(run)
    del content["options"]["train_range"]
    (run / "run.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="does not have every option: .*train_range"):
        prepare_again(run, {})


def test_no_run_directory(run, tmp_path):
    for path, message in {
        tmp_path / "nowhere": "there is no such directory",
        tmp_path: "it has no layers.cfg, params.cfg, run.json",
        run / "run.json": "cannot read checkpoint",
    }.items():
        with pytest.raises(CheckpointError, match=message):
            prepare_again(path, {})
    newest(run).unlink()
    with pytest.raises(CheckpointError, match="has no checkpoint to go on from"):
        prepare_again(run, {})


def test_a_checkpoint_that_is_not_there(run):
    with pytest.raises(CheckpointError, match=r"/net__\S+ has no checkpoint 2.1.safetensors: there is 1.3"):
        prepare_again(run / "2.1.safetensors", {})
    (run / "1.1.safetensors").write_bytes(newest(run).read_bytes())
    with pytest.raises(CheckpointError, match=r"there are 1.1.safetensors and 1.3.safetensors$"):
        prepare_again(run / "2.1.safetensors", {})
    with pytest.raises(CheckpointError, match="is not a run directory"):
        prepare_again(run.parent / "2.1.safetensors", {})


def test_a_log_that_lost_lines(run):
    damage(run, "log.jsonl", lambda content: content[:-10])
    with pytest.raises(
        CheckpointError, match=r"log.jsonl has \d+ bytes, \d+ when the checkpoint was written"
    ):
        resume(run)


RESULT = {"kind": "train", "epoch": 1, "batch": 2, "cases": 3, "costs": {"logprob": [0.5, None]}}


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        "\udcff",
        *(
            json.dumps({key: value for key, value in {**RESULT, **change}.items() if value is not None})
            for change in (
                {"kind": "fest"},
                {"kind": ["train"]},
                {"costs": None},
                {"costs": []},
                {"costs": {"logprob": 1}},
                {"costs": {"logprob": ["1"]}},
                {"cases": None},
                {"epoch": "1"},
                {"batch": 1.5},
            )
        ),
    ],
)
def test_a_damaged_log(tmp_path, text):
    lines = [json.dumps(RESULT), text, ""]
    (tmp_path / "log.jsonl").write_bytes("\n".join(lines).encode(errors="surrogateescape"))
    found = RunDirectory(tmp_path).results()
    assert next(found) == RESULT
    with pytest.raises(CheckpointError, match=r"log\.jsonl is damaged: line 2 is no result of a batch$"):
        next(found)


def test_a_log_is_read_up_to_a_checkpoint_or_its_last_whole_line(tmp_path):
    """A training that is at work, or was killed, leaves a line without an end."""
    line = json.dumps(RESULT) + "\n"
    (tmp_path / "log.jsonl").write_text(line * 3 + line[:20])
    run = RunDirectory(tmp_path)
    assert list(run.results()) == [RESULT] * 3
    assert list(run.results(2 * len(line))) == [RESULT] * 2
    assert not list(RunDirectory(tmp_path / "empty").results())
