"""`convnet train -f` and `convnet test`: what is recorded, going on with a run, and testing it."""

from __future__ import annotations

import hashlib
import re

from tiny_runs import PARAMS, PRINTED_COSTS, log, newest, record

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
    assert "Layer 'conv1' weights[0]: " in convnet("test", the_run(), "--log-format=convnet").stdout
    assert {path.name: path.read_bytes() for path in the_run().iterdir()} == before
    assert "batch 8 missing" in convnet("test", the_run(), "--test-range=8", code=4).stderr


def test_ten_views_while_training(train, convnet, the_run):
    printed = train("--multiview-test=1").stdout
    assert "10 views" in printed
    assert record(the_run())["options"]["provider_options"] == {"crop_border": 1, "test_views": 10}
    assert "10 views" in convnet("train", "-f", the_run(), "--crop-border=1", "--test-only=1").stdout
    assert "10 views" not in convnet("train", "-f", the_run(), "--multiview-test=0", "--test-only=1").stdout
