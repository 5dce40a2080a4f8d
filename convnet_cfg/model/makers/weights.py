"""Layers with weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from convnet_cfg import nn
from convnet_cfg.errors import ConfigError, Problem
from convnet_cfg.language.fork_types import (
    CaseDropConnectSpec,
    DropConnectSpec,
    DropoutFullSpec,
    FixedDropoutFullSpec,
    PixelSpec,
    TransitionSpec,
)
from convnet_cfg.language.kinds import SourceRef
from convnet_cfg.language.layer_types import Image, LayerSpec
from convnet_cfg.language.network import Layer
from convnet_cfg.language.v2_types import BlockSpec
from convnet_cfg.language.weight_types import ConvSpec, FilterSpec, FullSpec
from convnet_cfg.model.assembly import Builder, Maker, Value
from convnet_cfg.nn.weighted import one_or_all


def _full(builder: Builder, layer: Layer) -> None:
    spec = layer.spec
    assert isinstance(spec, FullSpec)
    vectors = _flattened(builder, layer)
    common = {**builder.sharing(layer), **builder.options(layer)}
    if isinstance(spec, DropoutFullSpec):
        made: Any = nn.DropoutDense(
            spec.outputs, spec.rate, len(vectors), seed=builder.next_seed(layer), **common
        )
    elif isinstance(spec, DropConnectSpec):
        per_case = isinstance(spec, CaseDropConnectSpec)
        made = nn.DropConnectDense(spec.outputs, spec.rate, per_case, seed=builder.next_seed(layer), **common)
    else:
        made = nn.Dense(spec.outputs, len(vectors), **common)
    builder.add(layer, made, one_or_all(vectors), None)
    if isinstance(spec, FixedDropoutFullSpec) and spec.dropped:
        _drop_fixed_number(builder, layer, spec.dropped)


def _flattened(builder: Builder, layer: Layer) -> list[Any]:
    """Return the inputs as vectors; an image is flattened as it is.

    The rows of its kernel are in that order (language/layout.py). A kernel of another input has the order of
    that one.
    """
    vectors = []
    for index, matrix in enumerate(layer.matrices):
        value = builder.value(layer, index)
        if matrix.source is not None:
            value = _like(builder, layer, index, matrix.source)
        builder.kernel_images[layer.name, index] = value.image
        vectors.append(builder.reshape((value.image.size,), value.tensor) if value.image else value.tensor)
    return vectors


def _like(builder: Builder, layer: Layer, index: int, source: SourceRef) -> Value:
    """Return an input in the form of that whose matrix it takes."""
    if image := builder.kernel_images.get((source.layer, source.number)):
        return builder.image(layer, image.channels, index)
    return Value(builder.as_vector(builder.value(layer, index)), None)


def _drop_fixed_number(builder: Builder, layer: Layer, rate: float) -> None:
    value = builder.values[layer.name]
    dropout = nn.FixedCountDropout(rate, **builder.random_options(layer, f"{layer.name}_dropout"))
    if not dropout.kept(layer.output.size):
        message = f"dropout={rate:g} keeps none of the {layer.output.size} outputs"
        raise ConfigError([Problem(layer.place, layer.name, message)])
    builder.layers[f"{layer.name}/dropout"] = dropout
    builder.values[layer.name] = Value(dropout(value.tensor), None)


def _blocks(builder: Builder, layer: Layer) -> None:
    """The blocks are runs of the original's order, in which images have to be then."""
    spec = layer.spec
    assert isinstance(spec, BlockSpec)
    vectors = _original_vectors(builder, layer)
    common = {**builder.sharing(layer), **builder.options(layer)}
    made = nn.BlockDense(spec.outputs, spec.parts, len(vectors), **common)
    builder.add(layer, made, one_or_all(vectors), None)


def _original_vectors(builder: Builder, layer: Layer) -> list[Any]:
    return [builder.as_vector(builder.value(layer, index)) for index in range(len(layer.inputs))]


def _transition(builder: Builder, layer: Layer) -> None:
    spec = layer.spec
    assert isinstance(spec, TransitionSpec)
    (vector,) = _original_vectors(builder, layer)
    common = {**builder.sharing(layer), **builder.options(layer)}
    builder.add(layer, nn.ConditionalProbability(spec.outputs, 1, **common), vector, None)


def _pixels(builder: Builder, layer: Layer) -> None:
    """Pixels need not form a square: those that do not are a list of pixels."""
    spec = layer.spec
    assert isinstance(spec, PixelSpec)
    common = {**builder.sharing(layer), **builder.options(layer)}
    made = nn.PixelDense(spec.group_outputs, spec.groups, **common)
    channels = spec.groups * spec.group_inputs
    value = builder.value(layer)
    if value.image is not None and value.image.channels == channels:
        image = Image(spec.groups * spec.group_outputs, value.image.side)
        builder.add(layer, made, value.tensor, image)
        return
    vector = builder.as_vector(value)
    planes = builder.reshape((channels, spec.pixels(layer.inputs[0])), vector)
    pixels = keras.layers.Permute((2, 1), dtype=builder.dtype)(planes)
    builder.add(layer, made, pixels, None)
    moved = keras.layers.Permute((2, 1), dtype=builder.dtype)(builder.values[layer.name].tensor)
    builder.values[layer.name] = Value(builder.reshape((layer.output.size,), moved), None)


def _filters(builder: Builder, layer: Layer) -> None:
    spec = layer.spec
    assert isinstance(spec, FilterSpec)
    assert layer.output.image is not None
    images = [builder.image(layer, channels, index).tensor for index, channels in enumerate(spec.channels)]
    arguments = {
        "filters": spec.total_filters(),
        "windows": builder.windows(layer, spec),
        "output_side": layer.output.image.side,
        **builder.sharing(layer),
        **builder.options(layer),
    }
    if isinstance(spec, ConvSpec):
        arguments["shared_bias"] = spec.shared_biases
    made = nn.Conv2D(**arguments) if isinstance(spec, ConvSpec) else nn.Local2D(**arguments)
    builder.add(layer, made, one_or_all(images), layer.output.image)


WEIGHTS: Mapping[type[LayerSpec], Maker] = {
    FullSpec: _full,
    BlockSpec: _blocks,
    PixelSpec: _pixels,
    TransitionSpec: _transition,
    FilterSpec: _filters,
}
