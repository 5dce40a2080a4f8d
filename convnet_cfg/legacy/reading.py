"""Checkpoints of cuda-convnet v1, its fork with dropout, and v2 (spec/checkpoints.md)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from convnet_cfg.data.pickles import container_of, load_pickle
from convnet_cfg.errors import CheckpointError, DataError, join_words, printable, shorten
from convnet_cfg.legacy.freezing import Freezer, described, integer, text, text_of
from convnet_cfg.legacy.options import CLASSES, read_options
from convnet_cfg.legacy.values import Checkpoint, Layer, Outputs, Value

FILE_NAME = re.compile(r"(\d{1,18})\.(\d{1,18})")  # of a checkpoint: epoch and batch
_HISTORY = "_outputs"


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Return what is in a checkpoint, or in the newest one of a directory; nothing in it is run.

    The file may be a pickle, one in a zip archive (`--zip-save`), or one compressed with gzip.

    Raises:
        CheckpointError: there is no checkpoint, it is damaged, asks for anything but arrays, numbers, text
            and options, or is not laid out as one.
    """
    path = newest_checkpoint(Path(path))
    try:
        content = load_pickle(path, CLASSES)
        container = container_of(path)
    except (DataError, OSError) as error:
        raise CheckpointError(str(error)) from None
    try:
        return _checkpoint(path, container, content)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: is not a checkpoint of cuda-convnet: {error}") from None


def newest_checkpoint(path: Path) -> Path:
    """Return the path, or in a directory that of the highest epoch and batch (spec/checkpoints.md section 1).

    Other files of the directory count for nothing.

    Raises:
        CheckpointError: the directory has no checkpoint, or cannot be read.
    """
    try:
        if not path.is_dir():
            return path
        found = _checkpoints(path)
        folders = sorted(each for each in path.iterdir() if each.is_dir())
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from None
    if not found:
        below = [printable(each.name) for each in folders if _has_checkpoints(each)][:3]
        hint = f"; there are some in {join_words(below, 'and')}" if below else ""
        raise CheckpointError(
            f"{path}: has no checkpoint of cuda-convnet: expected files named EPOCH.BATCH, such as 12.3{hint}"
        )
    return path / max(found)[1]


def _has_checkpoints(folder: Path) -> bool:
    """Return whether there are checkpoints in a directory, as far as one can see."""
    try:
        return bool(_checkpoints(folder))
    except OSError:
        return False


def _checkpoints(folder: Path) -> list[tuple[tuple[int, ...], str]]:
    """Return the files of a directory that have the name of a checkpoint, with epoch and batch."""
    names = (entry.name for entry in folder.iterdir() if entry.is_file())
    return [(tuple(map(int, match.groups())), match[0]) for match in map(FILE_NAME.fullmatch, names) if match]


def _checkpoint(path: Path, container: str, content: object) -> Checkpoint:
    top = _fields(content, "the file")
    state = _fields(_needed(top, "model_state", "it"), "model_state")
    raw = _needed(state, "layers", "model_state")
    named = _named_layers(raw)
    freezer = Freezer({id(fields): name for name, fields in named.items()})
    layers = tuple(_layer(name, fields, tuple(named), freezer) for name, fields in named.items())
    known = {"epoch", "batchnum", "layers", "model_state", "op"}
    rest = {key: value for key, value in (top | state).items() if key not in known}
    return Checkpoint(
        path=path,
        container=container,
        program=_program(raw, named),
        epoch=integer(_needed(state, "epoch", "model_state"), "epoch"),
        batch=integer(_needed(state, "batchnum", "model_state"), "batchnum"),
        layers=layers,
        options=read_options(top.get("op"), freezer),
        histories=MappingProxyType(
            {key: _history(value, key, freezer) for key, value in rest.items() if key.endswith(_HISTORY)}
        ),
        others=MappingProxyType(
            {
                key: freezer.freeze(value, _quoted(key))
                for key, value in rest.items()
                if not key.endswith(_HISTORY)
            }
        ),
    )


def _program(layers: object, named: Mapping[str, Mapping[str, Any]]) -> str:
    """Tell the programs apart by what they wrote (spec/checkpoints.md sections 4 and 5.1)."""
    if isinstance(layers, dict):
        return "v2"
    return "v1+dropout" if any("dropout" in fields for fields in named.values()) else "v1"


def _fields(value: object, where: str) -> dict[str, Any]:
    """Return the dictionary, its keys as text."""
    if type(value) is not dict:
        raise CheckpointError(f"{where} must hold a dictionary, got {described(value)}")
    return {text(key, f"a key of {where}"): each for key, each in value.items()}


def _needed(fields: Mapping[str, Any], name: str, where: str) -> Any:
    if name not in fields:
        raise CheckpointError(f"{where} has no {name!r}")
    return fields[name]


def _quoted(name: str) -> str:
    return repr(shorten(name))


def _named_layers(layers: object) -> dict[str, dict[Any, Any]]:
    """Return the layers as the file has them, by name, in the net's order."""
    if type(layers) is dict:
        found = sorted(layers.values(), key=_identity)
    elif type(layers) is list:
        found = layers
    else:
        raise CheckpointError(f"layers must be a list or a dictionary, got {described(layers)}")
    named: dict[str, dict[Any, Any]] = {}
    for number, fields in enumerate(found):
        name = text(_needed(_fields(fields, f"layer {number}"), "name", f"layer {number}"), "a layer's name")
        if name in named:
            raise CheckpointError(f"there are two layers {_quoted(name)}")
        named[name] = fields
    if type(layers) is dict and {text_of(key) for key in layers} != set(named):
        raise CheckpointError("the keys of layers are not the layers' names")
    return named


def _identity(fields: object) -> int:
    """Return the number that gives a layer of v2 its place."""
    return integer(_needed(_fields(fields, "a layer"), "id", "a layer"), "the id of a layer")


def _layer(name: str, raw: dict[Any, Any], names: tuple[str, ...], freezer: Freezer) -> Layer:
    where = f"layer {_quoted(name)}"
    fields = _fields(raw, where)
    values = {key: freezer.freeze(value, f"{_quoted(key)} of {where}") for key, value in fields.items()}
    return Layer(
        name,
        text(_needed(values, "type", where), f"the type of {where}"),
        _inputs(values.get("inputs", ()), names, where),
        MappingProxyType(dict(sorted(values.items()))),
    )


def _inputs(inputs: Value, names: tuple[str, ...], where: str) -> tuple[str, ...]:
    """Return the names of the layers that one takes: v1 has their places in the list (section 5)."""
    if not isinstance(inputs, tuple):
        raise CheckpointError(f"the inputs of {where} must be a list, got {described(inputs)}")
    return tuple(_input(each, names, where) for each in inputs)


def _input(source: Value, names: tuple[str, ...], where: str) -> str:
    if type(source) is int and 0 <= source < len(names):
        return names[source]
    if isinstance(source, str) and source in names:
        return source
    raise CheckpointError(
        f"{where} has the input {described(source)}, which is none of the {len(names)} layers"
    )


def _history(value: object, name: str, freezer: Freezer) -> tuple[Outputs, ...]:
    """Return the entries of one history (section 3.1)."""
    if type(value) is not list:
        raise CheckpointError(f"{name} must be a list, got {described(value)}")
    return tuple(
        _outputs(freezer.freeze(entry, name), f"entry {number} of {shorten(name)}")
        for number, entry in enumerate(value)
    )


def _outputs(entry: Value, where: str) -> Outputs:
    if not isinstance(entry, tuple) or len(entry) != 2 or not isinstance(entry[0], Mapping):
        raise CheckpointError(f"{where} must be a pair of costs by name and a number of cases")
    costs = {name: _costs(values, where) for name, values in entry[0].items()}
    return Outputs(MappingProxyType(costs), integer(entry[1], f"the cases of {where}"))


def _costs(values: Value, where: str) -> tuple[float, ...]:
    if not isinstance(values, tuple) or not all(type(value) in (int, float) for value in values):
        raise CheckpointError(f"the costs of {where} must be lists of numbers")
    return tuple(map(float, values))  # type: ignore[arg-type]
