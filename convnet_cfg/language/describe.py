"""A network, or why there is none, as plain values for `convnet check --json`.

Layers have the names and values that the original's parser gave them, `padding` negated and `scale` divided
among them; whatever else is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import isqrt
from typing import Any

from convnet_cfg.errors import Problem, Severity
from convnet_cfg.language import layer_types as types
from convnet_cfg.language.kinds import FunctionCall, SourceRef
from convnet_cfg.language.layer_types import LayerSpec
from convnet_cfg.language.network import Layer, Matrix, Network
from convnet_cfg.language.neurons import V1_NEURONS, Neuron
from convnet_cfg.language.old_types import OldContrastNormSpec, OldCrossMapNormSpec, OldResponseNormSpec
from convnet_cfg.language.params import NormParams, WeightParams
from convnet_cfg.language.spec import declared_keys
from convnet_cfg.language.weight_types import ConvSpec, FilterSpec, FullSpec, LocalSpec, WeightSpec

Values = dict[str, Any]


def describe(network: Network) -> Values:
    """Return everything that there is to say of a network, ready for JSON."""
    numbers = {layer.name: number for number, layer in enumerate(network.layers)}
    return {
        "status": "ok",
        "dialect": network.dialect.name,
        "recognized_by": network.recognized_by,
        "deviation": network.dialect.deviation,
        "data_dims": list(network.data_dims),
        "num_classes": _classes(network),
        "layers": [_describe_layer(layer, network.has_params, numbers) for layer in network.layers],
        "groups": list(parameter_groups(network)),
        "totals": {
            "parameters": sum(layer.parameters for layer in network.layers),
            "multiply_adds": sum(layer.multiply_adds for layer in network.layers),
        },
        **describe_problems(network.remarks),
    }


def describe_problems(problems: Iterable[Problem]) -> Values:
    """Return errors, warnings and notes, each with its parts by name."""
    found: dict[Severity, list[Values]] = {
        severity: [] for severity in (Severity.ERROR, Severity.WARNING, Severity.NOTE)
    }
    for problem in problems:
        parts = {"section": problem.section, "message": problem.message}
        found[problem.severity].append({**problem.place._asdict(), **parts})
    return {f"{severity.value}s": listed for severity, listed in found.items()}


def parameter_groups(network: Network) -> Iterable[Values]:
    """Yield the update rule of every matrix and bias, in order of definition."""
    for layer in network.layers:
        for number, matrix in enumerate(layer.matrices):
            yield _describe_group(layer, f"weights[{number}]", matrix)
        if layer.bias is not None:
            yield _describe_group(layer, "biases", layer.bias)


def _describe_group(layer: Layer, name: str, matrix: Matrix) -> Values:
    values: Values = {"layer": layer.name, "matrix": name, "shape": list(matrix.shape)}
    if matrix.source is not None:
        return {**values, "shared_with": f"{matrix.source.layer}[{matrix.source.number}]"}
    return {**values, **(vars(matrix.rule) if matrix.rule else {})}


def _classes(network: Network) -> int | dict[str, int] | None:
    """One number for all costs, or a number for each where they differ."""
    found = set(network.classes.values())
    if len(found) > 1:
        return network.classes
    return found.pop() if found else None


def _describe_layer(layer: Layer, has_params: bool, numbers: Mapping[str, int]) -> Values:
    values: Values = {"name": layer.name, "type": layer.type, "implicit": layer.implicit}
    values |= _file_values(layer.spec)
    values["outputs"] = layer.output.size
    if layer.inputs:
        values["inputs"] = [source.name for source in layer.inputs]
        values["numInputs"] = [source.output.size for source in layer.inputs]
    if has_params:
        values |= _param_values(layer)
    values |= DERIVED[type(layer.spec)](layer, layer.spec)
    if isinstance(layer.spec, WeightSpec):
        values |= _weight_values(layer, layer.spec, numbers)
    return {**values, "parameters": layer.parameters, "multiply_adds": layer.multiply_adds}


def _file_values(spec: LayerSpec) -> Values:
    return {key.name: _plain(getattr(spec, field)) for field, key in declared_keys(type(spec)).items()}


def _param_values(layer: Layer) -> Values:
    """What the parameter file says; `gradConsumer`: something here is trained."""
    params = layer.params
    values: Values = {"dropout": 0.0, "gradConsumer": False}
    if params is not None:
        values |= {
            key.name: _plain(getattr(params, field)) for field, key in declared_keys(type(params)).items()
        }
    if isinstance(params, WeightParams):
        values["gradConsumer"] = any(rate > 0 for rate in (*params.weight_rates, params.bias_rate))
    return values


def _plain(value: Any) -> Any:
    """Return a value from a file as the original kept it: no value is the empty string."""
    if isinstance(value, tuple) and type(value) is tuple:
        return [_plain(item) for item in value]
    return PLAIN.get(type(value), lambda value: value)(value)


def _call_text(call: FunctionCall) -> str:
    return call.name + (f"({','.join(call.arguments)})" if call.arguments else "")


def _source_text(ref: SourceRef) -> str:
    return f"{ref.layer}[{ref.number}]" if ref.number else ref.layer


PLAIN: Mapping[type, Callable[[Any], Any]] = {
    type(None): lambda value: "",
    Neuron: lambda neuron: neuron.text,
    FunctionCall: _call_text,
    SourceRef: _source_text,
}


def _nothing(layer: Layer, spec: LayerSpec) -> Values:
    return {}


def _image(layer: Layer, spec: Any) -> Values:
    pixels = layer.inputs[0].output.size // spec.channels
    return {"channels": spec.channels, "imgPixels": pixels, "imgSize": isqrt(pixels)}


def _neuron(layer: Layer, spec: types.NeuronSpec) -> Values:
    kind = V1_NEURONS[spec.neuron.name]
    described = {
        "type": spec.neuron.name,
        "params": dict(zip(kind.parameters, spec.neuron.parameters, strict=True)),
        "usesInputs": kind.uses_inputs,
        "usesActs": kind.uses_acts,
    }
    return {"neuron": described}


def _sum(layer: Layer, spec: types.SumSpec) -> Values:
    return {"coeffs": list(spec.coefficients or [1.0] * len(layer.inputs))}


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
    }


def _connections(spec: FilterSpec, index: int) -> Any:
    """Random ones differ from run to run: only their number is known."""
    return {"__len__": spec.groups[index] * spec.filter_channels(index)} if spec.sparse[index] else []


def _weight_values(layer: Layer, spec: WeightSpec, numbers: Mapping[str, int]) -> Values:
    assert layer.bias is not None
    return {
        "weights": [list(matrix.shape) for matrix in layer.matrices],
        "biases": list(layer.bias.shape),
        "weightSourceLayerIndices": [numbers[ref.layer] if ref else -1 for ref in spec.sources],
        "weightSourceMatrixIndices": [ref.number if ref else -1 for ref in spec.sources],
    }


# What the original worked out for each type, beside what the files say.
DERIVED: Mapping[type[LayerSpec], Callable[[Layer, Any], Values]] = {
    types.DataSpec: _nothing,
    FullSpec: _nothing,
    ConvSpec: _filters,
    LocalSpec: _filters,
    types.SoftmaxSpec: _nothing,
    types.SumSpec: _sum,
    types.MaxSpec: _nothing,
    types.NeuronSpec: _neuron,
    types.PoolSpec: _pool,
    types.ResponseNormSpec: _norm,
    types.ContrastNormSpec: _norm,
    types.CrossMapNormSpec: _norm,
    OldResponseNormSpec: _norm,
    OldContrastNormSpec: _norm,
    OldCrossMapNormSpec: _norm,
    types.NailbedSpec: _nailbed,
    types.BlurSpec: _image,
    types.ResizeSpec: _resize,
    types.YuvSpec: _image,
    types.LabSpec: _image,
    types.LogregSpec: _nothing,
    types.SquaresSpec: _nothing,
}
