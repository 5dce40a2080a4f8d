"""Ctrl-C, a terminating signal and kill -9: what is saved, the exit code, and that going on loses nothing."""

from __future__ import annotations

import os
import pty
import random
import signal
import subprocess
import sys
import time

import pytest
from tiny_runs import assert_same_run, log, newest, options, resume, start, write_pair
from tiny_runs import train as train_to_the_end

from convnet_cfg.cli.lines import PlainLines
from convnet_cfg.cli.signals import stopping
from convnet_cfg.training.checkpoints import checkpoints

PROGRAM = [sys.executable, "-c", "from convnet_cfg.cli import train_main; train_main()"]


@pytest.fixture(autouse=True)
def one_minibatch_a_call(monkeypatch):
    monkeypatch.setattr("convnet_cfg.training.session.SECONDS_PER_CALL", 0)


@pytest.fixture(autouse=True)
def signals_as_on_a_terminal():
    """Undo what a shell does to programs in its background, which ignore Ctrl-C; our children inherit it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def signal_after(monkeypatch, method, calls, number, times=1):
    """Send this process signals in the given call of a method of the lines."""
    left = iter(range(calls - 1, -1, -1))
    before = getattr(PlainLines, method)

    def and_signal(self, *arguments):
        before(self, *arguments)
        if next(left, None) == 0:
            for _ in range(times):
                os.kill(os.getpid(), number)

    monkeypatch.setattr(PlainLines, method, and_signal)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_within_a_batch(train, convnet, the_run, data, tmp_path, monkeypatch, number, code):
    with monkeypatch.context() as patch:
        signal_after(patch, "minibatches_done", 4, number)
        stopped = train("--epochs=2", "--test-freq=2", code=code)
    assert newest(the_run()).name == "1.2+16.safetensors"
    assert "stopped in batch 1.2 after 16 cases of 40; go on with: convnet-train -f runs/" in stopped.stderr
    assert signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL)
    assert "final test" in convnet("train", "-f", the_run()).stdout
    assert_same_run(the_run(), train_to_the_end(start(tmp_path, options(data), name="others")))


def test_a_signal_after_a_batch_with_a_test(train, convnet, the_run, data, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        signal_after(patch, "batch_done", 2, signal.SIGINT)
        stopped = train("--epochs=2", "--test-freq=2", code=130)
    assert "stopped after batch 1.2" in stopped.stderr
    convnet("train", "-f", the_run())
    assert_same_run(the_run(), train_to_the_end(start(tmp_path, options(data), name="others")))


def test_where_it_stopped_is_said_below_the_progress_bar(train, monkeypatch):
    monkeypatch.setattr(PlainLines, "close", lambda lines: lines.say("bar gone"))
    signal_after(monkeypatch, "minibatches_done", 1, signal.SIGINT)
    printed = train(code=130).output
    assert 0 < printed.index("bar gone") < printed.index("stopped in batch 1.1 after 16 cases")


def test_a_signal_in_the_final_test(train, the_run, monkeypatch):
    """Everything is done and saved, but whoever pressed Ctrl-C wants the shell's loop to end too."""
    signal_after(monkeypatch, "tested", 1, signal.SIGINT)
    assert "final test" in train("--test-freq=50", code=130).stdout
    assert newest(the_run()).name == "1.3.safetensors"


def test_the_second_signal_ends_at_once(train, the_run, monkeypatch):
    signal_after(monkeypatch, "minibatches_done", 4, signal.SIGINT, times=2)
    stopped = train(code=130)
    assert "interrupted" in stopped.stderr
    assert newest(the_run()).name == "0.0.safetensors"


ANNOUNCE = """
from convnet_cfg.cli.running import announce_stop
print("epoch 1/2 batch 3 ----", end="", flush=True)
announce_stop()
"""


def test_the_answer_to_a_signal_is_not_glued_to_the_progress_bar():
    terminal, inside = pty.openpty()
    done = subprocess.run([sys.executable, "-c", ANNOUNCE], stdout=inside, stderr=inside)
    printed = os.read(terminal, 1000).decode()
    os.close(inside)
    os.close(terminal)
    assert done.returncode == 0
    assert printed.startswith("epoch 1/2 batch 3 ----\r\x1b[Kstopping: finishing the minibatch")
    assert printed.endswith("\r\n")


def test_handlers_are_put_back():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    calls = []
    with stopping(lambda: calls.append("stop")) as received:
        os.kill(os.getpid(), signal.SIGTERM)
        assert (received.number, received.exit_code) == (signal.SIGTERM, 143)
    assert calls == ["stop"]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def begin(folder, data, epochs):
    """Start the program on its own, on the small network."""
    write_pair(folder)
    arguments = (
        f"net.cfg net.params.cfg --data-provider=cifar-cropped --data-path={data} --crop-border=1 --seed=7 "
        f"--train-range=1-3 --test-range=4-5 --test-freq=2 --mini=16 --epochs={epochs}"
    ).split()
    return subprocess.Popen(
        [*PROGRAM, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for_a_line(process, beginning):
    for line in process.stdout:
        if line.strip().startswith(beginning):
            return
    pytest.fail(f"no line {beginning!r}; {process.stderr.read()}")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_any_moment(tmp_path, data, the_run, seed):
    epochs = 40
    process = begin(tmp_path, data, epochs)
    wait_for_a_line(process, "2.1")
    time.sleep(random.Random(seed).uniform(0, 0.4))
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert log(the_run())
    (newest_position, _), *_ = reversed(checkpoints(the_run()))
    assert (1, 2) <= newest_position[:2] < (epochs, 3)
    assert_same_run(
        train_to_the_end(resume(the_run())),
        train_to_the_end(start(tmp_path, options(data, epochs=epochs), name="others")),
    )


@pytest.mark.slow
def test_interrupted_as_a_program_of_its_own(tmp_path, data, the_run):
    process = begin(tmp_path, data, 100_000)
    wait_for_a_line(process, "2.1")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[0] == "stopping: finishing the minibatch and saving (again: at once)"
    assert "go on with: convnet-train -f runs/" in errors
    assert "Traceback" not in errors
    newest(the_run())


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.6, 1.5, 3.0])
def test_interrupted_while_it_starts(tmp_path, data, seconds):
    process = begin(tmp_path, data, 100_000)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
