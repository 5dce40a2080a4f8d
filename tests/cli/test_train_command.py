"""`convnet train`: the command lines it takes, and the exit codes."""

from __future__ import annotations

import pickle
import re
import shutil

import pytest
from click.testing import CliRunner
from tiny_runs import FLAT_LAYERS, FLAT_PARAMS, LAYERS, PARAMS, newest, record, write_pair

from convnet_cfg.cli.arguments import OldStyleCommand, find_pair, normalized
from convnet_cfg.cli.train import train as train_command
from convnet_cfg.cli.values import make_options, recipe_values

# -- command lines


def test_the_command_line_of_the_original(convnet, data, tmp_path):
    """As in the manual, with everything that v1 had."""
    write_pair(tmp_path)
    result = convnet(
        "train",
        f"--data-path={data}",
        "--save-path",
        tmp_path / "saved",
        "--test-range=5",
        "--train-range",
        "1-4",
        "--layer-def=./net.cfg",
        "--layer-params=./net.params.cfg",
        "--data-provider=cifar-cropped",
        "--crop-border=1",
        "--test-freq=13",
        "--epochs=1",
        "--mini=32",
        "--test-one=0",
        "--test-only=0",
        "--multiview-test=0",
        "--check-grads=0",
        "--conserve-mem=1",
        "--zip-save",
        "0",
        "--max-filesize=100",
        "--gpu=0",
        "--num-gpus=1",
        "--logreg-name=logprob",
        "--conv-to-local=",
        "--unshare-weights=",
    )
    for option in ("conserve-mem", "zip-save", "gpu", "num-gpus", "logreg-name"):
        assert f"note: no effect: --{option} (" in result.stderr
    (run,) = (tmp_path / "saved").iterdir()
    expected = {
        "train_range": [1, 2, 3, 4],
        "test_range": [5],
        "test_freq": 13,
        "epochs": 1,
        "minibatch": 32,
        "test_one": False,
        "max_filesize": 100,
        "seed": 0,
        "decay": "cuda-convnet",
        "provider_options": {"crop_border": 1},
        "data_path": str(data),
    }
    assert expected.items() <= record(run)["options"].items()


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("--epo=3", {"epochs": 3}),
        ("--mi=7", {"minibatch": 7}),
        ("--train=2-4", {"train_range": (2, 3, 4)}),
        ("--test-r=6", {"test_range": (6,)}),
        ("--test-f=9", {"test_freq": 9}),
        ("--log=logprob", {"logreg_name": "logprob"}),  # the original had no --log-format
        ("--s=there", {"save_path": "there"}),  # nor --seed
        ("--layer-d=here", {"layer_def": "here"}),
        ("--multiview=1", {"multiview": True}),
        ("--test-only", {"test_only": True}),
        ("--test-one=0", {"test_one": False}),
        ("-f run", {"load_file": "run"}),
        ("-frun", {"load_file": "run"}),
        ("--load-file=run", {"load_file": "run"}),
    ],
)
def test_abbreviated_options(given, meant):
    values = train_command.make_context("convnet-train", given.split()).params
    assert meant.items() <= values.items()


def test_the_version():
    result = CliRunner().invoke(train_command, ["--version"], prog_name="convnet-train")
    assert result.exit_code == 0
    assert result.stdout.startswith("convnet-train, version ")


def test_no_default_of_a_switch_is_a_truth_value():
    assert "True" not in CliRunner().invoke(train_command, ["--help"]).stdout


def test_what_is_said_before_a_check_of_gradients(convnet, tmp_path, monkeypatch):
    monkeypatch.setattr("convnet_cfg.cli.running.check_gradients", lambda prepared, verbose: 0)
    (tmp_path / "net.cfg").write_text(FLAT_LAYERS)
    (tmp_path / "net.params.cfg").write_text(FLAT_PARAMS)
    lines = convnet("train", "net.cfg", "net.params.cfg", "--check-grads", "--data-provider=dummy-cn-192")
    assert lines.stdout.splitlines() == [
        "network    5 layers, 1,930 parameters; cuda-convnet",
        "data       dummy-cn-192: first cases of batch 1",
        "check      of every gradient, by finite differences; seed 0",
    ]


def test_switches():
    assert normalized(["--test-one", "0", "--check-grads", "a"]) == [
        "--test-one",
        "0",
        "--check-grads=1",
        "a",
    ]
    assert isinstance(train_command, OldStyleCommand)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--conv-to-local=conv1"], "--conv-to-local needs a run to change: -f RUN"),
        (["--unshare-weights=conv1"], "--unshare-weights needs a run to change: -f RUN"),
        (["--test-one=2"], "expected 0 or 1, got '2'"),
        (["--train-range=3-1"], "expected a range of batches such as 1-5 or 6, got '3-1'"),
        (["--train-range=-1"], "expected a range of batches such as 1-5 or 6, got '-1'"),
        (["--epochs=0"], "0 is not in the range x>=1"),
        (["--epochs=many"], "'many' is not a valid integer"),
        (["--mini=0"], "0 is not in the range x>=1"),
        (["--decay=l3"], "'l3' is not one of"),
        (["--rate-factor=fast"], "expected a number > 0, got 'fast'"),
        (["--rate-factor=nan"], "expected a number > 0, got 'nan'"),
        (["--rate-factor=inf"], "expected a number > 0, got 'inf'"),
        (["--rate-factor=-1"], "expected a number > 0, got '-1'"),
        (["--rate-factor=0"], "expected a number > 0, got '0'"),
        (["--data-provider="], "batches.meta does not name its data provider (dp_type)"),
        (["--data-provider=", "--data-path="], "--data-path is missing"),
        (["--test-o=1"], "No such option"),
        (["--data-provider=cyfar"], "no data provider 'cyfar' (did you mean 'cifar'?)"),
        (["--data-provider=nowhere.Class"], "cannot import data provider 'nowhere.Class'"),
        (["--crop-border=4"], "crop border must be from 0 to 3 for images of 8 x 8, got 4"),
        (["--layer-def=net.cfg"], "name the same file twice"),
        (["--test-only=1"], "--test-only needs a run to test: -f RUN"),
        (["-f", "runs"], "leave out net.cfg"),
        (["third"], "unexpected extra argument (third)"),
        (["--data-provider=cifar", "--multiview-test=1"], "has one view of each case only"),
    ],
)
def test_usage_errors(train, arguments, message):
    assert message in " ".join(train(*arguments, code=2).stderr.split())


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        ([], "LAYERS PARAMS --data-provider --train-range --test-range"),
        (["--check-grads"], "LAYERS PARAMS --data-provider"),
        (["--data-provider="], "LAYERS PARAMS --data-path --train-range --test-range"),
        (["net.cfg"], "PARAMS --data-provider --train-range --test-range"),
        (["net.cfg", "--data-provider=cifar"], "PARAMS --data-path --train-range --test-range"),
        (["net.cfg", "net.params.cfg", "--data-provider=cifar"], "--data-path --train-range --test-range"),
        (["net.cfg", "net.params.cfg", "--data-provider=digits"], "--train-range --test-range"),
        (["net.cfg", "net.params.cfg", "--data-provider=dummy-cn-9", "--train-range=1"], "--test-range"),
        (["cifar10-80sec"], "--data-path"),
    ],
)
def test_all_that_is_missing_is_said_at_once(convnet, tmp_path, arguments, missing):
    write_pair(tmp_path)
    lines = convnet("train", *arguments, code=2).stderr.splitlines()
    assert [line.partition(" is missing: ")[0] for line in lines] == missing.split()


def test_files_that_are_not_there(convnet, tmp_path):
    write_pair(tmp_path)
    assert "there is no file 'no.cfg'" in convnet("train", "no.cfg", "net.params.cfg", code=2).stderr


def test_no_data_path(train):
    assert train("--data-path=", code=2).stderr == "--data-path is missing: where the data batches are\n"


def test_a_data_path_for_a_provider_without_one(convnet, tmp_path, the_run):
    (tmp_path / "net.cfg").write_text(LAYERS.replace("channels=3", "channels=1"))
    (tmp_path / "net.params.cfg").write_text(PARAMS)
    options = ("--data-provider=digits", "--train-range=1", "--test-range=4", "--epochs=1")
    done = convnet("train", "net.cfg", "net.params.cfg", *options, "--data-path=/nowhere")
    note = "note: no effect: the data path (data provider 'digits' needs none)\n"
    assert note in done.stderr
    assert "data       digits: train on 1, test on 4\n" in done.stdout
    assert record(the_run())["options"]["data_path"] is None
    assert note in convnet("test", the_run(), "--data-path=elsewhere").stderr
    message = convnet("train", "-f", the_run(), "--data-provider=cifar", code=2).stderr
    assert message == "--data-path is missing: data provider 'cifar' reads its batches there\n"


def test_the_provider_that_the_data_ask_for(train, convnet, data, tmp_path, the_run):
    """As the original understood an empty name."""
    own = tmp_path / "own"
    shutil.copytree(data, own)
    meta = pickle.loads((own / "batches.meta").read_bytes())
    (own / "batches.meta").write_bytes(pickle.dumps({**meta, "dp_type": "cifar-cropped"}, protocol=2))
    train("--data-provider=", f"--data-path={own}", "--rate-factor=0.5")
    expected = {"data_provider": "cifar-cropped", "provider_options": {"crop_border": 1}, "rate_factor": 0.5}
    assert expected.items() <= record(the_run())["options"].items()
    convnet("train", "-f", the_run(), "--data-provider=", "--crop-border=1", "--epochs=2")
    assert expected.items() <= record(the_run())["options"].items()


# -- exit codes


def test_exit_code_of_a_configuration_error(train, tmp_path):
    write_pair(tmp_path, params=PARAMS.replace("coeff", "coef"))
    message = train(code=3).stderr
    assert "net.params.cfg:18:1: [logprob] unknown key 'coef' (did you mean 'coeff'?)" in message
    assert not (tmp_path / "runs").exists()


def test_exit_code_of_missing_data(train, tmp_path):
    assert "batch 9 missing" in train("--train-range=9", code=4).stderr
    assert "no such folder" in train(f"--data-path={tmp_path}/nowhere", code=4).stderr
    assert not (tmp_path / "runs").exists()


def test_exit_code_of_divergence(train, tmp_path, the_run):
    write_pair(tmp_path, params=PARAMS.replace("=0.001", "=1e20"))
    message = train(code=5).stderr
    assert re.search(
        r"^batch 1\.1, minibatch \d: logprob is not a finite number; .* layer 'fc10'", message, re.M
    )
    assert newest(the_run()).name == "0.0.safetensors"


def test_exit_code_of_a_checkpoint(train, convnet, the_run):
    train()
    newest(the_run()).write_bytes(b"not a checkpoint")
    assert "cannot read checkpoint" in convnet("train", "-f", the_run(), "--epochs=2", code=6).stderr
    assert "cannot read checkpoint" in convnet("test", the_run(), code=6).stderr
    assert "is not a run directory" in convnet("train", "-f", "nowhere", code=6).stderr
    (the_run() / "run.json").write_text('{"options": 3}')
    assert "is not the record of a run" in convnet("train", "-f", the_run(), "--crop-border=2", code=6).stderr


def test_another_provider_than_the_recipe_s_does_not_get_its_options():
    pair = find_pair("alexnet-2012", None)
    values = recipe_values(pair, {})
    assert (values["data_provider"], values["inner_size"]) == ("image", 224)
    assert recipe_values(pair, {"data_provider": "image"}) == values
    other = {"data_provider": "dummy-cn-150528", "train_range": (1,), "test_range": (1,)}
    options = make_options({**recipe_values(pair, other), **other})
    assert (options.data_provider, options.provider_options) == ("dummy-cn-150528", {})
    assert (options.minibatch, options.epochs) == (values["minibatch"], values["epochs"])
