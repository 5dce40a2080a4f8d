"""The activations' grammar: `relu`, `tanh[1.7,0.66]` (spec: neurons.md section 1)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

from convnet_cfg.errors import did_you_mean
from convnet_cfg.language.kinds import ExplainedError, Kind, shorten


class NeuronType(NamedTuple):
    """What an activation is called in the field, its formula, and what its gradient reads."""

    parameters: tuple[str, ...]
    formula: str
    uses_acts: bool = True
    uses_inputs: bool = False


class Neuron(NamedTuple):
    """An activation with its parameter values, and the text that asked for it."""

    name: str
    parameters: tuple[float, ...]
    text: str


V1_NEURONS: Mapping[str, NeuronType] = {
    "ident": NeuronType((), "x", uses_acts=False),
    "logistic": NeuronType((), "1 / (1 + exp(-x))"),
    "tanh": NeuronType(("a", "b"), "a * tanh(b * x)"),
    "relu": NeuronType((), "max(0, x)"),
    "brelu": NeuronType(("a",), "min(a, max(0, x))"),
    "abs": NeuronType((), "|x|", uses_acts=False, uses_inputs=True),
    "softrelu": NeuronType((), "log(1 + exp(x))"),
    "square": NeuronType((), "x ** 2", uses_acts=False, uses_inputs=True),
    "sqrt": NeuronType((), "x ** 0.5"),
    "linear": NeuronType(("a", "b"), "a * x + b"),
}

PARAMETRISED = re.compile(r"(?P<name>[A-Za-z0-9_]+) *\[(?P<values>[^\]]*)\] *$")
V1_VALUES = re.compile(r"[0-9,.\se-]*", re.ASCII)


def usage(name: str, neuron: NeuronType) -> str:
    """Return how an activation is written: `tanh[a,b]`."""
    return f"{name}[{','.join(neuron.parameters)}]" if neuron.parameters else name


def neuron_kind(neurons: Mapping[str, NeuronType], required: bool = False) -> Kind:
    """Return the kind of one dialect's activations; an empty text is none, unless one is required."""
    known = [usage(name, neuron) for name, neuron in neurons.items()]

    def convert(text: str) -> Neuron | None:
        if not text and not required:
            return None
        neuron = _parse(text)
        expected = neurons.get(neuron.name) if neuron else None
        if neuron is None or expected is None or len(neuron.parameters) != len(expected.parameters):
            raise ExplainedError(_explain(text, neurons, known))
        return neuron

    return Kind(convert, "one of " + ", ".join(known))


def _parse(text: str) -> Neuron | None:
    match = PARAMETRISED.fullmatch(text)
    if match is None:
        return Neuron(text, (), text)
    if not V1_VALUES.fullmatch(match["values"]):
        return None
    try:
        values = tuple(float(value) for value in match["values"].split(","))
    except ValueError:
        return None
    return Neuron(match["name"], values, text) if all(map(math.isfinite, values)) else None


def _explain(text: str, neurons: Mapping[str, NeuronType], known: list[str]) -> str:
    name = text.split("[")[0].split("(")[0].strip()
    if name in neurons:
        return f"neuron {shorten(text)!r} must be written {usage(name, neurons[name])}"
    return f"neuron must be one of {', '.join(known)}, got {shorten(text)!r}{did_you_mean(name, neurons)}"
