"""Data, activations, and layers that combine or reorder values without weights."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import keras

from convnet_cfg import nn
from convnet_cfg.errors import ConfigError, Problem
from convnet_cfg.language.alexnet_types import HalfSpec
from convnet_cfg.language.dialect import EXTENSIONS
from convnet_cfg.language.fork_types import (
    DropProbabilitySpec,
    LogSoftmaxSpec,
    PartSpec,
    ScaledConcatSpec,
    UnitNormSpec,
)
from convnet_cfg.language.layer_types import (
    DataSpec,
    Image,
    ImageSpec,
    LayerSpec,
    MaxSpec,
    NeuronSpec,
    SoftmaxSpec,
    SumSpec,
)
from convnet_cfg.language.network import Layer
from convnet_cfg.language.neurons import Neuron
from convnet_cfg.language.own_types import OwnSpec
from convnet_cfg.language.params import EnableParams, KeepParams
from convnet_cfg.language.v2_types import ConcatSpec, DropoutSpec, InvertedDropoutSpec
from convnet_cfg.model.assembly import Builder, Maker, Value
from convnet_cfg.nn.weighted import one_or_all


def _data(builder: Builder, layer: Layer) -> None:
    spec = layer.spec
    assert isinstance(spec, DataSpec)
    shape = builder.data_shapes[spec.data_index]
    given = prod(shape)
    if given != builder.network.data_dims[spec.data_index]:
        message = f"the data have {given} values for each case of matrix {spec.data_index}, "
        wanted = builder.network.data_dims[spec.data_index]
        raise ConfigError([Problem(layer.place, layer.name, f"{message}not {wanted}")])
    image = Image(shape[2], shape[0]) if len(shape) == 3 else None
    tensor = keras.Input(shape, name=builder.unique_name(layer.name), dtype=builder.dtype)
    builder.inputs.append(tensor)
    builder.data_indices.append(spec.data_index)
    value = Value(tensor, image)
    if layer.output.size < given:
        value = Value(builder.as_vector(value)[:, spec.first : spec.end or given], None)
    builder.values[layer.name] = value


def _neuron(builder: Builder, layer: Layer) -> None:
    neuron = layer.spec.neuron
    assert neuron is not None
    value = builder.value(layer)
    builder.add(layer, _activation(builder, layer, neuron), value.tensor, value.image)


def _activation(builder: Builder, layer: Layer, neuron: Neuron) -> keras.layers.Layer:
    own = EXTENSIONS.neurons.get(neuron.name)
    if own is not None and own.function is not None:
        arguments = {"arguments": dict(zip(own.parameters, neuron.parameters, strict=True))}
        return keras.layers.Lambda(own.function, **arguments, **builder.options(layer))
    if neuron.name == "dropout":
        return nn.MaskDropout(neuron.parameters[0], **builder.random_options(layer))
    if neuron.name in nn.RANDOM_ACTIVATIONS:
        return nn.RandomActivation(neuron.name, neuron.parameters, **builder.random_options(layer))
    return nn.Activation(neuron.name, neuron.parameters, **builder.options(layer))


def _softmax(builder: Builder, layer: Layer) -> None:
    vector = builder.as_vector(builder.value(layer))
    builder.values[f"{layer.name}/logits"] = Value(vector, None)
    kind = nn.LogSoftmax if isinstance(layer.spec, LogSoftmaxSpec) else nn.Softmax
    builder.add(layer, kind(**builder.options(layer)), vector, None)


def _unit_norm(builder: Builder, layer: Layer) -> None:
    vector = builder.as_vector(builder.value(layer))
    builder.add(layer, nn.UnitNormalization(**builder.options(layer)), vector, None)


def _sum(builder: Builder, layer: Layer) -> None:
    spec = layer.spec
    assert isinstance(spec, SumSpec)
    tensors, image = builder.same_form(layer)
    made = nn.WeightedSum(spec.coefficients_with(layer.params), **builder.options(layer))
    builder.add(layer, made, tensors, image)


def _maximum(builder: Builder, layer: Layer) -> None:
    tensors, image = builder.same_form(layer)
    builder.add(layer, nn.Maximum(**builder.options(layer)), tensors, image)


def _concatenation(builder: Builder, layer: Layer) -> None:
    """Join images along their channels where that is the original's order too, vectors otherwise."""
    values = [builder.value(layer, index) for index in range(len(layer.inputs))]
    if isinstance(layer.spec, ScaledConcatSpec):
        values = _scaled(builder, layer.spec.coefficients_with(layer.params), values)
    image = layer.output.image
    if image is not None and all(value.image and value.image.side == image.side for value in values):
        tensors = [value.tensor for value in values]
    else:
        tensors, image = [builder.as_vector(value) for value in values], None
    if len(tensors) == 1:
        builder.values[layer.name] = Value(tensors[0], image)
        return
    builder.add(layer, keras.layers.Concatenate(**builder.options(layer)), tensors, image)


def _scaled(builder: Builder, coefficients: tuple[float, ...], values: list[Value]) -> list[Value]:
    return [
        Value(nn.WeightedSum((factor,), dtype=builder.dtype)(value.tensor), value.image)
        for factor, value in zip(coefficients, values, strict=True)
    ]


def _part(builder: Builder, layer: Layer) -> None:
    spec = layer.spec
    assert isinstance(spec, PartSpec)
    vector = builder.as_vector(builder.value(layer))
    builder.values[layer.name] = Value(vector[:, spec.first : spec.end], None)


def _inverted_dropout(builder: Builder, layer: Layer) -> None:
    value, params = builder.value(layer), layer.params
    assert isinstance(params, KeepParams), "a network without parameters cannot be run"
    if not params.enabled:
        builder.values[layer.name] = value
        return
    made = nn.InvertedDropout(params.keep, **builder.random_options(layer))
    builder.add(layer, made, value.tensor, value.image)


def _dropout(builder: Builder, layer: Layer) -> None:
    """Without being enabled it scales as in tests, also in training."""
    value, spec, params = builder.value(layer), layer.spec, layer.params
    assert isinstance(params, (KeepParams, EnableParams)), "a network without parameters cannot be run"
    keep = spec.keep if isinstance(spec, HalfSpec) else getattr(params, "keep", 0.5)
    if params.enabled:
        made: keras.layers.Layer = nn.MaskDropout(1.0 - keep, **builder.random_options(layer))
    else:
        made = nn.WeightedSum((keep,), **builder.options(layer))
    builder.add(layer, made, value.tensor, value.image)


def _drop_probability(builder: Builder, layer: Layer) -> None:
    value, spec = builder.value(layer), layer.spec
    assert isinstance(spec, DropProbabilitySpec)
    builder.add(layer, nn.MaskDropout(spec.rate, **builder.random_options(layer)), value.tensor, value.image)


def _own(builder: Builder, layer: Layer) -> None:
    """A layer type of the user's, which makes its Keras layer itself."""
    spec = layer.spec
    assert isinstance(spec, OwnSpec)
    if isinstance(spec, ImageSpec):
        tensors, image = [builder.image(layer, spec.channels).tensor], layer.output.image
    else:
        tensors, image = builder.same_form(layer)
        image = image if image is not None and image.size == layer.output.size else None
    made = spec.keras_layer(layer, **builder.options(layer))
    builder.add(layer, made, one_or_all(tensors), image)
    _check_shape(layer, builder.values[layer.name])


def _check_shape(layer: Layer, value: Value) -> None:
    """Raise ConfigError if a layer of the user's makes another shape than it declares; None fits any."""
    image, given = value.image, tuple(value.tensor.shape[1:])
    declared = (image.side, image.side, image.channels) if image is not None else (layer.output.size,)
    if len(given) != len(declared) or any(
        size not in (None, wanted) for size, wanted in zip(given, declared, strict=True)
    ):
        kind = type(layer.spec).__name__
        message = f"the Keras layer of {kind} makes {given} for each case, but {kind} declares {declared}"
        raise ConfigError([Problem(layer.place, layer.name, message)])


BASIC: Mapping[type[LayerSpec], Maker] = {
    OwnSpec: _own,
    DataSpec: _data,
    NeuronSpec: _neuron,
    SoftmaxSpec: _softmax,
    UnitNormSpec: _unit_norm,
    SumSpec: _sum,
    MaxSpec: _maximum,
    ConcatSpec: _concatenation,
    PartSpec: _part,
    InvertedDropoutSpec: _inverted_dropout,
    DropoutSpec: _dropout,
    HalfSpec: _dropout,
    DropProbabilitySpec: _drop_probability,
}
