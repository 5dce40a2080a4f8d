"""A trained network as a Keras model that maps data to predictions, without costs and labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras

from convnet_cfg.language.layer_types import DataSpec
from convnet_cfg.language.network import Layer, Network
from convnet_cfg.model import BuiltNetwork
from convnet_cfg.nn.weighted import Weighted

LAYOUTS = {3: "rows, columns, channels"}


class Port(NamedTuple):
    """An input or output of the model: its name there, and the shape of one case."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def form(self) -> str:
        """Its type, its shape, and what the axes of one case are."""
        sizes = ", ".join(map(str, ("cases", *self.shape)))
        axes = LAYOUTS.get(len(self.shape))
        return f"{self.dtype} ({sizes})" + (f": {axes}" if axes else "")


@dataclass(frozen=True)
class Inference:
    """What is exported: `model` takes its inputs, and returns its outputs, as dictionaries by name.

    `layers` names the layers of the file: by the name of a Keras layer, how a message calls it. `copied` are
    those that share weights with others, and have copies of them here.
    """

    model: keras.Model
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    layers: Mapping[str, str]
    copied: tuple[str, ...] = ()

    def described(self, name: str) -> str:
        """Return what a message calls a Keras layer."""
        return self.layers.get(name, name)

    @property
    def plain_model(self) -> keras.Model:
        """The same model; where there is one input, or one output, that is a tensor, not a dictionary."""
        inputs, outputs = self.model.input, self.model.output
        return keras.Model(_one_or_all(inputs), _one_or_all(outputs), name=self.model.name)


def _one_or_all(tensors: dict[str, Any]) -> Any:
    return next(iter(tensors.values())) if len(tensors) == 1 else tensors


def make_inference(built: BuiltNetwork, name: str) -> Inference:
    """Return the network up to the layers that its costs read, with the data that these depend on.

    Data that costs read (labels, targets) are no outputs.
    """
    network = built.network
    chosen = _outputs(network)
    needed = _ancestors(network, chosen)
    data = [layer.name for layer in network.layers if _is_data(layer)]
    tensors = dict(zip(data, built.model.inputs, strict=True))
    inputs = {tensor.name: tensor for layer, tensor in tensors.items() if layer in needed}
    outputs = {name: built.values[name].tensor for name in chosen}
    model = keras.Model(inputs, outputs, name=_identifier(name))
    layers = {made.name: _described(network, layer) for layer, made in built.layers.items()}
    copied = tuple(layers[made.name] for made in model.layers if _shares(made))
    return Inference(
        _with_own_weights(model) if copied else model, ports(inputs), ports(outputs), layers, copied
    )


def _outputs(network: Network) -> list[str]:
    """Return the names of the layers that the costs read, in the order of definition."""
    read = {source.name for layer in network.costs for source in layer.inputs} - network.labels
    return [layer.name for layer in network.layers if layer.name in read and not _is_data(layer)]


def _is_data(layer: Layer) -> bool:
    return isinstance(layer.spec, DataSpec)


def _ancestors(network: Network, names: Iterable[str]) -> set[str]:
    """Return the layers that these are computed from, and these."""
    found, open_names = set(), list(names)
    while open_names:
        name = open_names.pop()
        if name not in found:
            found.add(name)
            open_names += [source.name for source in network[name].inputs]
    return found


def ports(tensors: Mapping[str, Any]) -> tuple[Port, ...]:
    """Return the inputs or outputs that these Keras tensors are, by name."""
    return tuple(Port(name, tuple(each.shape[1:]), each.dtype) for name, each in tensors.items())


def _identifier(name: str) -> str:
    """Return the name in the letters that Keras allows in names of models."""
    return "".join(letter if letter.isalnum() or letter in "_.-" else "_" for letter in name) or "_"


def _described(network: Network, name: str) -> str:
    layer = network[name.removesuffix("/dropout")]
    return f"[{name}] (type={layer.type})"


# -- weights of their own


def _shares(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, Weighted) and layer.shares


def _with_own_weights(model: keras.Model) -> keras.Model:
    """Return a copy of the model in which no layer has variables of another."""
    copies: dict[str, keras.layers.Layer] = {}

    def copy(layer: keras.layers.Layer) -> keras.layers.Layer:
        if not _shares(layer):
            return layer
        copies[layer.name] = layer.separate()
        return copies[layer.name]

    copied = keras.models.clone_model(model, clone_function=copy)
    for name, made in copies.items():
        original = model.get_layer(name)
        for variable, source in zip(made.kernels, original.kernels, strict=True):
            variable.assign(source)
        if made.bias is not None:
            made.bias.assign(original.bias)
    return copied
