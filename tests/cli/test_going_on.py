"""`convnet train -f` and `convnet test`: what is recorded, going on with a run, and testing it."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
from tiny_runs import PARAMS, PRINTED_COSTS, log, newest, record, write_data

from convnet_cfg.errors import CheckpointError
from convnet_cfg.training.run_directory import RunDirectory

# -- run.json and resuming


def test_what_is_recorded(train, the_run, tmp_path):
    train("--decay=decoupled-lr")
    found = record(the_run())
    assert {"python", "convnet-cfg", "tensorflow", "keras", "numpy"} == set(found["versions"])
    assert found["options"]["decay"] == "decoupled-lr"
    assert found["options"]["seed"] == 7
    for name, given in {"layers.cfg": "net.cfg", "params.cfg": "net.params.cfg"}.items():
        content = (tmp_path / given).read_bytes()
        assert (the_run() / name).read_bytes() == content
        assert found["files"][name]["sha256"] == hashlib.sha256(content).hexdigest()
    (final,) = found["final_tests"]
    assert (final["test_batches"], final["cases"], final["position"]) == ([4, 5], 80, "1.3")


def test_files_that_are_not_utf_8(train, the_run, tmp_path):
    for name in ("net.cfg", "net.params.cfg"):
        path = tmp_path / name
        path.write_bytes("# Zürich\r\n".encode("latin-1") + path.read_bytes().replace(b"\n", b"\r\n"))
    train()
    assert (the_run() / "params.cfg").read_bytes() == (tmp_path / "net.params.cfg").read_bytes()


def test_resuming(train, convnet, the_run):
    train()
    printed = convnet("train", "-f", the_run(), "--epochs=2", "--save-path=elsewhere", "--mini", "20")
    assert "note: no effect: --save-path" in printed.stderr
    assert "minibatch 20" in printed.stdout
    assert [line["epoch"] for line in log(the_run())] == [1, 1, 1, 2, 2, 2]
    assert newest(the_run()).name == "2.3.safetensors"
    assert [change["options"] for change in record(the_run())["changes"]] == [
        {"epochs": [1, 2], "minibatch": [16, 20]}
    ]


def test_resuming_with_other_parameters(train, convnet, the_run, tmp_path):
    train()
    (tmp_path / "slow.cfg").write_text(PARAMS.replace("epsW=0.001", "epsW=0.0001"))
    convnet("train", "-f", newest(the_run()), "--layer-params=slow.cfg", "--epochs=2")
    assert (the_run() / "params.cfg").read_text() == (tmp_path / "slow.cfg").read_text()
    (change,) = record(the_run())["changes"]
    assert change["params"]["diff"].count("+epsW=0.0001") == 2


def test_what_is_new_in_the_parameters_is_said(train, convnet, the_run, tmp_path):
    train()
    again = ("train", "-f", the_run())
    assert f"\nparams     {the_run()}/params.cfg\nrun " in convnet(*again, "--epochs=2").stdout
    slow = PARAMS.replace("epsW=0.001", "# slower\nepsW=0.0001", 1)
    (tmp_path / "slow.cfg").write_text(slow.replace("coeff=1", "COEFF = 2"))
    printed = convnet(*again, "--layer-params=slow.cfg", "--epochs=3").stdout
    assert (
        "\nparams     slow.cfg, changed since the run was at work:\n"
        "           [conv1] epsW: 0.001 -> 0.0001\n"
        "           [logprob] COEFF: 1 -> 2\n"
        "run "
    ) in printed


def files(run):
    return {path.name: path.read_bytes() for path in run.iterdir() if path.name != ".lock"}


def test_a_finished_run_says_that_nothing_is_left(train, convnet, the_run):
    final = re.search(PRINTED_COSTS, train("--epochs=2").stdout.split("final test")[1])[0]
    before = files(the_run())
    for epochs in ((), ("--epochs=2",), ("--epochs=1", "--mini=20")):
        wanted = epochs[0][-1] if epochs else "2"
        lines = convnet("train", "-f", the_run(), *epochs).stdout.splitlines()
        assert lines[0] == f"nothing is left to train to epoch {wanted}: batch 2.3 is done"
        assert lines[1] == f"final test  {final}  (batch 4-5; as tested before)"
        assert f"  train it further:   convnet-train -f {the_run()} --epochs 3" in lines
    assert files(the_run()) == before


def test_a_final_test_that_is_not_in_the_record_is_made(train, convnet, the_run):
    """A program that was killed in its final test, and another range."""
    train()
    found = record(the_run())
    (final,) = found.pop("final_tests")
    (the_run() / "run.json").write_text(json.dumps({**found, "final_tests": []}))
    printed = convnet("train", "-f", the_run()).stdout
    assert "nothing is left to train to epoch 1: batch 1.3 is done" in printed
    assert re.search(r"final test .*\(batch 4-5; \d+\.\d\d s\)", printed)
    assert record(the_run())["final_tests"] == [final]
    for _ in range(2):
        assert "(batch 5; " in convnet("train", "-f", the_run(), "--test-range=5").stdout
    assert [test["test_batches"] for test in record(the_run())["final_tests"]] == [[4, 5], [5]]
    assert record(the_run())["changes"] == []
    convnet("train", "-f", the_run(), "--epochs=2")  # the lock is free again


FINAL_TEST = r"final test  (.*)  \(batch 4-5; (as tested before|\d+\.\d\d s)\)\n"


def final_test(printed):
    """Return the costs of a final test, and whether it was made before."""
    ((costs, how),) = re.findall(FINAL_TEST, printed)
    return costs, how == "as tested before"


def test_a_branch_does_not_take_over_the_final_test_of_its_run(train, convnet, the_run):
    """Its position comes again in the branch, with other weights."""
    of_run, _ = final_test(train("--test-freq=1", "--max-filesize=100").stdout)
    parent = the_run()
    convnet("train", "-f", parent / "1.2.safetensors", "--rate-factor=0.01")
    (branch,) = set(parent.parent.iterdir()) - {parent}
    costs, known = final_test(convnet("train", "-f", branch).stdout)
    assert known
    assert costs == final_test(convnet("test", branch).stdout)[0] != of_run
    assert len(record(branch)["final_tests"]) == 1


def test_a_final_test_on_other_data_or_with_other_parameters_is_another(train, convnet, the_run, tmp_path):
    """Each is made once, under the lock; what is not asked for any more is not printed."""
    first, _ = final_test(train("--data-provider=cifar", "--crop-border=1").stdout)
    again = ("train", "-f", the_run())
    lighter = (*again, "--scalar-mean=50")
    costs, known = final_test(convnet(*lighter).stdout)
    assert (costs != first, known) == (True, False)
    assert final_test(convnet(*lighter).stdout) == (costs, True)
    assert final_test(convnet(*again).stdout) == (first, True)
    tiny_data = write_data(tmp_path / "other", cases=20)
    assert final_test(convnet(*again, f"--data-path={tiny_data}").stdout)[1] is False
    params = the_run() / "params.cfg"
    params.write_text(params.read_text().replace("dropout=0.5", "dropout=0.1"))
    costs, known = final_test(convnet(*again).stdout)
    assert (costs != first, known) == (True, False)
    found = record(the_run())
    assert len(found["final_tests"]) == 4
    assert (found["changes"], found["options"]["provider_options"]) == ([], {})


def test_a_final_test_is_recorded_while_the_run_is_locked(train, convnet, the_run, monkeypatch):
    train()
    write = RunDirectory.write_record
    held = []

    def and_look(run, found):
        with pytest.raises(CheckpointError, match="is in use"):
            RunDirectory(run.path).lock.take()
        held.append(found)
        write(run, found)

    monkeypatch.setattr(RunDirectory, "write_record", and_look)
    convnet("train", "-f", the_run(), "--test-range=5")
    assert len(held) == 1


def test_what_was_just_tested_is_not_tested_again(train, the_run):
    printed = train("--test-freq=3", "--test-one=0").stdout
    (test, costs), (final, same) = re.findall(rf"( test|final test)  ({PRINTED_COSTS})", printed)
    assert (test, final, same) == (" test", "final test", costs)
    assert f"final test  {costs}  (batch 4-5; as tested before)\n" in printed
    (final,) = record(the_run())["final_tests"]
    assert final["costs"] == log(the_run())[-1]["costs"]


def test_testing_only(train, convnet, the_run):
    """As v1: the first batch of the range unless --test-one=0; all for ten views unless --test-one=1."""
    train()
    before = {path.name: path.read_bytes() for path in the_run().iterdir()}
    assert "(batch 4;" in convnet("train", "-f", the_run(), "--test-only=1").stdout
    assert "(batch 4-5;" in convnet("train", "-f", the_run(), "--test-only=1", "--test-one=0").stdout
    views = ("train", "-f", the_run(), "--test-only=1", "--multiview-test=1")
    assert "(batch 4-5, 10 views;" in convnet(*views).stdout
    assert "(batch 4, 10 views;" in convnet(*views, "--test-one=1").stdout
    assert {path.name: path.read_bytes() for path in the_run().iterdir()} == before


# -- convnet test


def test_the_test_command(train, convnet, the_run):
    final = re.search(PRINTED_COSTS, train().stdout.split("final test")[1])[0]
    before = {path.name: path.read_bytes() for path in the_run().iterdir()}
    printed = convnet("test", the_run()).stdout
    assert f"{final}  (batch 4-5;" in printed
    ten = convnet("test", newest(the_run()), "--multiview", "--test-range=5").stdout
    assert re.search(rf"{PRINTED_COSTS}  \(batch 5, 10 views;", ten)
    assert printed.startswith(f"checkpoint {newest(the_run())}\n")
    assert {path.name: path.read_bytes() for path in the_run().iterdir()} == before
    assert "batch 8 missing" in convnet("test", the_run(), "--test-range=8", code=4).stderr


def test_each_batch_has_its_line_in_the_form_of_the_original(train, convnet, the_run, golden):
    train()
    printed = convnet("test", the_run(), "--log-format=convnet").stdout
    line = r"batch (\d+): \(\{'logprob': \[(\d+\.\d+), (\d+\.\d+)\]\}, (\d+)\)\n"
    found = re.findall(line, printed)
    assert [(batch, cases) for batch, _, _, cases in found] == [("4", "40"), ("5", "40")]
    order = [printed.index(text) for text in ("batch 5: ", "\n\n====", "Layer 'conv1' weights[0]: ")]
    assert order == sorted(order)
    means = re.findall(r"^logprob:  (.*), (.*)$", printed, re.M)
    sums = [sum(float(test[number]) for test in found) / 80 for number in (1, 2)]
    assert [tuple(f"{mean:.6f}" for mean in sums)] == means
    original = (golden / "e2e_cifar" / "test_all_batches.log").read_text()
    assert len(re.findall(line, original)) == 4


def test_ten_views_while_training(train, convnet, the_run):
    printed = train("--multiview-test=1").stdout
    assert "10 views" in printed
    assert record(the_run())["options"]["provider_options"] == {"crop_border": 1, "test_views": 10}
    assert "10 views" in convnet("train", "-f", the_run(), "--crop-border=1", "--test-only=1").stdout
    assert "10 views" not in convnet("train", "-f", the_run(), "--multiview-test=0", "--test-only=1").stdout
