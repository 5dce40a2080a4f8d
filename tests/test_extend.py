"""The example of docs/extending.md, read, checked and trained; and what is refused."""

import json
import re
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from convnet_cfg import extend
from convnet_cfg.cli import main
from convnet_cfg.errors import ConfigError
from convnet_cfg.language import load_network
from convnet_cfg.language.dialect import EXTENSIONS
from convnet_cfg.language.dialects import DIALECTS
from convnet_cfg.model import build

EXAMPLE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text()
MODULE = re.search(r"```python\n(.*?)```", EXAMPLE, re.DOTALL)[1]

LAYERS = """[data]
type=data
dataIdx=0
[labels]
type=data
dataIdx=1
[noisy]
type=noise
inputs=data
stdev=0.1
[fc]
type=fc
gpu=0
inputs=noisy
outputs=10
initW=0.01
neuron=swish[1]
[probs]
type=softmax
inputs=fc
[small]
type=cost.abs
inputs=fc
[logprob]
type=cost.logreg
gpu=0
inputs=labels,probs
"""
PARAMS = """[fc]
epsW=halves[base=0.01;every=1]
epsB=0.01
momW=0.9
momB=0.9
[small]
coeff=0.001
[logprob]
coeff=1
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in (("mytypes.py", MODULE), ("net.cfg", LAYERS), ("net.params.cfg", PARAMS)):
        (tmp_path / name).write_text(text)
    yield tmp_path
    for table in (EXTENSIONS.layer_types, EXTENSIONS.neurons, EXTENSIONS.schedules, extend._loaded):
        table.clear()
    for dialect in DIALECTS.values():
        dialect.forget()


@pytest.fixture
def convnet(invoke):
    return lambda *arguments: invoke(main, arguments)


@pytest.fixture
def invoke():
    from click.testing import CliRunner

    return lambda command, arguments: CliRunner().invoke(command, arguments)


def test_the_example_trains_and_goes_on(folder, convnet):
    files = ["net.cfg", "net.params.cfg"]
    data = ["--data-provider=digits", "--train-range=1", "--test-range=4"]
    done = convnet("train", *files, "--extension=mytypes.py", "--epochs=2", "--test-freq=1", *data)
    assert done.exit_code == 0, done.output
    (run,) = (folder / "runs").iterdir()
    logged = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert set(logged[0]["costs"]) == {"small", "logprob"}
    assert logged[-1]["costs"]["logprob"][0] < 2.3
    assert json.loads((run / "run.json").read_text())["options"]["extensions"] == [str(folder / "mytypes.py")]
    again = convnet("train", "-f", str(run), "--epochs=3")
    assert again.exit_code == 0, again.output


def test_mistakes_are_reported_as_for_any_type(folder, convnet):
    (folder / "net.cfg").write_text(
        LAYERS.replace("stdev=0.1", "stdev=-1\nstdve=2").replace("swish[1]", "swish")
    )
    done = convnet("check", "net.cfg", "--extension=mytypes.py")
    assert done.exit_code == 3
    assert "net.cfg:10:7: [noisy] stdev must be a number > 0, got '-1'" in done.output
    assert "net.cfg:11:1: [noisy] unknown key 'stdve' (did you mean 'stdev'?)" in done.output
    assert "[fc] neuron 'swish' must be written swish[b]" in done.output


def test_without_the_extension_the_types_are_unknown(folder, convnet):
    done = convnet("check", "net.cfg")
    assert done.exit_code == 3
    assert "unknown type 'noise'" in done.output


OWN_TYPE = """from typing import ClassVar
from convnet_cfg import extend
@extend.layer_type
class Own(extend.OwnSpec):
    type_name: ClassVar[str] = "{name}"
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        (OWN_TYPE.format(name="fc"), "there is already a layer type 'fc'"),
        (
            f"{OWN_TYPE.format(name='hush')}\n{OWN_TYPE.format(name='hush')}",
            "there is already a layer type 'hush'",
        ),
        ("from convnet_cfg import extend\nextend.neuron('relu')(abs)", "there is already a neuron 'relu'"),
        (
            "from convnet_cfg import extend\nextend.schedule('dexp', {})(abs)",
            "there is already a schedule 'dexp'",
        ),
        (
            "from convnet_cfg import extend\nextend.schedule('CONST', {})(abs)",
            "there is already a schedule 'const'",
        ),
        (
            "from convnet_cfg.extend import schedule\nschedule('own', {})(abs)\nschedule('OWN', {})(abs)",
            "there is already a schedule 'own'",
        ),
        (
            OWN_TYPE.format(name="randft"),
            "not supported: type=randft (zixu1986/Doubly_Stochastic_Gradients)",
        ),
        (
            OWN_TYPE.format(name="my type"),
            "the name of a layer type has only letters, digits, _, . and -, got 'my type'",
        ),
        (
            "from convnet_cfg import extend\nextend.neuron('my-act', 'a')(abs)",
            "the name of a neuron has only letters, digits and _, got 'my-act'",
        ),
        (
            "from convnet_cfg import extend\nextend.schedule('my-rate', {})(abs)",
            "the name of a schedule has only letters, digits and _, got 'my-rate'",
        ),
        (
            "from convnet_cfg import extend\nextend.schedule('rate', {'a=b': extend.NUMBER})(abs)",
            "the name of a parameter of schedule 'rate' has only letters, digits and _, got 'a=b'",
        ),
    ],
)
def test_a_module_that_cannot_be_used(folder, convnet, text, message):
    (folder / "bad.py").write_text(text)
    done = convnet("check", "net.cfg", "--extension=bad.py")
    assert done.exit_code == 2
    assert "cannot load extension" in done.output
    assert message in done.output


@pytest.mark.parametrize("name", ["shift", "treefc", "fcdrop", "scaling", "whiten"])
def test_a_type_that_a_dialect_refuses_can_be_added(folder, convnet, name):
    (folder / "mytypes.py").write_text(MODULE.replace('"noise"', f'"{name}"'))
    (folder / "net.cfg").write_text(LAYERS.replace("type=noise", f"type={name}").replace("gpu=0\n", ""))
    done = convnet("check", "net.cfg", "--extension=mytypes.py")
    assert done.exit_code == 0, done.output


def test_no_type_is_there_and_refused():
    for dialect in DIALECTS.values():
        assert not dialect.refused.keys() & dialect.own_types.keys()


def test_a_neuron_whose_name_begins_as_another_tells_nothing_of_the_dialect(folder, convnet):
    (folder / "mytypes.py").write_text(MODULE.replace('"swish"', '"softlifted"'))
    (folder / "net.cfg").write_text(LAYERS.replace("swish", "softlifted"))
    done = convnet("check", "net.cfg", "--extension=mytypes.py", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["dialect"] == "v2"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return None", "schedule halves must lead to rates that are finite numbers, not None"),
        ("return base / 0", "schedule halves fails: ZeroDivisionError: float division by zero"),
        ("return [base]", "schedule halves must lead to rates that are finite numbers, not [0.01]"),
    ],
)
def test_a_schedule_that_gives_no_rates(folder, convnet, body, message):
    (folder / "mytypes.py").write_text(re.sub(r"return base / 2.*", body, MODULE))
    done = convnet("check", "net.cfg", "net.params.cfg", "--extension=mytypes.py")
    assert done.exit_code == 3
    assert f"net.params.cfg:2:6: [fc] {message}" in done.output


def test_a_layer_that_makes_something_else_than_it_declares(folder):
    made = "keras.layers.Dense(7, trainable=False, **options)"
    module = MODULE.replace("keras.layers.GaussianNoise(self.deviation, **options)", made)
    (folder / "mytypes.py").write_text(module)
    extend.load_extensions([str(folder / "mytypes.py")])
    network = load_network("net.cfg", "net.params.cfg", data_dims=(64, 1))
    with pytest.raises(ConfigError) as error:
        build(network, ((64,), (1,)))
    assert str(error.value) == (
        "net.cfg:7:1: [noisy] the Keras layer of NoiseSpec makes (7,) for each case, "
        "but NoiseSpec declares (64,)"
    )


def test_annotations_may_be_put_off(folder, convnet):
    """Dataclasses find a `ClassVar` that is text only in a module that Python knows."""
    module = MODULE.replace('type_name = "noise"', 'type_name: ClassVar[str] = "noise"')
    (folder / "mytypes.py").write_text(
        f"from __future__ import annotations\nfrom typing import ClassVar\n{module}"
    )
    done = convnet("check", "net.cfg", "net.params.cfg", "--extension=mytypes.py")
    assert done.exit_code == 0, done.output


def test_a_file_hides_no_module_of_its_name(folder, convnet):
    (folder / "json.py").write_text("")
    (folder / "bad.py").write_text("1 / 0")
    convnet("check", "net.cfg", "--extension=json.py")
    convnet("check", "net.cfg", "--extension=bad.py")
    assert sys.modules["json"] is json
    assert {name for name in sys.modules if str(folder) in name} == {f"extension {folder / 'json.py'}"}


def test_a_missing_module(folder, convnet):
    done = convnet("check", "net.cfg", "--extension=nothing.here")
    assert done.exit_code == 2
    assert "ModuleNotFoundError" in done.output


def test_the_gradient_of_an_own_neuron_is_automatic(folder):
    extend.load_extensions([str(folder / "mytypes.py")])
    x = tf.constant([0.5])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = EXTENSIONS.neurons["swish"].function(x, b=2.0)
    half = 0.5 * 2.0
    s = 1 / (1 + 2.718281828459045**-half)
    assert float(tape.gradient(y, x)[0]) == pytest.approx(s + half * s * (1 - s), rel=1e-5)
