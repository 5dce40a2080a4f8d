"""The layers that the key `neuron` makes: their names (spec: grammar.md section 6)."""

from __future__ import annotations

from collections.abc import Mapping

from convnet_cfg.errors import Problem
from convnet_cfg.language.declaring import Declarations, Declared
from convnet_cfg.language.layer_types import NeuronSpec
from convnet_cfg.language.spec import Report

MAX_NAME_CLASHES = 99


def name_activations(declarations: Declarations, problems: list[Problem]) -> Mapping[str, str]:
    """Return the name of the activation behind each layer that asks for one, by the layer's name."""
    names: dict[str, str] = {}
    taken = set(declarations)
    for layer in declarations.values():
        if not _has_activation(layer):
            continue
        first = f"{layer.name}_neuron"
        choices = [first, *(f"{first}.{number}" for number in range(1, MAX_NAME_CLASHES + 1))]
        free = next((name for name in choices if name not in taken), None)
        if free is None:
            message = f"every name from {choices[0]!r} to {choices[-1]!r} is taken: the activation needs one"
            Report(problems, layer.section).error(message, "neuron")
        names[layer.name] = free or first
        taken.add(names[layer.name])
    return names


def _has_activation(layer: Declared) -> bool:
    """Return whether a layer asks for an activation, be it a wrong one."""
    if layer.spec_type is None or issubclass(layer.spec_type, NeuronSpec):
        return False
    if layer.spec is not None:
        return layer.spec.neuron is not None
    entry = layer.section.all_entries().get("neuron")
    return entry is not None and bool(entry.text)
