"""Stopping and resuming changes nothing: weights, velocities, dropout, logs are equal to the last bit."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_runs import StopAfter, assert_same_run, log, newest, options, resume, start, train, write_pair

from convnet_cfg.data.writing import TEMPORARY
from convnet_cfg.training.checkpoints import read_checkpoint
from convnet_cfg.training.observer import Observer
from convnet_cfg.training.run_directory import RunDirectory
from convnet_cfg.training.session import Interrupted
from convnet_cfg.training.setup import begin, prepare


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, data):
    """Four epochs in one go: crops, flips, dropout, a test after every second of three batches."""
    folder = tmp_path_factory.mktemp("whole")
    write_pair(folder)
    return train(start(folder, options(data, epochs=4)))


@pytest.fixture(autouse=True)
def one_minibatch_a_call(monkeypatch, uninterrupted):
    """Only the run that is not interrupted makes several minibatches in one call of the graph function."""
    monkeypatch.setattr("convnet_cfg.training.session.SECONDS_PER_CALL", 0)


def interrupt(session, stop):
    stop.session = session
    with pytest.raises(Interrupted):
        session.train()
    session.close()
    return session.run_directory.path


def test_the_run_has_everything_that_could_go_wrong(uninterrupted):
    lines = log(uninterrupted)
    tests = [line["test_batches"] for line in lines if line["kind"] == "test"]
    assert tests == [[4], [5], [4], [5], [4], [5]]
    assert [(line["epoch"], line["batch"]) for line in lines if line["kind"] == "train"] == [
        (epoch, batch) for epoch in (1, 2, 3, 4) for batch in (1, 2, 3)
    ]
    names = read_checkpoint(newest(uninterrupted))[0]
    assert {"conv1/kernel", "conv1/kernel/velocity"} <= set(names)
    assert any("dropout" in name for name in names)


def test_two_runs_with_one_seed_are_equal(pair, data, uninterrupted):
    assert_same_run(train(start(pair, options(data, epochs=4))), uninterrupted)


def test_another_seed_makes_another_run(pair, data, uninterrupted):
    other = train(start(pair, options(data, epochs=1, seed=8)))
    assert log(other)[0]["costs"] != log(uninterrupted)[0]["costs"]


def test_two_epochs_and_two_more(pair, data, uninterrupted):
    run = train(start(pair, options(data, epochs=2)))
    assert newest(run).name == "2.3.safetensors"
    assert_same_run(train(resume(run, epochs=4)), uninterrupted)


@pytest.mark.parametrize("minibatches", [1, 3, 5])
def test_stopped_after_a_minibatch(pair, data, uninterrupted, minibatches):
    stop = StopAfter(minibatches=minibatches)
    run = interrupt(start(pair, options(data, epochs=4), stop), stop)
    assert_same_run(train(resume(run)), uninterrupted)


def test_stopped_where_a_test_is_due(pair, data, uninterrupted):
    """The second batch is followed by a test, which the resumed run must not forget."""
    stop = StopAfter(batches=2)
    run = interrupt(start(pair, options(data, epochs=4), stop), stop)
    assert newest(run).name == "1.2.safetensors"
    assert [line["kind"] for line in log(run)] == ["train", "train"]
    assert_same_run(train(resume(run)), uninterrupted)


def test_stopped_again_and_again(pair, data, uninterrupted):
    stop = StopAfter(minibatches=2)
    run = interrupt(start(pair, options(data, epochs=4), stop), stop)
    assert newest(run).name == "1.1+32.safetensors"
    for _ in range(2):
        stop = StopAfter(minibatches=3)
        interrupt(resume(run, stop), stop)
    assert_same_run(train(resume(run)), uninterrupted)


def test_lines_after_the_checkpoint_are_dropped(pair, data, uninterrupted):
    """What a killed program leaves: a log longer than its newest checkpoint knows, half a line at its end."""
    stop = StopAfter(batches=3)
    run = interrupt(start(pair, options(data, epochs=4), stop), stop)
    with (run / "log.jsonl").open("a") as file:
        file.write('{"kind": "train", "epoch": 2, "batch": 1, "cases": 40}\n{"kind": "tr')
    (run / TEMPORARY).write_bytes(b"half a checkpoint")
    assert_same_run(train(resume(run)), uninterrupted)
    assert not (run / TEMPORARY).exists()


def test_the_minibatch_may_change_within_a_batch(pair, data):
    """16 of 40 cases in one minibatch, then the other 24 in two of 12: every case is used once."""
    stop = StopAfter(minibatches=1)
    run = interrupt(start(pair, options(data, epochs=1, test_freq=100), stop), stop)

    class Count(StopAfter):
        totals = []

        def batch_started(self, epoch, batch, minibatches):
            self.totals.append(minibatches)

    count = Count()
    train(resume(run, count, minibatch=12))
    assert count.totals == [2, 4, 4]
    assert [line["cases"] for line in log(run)] == [40, 40, 40]


def test_the_range_may_change_within_a_batch(pair, data):
    stop = StopAfter(minibatches=1)
    run = interrupt(start(pair, options(data, epochs=1), stop), stop)
    train(resume(run, train_range=(2, 3)))
    lines = [(line["epoch"], line["batch"]) for line in log(run) if line["kind"] == "train"]
    assert lines == [(1, 2), (1, 3)]
    assert newest(run).name == "1.3.safetensors"


def test_the_newest_checkpoint_is_the_last_one_written(pair, data):
    """Also after another range: what was trained stays, and training goes on from it."""
    run = train(start(pair, options(data, epochs=2, test_freq=1, max_filesize=100)))
    before = {path.name: path.read_bytes() for path in run.glob("*.safetensors")}
    train(resume(run, train_range=(1,), epochs=2))
    assert {path.name: path.read_bytes() for path in run.glob("*.safetensors")} == before
    train(resume(run, epochs=3))
    train(resume(run, train_range=(1, 2)))
    assert {name: (run / name).read_bytes() for name in before} == before
    assert RunDirectory(run).newest_checkpoint().name == "3.2.safetensors"
    lines = [(line["epoch"], line["batch"]) for line in log(run) if line["kind"] == "train"]
    assert lines == sorted(set(lines))


def test_a_finished_run_is_tested_again_and_nothing_else(pair, data):
    run = train(start(pair, options(data, epochs=1)))
    before = newest(run).read_bytes(), (run / "log.jsonl").read_bytes()
    train(resume(run))
    assert (newest(run).read_bytes(), (run / "log.jsonl").read_bytes()) == before


def test_an_older_checkpoint_goes_on_in_a_new_directory(pair, data, uninterrupted):
    first = train(start(pair, options(data, epochs=4, max_filesize=100)))
    older = first / "2.1.safetensors"
    before = {path.name: path.read_bytes() for path in first.iterdir()}
    session = resume(older, max_filesize=0)
    assert session.run_directory.path.parent == first.parent
    assert session.run_directory.path != first
    assert_same_run(train(session), uninterrupted)
    assert {path.name: path.read_bytes() for path in first.iterdir()} == before


@pytest.mark.parametrize("given", ["1.2.safetensors", "../{0}/1.2.safetensors", "deep/../1.2.safetensors"])
def test_a_new_directory_stands_beside_the_old_one_with_its_name(pair, data, monkeypatch, given):
    (pair / "net.cfg").rename(pair / "my__net.cfg")
    chosen = options(data, epochs=1, test_freq=1, max_filesize=100)
    prepared = prepare(pair / "my__net.cfg", pair / "net.params.cfg", chosen)
    first = train(begin(prepared, pair / "runs", Observer()))
    (first / "deep").mkdir()
    monkeypatch.chdir(first)
    branch = train(resume(Path(given.format(first.name)))).resolve()
    assert branch.parent == first.parent
    assert branch != first
    assert branch.name.startswith("my__net__20")


def test_a_copy_of_a_checkpoint_under_another_name(pair, data):
    run = train(start(pair, options(data, epochs=1)))
    (run / "best.safetensors").write_bytes(newest(run).read_bytes())
    session = resume(run / "best.safetensors")
    session.close()
    assert newest(session.run_directory.path).name == "1.3.safetensors"
