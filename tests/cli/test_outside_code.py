"""Providers and functions of the user's own, on the command line."""

from __future__ import annotations

import sys
from itertools import count

import numpy as np
import pytest
from tiny_runs import FLAT_LAYERS, FLAT_PARAMS, LAYERS, PARAMS, log, newest, record, write_pair

from convnet_cfg.training.checkpoints import read_checkpoint
from convnet_cfg.training.session import Session

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


WITH_OPTIONS = PROVIDER.replace(
    "    def test_arrays",
    """    def __init__(self, path=None, *, cases=30, noise=0.1, views=1):
        self.cases, self.noise = cases, noise

    def test_arrays""",
).replace(
    "30, 8, 8, 3), np.float32), rng.integers(0, 10, 30,",
    "self.cases, 8, 8, 3), np.float32), rng.integers(0, 10, self.cases,",
)


def test_options_of_a_provider_of_ones_own(convnet, tmp_path, the_run):
    write_pair(tmp_path)
    (tmp_path / "options_of_mine.py").write_text(WITH_OPTIONS)
    pair = ("train", "net.cfg", "net.params.cfg", "--data-provider=options_of_mine.Stripes")
    usual = (*pair, "--train-range=1", "--test-range=2", "--epochs=1")
    convnet(*usual, "--provider-option=cases=20", "--provider-option", "noise=1")
    assert log(the_run())[0]["cases"] == 20
    assert record(the_run())["options"]["provider_options"] == {"cases": 20, "noise": 1.0}
    convnet("train", "-f", the_run(), "--provider-option=cases=10", "--epochs=2")
    assert log(the_run())[1]["cases"] == 10
    assert record(the_run())["options"]["provider_options"] == {"cases": 10, "noise": 1.0}
    message = convnet(*usual, "--provider-option=casses=20", code=2).stderr
    assert "takes cases, noise, views, not 'casses' (did you mean 'cases'?)" in message
    assert (
        "cases must be an integer" in convnet("test", the_run(), "--provider-option=cases=x", code=2).stderr
    )
    convnet("test", the_run(), "--provider-option=cases=5")


def test_a_run_finds_its_provider_from_any_directory(convnet, tmp_path, the_run, monkeypatch):
    write_pair(tmp_path)
    (tmp_path / "far_away_of_ours.py").write_text(PROVIDER)
    arguments = ("--data-provider=far_away_of_ours.Stripes", "--train-range=1", "--test-range=2")
    convnet("train", "net.cfg", "net.params.cfg", *arguments, "--epochs=1")
    run = the_run()
    assert record(run)["directory"] == str(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    path = list(sys.path)
    for command in (("test",), ("train", "--epochs=2", "-f"), ("train", "--test-only=1", "-f")):
        sys.modules.pop("far_away_of_ours")
        assert "final test" in convnet(*command, run).stdout
    assert sys.path == path


def test_a_provider_that_fails(convnet, tmp_path, the_run):
    """What was trained before is saved, and nobody sees a traceback."""
    write_pair(tmp_path)
    failing = (
        "        if number == 2:\n            raise OSError('the disk of batch 2 is away')\n        rng ="
    )
    (tmp_path / "failing_of_ours.py").write_text(PROVIDER.replace("        rng =", failing))
    arguments = (
        "--data-provider=failing_of_ours.Stripes",
        "--train-range=1-2",
        "--test-range=1",
        "--epochs=1",
    )
    message = convnet("train", "net.cfg", "net.params.cfg", *arguments, code=4).stderr
    expected = "data provider Stripes: batch 2 cannot be had: OSError: the disk of batch 2 is away"
    assert expected in message.splitlines()
    assert newest(the_run()).name == "1.1.safetensors"


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
