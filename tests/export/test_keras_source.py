"""Translated networks: what those that came along compute, how they read, and what is refused."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.corpus_networks import needed_bytes
from benchmarks.translation_cases import make_case
from benchmarks.translations import TOLERANCE, compare
from convnet_cfg.errors import ConfigError
from convnet_cfg.export.source.keras_source import translate
from convnet_cfg.export.source.shapes import data_shapes
from convnet_cfg.language import Reading, build_network, guess_dims, read_pair
from convnet_cfg.zoo import find_config, find_layers, load_recipe
from convnet_cfg.zoo.files import names

ROOT = Path(__file__).parents[2]
SMALL = 30_000_000
LARGE = "imagenet-2gpu-model"  # one of seven, which differ in little; all of them: make translations


def shipped(name):
    """Return a shipped network for the data of its recipe."""
    pair = read_pair(*find_layers(name), Reading())
    values = load_recipe(find_config(name)).data.values
    return build_network(pair, (values, 1) if values else guess_dims(pair).dims)


def text_of(name, **options):
    network = shipped(name)
    given = {"title": name, "files": f"{name}.cfg", "decay": "cuda-convnet", **options}
    return translate(network, data_shapes(network), **given).text


def network_of(tmp_path, layers, params=None, dims=(48, 1), reading=None):
    """Return the network of two texts."""
    files = tmp_path / "layers.cfg", tmp_path / "params.cfg" if params is not None else None
    files[0].write_text(layers)
    if files[1] is not None:
        files[1].write_text(params)
    return build_network(read_pair(*files, reading or Reading()), dims)


@pytest.fixture(scope="module")
def texts():
    """All shipped networks, translated."""
    return {name: text_of(name) for name in names()}


@pytest.mark.slow
def test_shipped_networks_compute_the_same_where_we_cannot_be_imported(tmp_path):
    chosen = [name for name in names() if needed_bytes(shipped(name)) < SMALL] + [LARGE]
    assert len(chosen) >= 12
    cases = [make_case(name, network, data_shapes(network)) for name in chosen for network in [shipped(name)]]
    found = {each.name: each for each in compare(cases, tmp_path)}
    assert set(found) == set(chosen)
    for case in cases:
        each = found[case.name]
        assert not each.failed, each.failed
        compared = {key.partition("/")[2] for key in each.errors if key.startswith("stepped/")}
        assert compared == set(case.source.paths.values())
        assert {key.partition("/")[0] for key in each.errors} == {"output", "cost", "gradient", "stepped"}
        assert max(each.errors.values()) <= TOLERANCE, each


DECAYS = ("l2", "decoupled", "decoupled-lr", "decoupled-schedule", "decoupled-matched", "after-step", "none")

LIMITED = """
[data]
type=data
dataIdx=0
[labels]
type=data
dataIdx=1
[conv1]
type=conv
inputs=data
channels=3
filters=16
filterSize=3
padding=1
stride=1
initW=0.1
sumWidth=1
[local2]
type=local
inputs=conv1
channels=16
filters=16
filterSize=3
stride=1
initW=0.1
[fc3]
type=fc
inputs=local2
outputs=4
initW=0.1
[fc4]
type=fc
inputs=fc3
outputs=4
initW=0.1
[probs]
type=softmax
inputs=fc4
[logprob]
type=cost.logreg
inputs=labels,probs
"""
LIMITS = """
[conv1]
epsW=exp[base=0.1;tgtFactor=4]
epsB=0.1
momW=0.5
momB=0.5
wc=0.01
wcNormMin=0.01
wcNormMax=0.02
[local2]
epsW=dexp[base=0.1;tgtFactor=8;numSteps=4]
epsB=0
momW=0.5
momB=0.5
wc=0.01
wball=0.5
[fc3]
epsW=linear[base=0.1;tgtFactor=4]
epsB=0.1
momW=0.5
momB=0.5
wball=0.5
updatePeriod=2
[fc4]
epsW=0
epsB=0.1
momW=0.5
momB=0.5
[logprob]
coeff=0.5
"""


def test_files_are_as_ruff_leaves_them(texts, tmp_path):
    assert len(texts) == len(names())
    for name, text in texts.items():
        (tmp_path / f"{name.replace('-', '_')}.py").write_text(text)
    settings = ["--config", str(ROOT / "pyproject.toml"), str(tmp_path)]
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run([ruff(), *command, *settings], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def ruff():
    return str(Path(sys.executable).with_name("ruff"))


def test_files_have_only_what_their_network_needs(texts):
    for name, text in texts.items():
        assert "convnet_cfg" not in text, name
        assert ("class LocallyConnected2D" in text) == ("LocallyConnected2D(" in text.split("build_model")[1])
        for defined in ("MaxPooling", "CrossChannelNorm", "MaskDropout", "GroupedConv2D", "BiasOfEachPlace"):
            assert text.count(f"class {defined}(") == (f"{defined}(" in text.split("def build_model")[1]), (
                name
            )


def test_nothing_is_defined_that_is_not_used(texts):
    for name, text in texts.items():
        defined = [
            node.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef | ast.FunctionDef)
        ]
        called = {"make_optimizer", "load_weights"}
        unused = [
            each for each in defined if each not in called and len(re.findall(rf"\b{each}\b", text)) < 2
        ]
        assert not unused, name
        assert "lambda progress" not in text or "total_steps" in text, name


def test_layers_of_keras_are_used_where_they_mean_the_same(texts):
    text = texts["cifar10-80sec"]
    assert ' AveragePooling(3, strides=2, padding=(0, 1), name="pool2")(conv2)  # 8 x 8 x 32' in text
    assert "layers.AveragePooling2D(8, strides=1, name=" in text_of("nin-cifar10")
    assert '"fc10/kernel": (0.001, 0.9, 0.03),' in text
    assert 'fc10 = layers.Dense(10, kernel_initializer=normal(0.1), name="fc10")(fc64)  # 10' in text


def test_without_parameters_there_is_a_model_and_no_optimizer(tmp_path):
    layers = LIMITED.replace("sumWidth=1\n", "partialSum=1\n")
    network = network_of(tmp_path, layers)
    text = translate(network, data_shapes(network), title="a", files="a.cfg", decay="cuda-convnet").text
    assert "def build_model" in text
    assert "def load_weights" in text
    assert "HYPERPARAMETERS" not in text
    assert "make_optimizer" not in text


def test_all_that_cannot_be_translated_is_named_at_once(tmp_path):
    norm = "[{}]\ntype=cmrnorm\ninputs={}\nchannels=3\nsize=3\n"
    cost = "[cost]\ntype=cost.sum2\ninputs=b\n"
    layers = "[data]\ntype=data\ndataIdx=0\n" + norm.format("a", "data") + norm.format("b", "a") + cost
    network = network_of(tmp_path, layers, dims=(48,))
    with pytest.raises(ConfigError) as caught:
        translate(network, data_shapes(network), title="a", files="a.cfg", decay="cuda-convnet")
    needed = "type=cmrnorm needs the parameter file: give it too"
    assert [(p.section, p.message) for p in caught.value.problems] == [("a", needed), ("b", needed)]


def test_first_values_of_a_function_need_weights_of_a_run(tmp_path):
    layers = LIMITED.replace("[probs]", "initWFunc=numbers.draw(1)\n[probs]", 1)
    network = network_of(tmp_path, layers, LIMITS, reading=Reading(dialect="v2"))
    given = {"title": "a", "files": "a.cfg", "decay": "cuda-convnet"}
    with pytest.raises(ConfigError, match=r"\[fc4\] its first values are made by a function of yours"):
        translate(network, data_shapes(network), **given)
    assert 'name="fc4"' in translate(network, data_shapes(network), trained=True, **given).text


def shared(first_type, second):
    """Return two layers of which the second takes the matrix of the first, below a cost."""
    data = "[data]\ntype=data\ndataIdx=0\n[labels]\ntype=data\ndataIdx=1\n"
    layers = f"[a]\ntype={first_type}\ninputs=data\n[b]\ntype={first_type}\ninputs=a\nweightSource=a\n"
    layers = layers.replace("inputs", f"{second}\ninputs")
    top = "[fc]\ntype=fc\ninputs=b\noutputs=2\ninitW=0.3\n[probs]\ntype=softmax\ninputs=fc\n"
    return data + layers + top + "[cost]\ntype=cost.logreg\ninputs=labels,probs\n"


FULL = "outputs=48\ninitW=0.1"
FILTERS = "channels=3\nfilters=3\nfilterSize=3\npadding=1\nstride=1\ninitW=0.1"
RATES_OF_TWO = "epsW=0.1,0.1\nepsB=0.02\nmomW=0.5,0.5\nmomB=0.5\nwc=0.01,0.01\n"
RATES = "epsW={}\nepsB=0.02\nmomW=0.5\nmomB=0.5\nwc=0.01\n"


def rates(first, second):
    sections = {"a": first, "b": second, "fc": 0.1}
    text = "".join(f"[{name}]\n{RATES.format(rate)}" for name, rate in sections.items())
    return text + "[cost]\ncoeff=1\n"


def rules(folder):
    """Yield a network for each kind of decay, one with all that v2 adds to updates, and two that share."""
    for decay in DECAYS:
        network = shipped("hinton-1987")
        yield make_case(decay, network, data_shapes(network), decay)
    network = network_of(folder, LIMITED, LIMITS, reading=Reading(dialect="v2"))
    yield make_case("limits", network, data_shapes(network))
    yield make_case("share of the schedule", network, data_shapes(network), "decoupled-schedule")
    sharing = {"fc": shared("fc", FULL), "conv": shared("conv", f"{FILTERS}\npartialSum=1")}
    twice = "[fc]\ntype=fc\ninputs=a,b\noutputs=2\ninitW=0.3,0.3\nweightSource=,fc\n"
    sharing["within"] = re.sub(r"\[fc\][^[]*", twice, sharing["fc"])
    for name, layers in sharing.items():
        params = rates(0.01, 0.01)
        if name == "within":
            params = params.replace(f"[fc]\n{RATES.format(0.1)}", f"[fc]\n{RATES_OF_TWO}")
        network = network_of(folder, layers, params)
        yield make_case(name, network, data_shapes(network))


@pytest.mark.slow
def test_decays_schedules_limits_periods_frozen_and_shared_matrices(tmp_path):
    cases = list(rules(tmp_path))
    found = {each.name: each for each in compare(cases, tmp_path)}
    assert list(found) == [*DECAYS, "limits", "share of the schedule", "fc", "conv", "within"]
    for each in found.values():
        assert not each.failed, each.failed
        assert max(each.errors.values()) <= TOLERANCE, each
    for name in ("fc", "conv"):
        assert "gradient/a/kernel" in found[name].errors
        assert "gradient/b/kernel" not in found[name].errors


def imported(text):
    """Return the definitions of a file."""
    found = {"__name__": "translated", "__file__": "translated.py"}
    exec(compile(text, "translated.py", "exec"), found)
    return found


@pytest.mark.slow
def test_keras_saves_and_loads_models_in_training(tmp_path):
    """With layers of our own kinds of weights, and an optimizer that knows the length of the training."""
    import keras

    network = network_of(tmp_path, LIMITED, LIMITS, reading=Reading(dialect="v2"))
    limited = translate(network, data_shapes(network), title="n", files="f", decay="decoupled-schedule").text
    for text, options in ((limited, {"total_steps": 8}), (text_of("hinton-1987"), {})):
        found = imported(text)
        model = found["build_model"]()
        model.compile(optimizer=found["make_optimizer"](model, **options))
        images = np.random.default_rng(3).standard_normal((8, *model.input_shape[1:]), "float32")
        model.fit(images, np.zeros((8, 1)), batch_size=4, verbose=0)
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras", custom_objects=found)
        for each in (model, loaded):
            each.fit(images, np.zeros((8, 1)), batch_size=4, shuffle=False, verbose=0)
        again, first = loaded.predict(images, verbose=0), model.predict(images, verbose=0)
        assert len(again) == len(first) > 0
        for name in first:
            np.testing.assert_allclose(again[name], first[name], rtol=1e-5, atol=1e-6)


def test_what_costs_and_layers_read_is_made_once():
    assert text_of("nin-cifar10").count("layers.Flatten()(poolg)") == 1


def test_nothing_is_said_of_a_decay_that_is_not_there():
    text = text_of("dropconnect-mnist")
    assert "base, momentum, _ = self.numbers[index]" in text
    assert "V = m V - e G; W = W + V.\n" in text
    assert "weight decay, G" not in text
