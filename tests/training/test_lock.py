"""Two programs on one run directory: the second is refused, and hears who is at work."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys

import pytest
from tiny_runs import flat_options, newest, resume, start, train

from convnet_cfg.errors import CheckpointError, ConfigError
from convnet_cfg.training.setup import prepare_again

HOLD = """
import sys, time
from pathlib import Path
from convnet_cfg.training.lock import Lock
lock = Lock(Path(sys.argv[1]))
lock.take()
print("taken", flush=True)
time.sleep(600)
"""


@pytest.fixture
def run(flat_pair, data):
    return train(start(flat_pair, flat_options(data, epochs=2, test_freq=1, max_filesize=100)))


@pytest.fixture
def other(run):
    """Another program that trains in the run directory."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, run], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "taken\n"
    yield process
    process.kill()
    process.communicate()


def test_a_run_at_work_is_refused_to_others(run, other):
    with pytest.raises(CheckpointError, match=rf"{run} is in use: process {other.pid} on \S+ since "):
        prepare_again(run, {})
    assert CheckpointError.exit_code == 6


def test_a_killed_program_leaves_no_lock(run, other):
    other.send_signal(signal.SIGKILL)
    other.wait()
    train(resume(run, epochs=3))
    assert (run / "3.3.safetensors").is_file()


def test_a_run_at_work_can_be_tested_and_branched(run, other):
    prepare_again(run, {}, training=False)
    session = resume(run / "1.2.safetensors", epochs=3)
    session.close()
    assert session.run_directory.path != run


def test_a_new_run_is_locked_until_its_session_is_closed(flat_pair, data):
    session = start(flat_pair, flat_options(data, epochs=1))
    session.save()
    with pytest.raises(CheckpointError, match=f"is in use: process {os.getpid()} "):
        prepare_again(session.run_directory.path, {})
    session.close()
    train(resume(session.run_directory.path))


def test_a_failure_gives_the_lock_back(run):
    (run / "params.cfg").write_text("nothing")
    with pytest.raises(ConfigError):
        prepare_again(run, {})
    (run / "params.cfg").write_text((run.parents[1] / "net.params.cfg").read_text())
    os.truncate(run / "log.jsonl", 3)
    for _ in range(2):
        with pytest.raises(CheckpointError, match="log.jsonl has 3 bytes"):
            resume(run)


def test_the_newest_checkpoint_is_looked_for_under_the_lock(run, monkeypatch):
    """Another program may write one and end between the first look and the lock."""
    later = run / "2.4.safetensors"

    def write(lock):
        later.write_bytes((run / "2.3.safetensors").read_bytes())

    monkeypatch.setattr("convnet_cfg.training.lock.Lock.take", write)
    assert prepare_again(run, {}).checkpoint == later


@pytest.mark.parametrize(("number", "works"), [(errno.ENOLCK, True), (errno.EIO, False)])
def test_a_file_system_without_locks(run, monkeypatch, number, works):
    def fail(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", fail)
    if works:
        train(resume(run, epochs=3, max_filesize=0))
        assert newest(run).name == "3.3.safetensors"
    else:
        with pytest.raises(CheckpointError, match="cannot lock .*: Input/output error"):
            prepare_again(run, {})
