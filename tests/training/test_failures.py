"""What ends a training early: which error, what it says, and that earlier checkpoints are as they were."""

from __future__ import annotations

import errno
import os
import pickle
import subprocess

import numpy as np
import pytest
from tiny_runs import (
    FLAT_LAYERS,
    FLAT_PARAMS,
    fails,
    flat_options,
    log,
    newest,
    options,
    resume,
    start,
    train,
    write_pair,
)

from convnet_cfg.errors import CheckpointError, ConfigError, DivergedError
from convnet_cfg.language import Reading, load_network
from convnet_cfg.model import build
from convnet_cfg.training.checkpoints import write_checkpoint
from convnet_cfg.training.observer import Observer
from convnet_cfg.training.setup import begin, prepare

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
    session.provider.source.batch(4).images[5] = np.inf
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


# -- networks


def test_nothing_to_train(tmp_path, data):
    layers = "[data]\ntype=data\ndataIdx=0\n[cost]\ntype=cost.sum2\ninputs=data\n"
    write_pair(tmp_path, layers, "[cost]\ncoeff=1\n")
    with pytest.raises(ConfigError, match=r"net.cfg:1:1: no layer has weights: there is nothing to train"):
        prepare(tmp_path / "net.cfg", tmp_path / "net.params.cfg", flat_options(data))


def test_nothing_to_minimize(tmp_path, data):
    """In one dialect a layer may be read by none; then the last layers are the outputs."""
    layers = "[data]\ntype=data\ndataIdx=0\n[fc]\ntype=fc\ninputs=data\noutputs=3\ninitW=1\n"
    write_pair(tmp_path, layers, "[fc]\nepsW=0.1\nepsB=0.1\nmomW=0\nmomB=0\nwc=0\n")
    files, reading = (tmp_path / "net.cfg", tmp_path / "net.params.cfg"), Reading(dialect="zhaofang0627")
    with pytest.raises(ConfigError, match=r"net.cfg:1:1: there is no cost: nothing is to be minimized"):
        prepare(*files, flat_options(data, dialect="zhaofang0627"))
    built = build(load_network(*files, data_dims=[4], reading=reading), [(4,)])
    made = built.model([np.eye(4, dtype=np.float32)])
    assert set(made) == {"fc"}
    np.testing.assert_array_equal(made["fc"], built.variables["fc/kernel"])


@pytest.mark.parametrize(("dropped", "trains"), [("0.9", True), ("0.95", False), ("1", False)])
def test_dropout_that_keeps_nothing(tmp_path, data, dropped, trains):
    layers = FLAT_LAYERS.replace("outputs=10", f"outputs=10\ndropout={dropped}")
    write_pair(tmp_path, layers, FLAT_PARAMS)
    chosen = flat_options(data, dialect="stephenyan1231", epochs=1)
    if trains:
        train(start(tmp_path, chosen))
        return
    with pytest.raises(ConfigError, match=rf"\[fc10\] dropout={dropped} keeps none of the 10 outputs$"):
        start(tmp_path, chosen)
    assert not (tmp_path / "runs").exists()


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
    assert list(run.glob(".*")) == [run / ".lock"]


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


@pytest.mark.parametrize(
    "step", ["training.checkpoints.save", "data.writing.os.fsync", "data.writing.os.replace"]
)
def test_a_checkpoint_that_replaces_another(tmp_path, monkeypatch, step):
    """Whatever fails while it is written, the old one of that name is still there, and nothing else."""
    path = tmp_path / "1.2.safetensors"
    write_checkpoint(path, {"weight": np.zeros(3, np.float32)}, {})
    before = path.read_bytes()

    def fail(*arguments):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(f"convnet_cfg.{step}", fail)
    with pytest.raises(CheckpointError, match=r"cannot write checkpoint .*: Disk quota exceeded"):
        write_checkpoint(path, {"weight": np.ones(3, np.float32)}, {})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_who_may_read_a_checkpoint_is_for_the_umask_to_say(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_checkpoint(tmp_path / "1.2.safetensors", {"weight": np.zeros(3, np.float32)}, {})
    finally:
        os.umask(before)
    assert (tmp_path / "1.2.safetensors").stat().st_mode & 0o777 == mode


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
