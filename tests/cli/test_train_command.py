"""`convnet train`: the command lines it takes, what it prints, the exit codes."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
from itertools import count

import numpy as np
import pytest
from tiny_runs import FLAT_LAYERS, FLAT_PARAMS, LAYERS, PARAMS, log, newest, options, record, write_pair

from convnet_cfg.cli.arguments import OldStyleCommand, normalized
from convnet_cfg.cli.describe import describe
from convnet_cfg.cli.lines import PlainLines, batch_list, cost_text
from convnet_cfg.cli.train import train as train_command
from convnet_cfg.language.params import DECAYS
from convnet_cfg.training.checkpoints import read_checkpoint
from convnet_cfg.training.observer import Result
from convnet_cfg.training.position import Position
from convnet_cfg.training.session import Session
from convnet_cfg.training.setup import prepare

COSTS = r"logprob \d+\.\d{4}, error \d+\.\d\d%"


# -- what is printed


def test_plain_lines(train, the_run, data):
    """A line for each batch and each test, and nothing that moves: this is no terminal."""
    lines = train("--epochs=2", "--test-freq=2").output.splitlines()
    seconds = r"\d+\.\d\d s"

    def batch(position):
        return rf" +{position}  {COSTS}  \({seconds}, [\d,]+ cases/s\)"

    def test(number):
        return rf"   test  {COSTS}  \(batch {number}; {seconds}\)"

    expected = [
        r"network    7 layers, [\d,]+ parameters; cuda-convnet with dropout",
        rf"data       cifar-cropped in {re.escape(str(data))}: train on 1-3, test on 4-5",
        r"training   to epoch 2, minibatch 16, seed 7",
        r"decay      cuda-convnet: V = mV - e\(G \+ wc W\); W = W \+ V",
        rf"run        runs/{the_run().name}",
        batch(r"1\.1"),
        batch(r"1\.2"),
        test(4),
        batch(r"1\.3"),
        batch(r"2\.1"),
        test(5),
        batch(r"2\.2"),
        batch(r"2\.3"),
        test(4),
        rf"final test  {COSTS}  \(batch 4-5; {seconds}\)",
        r"",
        rf"The run directory is runs/{the_run().name}",
        rf"  test it again:      convnet test runs/{the_run().name}",
        rf"  train it further:   convnet-train -f runs/{the_run().name} --epochs 3",
        rf"  change its rates:   edit runs/{the_run().name}/params.cfg, then train it further",
    ]
    for line, pattern in zip(lines, expected, strict=True):
        assert re.fullmatch(pattern, line), (line, pattern)


def shape(line):
    """Return a line of the original with every number replaced by the number of its decimals."""
    line = re.sub(r"\d\.\d{6}e[-+]\d\d", "E", line.rstrip())
    line = re.sub(r"\d+\.(\d{6}|\d{3})(?!\d)", lambda match: f"F{len(match[1])}", line)
    return re.sub(r"^\d+\.\d+\.\.\.", "N.N...", line)


def blocks(lines):
    """Return the lines of batches and the lines of one test, in the shape of each, from a log."""
    lines = list(lines)
    start = next(index for index, line in enumerate(lines) if line.startswith("=") and "Test output" in line)
    end = next(index for index in range(start, len(lines)) if lines[index].endswith("sec)"))
    test = [shape(line) for line in lines[start : end + 1]]
    # Which layers there are, and where the checkpoint is, is not the same in two runs.
    test = [re.sub(r"Layer '\w+' (weights\[0\]|biases)", "Layer WHAT", line) for line in test]
    test = [re.sub(r"(Saved checkpoint to ).*", r"\1PATH", line) for line in test]
    return {shape(line) for line in lines if re.match(r"\d+\.\d+\.\.\.", line)}, list(dict.fromkeys(test))


def test_lines_of_the_original(train, golden):
    """Line for line of the same shape as what the original printed."""
    printed = train("--test-freq=2", "--log-format=convnet").output.splitlines()
    original = (golden / "e2e_cifar" / "train_epoch1.log").read_text().splitlines()
    assert blocks(printed) == blocks(original)
    assert "N.N... logprob:  F6, F6 (F3 sec)" in blocks(printed)[0]
    assert "N.N... logprob:  F6, F6" in blocks(printed)[0]
    assert sum(line.startswith("Layer ") for line in printed) == 2 * 4  # the test, and the final one


def test_numbers_of_the_original_s_lines(train, the_run):
    printed = train("--log-format=convnet").output
    first, *_ = log(the_run())
    cost, error = first["costs"]["logprob"]
    assert f"1.1... logprob:  {cost:.6f}, {error:.6f} (" in printed


def test_a_progress_bar_on_a_terminal():
    lines = PlainLines(epochs=3, progress=True)
    lines.batch_started(1, 2, 8)
    lines.minibatches_done(5, 8)
    (task,) = lines.bar.tasks
    assert (task.description, task.completed, task.total) == ("epoch 1/3 batch 2", 5, 8)
    lines.batch_started(1, 3, 6)
    (task,) = lines.bar.tasks
    assert (task.description, task.completed, task.total) == ("epoch 1/3 batch 3", 0, 6)
    lines.close()
    assert PlainLines(epochs=3).bar is None


def test_words_for_batches_and_costs():
    assert [batch_list(numbers) for numbers in ((1, 2, 3), (6,))] == ["1-3", "6"]
    result = Result("train", Position(1, 2), {"logprob": (1.5, 0.25), "other": (2.0,)}, 10)
    assert cost_text(result) == "logprob 1.5000, error 25.00%, other 2.0000"


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
        (["--conv-to-local=conv1"], "not supported yet: --conv-to-local"),
        (["--unshare-weights=conv1"], "not supported yet: --unshare-weights"),
        (["--test-one=2"], "expected 0 or 1, got '2'"),
        (["--train-range=3-1"], "expected a number or a range like 1-5, got '3-1'"),
        (["--train-range=-1"], "expected a number or a range like 1-5, got '-1'"),
        (["--epochs=0"], "0 is not in the range x>=1"),
        (["--epochs=many"], "'many' is not a valid integer"),
        (["--mini=0"], "0 is not in the range x>=1"),
        (["--decay=l3"], "'l3' is not one of"),
        (["--rate-factor=fast"], "'fast' is not a valid float"),
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
        ([], "LAYERS is missing"),
        (["net.cfg"], "PARAMS is missing"),
        (["net.cfg", "net.params.cfg"], "--data-provider is missing"),
        (["net.cfg", "net.params.cfg", "--data-provider=digits"], "--train-range is missing"),
        (
            ["net.cfg", "net.params.cfg", "--data-provider=digits", "--train-range=1"],
            "--test-range is missing",
        ),
        (["no.cfg", "net.params.cfg"], "there is no file 'no.cfg'"),
    ],
)
def test_what_is_missing(convnet, tmp_path, arguments, missing):
    write_pair(tmp_path)
    assert missing in convnet("train", *arguments, code=2).stderr


def test_no_data_path(train):
    assert "needs a data path" in train("--data-path=", code=2).stderr


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


# -- run.json and resuming


def test_what_is_recorded(train, the_run, tmp_path):
    train("--decay=decoupled-lr")
    found = record(the_run())
    assert {"python", "convnet-cfg", "tensorflow", "keras", "numpy"} == set(found["versions"])
    assert found["decay"] == found["options"]["decay"] == "decoupled-lr"
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


@pytest.mark.parametrize("decay", DECAYS)
def test_a_run_prints_its_decay(convnet, data, tmp_path, decay):
    """All that is printed before the network is built; the data are missing, so that it never is."""
    layers, params = write_pair(tmp_path, params=PARAMS.replace("wc=0.03", "wc=0.03\ndecay=after-step"))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        describe(prepare(layers, params, options(data, decay=decay)), False)
    assert re.search(
        rf"^decay      {decay}: .*; by the parameter file also after-step$", printed.getvalue(), re.M
    )


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
    """As v1: only the first batch of the range, unless --test-one=0."""
    train()
    before = {path.name: path.read_bytes() for path in the_run().iterdir()}
    assert "(batch 4;" in convnet("train", "-f", the_run(), "--test-only=1").stdout
    assert "(batch 4-5;" in convnet("train", "-f", the_run(), "--test-only=1", "--test-one=0").stdout
    assert {path.name: path.read_bytes() for path in the_run().iterdir()} == before


# -- convnet test


def test_the_test_command(train, convnet, the_run):
    final = re.search(COSTS, train().stdout.split("final test")[1])[0]
    before = {path.name: path.read_bytes() for path in the_run().iterdir()}
    printed = convnet("test", the_run()).stdout
    assert f"{final}  (batch 4-5;" in printed
    ten = convnet("test", newest(the_run()), "--multiview", "--test-range=5").stdout
    assert re.search(rf"{COSTS}  \(batch 5, 10 views;", ten)
    assert "Layer 'conv1' weights[0]: " in convnet("test", the_run(), "--log-format=convnet").stdout
    assert {path.name: path.read_bytes() for path in the_run().iterdir()} == before
    assert "batch 8 missing" in convnet("test", the_run(), "--test-range=8", code=4).stderr


def test_ten_views_while_training(train, convnet, the_run):
    printed = train("--multiview-test=1").stdout
    assert "10 views" in printed
    assert record(the_run())["options"]["provider_options"] == {"crop_border": 1, "test_views": 10}
    assert "10 views" in convnet("train", "-f", the_run(), "--crop-border=1", "--test-only=1").stdout
    assert "10 views" not in convnet("train", "-f", the_run(), "--multiview-test=0", "--test-only=1").stdout


# -- code from outside


PROVIDER = """
import numpy as np
from convnet_cfg.data import DataProvider


class Stripes(DataProvider):
    shapes = ((8, 8, 3), (1,))
    num_classes = 10
    numbers = (1, 2)

    def test_arrays(self, number):
        rng = np.random.default_rng(number)
        return rng.random((30, 8, 8, 3), np.float32), rng.integers(0, 10, 30, np.int32)
"""


def test_a_provider_in_the_working_directory(convnet, tmp_path, the_run):
    write_pair(tmp_path)
    (tmp_path / "stripes_of_ours.py").write_text(PROVIDER)
    arguments = ("--data-provider=stripes_of_ours.Stripes", "--train-range=1", "--test-range=2", "--epochs=1")
    printed = convnet("train", "net.cfg", "net.params.cfg", *arguments).stdout
    assert "stripes_of_ours.Stripes: train on 1, test on 2" in printed
    assert log(the_run())[0]["cases"] == 30
    convnet("train", "-f", the_run(), "--epochs=2")


FUNCTIONS = """
import numpy as np

def weights(name, index, shape, params=None):
    return np.full(shape, float(params[0]), np.float32)

def bias(name, shape, params=None):
    return np.full(shape, 0.25, np.float32)

def wrong_shape(name, index, shape, params=None):
    return np.zeros((2, 2), np.float32)

def wrong_type(name, index, shape, params=None):
    return np.zeros(shape)

def failing(name, index, shape, params=None):
    raise RuntimeError("out of ideas")

def nothing(name, index, shape, params=None):
    return None
"""


@pytest.fixture
def with_function(convnet, data, tmp_path):
    """Train a softmax regression whose weights come from functions."""
    (tmp_path / "init_of_ours.py").write_text(FUNCTIONS)

    def run(function, *allowed, code=0, key="initWFunc"):
        layers = FLAT_LAYERS.replace("initW=0.01", f"initW=0.01\n{key}=init_of_ours.{function}")
        write_pair(tmp_path, layers, FLAT_PARAMS)
        options = [f"--allow-init-func=init_of_ours.{name}" for name in allowed]
        return convnet(
            "train",
            "net.cfg",
            "net.params.cfg",
            "--data-provider=cifar",
            f"--data-path={data}",
            "--train-range=1",
            "--test-range=5",
            "--epochs=1",
            *options,
            code=code,
        )

    return run


def test_functions_of_the_files_are_refused(with_function, tmp_path):
    message = with_function("weights(0.5)", code=3).stderr
    assert (
        "[fc10] init_of_ours.weights is code from outside: give --allow-init-func init_of_ours.weights"
        in message
    )
    assert "code from outside" in with_function("weights(0.5)", "bias", code=3).stderr
    assert not (tmp_path / "runs").exists()


def test_functions_that_are_allowed(with_function, the_run, monkeypatch):
    first = {}
    before = Session.train

    def look(self):
        first.update({name: variable.numpy() for name, variable in self.built.variables.items()})
        return before(self)

    monkeypatch.setattr(Session, "train", look)
    with_function("weights(0.5)\ninitBFunc=init_of_ours.bias", "weights", "bias")
    assert np.all(first["fc10/kernel"] == 0.5)
    assert np.all(first["fc10/bias"] == 0.25)
    assert record(the_run())["options"]["allowed_functions"] == ["init_of_ours.weights", "init_of_ours.bias"]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("wrong_shape", "initWFunc must return a float32 array of shape (192, 10), got float32 (2, 2)"),
        ("wrong_type", "initWFunc must return a float32 array of shape (192, 10), got float64 (192, 10)"),
        ("nothing", "got NoneType"),
        ("failing", "initWFunc=init_of_ours.failing failed: RuntimeError: out of ideas"),
        ("absent", "initWFunc=init_of_ours.absent failed: AttributeError"),
    ],
)
def test_functions_that_fail(with_function, tmp_path, function, message):
    assert message in with_function(function, function, code=3).stderr
    assert not (tmp_path / "runs").exists()


NUMBERS = count()  # for module names: Python imports each once only
SPARSE = """
import numpy as np

def channels(name, index, geometry, params=None):
    return {result}
"""


@pytest.mark.parametrize(
    ("result", "code"),
    [
        ("[0, 2, 1, 3]", 0),
        ("np.array([3, 2, 1, 0])", 0),
        ("[0, 0, 1, 3]", 3),
        ("[0, 1]", 3),
        ("None", 3),
        ("[0, 1, 2, 'x']", 3),
        ("7", 3),
        ("[[0, 1], [2]]", 3),
    ],
)
def test_random_connections_by_a_function(train, tmp_path, result, code):
    name = f"channels_of_ours_{next(NUMBERS)}"
    (tmp_path / f"{name}.py").write_text(SPARSE.format(result=result))
    sparse = f"""
[conv2]
type=conv
inputs=conv1
channels=4
filters=2
filterSize=3
padding=1
groups=2
randSparse=1
initW=0.1
partialSum=0
initCFunc={name}.channels
"""
    head, tail = LAYERS.split("[fc10]")
    layers = head + sparse + "\n[fc10]" + tail.replace("inputs=conv1", "inputs=conv2")
    write_pair(tmp_path, layers, PARAMS + "\n[conv2]\nepsW=0.001\nepsB=0\nmomW=0\nmomB=0\nwc=0\n")
    printed = train(f"--allow-init-func={name}.channels", code=code)
    if code:
        assert "[conv2] initCFunc must return 4 channel numbers" in printed.stderr
    else:
        (run,) = (tmp_path / "runs").iterdir()
        assert read_checkpoint(newest(run))[1]["connections"]["conv2"] == [list(eval(result))]


def test_every_line_of_the_log_is_json(train, the_run):
    train("--test-freq=1")
    for name in ("log.jsonl", "times.jsonl"):
        lines = (the_run() / name).read_text().splitlines()
        assert [json.loads(line)["kind"] for line in lines] == ["train", "test"] * 3
