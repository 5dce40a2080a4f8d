"""What is saved of our layers is loaded by Keras after `import convnet_cfg`, and nothing else."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from every_layer import every_layer, inference, random_layers
from golden_inference import GoldenInference, names

from convnet_cfg import nn, zoo
from convnet_cfg.export.formats import write_keras
from convnet_cfg.export.inference import make_inference
from convnet_cfg.export.parity import random_inputs
from convnet_cfg.language import load_network
from convnet_cfg.model import build

PROGRAM = Path(__file__).with_name("loading_program.py")
SMALL = 3_000_000  # parameters
SHAPES = {72: (72,), 64: (8, 8, 1), 784: (28, 28, 1)}


def small_networks():
    """Yield the networks that come along and are small, built."""
    for name in zoo.names():
        recipe = zoo.load_recipe(name)
        if recipe.cost.parameters > SMALL:
            continue
        size = recipe.data.values
        side = int((size / 3) ** 0.5)
        classes = 16 if recipe.data.provider == "ring" else 10
        network = load_network(*recipe.files, data_dims=(size, 1), classes=classes)
        yield name, build(network, (SHAPES.get(size, (side, side, 3)), (1,)))


def models():
    """Return what is exported, by name, and the inputs of each; the golden cases too where they are."""
    found = {"every": every_layer(), "random": random_layers()}
    for layer in found["random"].model.layers[1:]:
        layer.restart()
    found |= {name: make_inference(built, name) for name, built in small_networks()}
    assert len(found) >= 10
    inputs = {name: next(random_inputs(each)) for name, each in found.items()}
    if names():
        golden = GoldenInference(names())
        found["golden"], inputs["golden"] = golden.inference, golden.data
    return found, inputs


def computed(each, inputs):
    return {name: np.asarray(value) for name, value in each.model(inputs, training=False).items()}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Folder with all models, saved, and their inputs; and what they compute."""
    folder = tmp_path_factory.mktemp("models")
    found, inputs = models()
    for name, each in found.items():
        write_keras(each, folder / f"{name}.keras", {})
        np.savez(folder / f"{name}.npz", **inputs[name])
    return folder, {name: computed(each, inputs[name]) for name, each in found.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("order", "chosen"), [("keras first", "*"), ("convnet_cfg first", "every")], ids=["all", "another order"]
)
def test_they_are_loaded_in_another_process(saved, order, chosen):
    folder, wanted = saved
    ran = subprocess.run([sys.executable, PROGRAM, folder, order, chosen], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-3000:]
    names_loaded = [chosen] if chosen in wanted else list(wanted)
    for name in names_loaded:
        outputs = wanted[name]
        with np.load(folder / f"{name}.found.npz") as arrays:
            found = dict(arrays)
        found = found if len(outputs) > 1 else dict.fromkeys(outputs, found[""])
        assert found.keys() == outputs.keys()
        for output, value in outputs.items():
            np.testing.assert_allclose(
                found[output], value, rtol=1e-6, atol=1e-6, err_msg=f"{name}: {output}"
            )


def constructor_arguments(layer):
    """Return the names of all arguments that the classes of a layer take in this package."""
    own = [cls for cls in type(layer).__mro__ if cls.__module__.startswith("convnet_cfg")]
    taken = [inspect.signature(cls).parameters for cls in own if "__init__" in vars(cls)]
    named = {each.name for parameters in taken for each in parameters.values() if each.kind in NAMED}
    return named - FIXED.get(type(layer).__name__, set()) - {"bias_source"}


NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
# Arguments of a base class that a layer passes on, and does not take itself.
FIXED = {
    "DropConnectDense": {"inputs"},
    "PixelDense": {"inputs"},
    "Scaling": {"inputs"},
    "Conv2D": {"inputs"},
    "Local2D": {"inputs"},
    "InvertedDropout": {"rate"},
}


def test_a_configuration_has_every_argument_and_no_other():
    layers = [*every_layer().model.layers, *random_layers().model.layers]
    ours = [layer for layer in layers if type(layer).__module__.startswith("convnet_cfg")]
    assert len(ours) > 50
    for layer in ours:
        config = layer.get_config()
        assert constructor_arguments(layer) <= config.keys(), type(layer)
        again = type(layer).from_config(config)
        assert again.get_config() == config
        with pytest.raises((TypeError, ValueError), match="stranger"):
            type(layer).from_config({**config, "stranger": 1})


def test_kernels_of_another_layer_are_copied_for_the_export_only():
    data = keras.Input((12,), name="vector")
    owner = nn.Dense(12, name="owner")
    below = owner(data)
    user = nn.Dense(12, 2, kernel_sources=[owner.kernels[0], None], bias_source=owner.bias, name="user")
    made = inference({"vector": data}, {"y": user([below, data])})
    with pytest.raises(NotImplementedError, match="user: a layer with shared kernels"):
        made.plain_model.get_config()
    twin = user.separate()
    assert not twin.shares
    assert user.shares
    assert user.kernel_sources[0] is owner.kernels[0]
