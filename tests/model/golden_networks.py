"""Networks from the cfg files of the golden cases, and their activities in the original's layout.

In the files activities are (features, cases), a feature being (channel, row, column); see golden/README.md.
"""

import configparser
import json
import os
from math import isqrt
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from convnet_cfg.language import load_network
from convnet_cfg.language.layout import bias_layout, kernel_layout
from convnet_cfg.model import build

FOLDER = Path(os.environ.get("CONVNET_GOLDEN", Path(__file__).parents[3] / "shared" / "golden"))
MISSING = f"{FOLDER} is not there (set CONVNET_GOLDEN)"


def entries():
    """Return the entries of the first program's cases by name; none without the folder."""
    if not (FOLDER / "index.json").is_file():
        return {}
    cases = json.loads((FOLDER / "index.json").read_text())["cases"]
    return {e["name"]: e for e in cases if not e["name"].startswith(("v2_", "dc_", "nin_", "e2e_"))}


def data_layers(path):
    """Return the names of the data layers of a file in the order of their dataIdx."""
    sections = configparser.ConfigParser()
    sections.read(path)
    found = {
        name: sections.getint(name, "dataIdx") for name in sections if sections.has_option(name, "dataIdx")
    }
    return sorted(found, key=found.get)


def as_original(tensor):
    """Return an activity of ours as (features, cases)."""
    array = np.asarray(tensor)
    if array.ndim == 4:
        array = array.transpose(0, 3, 1, 2)
    return array.reshape(len(array), -1).T


def as_image(matrix, channels):
    """Return (features, cases) as (cases, rows, columns, channels)."""
    side = isqrt(len(matrix) // channels)
    return np.ascontiguousarray(matrix.reshape(channels, side, side, -1).transpose(3, 1, 2, 0))


def close(actual, wanted):
    """Return the largest difference in units of the largest wanted value."""
    actual, wanted = np.asarray(actual), np.asarray(wanted)
    assert actual.shape == wanted.shape
    largest = np.abs(wanted).max()
    return np.abs(actual - wanted).max() / (largest if largest > 0 else 1.0)


def layout_of(built, owned):
    """Return how the original keeps a matrix or bias."""
    if owned.input is None:
        return bias_layout(owned.layer)
    image = built.kernel_images.get((owned.layer.name, owned.input))
    return kernel_layout(owned.layer, owned.input, image)


class GoldenNetwork:
    """A case whose cfg files were read and built.

    `images`: data are images to us where a layer reads them as such, else vectors in the original's order.
    """

    def __init__(self, name, images=False):
        self.name = name
        self.entry = entries()[name]
        with np.load(FOLDER / f"{name}.npz") as arrays:
            self.arrays = dict(arrays)
        files = FOLDER / f"{name}.cfg", FOLDER / f"{name}.params.cfg"
        names = data_layers(files[0])
        dims = [len(self.arrays[f"in_{name}"]) for name in names]
        self.network = load_network(*files, data_dims=dims, mode="lenient")
        self.data = [self.input_of(name, images) for name in names]
        shapes = [array.shape[1:] for array in self.data]
        self.built = build(self.network, shapes, connections=self.connections())

    def input_of(self, name, images):
        matrix = self.arrays[f"in_{name}"]
        channels = self.channels_of(name) if images else None
        return matrix.T.copy() if channels is None else as_image(matrix, channels)

    def channels_of(self, name):
        """Return the channels that the first consumer of a data layer sees, None for a vector."""
        for layer in self.network.consumers(name):
            channels = getattr(layer.spec, "channels", None)
            if isinstance(channels, tuple):
                return channels[[source.name for source in layer.inputs].index(name)]
            if channels:
                return channels
        return None

    def connections(self):
        """Return the random sparsity that the original drew."""
        stored = self.entry.get("filterConns")
        if stored is None:
            return None
        found = {}
        for layer in self.network.layers:
            if sparse := getattr(layer.spec, "sparse", ()):
                found[layer.name] = tuple(tuple(stored[i]) if on else None for i, on in enumerate(sparse))
        return found

    def assign(self, source, name="W_{layer}_{index}", bias="B_{layer}"):
        """Give every variable its stored value."""
        for owned in self.network.owned():
            variable = self.built.variables[owned.name]
            variable.assign(layout_of(self.built, owned).to_kernel(source[array_name(owned, name, bias)]))


def array_name(owned, kernel, bias):
    """Return the name of the array of a matrix or bias."""
    return (bias if owned.input is None else kernel).format(layer=owned.layer.name, index=owned.input)


class Run:
    """One pass through a built network with every activity, and gradients of anything by anything."""

    def __init__(self, case, training):
        self.case = case
        built = case.built
        tensors = {name: value.tensor for name, value in built.values.items()}
        probe = keras.Model(built.model.inputs, {"values": tensors, "outputs": built.model.output})
        self.inputs = [tf.constant(case.data[index]) for index in built.data_indices]
        self.tape = tf.GradientTape(persistent=True)
        with self.tape:
            self.tape.watch(self.inputs)
            found = probe(self.inputs, training=training)
            self.outputs = found["outputs"]
            self.costs = {cost.name: self.rows(cost) for cost in built.costs}
            self.sums = {name: tf.reduce_sum(rows, 0) for name, (rows, _) in self.costs.items()}
        self.values = found["values"]

    def rows(self, cost):
        """Return the values of a cost for each case in training, and in tests."""
        training = cost.values(*(self.outputs[name] for name in cost.inputs))
        return training, cost.test_values(*(self.outputs[name] for name in cost.test_inputs))

    def gradient(self, ends, source):
        """Return the gradient by a tensor; `ends` are (tensor, its gradient) pairs."""
        tensors, gradients = zip(*ends, strict=True)
        return self.tape.gradient(list(tensors), source, list(gradients))
