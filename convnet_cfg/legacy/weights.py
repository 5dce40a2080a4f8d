"""The matrices of a checkpoint as the weights and velocities of a network of ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from convnet_cfg.language.layout import Images, layout_of
from convnet_cfg.language.network import Layer as NetworkLayer
from convnet_cfg.language.network import Matrix, Network
from convnet_cfg.language.weight_types import FilterSpec
from convnet_cfg.legacy.refusing import refuse
from convnet_cfg.legacy.values import Array, Checkpoint, Layer, Value
from convnet_cfg.training.checkpoints import VELOCITY

Connections = dict[str, list[list[int] | None]]


class Field(NamedTuple):
    """The fields of a matrix and its velocity, and its number there; None for the bias."""

    weights: str
    velocities: str
    number: int | None

    def words(self, layer: str, field: str) -> str:
        """Return what messages call a matrix: `conv1.weights[0]`."""
        return f"{layer}.{field}" + (f"[{self.number}]" if self.number is not None else "")


def field_of(number: int | None) -> Field:
    """Return where the matrix of an input is, or the bias (None)."""
    return Field("biases", "biasesInc", None) if number is None else Field("weights", "weightsInc", number)


def check_matrices(checkpoint: Checkpoint, network: Network) -> None:
    """Check that every matrix of a network is there, and as it should be.

    Raises:
        CheckpointError: some lack, are of another shape or type, hold numbers that are not finite, or differ
            from the matrix that they are shared with; all of them.
    """
    layers = {layer.name: layer for layer in checkpoint.layers}
    problems = [
        problem
        for layer in network.layers
        for number, matrix in matrices(layer)
        for problem in _problems(layers, layer.name, field_of(number), matrix)
    ]
    refuse(problems, "the weights do not fit the network of the checkpoint")


def matrices(layer: NetworkLayer) -> Iterator[tuple[int | None, Matrix]]:
    """Yield the matrices of a layer by number, and its bias (None)."""
    yield from enumerate(layer.matrices)
    if layer.bias is not None:
        yield None, layer.bias


def _problems(layers: Mapping[str, Layer], name: str, field: Field, matrix: Matrix) -> Iterator[str]:
    for key in (field.weights, field.velocities):
        found = _array(layers[name], key, field.number)
        words = field.words(name, key)
        problem = _misfit(found, tuple(matrix.shape))
        if problem:
            yield f"{words} {problem}"
        elif matrix.source is not None:
            owner = field_of(None if matrix.source.number < 0 else matrix.source.number)
            theirs = _array(layers[matrix.source.layer], key, owner.number)
            if not _is_same(found, theirs):
                yield f"{words} is shared with {owner.words(matrix.source.layer, key)}, but differs from it"


def _is_same(one: Array | None, other: Array | None) -> bool:
    if one is None or other is None:
        return False
    return one is other or np.array_equal(one.data, other.data)


def _misfit(array: Array | None, shape: tuple[int, ...]) -> str | None:
    if array is None:
        return "is not there"
    if array.data.dtype.type is not np.float32:
        return f"is of {array.data.dtype.name}: expected float32"
    if array.data.shape != shape:
        return f"is {_words(array.data.shape)}: expected {_words(shape)}"
    wrong = array.data.size - int(np.isfinite(array.data).sum())
    return f"has {wrong} numbers that are not finite" if wrong else None


def _words(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single number"


def _array(layer: Layer, field: str, number: int | None) -> Array | None:
    value: Value = layer.values.get(field)
    if number is not None:
        value = value[number] if isinstance(value, tuple) and number < len(value) else None
    return value if isinstance(value, Array) else None


def state_of(checkpoint: Checkpoint, network: Network, images: Images) -> dict[str, np.ndarray]:
    """Return weights and velocities by the names of our checkpoints, in our order.

    `images` says of which inputs of fully connected layers the values are images to us; the matrices were
    checked.
    """
    layers = {layer.name: layer for layer in checkpoint.layers}
    found: dict[str, np.ndarray] = {}
    for owned in network.owned():
        layer, field = layers[owned.layer.name], field_of(owned.input)
        layout = layout_of(owned.layer, owned.input, images)
        for name, key in ((owned.name, field.weights), (f"{owned.name}{VELOCITY}", field.velocities)):
            array = _array(layer, key, field.number)
            assert array is not None
            found[name] = layout.to_kernel(array.data.astype("=f4"))
    return found


def connections_of(checkpoint: Checkpoint, network: Network) -> Connections:
    """Return which channels the groups of random sparsity see, by layer and input, as our counters have it.

    Raises:
        CheckpointError: they are not there, or are no permutations of the channels.
    """
    problems: list[str] = []
    layers = {layer.name: layer for layer in checkpoint.layers}
    found = {
        layer.name: [
            _connections(layers[layer.name], layer.spec, index, problems)
            for index in range(len(layer.inputs))
        ]
        for layer in network.layers
        if isinstance(layer.spec, FilterSpec)
    }
    for layer in network.layers:
        for index, matrix in enumerate(layer.matrices if layer.name in found else ()):
            if matrix.source and found[layer.name][index] != found[matrix.source.layer][matrix.source.number]:
                problems.append(f"{layer.name}.filterConns[{index}] is not that of {matrix.source.words}")
    refuse(problems, "the random sparsity of the checkpoint is damaged")
    return found


def _connections(layer: Layer, spec: FilterSpec, index: int, problems: list[str]) -> list[int] | None:
    if not spec.sparse[index]:
        return None
    value: Any = layer.values.get("filterConns")
    value = value[index] if isinstance(value, tuple) and index < len(value) else None
    times, channels = spec.oversampling(index), spec.channels[index]
    whole = isinstance(value, tuple) and all(type(each) is int for each in value)
    drawn = (
        [value[start : start + channels] for start in range(0, times * channels, channels)] if whole else []
    )
    if (
        not whole
        or len(value) != times * channels
        or any(set(each) != set(range(channels)) for each in drawn)
    ):
        problems.append(
            f"{layer.name}.filterConns[{index}] must be {times * channels} channel numbers, "
            f"every {channels} of them a permutation of 0 to {channels - 1}"
        )
        return None
    return list(value)
