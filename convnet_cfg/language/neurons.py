"""The activations' grammar: `relu`, `tanh[1.7,0.66]` (spec: neurons.md section 1)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from convnet_cfg.errors import did_you_mean, shorten
from convnet_cfg.language.kinds import ExplainedError, Kind


class Apart(NamedTuple):
    """Two parameters that a formula divides by the difference of, and how far they are apart at least."""

    one: str
    other: str
    least: float


class NeuronType(NamedTuple):
    """What an activation is called in the field, its formula, and what its gradient reads."""

    parameters: tuple[str, ...]
    formula: str
    uses_acts: bool = True
    uses_inputs: bool = False
    limits: tuple[float, float] = (-math.inf, math.inf)  # every parameter lies between
    apart: Apart | None = None
    refused: str = ""  # why there is no such layer, though the original's parser knew the name
    function: Callable[..., Any] | None = None  # of the value and the parameters, for one of the user's own


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

V2_NEURONS: Mapping[str, NeuronType] = {
    **V1_NEURONS,
    "log": NeuronType(("a",), "log(a + x)", uses_acts=False, uses_inputs=True),
    "drelu": NeuronType(("a",), "x - a * tanh(x / a)", uses_acts=False, uses_inputs=True),
    "nrelu": NeuronType(
        (), "max(0, x) with noise", refused="cuda-convnet2 had its name but no such function"
    ),
}
AX_NEURONS: Mapping[str, NeuronType] = {
    **V1_NEURONS,
    "drelu": V2_NEURONS["drelu"],
    "nrelu": NeuronType((), "max(0, r + r * noise), r = max(0, x)"),
}
HISTORIC_NEURONS: Mapping[str, NeuronType] = {
    **V1_NEURONS,
    "abstanh": NeuronType(("a", "b"), "a * tanh(|b| * |x|)", uses_inputs=True),
}
NIN_NEURONS: Mapping[str, NeuronType] = {
    **V1_NEURONS,
    "dropout": NeuronType(
        ("prob",),
        "x in training with probability 1 - prob, else 0; (1 - prob) * x in tests",
        uses_acts=False,
        limits=(0, 1),
    ),
}
ARCHCONVNETS_NEURONS: Mapping[str, NeuronType] = {
    **V1_NEURONS,
    "power": NeuronType(("a",), "x ** a", uses_acts=False, uses_inputs=True),
}
PERIOD = "p = t + r log(1 + 1 / j), j = g log(1 + exp(a x / g))"
SPIKING_NEURONS: Mapping[str, NeuronType] = {
    **V2_NEURONS,
    "softlif": NeuronType(
        ("m", "t", "r", "a", "g", "n"), f"max(0, m / p + m n noise where x > 0), {PERIOD}: spikes a second"
    ),
    "softlifalpha": NeuronType(
        ("m", "t", "r", "a", "g", "s"),
        f"m times spikes p seconds apart, {PERIOD}, at a random time, through a synapse of s seconds",
        apart=Apart("r", "s", 1e-3),
    ),
    "softlifalpharc": NeuronType(
        ("m", "t", "r", "a", "g", "s"),
        "as softlifalpha, and through the membrane of r seconds too",
        apart=Apart("r", "s", 1e-12),
    ),
}

NEURONS: Mapping[str, NeuronType] = {
    **HISTORIC_NEURONS,
    **NIN_NEURONS,
    **ARCHCONVNETS_NEURONS,
    **SPIKING_NEURONS,
    **AX_NEURONS,
}
"""The activations of all dialects; one name means the same in each of them."""


class NumberSyntax(NamedTuple):
    """How the numbers of an activation may be written, and the words for that."""

    brackets: re.Pattern[str]
    values: re.Pattern[str]
    expected: str


IN_BRACKETS = re.compile(r"(?P<name>[A-Za-z0-9_]+) *\[(?P<values>[^\]]*)\] *$")
IN_ANY_BRACKETS = re.compile(r"(?P<name>[A-Za-z0-9_]+) *[\[(](?P<values>[^\])]*)[\])] *$")
V1_SYNTAX = NumberSyntax(IN_BRACKETS, re.compile(r"[0-9,.\se-]*", re.ASCII), "numbers such as 0.1 or 1e-1")
V2_SYNTAX = NumberSyntax(
    IN_BRACKETS, re.compile(r"[0-9,.\s-]*", re.ASCII), "numbers such as 0.1, without an exponent"
)
HISTORIC_SYNTAX = V1_SYNTAX._replace(brackets=IN_ANY_BRACKETS)


def usage(name: str, neuron: NeuronType) -> str:
    """Return how an activation is written: `tanh[a,b]`."""
    return f"{name}[{','.join(neuron.parameters)}]" if neuron.parameters else name


def neuron_kind(
    neurons: Mapping[str, NeuronType], syntax: NumberSyntax = V1_SYNTAX, *, required: bool = False
) -> Kind:
    """Return the kind of one dialect's activations; an empty text is none, unless one is required."""
    known = [usage(name, neuron) for name, neuron in neurons.items() if not neuron.refused]

    def convert(text: str) -> Neuron | None:
        if not text and not required:
            return None
        neuron = _parse(text, syntax)
        expected = neurons.get(neuron.name) if neuron else None
        if neuron is None or expected is None or len(neuron.parameters) != len(expected.parameters):
            raise ExplainedError(_explain(text, neurons, known, syntax))
        _check(neuron, expected)
        return neuron

    return Kind(convert, "one of " + ", ".join(known))


def _check(neuron: Neuron, expected: NeuronType) -> None:
    if expected.refused:
        raise ExplainedError(f"neuron {neuron.name!r} is not supported: {expected.refused}")
    least, most = expected.limits
    for name, value in zip(expected.parameters, neuron.parameters, strict=True):
        if not least < value < most:
            raise ExplainedError(
                f"neuron {neuron.name}'s {name} must be a number > {least} and < {most}, got {value:g}"
            )
    if expected.apart is not None:
        _check_apart(neuron, dict(zip(expected.parameters, neuron.parameters, strict=True)), expected.apart)


def _check_apart(neuron: Neuron, values: Mapping[str, float], apart: Apart) -> None:
    one, other = values[apart.one], values[apart.other]
    if abs(one - other) < apart.least:
        raise ExplainedError(
            f"neuron {neuron.name}'s {apart.one} and {apart.other} must be at least {apart.least:g} apart, "
            f"got {one:g} and {other:g}"
        )


def _parse(text: str, syntax: NumberSyntax) -> Neuron | None:
    match = syntax.brackets.fullmatch(text)
    if match is None:
        return Neuron(text, (), text)
    if not syntax.values.fullmatch(match["values"]):
        return None
    try:
        values = tuple(float(value) for value in match["values"].split(","))
    except ValueError:
        return None
    return Neuron(match["name"], values, text) if all(map(math.isfinite, values)) else None


def _explain(text: str, neurons: Mapping[str, NeuronType], known: list[str], syntax: NumberSyntax) -> str:
    name = text.split("[")[0].split("(")[0].strip()
    if name in neurons:
        numbers = f" with {syntax.expected}" if neurons[name].parameters else ""
        return f"neuron {shorten(text)!r} must be written {usage(name, neurons[name])}{numbers}"
    return f"neuron must be one of {', '.join(known)}, got {shorten(text)!r}{did_you_mean(name, neurons)}"
