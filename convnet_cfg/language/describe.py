"""A network, or why there is none, as plain values for `convnet check --json`.

Layers have the names and values that the original's parser gave them, `padding` negated and `scale` divided
among them; whatever else is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from convnet_cfg.errors import Problem, Severity
from convnet_cfg.language.derived import derived_values
from convnet_cfg.language.dialect import OneDevice
from convnet_cfg.language.kinds import FunctionCall, SourceRef
from convnet_cfg.language.layer_types import LayerSpec
from convnet_cfg.language.network import Layer, Matrix, Network
from convnet_cfg.language.neurons import Neuron
from convnet_cfg.language.params import AlexNetParams, CostParams, UpdateRule, WeightParams
from convnet_cfg.language.schedules import Schedule
from convnet_cfg.language.spec import declared_keys
from convnet_cfg.language.weight_types import WeightSpec

Values = dict[str, Any]


def describe(network: Network) -> Values:
    """Return everything that there is to say of a network, ready for JSON."""
    layers = network.in_file_order()
    numbers = {layer.name: number for number, layer in enumerate(layers)}
    return {
        "status": "ok",
        "dialect": network.dialect.name,
        "recognized_by": network.recognized_by,
        "deviations": list(network.deviations),
        "data_dims": list(network.data_dims),
        "num_classes": _classes(network),
        "layers": [_describe_layer(layer, network, numbers) for layer in layers],
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
        return {**values, "shared_with": matrix.source.words}
    return {**values, **(_rule_values(matrix.rule) if matrix.rule else {})}


def _rule_values(rule: UpdateRule) -> Values:
    limits = {name: value for name, value in vars(rule.limits).items() if value} if rule.limits else {}
    return {
        "learning_rate": rule.learning_rate,
        "schedule": _schedule_values(rule.schedule) if rule.schedule.type else None,
        "momentum": rule.momentum,
        "weight_decay": rule.weight_decay,
        "decay": rule.decay,
        "limits": limits or None,
        "update_period": rule.period,
    }


def _schedule_values(schedule: Schedule) -> Values:
    names = schedule.type.parameters if schedule.type else {}
    values = dict(zip(names, schedule.values, strict=True))
    return {"type": schedule.name, "params": {"base": schedule.base, **values}}


def _classes(network: Network) -> int | dict[str, int] | None:
    """One number for all costs, or a number for each where they differ."""
    found = set(network.classes.values())
    if len(found) > 1:
        return network.classes
    return found.pop() if found else None


def _describe_layer(layer: Layer, network: Network, numbers: Mapping[str, int]) -> Values:
    return {
        "name": layer.name,
        "type": layer.type,
        "implicit": layer.implicit,
        **original_values(layer, network, numbers),
        "parameters": layer.parameters,
        "multiply_adds": layer.multiply_adds,
    }


def original_values(layer: Layer, network: Network, numbers: Mapping[str, int]) -> Values:
    """Return what the parsers of the original programs made of a layer, by their names; matrices as shapes.

    Some programs had only some of them. `numbers` are the places of the layers in the original's order.
    """
    values: Values = {"name": layer.name, "type": layer.type, **_file_values(layer.spec)}
    values["outputs"] = layer.output.size
    if layer.inputs:
        values["inputs"] = [source.name for source in layer.inputs]
        values["numInputs"] = [source.output.size for source in layer.inputs]
    if network.has_params:
        values |= _param_values(layer, bool(network.dialect.schedules))
    values |= derived_values(layer)
    if isinstance(layer.spec, WeightSpec):
        values |= _weight_values(layer, layer.spec, numbers)
    if network.dialect.placement:
        values |= _placement(layer, network)
    return values


def _file_values(spec: LayerSpec) -> Values:
    return {key.name: _plain(getattr(spec, field)) for field, key in declared_keys(type(spec)).items()}


def _param_values(layer: Layer, scheduled: bool) -> Values:
    """What the parameter file says; `gradConsumer`: something here is trained."""
    params = layer.params
    values: Values = {"dropout": 0.0, "gradConsumer": False}
    if params is not None:
        values |= {
            key.name: _plain(getattr(params, field)) for field, key in declared_keys(type(params)).items()
        }
    if scheduled and isinstance(params, CostParams):
        values["gradConsumer"] = params.coefficient > 0
    if not isinstance(params, WeightParams):
        return values
    rates = (*params.weight_rates, params.bias_rate)
    values["gradConsumer"] = any(rate.base > 0 for rate in rates)
    if scheduled:
        *weights, values["epsB"] = map(_schedule_values, rates)
        values["epsW"] = weights
    if isinstance(params, AlexNetParams):
        values |= {"schedW": _shape_values(params.weight_shape), "schedB": _shape_values(params.bias_shape)}
    return values


def _shape_values(shape: Schedule) -> Values:
    """A schedule without its base, as the 2012 AlexNet program had it, with the noise that it never has."""
    if shape.type is None:
        return {"type": "default", "params": {}}
    values = dict(zip(shape.type.parameters, shape.values, strict=True))
    return {"type": shape.name, "params": {**values, "noiseStdev": 0.0}}


def _placement(layer: Layer, network: Network) -> Values:
    """Where the layer was; data were where they were wanted."""
    if network.dialect.placement is OneDevice:
        return {"gpu": layer.devices[0] if layer.devices else -1}
    replicas = len(layer.devices) or max(
        (len(other.devices) for other in network.consumers(layer.name)), default=0
    )
    return {"gpu": list(layer.devices) or [-1], "numReplicas": replicas}


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
    Schedule: lambda schedule: schedule.base,
}


def _weight_values(layer: Layer, spec: WeightSpec, numbers: Mapping[str, int]) -> Values:
    return {
        "weights": [list(matrix.shape) for matrix in layer.matrices],
        **({"biases": list(layer.bias.shape)} if layer.bias is not None else {}),
        "weightSourceLayers": [ref.layer if ref else "" for ref in spec.sources],
        "weightSourceLayerIndices": [numbers[ref.layer] if ref else -1 for ref in spec.sources],
        "weightSourceMatrixIndices": [ref.number if ref else -1 for ref in spec.sources],
    }
