"""What the original's parser worked out for a layer of each type, beside what the files say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isqrt
from typing import Any

from convnet_cfg.language import layer_types as types
from convnet_cfg.language.dialect import EXTENSIONS
from convnet_cfg.language.fork_types import PixelSpec, ScaledConcatSpec
from convnet_cfg.language.layer_types import LayerSpec
from convnet_cfg.language.network import Layer, column_rows
from convnet_cfg.language.neurons import NEURONS
from convnet_cfg.language.params import BoundedParams, NormParams
from convnet_cfg.language.v2_types import PartDataSpec
from convnet_cfg.language.weight_types import ConvSpec, FilterSpec, FullSpec

Values = dict[str, Any]


def _nothing(layer: Layer, spec: LayerSpec) -> Values:
    return {}


def _image(layer: Layer, spec: Any) -> Values:
    pixels = layer.inputs[0].output.size // spec.channels
    return {"channels": spec.channels, "imgPixels": pixels, "imgSize": isqrt(pixels)}


def _neuron(layer: Layer, spec: types.NeuronSpec) -> Values:
    kind = {**EXTENSIONS.neurons, **NEURONS}[spec.neuron.name]
    described = {
        "type": spec.neuron.name,
        "params": dict(zip(kind.parameters, spec.neuron.parameters, strict=True)),
        "usesInputs": kind.uses_inputs,
        "usesActs": kind.uses_acts,
    }
    return {"neuron": described}


def _sum(layer: Layer, spec: Any) -> Values:
    return {"coeffs": list(spec.coefficients_with(layer.params))}


def _pool(layer: Layer, spec: types.PoolSpec) -> Values:
    image = _image(layer, spec)
    return {**image, "outputsX": spec.output_side(image["imgSize"])}


def _norm(layer: Layer, spec: types.NormSpec) -> Values:
    values = _image(layer, spec)
    if isinstance(layer.params, NormParams):
        values["scale"] = spec.effective_scale(layer.params.scale)
    return values


def _nailbed(layer: Layer, spec: types.NailbedSpec) -> Values:
    image, outputs = _image(layer, spec), layer.output.image
    side = outputs.side if outputs else 0
    start = (image["imgSize"] - spec.stride * (side - 1)) // 2
    return {**image, "outputsX": side, "start": start}


def _resize(layer: Layer, spec: types.ResizeSpec) -> Values:
    return {**_image(layer, spec), "tgtSize": layer.output.image.side if layer.output.image else 0}


def _filters(layer: Layer, spec: FilterSpec) -> Values:
    inputs = range(len(layer.inputs))
    pixels = [source.output.size // spec.channels[index] for index, source in enumerate(layer.inputs)]
    side = layer.output.image.side if layer.output.image else 0
    return {
        "filters": spec.total_filters(),
        "filterPixels": [size**2 for size in spec.sizes],
        "filterChannels": [spec.filter_channels(index) for index in inputs],
        "filterConns": [_connections(spec, index) for index in inputs],
        "imgPixels": pixels,
        "imgSize": [isqrt(number) for number in pixels],
        "modules": side**2,
        "modulesX": side,
        "overSample": [spec.oversampling(index) for index in inputs],
        "padding": [-padding for padding in spec.paddings],
        **(_tuning(spec, side) if isinstance(spec, ConvSpec) else {}),
        **_columns(layer),
    }


def _tuning(spec: ConvSpec, side: int) -> Values:
    fits = not spec.partial_sum or side**2 % spec.partial_sum == 0
    return {"sharedBiases": spec.shared_biases, "partialSum": spec.partial_sum if fits else side**2}


def _connections(spec: FilterSpec, index: int) -> Any:
    """Random ones differ from run to run: only their number is known."""
    return {"__len__": spec.groups[index] * spec.filter_channels(index)} if spec.sparse[index] else []


def _full(layer: Layer, spec: FullSpec) -> Values:
    return _columns(layer)


def _columns(layer: Layer) -> Values:
    """The rows of each matrix, by which the 2012 AlexNet program multiplied `wball`."""
    if not isinstance(layer.params, BoundedParams):
        return {}
    return {"weightsPerFilter": [column_rows(layer, matrix) for matrix in layer.matrices]}


def _data(layer: Layer, spec: types.DataSpec) -> Values:
    end = spec.end or spec.first + layer.output.size
    return {"start": spec.first, "end": end} if isinstance(spec, PartDataSpec) else {}


def _pixels(layer: Layer, spec: PixelSpec) -> Values:
    return {"channels": spec.groups}


def derived_values(layer: Layer) -> Values:
    """Return what the original worked out for a layer, beside what the files say."""
    known = next(base for base in type(layer.spec).__mro__ if base in DERIVED)
    return DERIVED[known](layer, layer.spec)


# For each type, or one that it is derived from.
DERIVED: Mapping[type, Callable[[Layer, Any], Values]] = {
    LayerSpec: _nothing,
    types.ImageSpec: _image,
    types.DataSpec: _data,
    FullSpec: _full,
    FilterSpec: _filters,
    PixelSpec: _pixels,
    types.SumSpec: _sum,
    ScaledConcatSpec: _sum,
    types.NeuronSpec: _neuron,
    types.PoolSpec: _pool,
    types.NormSpec: _norm,
    types.NailbedSpec: _nailbed,
    types.ResizeSpec: _resize,
}
