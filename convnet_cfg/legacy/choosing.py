"""The dialect in which the network of a checkpoint can be written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from convnet_cfg.errors import did_you_mean
from convnet_cfg.language import DIALECTS
from convnet_cfg.language.declaring import definition_keys
from convnet_cfg.language.dialect import EXTENSIONS, Dialect
from convnet_cfg.language.spec import key_names
from convnet_cfg.legacy.refusing import MAX_PROBLEMS, refuse
from convnet_cfg.legacy.values import Checkpoint, Value


def choose_dialect(checkpoint: Checkpoint) -> Dialect:
    """Return the dialect that knows the types of all layers, and the most of their fields.

    Raises:
        CheckpointError: there is none; the types that stand in the way.
    """
    first = DIALECTS[checkpoint.program]
    with_ids = checkpoint.program == "v2"
    others = (each for each in DIALECTS.values() if each is not first and _is_of(each, "v2") == with_ids)
    best = min(
        (first, *others), key=lambda each: (-_types_known(checkpoint, each), -_fields(checkpoint, each))
    )
    strangers = [word for word in _words(checkpoint) if word.name not in _names(best, word.kind)]
    problems = [_problem(word, best) for word in strangers[:MAX_PROBLEMS]]
    refuse(problems + [""] * (len(strangers) - len(problems)), "no supported program has what is in the file")
    return best


class _Word(NamedTuple):
    """A name in a layer that a dialect must know: of a type, a neuron or a schedule."""

    layer: str
    kind: str
    name: str


def _is_of(dialect: Dialect, name: str) -> bool:
    """Return whether a dialect is the one of a name, or derived from it."""
    return dialect.name == name or (dialect.base is not None and _is_of(DIALECTS[dialect.base], name))


def _words(checkpoint: Checkpoint) -> Iterator[_Word]:
    for layer in checkpoint.layers:
        yield _Word(layer.name, "type", layer.type)
        rates = layer.values.get("epsW")
        named = {
            "neuron": [layer.values.get("neuron")],
            "schedule": rates if isinstance(rates, tuple) else (),
        }
        for kind, values in named.items():
            yield from (_Word(layer.name, kind, name) for name in sorted(_types_of(values)))


def _types_of(values: Iterable[Value]) -> set[str]:
    """Return the types of those values that the original kept as a type and parameters."""
    found = {value.get("type") for value in values if isinstance(value, Mapping)}
    return {name for name in found if isinstance(name, str)}


def _names(dialect: Dialect, kind: str) -> Mapping[str, object]:
    if kind == "type":
        return dialect.layer_types
    if kind == "neuron":
        return {**EXTENSIONS.neurons, **dialect.neurons}
    return {**EXTENSIONS.schedules, **dialect.schedules}


def _types_known(checkpoint: Checkpoint, dialect: Dialect) -> int:
    """Return how many of the names a dialect knows."""
    known = {kind: _names(dialect, kind) for kind in ("type", "neuron", "schedule")}
    return sum(word.name in known[word.kind] for word in _words(checkpoint))


def _fields(checkpoint: Checkpoint, dialect: Dialect) -> int:
    """Return for how many fields a dialect has keys."""
    keys = {
        name: {*definition_keys(spec, dialect), *key_names(spec.params, dialect)}
        for name, spec in dialect.layer_types.items()
    }
    return sum(len(keys.get(layer.type, set()) & layer.values.keys()) for layer in checkpoint.layers)


def _problem(word: _Word, dialect: Dialect) -> str:
    reason = dialect.refused.get(word.name) if word.kind == "type" else None
    hint = f": {reason}" if reason else did_you_mean(word.name, _names(dialect, word.kind))
    return f"layer {word.layer!r} has the unknown {word.kind} {word.name!r}{hint}"
