"""What is known of a network while its Keras model is put together, and afterwards."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isqrt
from typing import Any, NamedTuple

import keras
import numpy as np

from convnet_cfg import nn
from convnet_cfg.errors import ConfigError, Problem
from convnet_cfg.language.layer_types import DataSpec, Image, LayerSpec
from convnet_cfg.language.network import Layer, Matrix, Network
from convnet_cfg.language.weight_types import ConvSpec, FilterSpec
from convnet_cfg.model.initial import InitFunctions, draw_connections
from convnet_cfg.optim import GroupedOptimizer

Shape = tuple[int, ...]
# Of which TensorFlow makes scopes; a name must begin with one of the first.
FIRST_LETTERS = frozenset(string.ascii_letters + string.digits + ".")
LETTERS = FIRST_LETTERS | set("_-")
AS_VECTOR = "/vector"  # ends the name of an output that is an image made into a vector
Connections = Mapping[str, tuple[tuple[int, ...] | None, ...]]


class Value(NamedTuple):
    """The output of a layer as a Keras tensor: an image, or a vector in the original's order."""

    tensor: Any
    image: Image | None


class OverViews(NamedTuple):
    """How a cost is reckoned from several views of each case: the output `averaged` is averaged first."""

    averaged: str
    inputs: tuple[str, ...]
    values: Callable[..., Any]


@dataclass(frozen=True)
class Cost:
    """A cost layer: where its inputs are among the model's outputs, and how it is reckoned.

    `values` makes of the inputs a matrix (cases, size), the cost itself in its first column. Where
    `over_views` is None, the last of several views counts. `summary` makes of the sums over cases, and their
    number, what is reported; None: it is the means.
    """

    name: str
    coefficient: float
    size: int
    inputs: tuple[str, ...]
    values: Callable[..., Any]
    over_views: OverViews | None = None
    summary: Callable[[np.ndarray, int], np.ndarray] | None = None
    columns: tuple[str, ...] = ()  # names of the values behind the first, each a share; "": not printed
    children: tuple[str, ...] = ()  # costs that are reported as part of this one


@dataclass
class BuiltNetwork:
    """A network as a Keras model that maps the data matrices to what the costs need."""

    network: Network
    model: keras.Model
    outputs: Mapping[str, Any]
    optimizer: GroupedOptimizer | None
    costs: tuple[Cost, ...]
    layers: Mapping[str, keras.layers.Layer]
    values: Mapping[str, Value]
    data_indices: tuple[int, ...]
    kernel_images: Mapping[tuple[str, int], Image | None]
    connections: Connections
    variables: Mapping[str, keras.Variable] = field(default_factory=dict)
    strategy: Any = None  # the tf.distribute strategy that spreads minibatches over devices

    @property
    def dropouts(self) -> dict[str, keras.Variable]:
        """The states of the generators of random numbers, by name."""
        return {
            f"{name}/state": layer.seed_generator.state
            for name, layer in self.layers.items()
            if isinstance(layer, nn.RandomLayer)
        }


Maker = Callable[["Builder", Layer], None]


class Builder:
    """Goes through the layers in order; each is made by the function that `makers` has for its type."""

    def __init__(
        self,
        network: Network,
        data_shapes: Sequence[Shape],
        makers: Mapping[type[LayerSpec], Maker],
        seed: int,
        dtype: str,
        functions: InitFunctions,
        connections: Connections | None,
    ) -> None:
        self.network = network
        self.data_shapes = data_shapes
        self.makers = makers
        self.seed = seed
        self.dtype = dtype
        self.functions = functions
        self.known_connections = connections
        self.values: dict[str, Value] = {}
        self.layers: dict[str, keras.layers.Layer] = {}
        self.inputs: list[Any] = []
        self.data_indices: list[int] = []
        self.outputs: dict[str, Any] = {}
        self.costs: list[Cost] = []
        self.kernel_images: dict[tuple[str, int], Image | None] = {}
        self.names: set[str] = set()
        self.connections: dict[str, tuple[tuple[int, ...] | None, ...]] = {}

    def build(self) -> BuiltNetwork:
        """Return the model."""
        for number, layer in enumerate(self.network.layers):
            self.number, self.generators = number, 0
            self._maker(layer)(self, layer)
            self._add_dropout(layer)
        self.outputs = self.outputs or self._unread()
        model = keras.Model(self.inputs, self.outputs)
        return BuiltNetwork(
            network=self.network,
            model=model,
            outputs=self.outputs,
            optimizer=None,
            costs=tuple(self.costs),
            layers=self.layers,
            values=self.values,
            data_indices=tuple(self.data_indices),
            kernel_images=self.kernel_images,
            connections=self.connections,
        )

    def _unread(self) -> dict[str, Any]:
        """Return what no layer reads: the outputs of a network without costs, which one dialect allows."""
        read = {source.name for layer in self.network.layers for source in layer.inputs}
        return {name: value.tensor for name, value in self.values.items() if name not in read}

    def _maker(self, layer: Layer) -> Maker:
        """Return the maker of a type, or of the type that it is derived from."""
        return next(self.makers[base] for base in type(layer.spec).__mro__ if base in self.makers)

    # -- values between layers

    def add(self, layer: Layer, made: keras.layers.Layer, tensors: Any, image: Image | None) -> None:
        """Apply a Keras layer and keep it and its output under the layer's name."""
        self.layers[layer.name] = made
        self.values[layer.name] = Value(made(tensors), image)

    def options(self, layer: Layer) -> dict[str, Any]:
        """Return the arguments that every Keras layer gets."""
        return {"name": self.unique_name(layer.name), "dtype": self.dtype}

    def next_seed(self, layer: Layer) -> int:
        """Return a seed for the next random generator of a layer."""
        words = [self.seed, self.number, *([self.generators] if self.generators else [])]
        self.generators += 1
        return int(np.random.SeedSequence(words).generate_state(1)[0] >> 1)

    def random_options(self, layer: Layer, name: str | None = None) -> dict[str, Any]:
        """Return the arguments of a Keras layer that draws random numbers."""
        options = {"name": self.unique_name(name or layer.name), "dtype": self.dtype}
        return {**options, "seed": self.next_seed(layer)}

    @property
    def divisor(self) -> str:
        """What averages over windows divide by."""
        return "nominal" if self.network.nominal_average else "existing"

    def unique_name(self, name: str) -> str:
        """Return a layer's name in the letters that Keras and TensorFlow allow, different from all others."""
        base = "".join(letter if letter in LETTERS else "_" for letter in name)
        if base[:1] not in FIRST_LETTERS:
            base = f"layer{base}"
        names = (base, *(f"{base}_{number}" for number in range(1, len(self.names) + 1)))
        chosen = next(candidate for candidate in names if candidate not in self.names)
        self.names.add(chosen)
        return chosen

    def value(self, layer: Layer, index: int = 0) -> Value:
        """Return the output that an input of a layer stands for."""
        return self.values[layer.inputs[index].name]

    def image(self, layer: Layer, channels: int, index: int = 0) -> Value:
        """Return an input as an image of so many channels."""
        return self.as_image(self.value(layer, index), channels, layer.inputs[index].output.size)

    def as_image(self, value: Value, channels: int, size: int) -> Value:
        """Return a value as an image of so many channels."""
        if value.image is not None and value.image.channels == channels:
            return value
        image = Image(channels, isqrt(size // channels))
        planes = self.reshape((channels, image.side, image.side), self.as_vector(value))
        return Value(keras.layers.Permute((2, 3, 1), dtype=self.dtype)(planes), image)

    def as_vector(self, value: Value) -> Any:
        """Return a value as a vector in the original's order."""
        if value.image is None:
            return value.tensor
        tensor = value.tensor
        if value.image.side > 1:
            tensor = keras.layers.Permute((3, 1, 2), dtype=self.dtype)(tensor)
        return self.reshape((value.image.size,), tensor)

    def reshape(self, shape: Shape, tensor: Any) -> Any:
        """Return the same numbers of each case, in the same order, in another shape."""
        return keras.layers.Reshape(shape, dtype=self.dtype)(tensor)

    def channels_last(self, layer: Layer, channels: int, index: int) -> Any:
        """Return an input as so many channels of pixels, (pixels, channels), be they a square or not."""
        vector = self.as_vector(self.value(layer, index))
        planes = self.reshape((channels, layer.inputs[index].output.size // channels), vector)
        return keras.layers.Permute((2, 1), dtype=self.dtype)(planes)

    def same_form(self, layer: Layer) -> tuple[list[Any], Image | None]:
        """Return all inputs as images of one shape, or else as vectors."""
        values = [self.value(layer, index) for index in range(len(layer.inputs))]
        images = {value.image for value in values}
        if len(images) == 1:
            return [value.tensor for value in values], images.pop()
        return [self.as_vector(value) for value in values], None

    def _add_dropout(self, layer: Layer) -> None:
        rate = layer.params.dropout if layer.params else 0.0
        if not rate or layer.name not in self.values or isinstance(layer.spec, DataSpec):
            return
        value = self.values[layer.name]
        dropout = nn.MaskDropout(rate, **self.random_options(layer, f"{layer.name}_dropout"))
        self.layers[f"{layer.name}/dropout"] = dropout
        self.values[layer.name] = Value(dropout(value.tensor), value.image)

    # -- weights

    def sharing(self, layer: Layer) -> dict[str, Any]:
        """Return which kernels a layer takes from others, and how much its gradient counts for them."""
        sources: list[Any] = []
        scales = []
        for matrix in layer.matrices:
            if matrix.source is None:
                sources.append(None)
                scales.append(1.0)
                continue
            same = matrix.source.layer == layer.name
            owner = self.network[matrix.source.layer]
            number = matrix.source.number
            sources.append(number if same else self.layers[owner.name].kernels[number])
            shared_rate = not self.network.dialect.shared_rates and (
                isinstance(layer.spec, ConvSpec) or len(layer.devices) > 1
            )
            scales.append(self._gradient_scale(layer, matrix, owner.matrices[number], shared_rate))
        return {"kernel_sources": sources, "gradient_scales": scales, **self._bias_source(layer)}

    def _bias_source(self, layer: Layer) -> dict[str, Any]:
        source = layer.bias.source if layer.bias is not None else None
        return {"bias_source": self.layers[source.layer].bias} if source is not None else {}

    def _gradient_scale(self, layer: Layer, sharer: Matrix, owner: Matrix, owners_rate: bool) -> float:
        if owners_rate or sharer.rule is None or owner.rule is None:
            return 0.0 if sharer.rule is not None and sharer.rule.learning_rate <= 0 else 1.0
        if not sharer.rule.schedule.same_shape(owner.rule.schedule):
            message = "a shared matrix must have one schedule in all its uses, with any base rates"
            raise ConfigError([Problem(layer.place, layer.name, message)])
        return gradient_scale(sharer, owner)

    def windows(self, layer: Layer, spec: FilterSpec) -> list[nn.Window]:
        """Return how the filters of each input lie on its image."""
        chosen = self._connections(layer, spec)
        self.connections[layer.name] = chosen
        return [
            nn.Window(
                size=spec.sizes[index],
                strides=spec.strides[index],
                padding=spec.paddings[index],
                channels=spec.channels[index],
                groups=spec.groups[index],
                filter_channels=spec.filter_channels(index),
                connections=chosen[index],
            )
            for index in range(len(layer.inputs))
        ]

    def _connections(self, layer: Layer, spec: FilterSpec) -> tuple[tuple[int, ...] | None, ...]:
        if self.known_connections is not None:
            return self.known_connections[layer.name]
        chosen: list[tuple[int, ...] | None] = []
        for index, matrix in enumerate(layer.matrices):
            if matrix.source is None or not spec.sparse[index]:
                chosen.append(draw_connections(layer, index, self.number, self.seed, self.functions))
            elif matrix.source.layer == layer.name:
                chosen.append(chosen[matrix.source.number])
            else:
                chosen.append(self.connections[matrix.source.layer][matrix.source.number])
        return tuple(chosen)

    def add_output(self, name: str, tensor: Any) -> str:
        """Make a tensor an output of the model, and return its name there."""
        self.outputs[name] = tensor
        return name

    def add_vector_output(self, name: str) -> str:
        """Make a layer's output an output of the model, as a vector, and return its name there."""
        value = self.values[name]
        shown = name if value.image is None else f"{name}{AS_VECTOR}"
        return self.add_output(shown, self.as_vector(value))


def gradient_scale(sharer: Matrix, owner: Matrix) -> float:
    """Return what the gradient of a sharer's use counts at the owner's rate (spec: params.md section 4.2).

    V = m V - e_owner d W - sum of e_c G_c over all uses c; a use of rate zero sends nothing.
    """
    if sharer.rule is None or owner.rule is None or owner.rule.learning_rate <= 0:
        return 1.0
    return max(sharer.rule.learning_rate, 0.0) / owner.rule.learning_rate
