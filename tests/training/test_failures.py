"""What ends a training early: which error, what it says, and that earlier checkpoints are as they were."""

from __future__ import annotations

import errno
import json
import os
import pickle
import subprocess

import numpy as np
import pytest
from safetensors.numpy import save_file
from tiny_runs import (
    arrays,
    assert_same_run,
    flat_options,
    log,
    newest,
    options,
    record,
    resume,
    start,
    train,
    write_batch,
    write_data,
    write_pair,
)

from convnet_cfg.data import DataProvider
from convnet_cfg.errors import CheckpointError, ConfigError, DataError, DivergedError, UsageError
from convnet_cfg.training.checkpoints import write_checkpoint
from convnet_cfg.training.observer import Observer
from convnet_cfg.training.setup import begin, prepare, prepare_again


def fails(session, error):
    """Train, and return what the error says."""
    with pytest.raises(error) as raised:
        session.train()
    session.close()
    return str(raised.value)


@pytest.fixture
def own_data(tmp_path):
    """Data that a test may damage."""
    return write_data(tmp_path / "data")


# -- divergence


def test_divergence_names_the_batch_and_the_layer(pair, data):
    """Rates that make the weights overflow: the checkpoint of the start is still there, and nothing else."""
    text = (pair / "net.params.cfg").read_text()
    (pair / "net.params.cfg").write_text(text.replace("=0.001", "=1e20"))
    session = start(pair, options(data, test_freq=1))
    message = fails(session, DivergedError)
    assert DivergedError.exit_code == 5
    assert message.startswith("batch 1.1, minibatch ")
    assert "logprob is not a finite number; the largest values are in layer 'fc10': inf" in message
    run = session.run_directory.path
    assert newest(run).name == "0.0.safetensors"
    assert not (run / "log.jsonl").exists()


def test_the_minibatch_that_diverges(flat_pair, own_data):
    """One pixel of the second minibatch of the second batch is NaN: the data are to blame, not a layer."""
    content = pickle.loads((own_data / "data_batch_2").read_bytes())
    content["data"] = content["data"].astype(np.float32)
    (own_data / "data_batch_2").write_bytes(pickle.dumps(content, protocol=2))
    session = start(flat_pair, flat_options(own_data, test_freq=1))
    poisoned = session.provider.source.batch(2).images
    poisoned[20, 3, 3, 0] = np.nan
    message = fails(session, DivergedError)
    assert message.startswith("batch 1.2, minibatch 2: logprob is not")
    assert "in layer 'data': nan" in message
    assert newest(session.run_directory.path).name == "1.1.safetensors"
    assert [line["kind"] for line in log(session.run_directory.path)] == ["train", "test"]


def test_divergence_in_a_test(flat_pair, own_data):
    session = start(flat_pair, flat_options(own_data, test_freq=2))
    images = session.provider.source.batch(4)
    session.provider.source.batch._batches[4] = images._replace(images=images.images.astype(np.float32))
    session.provider.source.batch(4).images[5] = 1e38
    message = fails(session, DivergedError)
    assert message.startswith("test on batch 4 after batch 1.2: logprob is not a finite number")
    assert newest(session.run_directory.path).name == "0.0.safetensors"


def test_weights_that_are_not_finite_are_not_saved(flat_pair, data):
    """The cost of a minibatch is finite, the update after it is not: seen before a checkpoint is written."""
    session = start(flat_pair, flat_options(data))

    class Break(Observer):
        def batch_done(self, result, seconds, test_follows):
            session.built.variables["fc10/bias"].assign(np.full((10,), np.inf, np.float32))
            session.stop_requested = True

    session.observer = Break()
    message = fails(session, DivergedError)
    assert message == "after batch 1.1: fc10/bias has values that are not finite"
    assert newest(session.run_directory.path).name == "0.0.safetensors"


# -- data


def test_a_truncated_batch(pair, own_data):
    path = own_data / "data_batch_3"
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])
    session = start(pair, options(own_data, epochs=2))
    assert "data_batch_3" in fails(session, DataError)
    run = session.run_directory.path
    assert newest(run).name == "1.2.safetensors"
    path.write_bytes(whole)
    again = train(resume(run))
    assert_same_run(again, train(start(pair, options(own_data, epochs=2), name="others")))


def test_a_truncated_test_batch(pair, own_data):
    """What was trained before the test is saved, and the test is made up for."""
    path = own_data / "data_batch_4"
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])
    session = start(pair, options(own_data, epochs=1))
    assert "data_batch_4" in fails(session, DataError)
    run = session.run_directory.path
    assert newest(run).name == "1.2.safetensors"
    path.write_bytes(whole)
    assert_same_run(train(resume(run)), train(start(pair, options(own_data, epochs=1), name="others")))


def test_a_batch_that_vanishes(flat_pair, own_data):
    session = start(flat_pair, flat_options(own_data))
    (own_data / "data_batch_2").unlink()
    assert "data_batch_2" in fails(session, DataError)


def test_a_missing_batch(flat_pair, own_data):
    with pytest.raises(DataError, match="batches 6 and 7 missing; there are 1, 2, 3, 4 and 5"):
        start(flat_pair, flat_options(own_data, train_range=(1, 6, 7)))


def test_another_image_size(flat_pair, own_data):
    write_batch(own_data / "data_batch_2", 2, side=6)
    message = fails(start(flat_pair, flat_options(own_data)), DataError)
    assert "data has shape (108, 40), expected (192, 40)" in message


def test_a_label_out_of_range(flat_pair, own_data):
    content = pickle.loads((own_data / "data_batch_1").read_bytes())
    content["labels"][7] = 10
    (own_data / "data_batch_1").write_bytes(pickle.dumps(content, protocol=2))
    message = fails(start(flat_pair, flat_options(own_data)), DataError)
    assert "the label of case 7 is 10, expected a whole number from 0 to 9" in message


# -- providers of one's own


class Stripes(DataProvider):
    shapes = ((8, 8, 3), (1,))
    num_classes = 10
    numbers = (1, 2)
    delivered = (np.zeros((4, 8, 8, 3), np.uint8), np.arange(4, dtype=np.int32))

    def test_arrays(self, number):
        return self.delivered


class Shapeless(DataProvider):
    num_classes = 10


class Fussy(DataProvider):
    def __init__(self):
        raise RuntimeError("not today")


def stripes(name="Stripes"):
    return flat_options(
        None,
        data_provider=f"{__name__}.{name}",
        data_path=None,
        epochs=1,
        train_range=(1,),
        test_range=(2,),
    )


def test_a_provider_of_ones_own(flat_pair):
    assert len(log(train(start(flat_pair, stripes())))) == 1


@pytest.mark.parametrize(
    ("delivered", "message"),
    [
        (None, "batch 1 must be arrays, got NoneType"),
        (([1, 2], [3, 4]), "batch 1 must be arrays of numbers, got list"),
        ((np.array(["a"]),), "batch 1 must be arrays of numbers, got <U1 (1,)"),
        ((np.zeros((4, 192)), np.zeros(5)), "batch 1 must have as many cases in each array, got 4 and 5"),
        ((np.zeros((0, 192)), np.zeros(0)), "batch 1 must have as many cases in each array, got 0 and 0"),
        ((np.zeros((4, 192)),), "batch 1 has 1 arrays, expected 2"),
        ((np.zeros((4, 190)), np.zeros(4)), "batch 1: an array has shape (4, 190), expected (4, *(8, 8, 3))"),
        ((np.zeros((4, 192)), np.array([0, 1, 10, 3])), "the label of case 2 is 10, expected a whole number"),
        ((np.zeros((4, 192)), np.array([0, -1, 1, 3])), "the label of case 1 is -1, expected a whole number"),
    ],
)
def test_what_a_provider_must_not_deliver(flat_pair, monkeypatch, delivered, message):
    monkeypatch.setattr(Stripes, "delivered", delivered)
    assert message in fails(start(flat_pair, stripes()), DataError)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Shapeless", "does not say its shapes"),
        ("Fussy", "cannot be opened: TypeError"),
        ("Missing", "cannot import"),
    ],
)
def test_what_is_no_provider(flat_pair, name, message):
    with pytest.raises(UsageError, match=message):
        prepare(flat_pair / "net.cfg", flat_pair / "net.params.cfg", stripes(name))


# -- networks


def test_nothing_to_train(tmp_path, data):
    layers = "[data]\ntype=data\ndataIdx=0\n[cost]\ntype=cost.sum2\ninputs=data\n"
    write_pair(tmp_path, layers, "[cost]\ncoeff=1\n")
    with pytest.raises(ConfigError, match=r"net.cfg:1:1: no layer has weights: there is nothing to train"):
        prepare(tmp_path / "net.cfg", tmp_path / "net.params.cfg", flat_options(data))


# -- disks


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 64 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(disk):
    """Leave 12 kB: less than a checkpoint, enough for a line in the log."""
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    (disk / "filler").write_bytes(b"x" * (free - (12 << 10)))


def test_a_full_disk(flat_pair, data, small_disk):
    """There is room for the run directory, and none for its first checkpoint: no part of it stays."""
    prepared = prepare(flat_pair / "net.cfg", flat_pair / "net.params.cfg", flat_options(data, epochs=1))
    session = begin(prepared, small_disk, Observer())
    fill(small_disk)
    message = fails(session, CheckpointError)
    run = session.run_directory.path
    assert message.startswith(f"cannot write checkpoint {run}/0.0.safetensors: ")
    assert "No space left" in message
    assert list(run.glob("*.safetensors")) == []
    assert list(run.glob(".*")) == []


def test_a_disk_that_fills_up_while_training(flat_pair, data, small_disk):
    prepared = prepare(flat_pair / "net.cfg", flat_pair / "net.params.cfg", flat_options(data, epochs=2))
    session = begin(prepared, small_disk, Observer())

    class Fill(Observer):
        def saved(self, path):
            fill(small_disk)

    session.observer = Fill()
    assert "No space left" in fails(session, CheckpointError)
    run = session.run_directory.path
    assert newest(run).name == "0.0.safetensors"
    (small_disk / "filler").unlink()
    assert newest(train(resume(run))).name == "2.3.safetensors"


@pytest.mark.parametrize("step", ["save_file", "sync", "os.replace"])
def test_a_checkpoint_that_replaces_another(tmp_path, monkeypatch, step):
    """Whatever fails while it is written, the old one of that name is still there, and nothing else."""
    path = tmp_path / "1.2.safetensors"
    write_checkpoint(path, {"weight": np.zeros(3, np.float32)}, {})
    before = path.read_bytes()

    def fail(*arguments):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(f"convnet_cfg.training.checkpoints.{step}", fail)
    with pytest.raises(CheckpointError, match=r"cannot write checkpoint .*: Disk quota exceeded"):
        write_checkpoint(path, {"weight": np.ones(3, np.float32)}, {})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_log_that_cannot_be_written(flat_pair, data):
    session = start(flat_pair, flat_options(data))
    run = session.run_directory.path

    class Replace(Observer):
        def saved(self, path):
            (run / "log.jsonl").symlink_to("/dev/full")

    session.observer = Replace()
    assert fails(session, CheckpointError) == f"cannot write {run}/log.jsonl: No space left on device"
    assert newest(run).name == "0.0.safetensors"


def test_a_save_path_that_is_a_file(flat_pair, data):
    (flat_pair / "runs").write_text("not a folder")
    with pytest.raises(CheckpointError, match="cannot make a run directory in .*/runs: "):
        start(flat_pair, flat_options(data))


def test_a_save_path_in_proc(flat_pair, data):
    """Nobody, not even root, can write there."""
    with pytest.raises(CheckpointError, match="cannot make a run directory in /proc/nowhere: "):
        start(flat_pair, flat_options(data), name="/proc/nowhere")


# -- run directories


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


def test_a_log_that_lost_lines(run):
    damage(run, "log.jsonl", lambda content: content[:-10])
    with pytest.raises(
        CheckpointError, match=r"log.jsonl has \d+ bytes, \d+ when the checkpoint was written"
    ):
        resume(run)
