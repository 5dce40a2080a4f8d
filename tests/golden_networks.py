"""Networks from the cfg files of the golden cases."""

import configparser
from functools import cached_property

import keras
import tensorflow as tf
from golden_cases import FOLDER, as_image, entries, read_arrays

from convnet_cfg.language import Reading, layout, load_network
from convnet_cfg.model import build


def data_layers(path):
    """Return the name of a data layer for each dataIdx of a file, in their order."""
    sections = configparser.ConfigParser()
    sections.read(path)
    found = {
        sections.getint(name, "dataIdx"): name for name in sections if sections.has_option(name, "dataIdx")
    }
    return [found[index] for index in sorted(found)]


def layout_of(built, owned):
    """Return how the original keeps a matrix or bias."""
    return layout.layout_of(owned.layer, owned.input, built.kernel_images)


class GoldenNetwork:
    """A case whose cfg files were read and built.

    `images`: data are images to us where a layer reads them as such, else vectors in the original's order.
    """

    def __init__(self, name, images=False):
        self.name = name
        self.entry = entries()[name]
        self.arrays = read_arrays(name)
        files = FOLDER / f"{name}.cfg", FOLDER / f"{name}.params.cfg"
        names = data_layers(files[0])
        dims = [len(self.arrays[f"in_{name}"]) for name in names]
        self.network = load_network(*files, data_dims=dims, reading=self.reading())
        self.data = [self.input_of(name, images) for name in names]
        self.shapes = [array.shape[1:] for array in self.data]

    @cached_property
    def built(self):
        """The Keras model."""
        return build(self.network, self.shapes, connections=self.connections())

    def reading(self):
        """Return how files of the case's program are read; few of them show which it is."""
        program = self.name.partition("_")[0]
        return Reading("lenient", {"v2": "v2", "dc": "dropconnect", "nin": "nin"}.get(program))

    def input_of(self, name, images):
        matrix = self.arrays[f"in_{name}"]
        channels = self.channels_of(name) if images else None
        return matrix.T.copy() if channels is None else as_image(matrix, channels)

    def channels_of(self, name):
        """Return the channels that the first consumer of a data layer sees, None for a vector."""
        for layer in self.network.consumers(name):
            if layer.type == "neuron" and (below := self.channels_of(layer.name)):
                return below
            channels = getattr(layer.spec, "channels", None)
            if getattr(layer.spec, "group_inputs", None):
                return layer.spec.groups * layer.spec.group_inputs
            if isinstance(channels, tuple):
                return channels[[source.name for source in layer.inputs].index(name)]
            if channels:
                return channels
        return None

    def input_number(self, name):
        """Return the number of a data layer among the inputs of the model."""
        return [layer.name for layer in self.network.layers if layer.type == "data"].index(name)

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
        """Return the values of a cost for each case, and as they are reckoned from several views."""
        return tuple(
            how.values(*(self.outputs[name] for name in how.inputs))
            for how in (cost, cost.over_views or cost)
        )

    def gradient(self, ends, source):
        """Return the gradient by a tensor; `ends` are (tensor, its gradient) pairs."""
        tensors, gradients = zip(*ends, strict=True)
        return self.tape.gradient(list(tensors), source, list(gradients))
