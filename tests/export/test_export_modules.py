"""What a program has to import before it loads a `.keras` file."""

from __future__ import annotations

import sys

import keras
import pytest

from convnet_cfg import extend, nn
from convnet_cfg.export.targets import needed_modules

MODULE = """
import keras

class Own(keras.layers.Layer):
    pass

def own(x):
    return x
"""


def of_module(name):
    """Return a layer and a function as they are defined in a module."""

    class Own(keras.layers.Layer):
        pass

    def own(x):
        return x

    Own.__module__ = own.__module__ = name
    return Own(), keras.layers.Lambda(own)


@pytest.mark.parametrize("kind", [0, 1], ids=["layer", "neuron"])
def test_modules_of_layers_and_of_neurons(kind):
    layers = [keras.layers.Flatten(), nn.Dense(3)]
    assert needed_modules(layers[:1]) == []
    assert needed_modules(layers) == ["convnet_cfg"]
    own = of_module("package.neurons")[kind]
    assert needed_modules([*layers, own]) == ["convnet_cfg", "package.neurons"]


@pytest.mark.parametrize("kind", ["layer", "neuron"])
def test_what_an_extension_file_defines(tmp_path, kind):
    """It is found by the name of the file, where that is."""
    (tmp_path / "a folder.of").mkdir()
    path = tmp_path / "a folder.of" / "own_types.py"
    path.write_text(MODULE)
    extend.load_extensions([str(path)])
    (module,) = (
        module for module in list(sys.modules.values()) if getattr(module, "__file__", "") == str(path)
    )
    layer = module.Own() if kind == "layer" else keras.layers.Lambda(module.own)
    assert needed_modules([layer]) == ["own_types"]
