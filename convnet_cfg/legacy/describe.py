"""What a checkpoint holds, as plain values for JSON, and the statistics of its arrays."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

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

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Statistics:
    """The finite values of an array, None if it has none; and how many values are not finite."""

    minimum: float | None
    maximum: float | None
    mean: float | None
    deviation: float | None
    not_finite: int


def statistics(array: Array) -> Statistics:
    """Return least, greatest and mean value and the standard deviation, computed in double precision."""
    with np.errstate(all="ignore"):  # values of a damaged file can be anything
        return _statistics(array)


def _statistics(array: Array) -> Statistics:
    count = sum(part.size for part in _finite(array))
    not_finite = array.data.size - count
    if not count:
        return Statistics(None, None, None, None, not_finite)
    mean = sum(float(part.sum()) for part in _finite(array)) / count
    squares = sum(float(np.square(part - mean).sum()) for part in _finite(array))
    return Statistics(
        min(float(part.min()) for part in _finite(array) if part.size),
        max(float(part.max()) for part in _finite(array) if part.size),
        mean,
        math.sqrt(squares / count),
        not_finite,
    )


def _finite(array: Array) -> Iterator[np.ndarray]:
    """Yield the finite values, as doubles, in parts that take little memory."""
    flat = array.data.ravel(order="K")
    for start in range(0, flat.size, _CHUNK):
        part = flat[start : start + _CHUNK].astype(np.float64)
        yield part[np.isfinite(part)]


def describe(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return everything but the arrays' values, as JSON has it; a number that JSON lacks is text."""
    places = owners(checkpoint.layers)
    return {
        "path": str(checkpoint.path),
        "container": checkpoint.container,
        "program": checkpoint.program,
        "epoch": checkpoint.epoch,
        "batch": checkpoint.batch,
        "options": {name: _option(option) for name, option in checkpoint.options.items()},
        "layers": [_layer(layer, places) for layer in checkpoint.layers],
        "outputs_are_means": checkpoint.outputs_are_means,
        "histories": {
            name: [_outputs(entry) for entry in entries] for name, entries in checkpoint.histories.items()
        },
        "others": {name: plain(value) for name, value in checkpoint.others.items()},
    }


def owners(layers: Sequence[Layer]) -> Mapping[int, str]:
    """Return the first place of each array, as `conv1.weights[0]`, by the array's identity."""
    found: dict[int, str] = {}
    for layer in layers:
        for name, array in layer.arrays.items():
            found.setdefault(id(array), f"{layer.name}.{name}")
    return found


def plain(value: Value) -> Any:
    """Return a value as JSON has it: an array is described, an expression is text in an object."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, Array):
        return _array(value)
    if isinstance(value, Expression):
        return {"expression": value.text}
    return str(value) if isinstance(value, OptionParser) else value


def _array(array: Array) -> dict[str, Any]:
    found = {name: plain(value) for name, value in asdict(statistics(array)).items()}
    return {
        "shape": list(array.data.shape),
        "dtype": array.data.dtype.name,
        "order": array.order,
        **found,
    }


def _layer(layer: Layer, places: Mapping[int, str]) -> dict[str, Any]:
    arrays = layer.arrays
    fields = {name.partition("[")[0] for name in arrays}
    return {
        "name": layer.name,
        "type": layer.type,
        "inputs": list(layer.inputs),
        "values": {name: plain(value) for name, value in layer.values.items() if name not in fields},
        "arrays": {
            name: _array(array) | _sharing(f"{layer.name}.{name}", places[id(array)])
            for name, array in arrays.items()
        },
    }


def _sharing(place: str, owner: str) -> dict[str, str]:
    return {} if place == owner else {"shared_with": owner}


def _option(option: Option) -> dict[str, Any]:
    return {
        "letter": option.letter,
        "value": plain(option.value),
        "given": option.given,
        "default": plain(option.default),
        "set_once": option.set_once,
        "parser": str(option.parser),
        **{name: plain(value) for name, value in option.others.items()},
    }


def _outputs(outputs: Outputs) -> dict[str, Any]:
    return {"costs": {name: plain(costs) for name, costs in outputs.costs.items()}, "cases": outputs.cases}
