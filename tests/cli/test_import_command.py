"""`convnet import`, and what can be done with what it makes."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import old_networks
import pytest
from old_pickles import FOLDER
from tiny_runs import (
    FLAT_LAYERS,
    FLAT_PARAMS,
    LAYERS,
    PARAMS,
    PRINTED_COSTS,
    log,
    newest,
    record,
    write_pair,
)

from convnet_cfg.language import Reading, load_network


@pytest.fixture
def old(tmp_path):
    """Write a checkpoint of a small network, and return its path."""

    def write(layers=FLAT_LAYERS, params=FLAT_PARAMS, v2=False, edit=lambda layers: None, **changes):
        reading = Reading(dialect="v2" if v2 else None)
        network = load_network(*write_pair(tmp_path, layers, params), data_dims=(192, 1), reading=reading)
        found = old_networks.layers_of(network, v2, old_networks.random_arrays())
        edit(found)
        return old_networks.write(tmp_path / "old" / "ConvNet__1", old_networks.content(found, **changes))

    return write


def test_import_test_train(convnet, data, old, tmp_path):
    path = old(LAYERS, PARAMS)
    printed = convnet("import", path).stdout
    assert printed.splitlines() == [
        f"checkpoint  {path} (pickle)",
        "program     v1+dropout (cuda-convnet with dropout), saved after batch 1 of epoch 2",
        "network     7 layers, 2,682 parameters, read as v1+dropout",
        "data        cifar: 8 x 8 x 3, 1; 10 classes",
        "options     train on 1-3, test on 4, 3 epochs, minibatch 32",
        "",
        "The run directory is runs/ConvNet__1",
        "  test it:            convnet test runs/ConvNet__1 --data-path DIR",
        "  train it further:   convnet-train -f runs/ConvNet__1 --data-path DIR",
        "  look at it:         convnet check runs/ConvNet__1/layers.cfg runs/ConvNet__1/params.cfg "
        "--data-dims 192,1",
    ]
    run = tmp_path / "runs" / "ConvNet__1"
    tested = convnet("test", run, "--data-path", data).stdout
    assert "2.1.safetensors" in tested
    convnet("test", run, "--data-path", data, "--data-provider", "cifar-cropped", "--crop-border", 0)
    assert "cifar-10" in convnet("test", run, code=4).stderr
    convnet("check", run / "layers.cfg", run / "params.cfg", "--data-dims", "192,1")
    convnet("train", "-f", run, "--data-path", data, "--epochs", 2)
    assert newest(run).name == "2.3.safetensors"
    positions = [(line["kind"], line["epoch"], line["batch"]) for line in log(run)]
    assert positions[:6] == [
        ("train", 1, 1),
        ("train", 1, 2),
        ("test", 1, 2),
        ("train", 1, 3),
        ("train", 2, 1),
        ("test", 2, 1),
    ]
    assert positions[6:] == [("train", 2, 2), ("train", 2, 3), ("test", 2, 3)]
    assert record(run)["imported"]["program"] == "v1+dropout"


def test_the_stored_network_is_as_good_as_its_own_record_says(convnet, tmp_path):
    """A network of the digits, in the original's form; it is the example of the documentation."""
    convnet("import", FOLDER / "digits")
    run = tmp_path / "runs" / "digits"
    cost, error = log(run)[-1]["costs"]["logprob"]
    assert error < 0.1
    assert f"logprob {cost:.4f}, error {error:.2%}" in convnet("test", run).stdout


def test_a_run_is_shown_with_where_it_is_from(convnet, old, tmp_path):
    path = old()
    printed = convnet("import", path, "-o", tmp_path / "my run").stdout
    assert f"  test it:            convnet test '{tmp_path}/my run' --data-path DIR\n" in printed
    assert f"imported   from {path}, of v1\n" in convnet("show", tmp_path / "my run").stdout


def test_the_newest_of_a_folder_goes_where_it_is_asked_for(convnet, data, old, tmp_path):
    path = old(v2=True)
    (path.parent / "1.3").write_bytes(b"older")
    printed = convnet("import", path.parent, "-o", "here/run", "--data-path", data).stdout
    assert "program     v2 (cuda-convnet2), saved after batch 1 of epoch 2\n" in printed
    assert "The run directory is here/run\n" in printed
    assert record(tmp_path / "here" / "run")["options"]["provider_options"] == {
        "inner_size": 0,
        "scalar_mean": -1,
    }


def test_data_that_are_there_say_their_form(convnet, data, old, tmp_path):
    given = ("--data-path", data, "--train-range", "1-2", "--test-range", "4-5")
    printed = convnet("import", old(), "-o", "run", *given).stdout
    assert "  test it:            convnet test run\n" in printed
    found = record(tmp_path / "run")
    assert found["data"] == {"shapes": [[8, 8, 3], [1]], "classes": 10}
    assert found["options"]["data_path"] == str(data)
    assert (found["options"]["train_range"], found["options"]["test_range"]) == ([1, 2], [4, 5])
    assert "error" in convnet("test", "run").stdout


def test_what_is_not_carried_over_is_said(convnet, old, tmp_path):
    def edit(layers):
        layers[2] |= {"flipWeights": 1, "initWFunc": "initw.makew(\x1b[2J)"}

    printed = convnet("import", old(edit=edit, best_test_error=0.5, patch_size=3)).stdout
    lines = printed.split("Not carried over:\n")[1].split("\n\n")[0].splitlines()
    assert lines == [
        "  layer 'fc10': initWFunc=initw.makew(\\x1b[2J): the weights are those of the checkpoint",
        "  fc10.flipWeights: no layer here has such a field",
        "  --patch-size=3: no such option here",
        "  best_test_error=0.5: it has no meaning here",
    ]
    assert record(tmp_path / "runs" / "ConvNet__1")["imported"]["not_carried_over"] == [
        line.strip() for line in lines
    ]


def test_an_import_does_not_overwrite_unless_it_is_to(convnet, old):
    path = old()
    convnet("import", path)
    assert "is there already: give --force to replace it" in convnet("import", path, code=2).stderr
    convnet("import", path, "--force")


@pytest.mark.parametrize(
    ("changes", "options", "code", "message"),
    [
        (
            {"dp_type": "my.Own"},
            [],
            6,
            "the data provider 'my.Own' does not come along: give --data-provider",
        ),
        ({}, ["--data-provider", "cifra"], 2, "no data provider 'cifra' (did you mean 'cifar'?)"),
        ({}, ["--data-path", "nowhere"], 4, "nowhere"),
        ({"epoch": 0}, [], 6, "there is no batch 1 of epoch 0"),
    ],
)
def test_what_is_refused_leaves_nothing(convnet, old, tmp_path, changes, options, code, message):
    assert message in convnet("import", old(**changes), *options, code=code).stderr
    assert not (tmp_path / "runs").exists()


def test_every_problem_of_the_weights(convnet, old, tmp_path):
    def edit(layers):
        layers[2]["weights"][0] = layers[2]["weights"][0][:, :4]
        del layers[2]["biasesInc"]

    printed = convnet("import", old(edit=edit), code=6).stderr
    assert "fc10.weights[0] is 192 x 4: expected 192 x 10" in printed
    assert "fc10.biasesInc is not there" in printed
    assert not (tmp_path / "runs").exists()


def test_no_checkpoint(convnet, tmp_path):
    assert "has no checkpoint of cuda-convnet" in convnet("import", tmp_path, code=6).stderr


def test_local_layers_and_weights_of_their_own(convnet, data, old, tmp_path):
    """The options of the original, on an imported run; then the same where they make no sense."""
    run = tmp_path / "run"
    convnet("import", old(LAYERS, PARAMS), "-o", run, "--data-path", data)
    before = convnet("test", run).stdout
    printed = convnet("train", "-f", run, "--conv-to-local=conv1", "--test-only", "--test-one=0").stdout
    assert "layer 'conv1' is local now\n" in printed
    (new,) = (path for path in tmp_path.glob("run__*"))
    assert f"new run    {new}\n" in printed
    assert costs(printed) == costs(before)
    assert "type=local" in (new / "layers.cfg").read_text()
    assert (new / "imported.json").read_bytes() == (run / "imported.json").read_bytes()
    assert "changed    at 2.1: --conv-to-local=conv1\n" in convnet("show", new).stdout
    printed = convnet("train", "-f", run, "--conv-to-local", "conv2,fc10", "--unshare-weights=fc10", code=2)
    assert printed.stderr.splitlines() == [
        "--conv-to-local: there is no layer 'conv2' (did you mean 'conv1'?)",
        "--conv-to-local: 'fc10' is fc, not conv",
        "--unshare-weights: 'fc10' takes no matrix from another layer",
    ]
    assert len(list(tmp_path.glob("run__*"))) == 1


def test_nothing_is_made_if_the_data_are_not_there(convnet, data, old, tmp_path):
    run = tmp_path / "run"
    convnet("import", old(LAYERS, PARAMS), "-o", run, "--data-path", data)
    convnet("train", "-f", run, "--conv-to-local=conv1", "--data-path=nowhere", code=4)
    assert not list(tmp_path.glob("run__*"))


def costs(printed):
    """The costs of the final test that was printed."""
    return re.search(PRINTED_COSTS, printed)[0]


@pytest.mark.slow
def test_errors_come_without_tensorflow(old, tmp_path):
    """It takes seconds to import."""
    path = old(dp_type="my.Own")
    code = (
        "import sys; from convnet_cfg.cli import main\n"
        f"try: main(['import', {str(path)!r}])\n"
        "except SystemExit as end: print(end.code, 'tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=dict(os.environ)
    )
    assert done.stdout == "6 False\n", done.stderr
