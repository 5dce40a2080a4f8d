"""What an imported run keeps of its checkpoint, so that it can be written back: all but the weights.

`imported.json` holds the frozen `Checkpoint` by value: options, histories, and the fields of every layer with
their exact types. `imported.safetensors`, where there is need of it, holds the arrays that are no weights,
such as the `filter` of a blur. In place of each array of the fields `weights`, `weightsInc`, `biases` and
`biasesInc` there is None: `weights` of a layer with two inputs is (None, None), `biases` is None. Their
numbers are those of the run. Which matrices were one object is not said: the source indices say it. A run
that goes on in a new directory takes both files along, also if its layers are changed on the way: the
original, too, kept the fields of a convolution when it made a local layer of it (section 5.4).

JSON tells integers from floats, and both from truth values. A tuple is a list there; whatever JSON lacks is
an object with one key, the kind: `values` (a mapping), `number` (nan, inf, -inf), `expression`, `parser`,
`array`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from convnet_cfg.errors import CheckpointError
from convnet_cfg.legacy.values import (
    Array,
    Checkpoint,
    Expression,
    Layer,
    Option,
    OptionParser,
    Outputs,
    Value,
)
from convnet_cfg.legacy.writing import CONTAINERS, MODULES
from convnet_cfg.training.run_directory import KEPT

FORMAT = 1
FIELDS, ARRAYS = KEPT
WEIGHTS = ("weights", "weightsInc", "biases", "biasesInc")
_Arrays: TypeAlias = dict[int, tuple[str, np.ndarray]]  # by identity, each with a name


def write_kept(folder: Path, checkpoint: Checkpoint) -> None:
    """Write what a run keeps of a checkpoint into its folder.

    Raises:
        OSError: it cannot be written.
    """
    arrays: _Arrays = {}
    content = {
        "format": FORMAT,
        "path": str(checkpoint.path),
        "container": checkpoint.container,
        "program": checkpoint.program,
        "epoch": checkpoint.epoch,
        "batch": checkpoint.batch,
        "layers": [_layer(layer, arrays) for layer in checkpoint.layers],
        "options": [_option(option, arrays) for option in checkpoint.options.values()],
        "histories": {
            name: [
                [{cost: _plain(values, arrays) for cost, values in entry.costs.items()}, entry.cases]
                for entry in entries
            ]
            for name, entries in checkpoint.histories.items()
        },
        "others": {name: _plain(value, arrays) for name, value in checkpoint.others.items()},
    }
    (folder / FIELDS).write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")
    if arrays:
        (folder / ARRAYS).write_bytes(save({name: _storable(data) for name, data in arrays.values()}))


def read_kept(folder: Path) -> Checkpoint | None:
    """Return what a run keeps of the checkpoint that it was imported from, None for a run of our own.

    Weights are None, see above; all else is as `load_checkpoint` returned it.

    Raises:
        CheckpointError: the files are damaged.
    """
    path = folder / FIELDS
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise CheckpointError(f"{path} is not of this version of convnet-cfg")
        return _checkpoint(content, _Reader(_read_arrays(folder / ARRAYS)))
    except (OSError, SafetensorError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged: {type(error).__name__}: {error}") from None


# -- to JSON


def _storable(data: np.ndarray) -> np.ndarray:
    """Return an array as its file can hold it: in C order, in the byte order of this machine."""
    return np.array(data, data.dtype.newbyteorder("="), order="C")


def _layer(layer: Layer, arrays: _Arrays) -> dict[str, Any]:
    values = {
        name: _without_arrays(value) if name in WEIGHTS else _plain(value, arrays)
        for name, value in layer.values.items()
    }
    return {"name": layer.name, "type": layer.type, "inputs": list(layer.inputs), "values": values}


def _without_arrays(value: Value) -> Any:
    return [None] * len(value) if isinstance(value, tuple) else None


def _option(option: Option, arrays: _Arrays) -> dict[str, Any]:
    return {name: _plain(value, arrays) for name, value in vars(option).items()}


def _plain(value: Value, arrays: _Arrays) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {"number": repr(value)}
    if isinstance(value, tuple):
        return [_plain(item, arrays) for item in value]
    if isinstance(value, Mapping):
        return {"values": {name: _plain(item, arrays) for name, item in value.items()}}
    if isinstance(value, Expression):
        return {"expression": value.text}
    if isinstance(value, OptionParser):
        return {"parser": [value.name, list(value.items), value.separator]}
    return _kept_array(value, arrays) if isinstance(value, Array) else value


def _kept_array(array: Array, arrays: _Arrays) -> dict[str, Any]:
    """Return a mention of an array; one that is there twice has one name."""
    name, _ = arrays.setdefault(id(array), (str(len(arrays)), array.data))
    return {"array": [name, array.order]}


# -- from JSON


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    return load_file(path) if path.exists() else {}


class _Reader:
    """Makes frozen values of JSON."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.arrays = arrays
        self.made: dict[str, Array] = {}

    def value(self, plain: Any) -> Value:
        """Return the value that `_plain` wrote."""
        if isinstance(plain, list):
            return tuple(map(self.value, plain))
        if not isinstance(plain, dict):
            found: Value = plain
            return found
        ((kind, content),) = plain.items()
        return _KINDS[kind](self, content)

    def mapping(self, content: Any) -> Mapping[str, Value]:
        """Return a frozen mapping."""
        return MappingProxyType({name: self.value(item) for name, item in content.items()})

    def array(self, content: Any) -> Array:
        """Return an array, the same object where it is mentioned again."""
        name, order = content
        if name not in self.made:
            data = self.arrays[name]
            data = np.asfortranarray(data) if order == "Fortran" else data
            data.flags.writeable = False
            self.made[name] = Array(data)
        return self.made[name]


_KINDS: Mapping[str, Callable[[_Reader, Any], Value]] = {
    "number": lambda _reader, content: float(content),
    "values": _Reader.mapping,
    "expression": lambda _reader, content: Expression(content),
    "parser": lambda _reader, content: OptionParser(content[0], tuple(content[1]), content[2]),
    "array": _Reader.array,
}


def _checkpoint(content: Mapping[str, Any], reader: _Reader) -> Checkpoint:
    if content["container"] not in CONTAINERS or content["program"] not in MODULES:
        raise ValueError("no such container or program")
    if not all(type(content[name]) is int for name in ("epoch", "batch")):
        raise TypeError("epoch and batch must be integers")
    options = [
        Option(**{name: reader.value(value) for name, value in option.items()})  # type: ignore[arg-type]
        for option in content["options"]
    ]
    return Checkpoint(
        path=Path(content["path"]),
        container=content["container"],
        program=content["program"],
        epoch=content["epoch"],
        batch=content["batch"],
        layers=tuple(
            Layer(each["name"], each["type"], tuple(each["inputs"]), reader.mapping(each["values"]))
            for each in content["layers"]
        ),
        options=MappingProxyType({option.name: option for option in options}),
        histories=MappingProxyType(
            {
                name: tuple(_outputs(costs, cases, reader) for costs, cases in entries)
                for name, entries in content["histories"].items()
            }
        ),
        others=reader.mapping(content["others"]),
    )


def _outputs(costs: Mapping[str, Any], cases: int, reader: _Reader) -> Outputs:
    found = {name: tuple(map(float, reader.value(values))) for name, values in costs.items()}  # type: ignore
    return Outputs(MappingProxyType(found), cases)
