"""`convnet export --to cuda-convnet` on runs that were trained here."""

import errno
import json
import os

import numpy as np
import pytest
import tiny_runs

from convnet_cfg.cli.export import TARGETS
from convnet_cfg.legacy import load_checkpoint
from convnet_cfg.training.checkpoints import read_checkpoint, write_checkpoint
from convnet_cfg.training.trained import load_trained

pytestmark = pytest.mark.slow
NO_DROPOUT = tiny_runs.PARAMS.replace("dropout=0.5\n", "")


@pytest.fixture
def trained(train, tmp_path, the_run):
    """Train a network of one convolution, as v1 has it, and return the run."""
    (tmp_path / "net.params.cfg").write_text(NO_DROPOUT)
    train("--test-freq=2")
    return the_run()


@pytest.fixture
def export(convnet):
    """Export a run to cuda-convnet."""

    def run(folder, *arguments, code=0):
        return convnet("export", folder, "--to", "cuda-convnet", *arguments, code=code)

    return run


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_whole_of_a_run_in_both_versions(trained, export, tmp_path, convnet):
    result = export(trained)
    folder = f"{trained.name}.cuda-convnet"
    assert result.output.splitlines() == [
        f"wrote {folder}/1.3, a checkpoint of cuda-convnet",
        f"to go on there: python convnet.py -f {tmp_path / folder}",
        "note: seed=7: the program has none",
    ]
    assert "saved       after batch 3 of epoch 1" in convnet("inspect", folder).output
    first = load_checkpoint(tmp_path / folder)
    result = export(trained, "--as=v2", "-o", "second")
    assert f"python convnet.py --load-file={tmp_path / 'second'}\n" in result.output
    assert "note: crop_border=1: the program has no such option\n" in result.output
    second = load_checkpoint(tmp_path / "second")
    assert (first.program, second.program) == ("v1", "v2")
    order = ["data", "labels", "conv1", "conv1_neuron", "fc10", "probs", "logprob"]
    assert [layer.name for layer in first.layers] == order
    assert [layer.name for layer in second.layers] == [*order[:3], *order[4:], order[3]]
    check_arrays(first, second, load_trained(trained))
    check_histories(first, second, trained)


def check_arrays(first, second, run):
    conv, dense = ({layer.name: layer for layer in first.layers}[name].arrays for name in ("conv1", "fc10"))
    variables = {name: variable.numpy() for name, variable in run.built.variables.items()}
    kernel = variables["conv1/kernel"]  # rows, columns, channels, filters
    np.testing.assert_array_equal(conv["weights[0]"].data, kernel.transpose(2, 0, 1, 3).reshape(27, 4))
    rows = variables["fc10/kernel"].reshape(6, 6, 4, 10).transpose(2, 0, 1, 3).reshape(144, 10)
    np.testing.assert_array_equal(dense["weights[0]"].data, rows)
    assert dense["weights[0]"].order == "Fortran"
    velocity = run.built.optimizer.velocity(run.built.variables["fc10/bias"]).numpy()
    np.testing.assert_array_equal(dense["biasesInc"].data, velocity.reshape(1, 10))
    assert np.abs(velocity).max() > 0
    for layer in second.layers:
        ours = {each.name: each for each in first.layers}[layer.name].arrays
        assert ours.keys() == layer.arrays.keys()
        for name, array in layer.arrays.items():
            np.testing.assert_array_equal(array.data, ours[name].data)


def check_histories(first, second, run):
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["train", "train", "test", "train"]
    means = [tuple(line["costs"]["logprob"]) for line in lines if line["kind"] == "train"]
    assert [entry.costs["logprob"] for entry in first.histories["train_outputs"]] == means
    assert [len(first.histories[name]) for name in ("train_outputs", "test_outputs")] == [3, 1]
    for entry, (cost, error) in zip(second.histories["train_outputs"], means, strict=True):
        assert entry.cases == 40
        assert entry.costs["logprob"] == pytest.approx((cost * 40, error * 40, error * 40), rel=1e-12)


def test_where_the_file_is_written(trained, export, tmp_path):
    assert "wrote nets/1.3," in export(trained, "-o", "nets").output
    assert f"python convnet.py -f {tmp_path / 'nets'}\n" in export(trained, "-o", "nets", "--force").output
    assert "wrote nets/12.3," in (other := export(trained, "-o", "nets/12.3").output)
    assert (
        f"python convnet.py -f {tmp_path / 'nets' / '12.3'}\n" in other
    )  # there is another one in the folder
    assert "wrote nets/1.3," in export(trained, "-o", "nets/1.3", "--force").output
    assert "wrote new/1.3," in export(trained, "-o", "new/1.3").output
    assert [*files(tmp_path / "nets"), *files(tmp_path / "new")] == ["1.3", "12.3", "1.3"]
    assert load_checkpoint(tmp_path / "nets" / "12.3").options["save_path"].value == str(tmp_path)


def test_what_is_there_is_left(trained, export, tmp_path):
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "1.3").write_text("another one")
    output = export(trained, "-o", "nets", code=2).output
    assert output == "nets/1.3 is there already: give --force to overwrite it\n"
    assert (tmp_path / "nets" / "1.3").read_text() == "another one"


@pytest.mark.parametrize("there", [True, False])
def test_a_disk_that_is_full(trained, export, tmp_path, monkeypatch, there):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if there:
        (tmp_path / "nets").mkdir()
    before = files(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    assert "No space left on device" in export(trained, "-o", "nets", code=6).output
    assert files(tmp_path) == before
    assert not there or not files(tmp_path / "nets")


def test_places_where_nothing_can_be_written(trained, export, tmp_path):
    (tmp_path / "nets").write_text("no folder")
    before = files(tmp_path)
    assert export(trained, "-o", "nets/low", code=2).output == "there is no directory nets\n"
    assert export(trained, "-o", "no/such/folder", code=2).output == "there is no directory no/such\n"
    assert export(trained, "-o", "nets/1.3", code=2).output == "nets is no directory\n"
    assert (tmp_path / "nets").read_text() == "no folder"
    assert "File name too long" in export(trained, "-o", "n" * 300, code=6).output
    (tmp_path / "full" / "1.3").mkdir(parents=True)
    assert export(trained, "-o", "full", code=2).output == "full/1.3 is a directory\n"
    assert files(tmp_path) == before


def test_what_cannot_be_said_is_refused_and_nothing_written(train, export, tmp_path, the_run):
    train()
    before = files(tmp_path)
    output = export(the_run(), "--as=v2", "-o", "nets", code=2).output
    assert output.splitlines() == [
        "this cannot be a checkpoint of cuda-convnet2:",
        "  [conv1] dropout=0.5: cuda-convnet2 has no such key",
    ]
    assert files(tmp_path) == before
    assert not (tmp_path / "nets").exists()
    export(the_run(), "-o", "nets")
    checkpoint = load_checkpoint(tmp_path / "nets")
    assert checkpoint.program == "v1+dropout"
    assert {layer.name: layer.values["dropout"] for layer in checkpoint.layers}["conv1"] == 0.5


def test_an_option_that_is_not_for_the_target(export, monkeypatch):
    monkeypatch.setitem(TARGETS, "cuda-convnet", TARGETS["cuda-convnet"]._replace(options=()))
    output = export("anywhere", "--as=v1", code=2).output
    assert output == "--as has no meaning for --to cuda-convnet\n"


def test_a_run_that_is_not_there(export):
    assert "is not a run directory" in export("anywhere", code=6).output


def test_a_run_in_the_middle_of_a_batch(trained, export, tmp_path):
    path = tiny_runs.newest(trained)
    arrays, counters = read_checkpoint(path)
    write_checkpoint(path, arrays, {**counters, "position": [1, 3, 16], "partial": [[1.0, 2.0]]})
    output = export(trained, code=2).output
    assert "it stands at 1.3+16, in the middle of a batch" in output
    assert not (tmp_path / f"{trained.name}.cuda-convnet").exists()


def test_an_older_checkpoint_of_a_run(train, export, tmp_path, the_run):
    (tmp_path / "net.params.cfg").write_text(NO_DROPOUT)
    train("--test-freq=1", "--max-filesize=9")
    export(the_run() / "1.2.safetensors")
    checkpoint = load_checkpoint(tmp_path / f"{the_run().name}.cuda-convnet")
    assert (checkpoint.epoch, checkpoint.batch) == (1, 2)
    assert [len(entries) for entries in checkpoint.histories.values()] == [2, 2]
