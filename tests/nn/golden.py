"""Reads the numbers that the original programs computed, and turns their layout into ours."""

import configparser
import json
import os
import re
from pathlib import Path

import numpy as np

from convnet_cfg import nn

DEFAULT = Path(__file__).resolve().parents[3] / "shared" / "golden"
FOLDER = Path(os.environ.get("CONVNET_GOLDEN", DEFAULT))
OTHER = ("v2_", "dc_", "nin_", "update_", "e2e_")


def case_names():
    """Return the names of the first program's single-layer cases; empty without the folder."""
    if not (FOLDER / "index.json").is_file():
        return []
    return [name for name in index() if not name.startswith(OTHER)]


def index():
    """Return the entries by name."""
    entries = json.loads((FOLDER / "index.json").read_text())["cases"]
    return {entry["name"]: entry for entry in entries}


def image(matrix, channels):
    """Return (features, cases) as (cases, rows, columns, channels)."""
    side = round((matrix.shape[0] // channels) ** 0.5)
    return matrix.reshape(channels, side, side, -1).transpose(3, 1, 2, 0)


def conv_kernel(matrix, depth, size):
    """Return (depth * size * size, filters) as (size, size, depth, filters)."""
    return matrix.reshape(depth, size, size, -1).transpose(1, 2, 0, 3)


def local_kernel(matrix, side, depth, size):
    """Return the kernel of a local layer as (side, side, size, size, depth, filters)."""
    return matrix.reshape(side, side, depth, size, size, -1).transpose(0, 1, 3, 4, 2, 5)


def unshared_bias(matrix, side):
    """Return (filters * side * side, 1) as (side, side, filters)."""
    return matrix.reshape(-1, side, side).transpose(1, 2, 0)


class Case:
    """One case: its arrays, its layers as the original parsed them, and its definition file."""

    def __init__(self, name):
        self.name = name
        self.entry = index()[name]
        with np.load(FOLDER / f"{name}.npz") as arrays:
            self.arrays = dict(arrays)
        self.sections = configparser.ConfigParser()
        self.sections.read(FOLDER / f"{name}.cfg")

    @property
    def layers(self):
        """The layers between data and costs, in the order of definition."""
        kinds = {name: self.sections[name]["type"] for name in self.sections.sections()}
        return {n: k for n, k in kinds.items() if k != "data" and not k.startswith("cost.")}

    def parsed(self, name):
        """Return what the original's parser made of a layer."""
        return self.entry["layers"][name]

    def inputs(self, name):
        """Return the names of the layer's inputs."""
        return [part.strip() for part in self.sections[name]["inputs"].split(",")]

    def channels(self, name):
        """Return the number of channels of a layer's output, or None if it is a vector."""
        layer = self.entry["layers"].get(name, {})
        if self.sections[name]["type"] in ("conv", "local"):
            return layer["filters"]
        if "channels" in layer:
            return layer["channels"]
        for other in self.layers:
            if name in self.inputs(other) and "channels" in self.parsed(other):
                channels = self.parsed(other)["channels"]
                return channels[self.inputs(other).index(name)] if isinstance(channels, list) else channels
        return None

    def activity(self, array, name):
        """Return an activity or its gradient of layer `name` in our layout."""
        channels = self.channels(name)
        matrix = self.arrays[array]
        return matrix.T.copy() if channels is None else image(matrix, channels)

    def kernel(self, array, name, position):
        """Return the weights or their gradient of input `position` in our layout."""
        layer, matrix = self.parsed(name), self.arrays[array]
        if layer["type"] == "fc":
            return matrix
        depth, size = layer["filterChannels"][position], layer["filterSize"][position]
        if layer["type"] == "conv":
            return conv_kernel(matrix, depth, size)
        return local_kernel(matrix, layer["modulesX"], depth, size)

    def bias(self, array, name):
        """Return the biases or their gradient in our layout."""
        layer, matrix = self.parsed(name), self.arrays[array]
        if layer["type"] == "local" or layer.get("sharedBiases") is False:
            return unshared_bias(matrix, layer["modulesX"])
        return matrix.reshape(-1)

    def build(self, name, **options):
        """Return our layer, without weights."""
        return BUILDERS[self.layers[name]](self, name, self.parsed(name), **options)


def windows(case, layer):
    connections = case.entry.get("filterConns") or [None] * len(layer["inputs"])
    if isinstance(connections, dict):
        connections = next(iter(connections.values()))
    return [
        nn.Window(
            size=layer["filterSize"][i],
            strides=layer["stride"][i],
            padding=-layer["padding"][i],
            channels=layer["channels"][i],
            groups=layer["groups"][i],
            filter_channels=layer["filterChannels"][i] if layer["randSparse"][i] else None,
            connections=tuple(connections[i]) if layer["randSparse"][i] else None,
        )
        for i in range(len(layer["inputs"]))
    ]


def conv(case, name, layer, **options):
    return nn.Conv2D(
        layer["filters"], windows(case, layer), layer["modulesX"], layer["sharedBiases"], **options
    )


def local(case, name, layer, **options):
    return nn.Local2D(layer["filters"], windows(case, layer), layer["modulesX"], **options)


def neuron(case, name, layer, **options):
    function, _, rest = case.sections[name]["neuron"].partition("[")
    return nn.Activation(function, tuple(map(float, re.findall(r"[-\d.e]+", rest))), **options)


def pool(case, name, layer, **options):
    cls = {"max": nn.MaxPool2D, "avg": nn.AveragePool2D}[layer["pool"]]
    return cls(layer["sizeX"], layer["stride"], layer["start"], layer["outputsX"], **options)


BUILDERS = {
    "conv": conv,
    "local": local,
    "fc": lambda case, name, p, **o: nn.Dense(p["outputs"], len(p["inputs"]), **o),
    "pool": pool,
    "rnorm": lambda case, name, p, **o: nn.ResponseNorm2D(p["size"], p["scale"], p["pow"], **o),
    "cnorm": lambda case, name, p, **o: nn.ContrastNorm2D(p["size"], p["scale"], p["pow"], **o),
    "cmrnorm": lambda case, name, p, **o: nn.CrossMapNorm(
        p["size"], p["scale"], p["pow"], blocked=p["blocked"], **o
    ),
    "neuron": neuron,
    "softmax": lambda case, name, p, **o: nn.Softmax(**o),
    "eltsum": lambda case, name, p, **o: nn.WeightedSum(p["coeffs"], **o),
    "eltmax": lambda case, name, p, **o: nn.Maximum(**o),
    "nailbed": lambda case, name, p, **o: nn.Nailbed(p["stride"], **o),
    "blur": lambda case, name, p, **o: nn.GaussianBlur(p["filterSize"], p["stdev"], **o),
    "resize": lambda case, name, p, **o: nn.BilinearResize(p["scale"], **o),
    "rgb2yuv": lambda case, name, p, **o: nn.RGBToYUV(**o),
    "rgb2lab": lambda case, name, p, **o: nn.RGBToLAB(p["center"], **o),
}
