"""The whole page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.reference import dialects, types
from benchmarks.reference.built import Example
from benchmarks.reference.dialect_sets import in_words
from benchmarks.reference.markdown import bullets, link, names, table
from convnet_cfg.language.dialect import Dialect
from convnet_cfg.language.dialects import DIALECTS
from convnet_cfg.language.kinds import Kind
from convnet_cfg.language.neurons import NeuronType, usage
from convnet_cfg.language.params import DEFAULT_DECAY
from convnet_cfg.language.schedules import ScheduleType, constant_kind, schedule_kind, shape_kind
from convnet_cfg.optim import DECAYS

INTRODUCTION = """
All that a pair of files may say, in each dialect. `make reference` writes this page, from the tables with
which the files are read and from the networks that become of [examples](examples).

A definition file has a section for each layer, a parameter file one for each layer that needs it. Keys are
found in upper and in lower case.

- *required*: the key must be there.
- *one per input*: a list, separated by commas, with a value for each input of the layer.
- *in*: the dialects in which it is so; where that says nothing, it is so wherever there is the type.
- *side*: images and windows are squares.
- *In Keras*: what the layer becomes, with what that says of itself. Names of arguments are those of Keras.
- *Reported*: means over the cases.
""".strip()

ACTIVATIONS = """
The values of `neuron`, in just this spelling. x is the value before, and the letters in brackets are
numbers. What they do at their kinks is in [fidelity.md](fidelity.md).
""".strip()

RATES = """
The values of `epsW` and `epsB`. Each name is followed by `key=value` pairs in this order, separated by
`;`, as in `exp[base=0.01;tgtFactor=100]`. P, the progress, is the fraction of all batches of the training
that came before this one. A base rate of 0 or less freezes a matrix.
""".strip()

SHAPES = """
The values of `schedW` and `schedB`. The base rate is `epsW` or `epsB`; without the key, or with `default`,
it stays.
""".strip()

DECAY = """
The values of `--decay`, and of the key `decay` in sections of layers with weights. W: weights, V: velocity,
G: mean gradient over the cases, e: learning rate now, e0: its base, m: momentum (`momW`), d: decay (`wc`).
""".strip()


def page(examples: Sequence[Example]) -> str:
    """Return the text of docs/reference.md."""
    parts = [
        *dialects.sections(),
        *types.common_section(),
        *types.sections(examples),
        *_activations(),
        *_rates(),
        *_decays(),
    ]
    return "\n\n".join(["# Reference", INTRODUCTION, _contents(parts), *parts]) + "\n"


def _contents(parts: Sequence[str]) -> str:
    """Return a line for each heading, with those below it."""
    lines: dict[str, list[str]] = {}
    for part in parts:
        if part.startswith("## "):
            lines[part[3:]] = []
        elif part.startswith("### "):
            lines[list(lines)[-1]].append(link(part[4:]))
    return bullets(link(title) + (f": {', '.join(below)}" if below else "") for title, below in lines.items())


def _entries(table_of: Callable[[Dialect], Mapping[str, Any]]) -> list[tuple[str, Any, list[str]]]:
    """Return each entry of a table, with the dialects that have it; what is the same stands there once."""
    found: list[tuple[str, Any, list[str]]] = []
    for dialect in DIALECTS.values():
        for name, value in table_of(dialect).items():
            same = next((entry for entry in found if entry[0] == name and entry[1] is value), None)
            if same is None:
                found.append(same := (name, value, []))
            same[2].append(dialect.name)
    return found


def _activations() -> Iterator[str]:
    yield "## Activations"
    yield ACTIVATIONS
    entries = _entries(lambda dialect: dialect.neurons)
    yield table(
        ("written", "y", "in", "but"),
        (
            (f"`{usage(name, neuron)}`", neuron.formula, in_words(where), _limits(neuron))
            for name, neuron, where in entries
        ),
    )


def _limits(neuron: NeuronType) -> str:
    if neuron.refused:
        return f"refused: {neuron.refused}"
    if neuron.apart is not None:
        one, other, least = neuron.apart
        return f"{names([one, other])} at least {least:g} apart"
    least, most = neuron.limits
    return f"{names(neuron.parameters)} > {least:g} and < {most:g}" if least > -most else ""


def _rates() -> Iterator[str]:
    yield "## Learning rates"
    yield RATES
    plain = [name for name, dialect in DIALECTS.items() if not dialect.schedules]
    yield f"In {in_words(plain)}: {constant_kind().expected}. In the others:"
    yield _schedules(lambda dialect: dialect.schedules, schedule_kind)
    yield "### Learning rates beside the base rate"
    yield SHAPES
    yield _schedules(lambda dialect: dialect.shapes, shape_kind)


def _schedules(
    table_of: Callable[[Dialect], Mapping[str, Any]], kind: Callable[[Mapping[str, ScheduleType]], Kind]
) -> str:
    lines = []
    for name, schedule, where in _entries(table_of):
        written = kind({name: schedule}).expected.split("one of ")[-1]
        parameters = "; ".join(f"`{key}`: {value.expected}" for key, value in schedule.parameters.items())
        lines.append((f"`{written}`", schedule.formula, parameters, in_words(where)))
    return table(("written", "rate", "parameters", "in"), lines)


def _decays() -> Iterator[str]:
    yield "## Kinds of weight decay"
    yield DECAY
    lines = []
    for name, decay in DECAYS.items():
        default = " (the default)" if name == DEFAULT_DECAY else ""
        lines.append((f"`{name}`{default}", decay.formula))
    yield table(("kind", "update"), lines)
