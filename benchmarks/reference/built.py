"""What becomes of the layers of the pairs in docs/examples: Keras layers, and costs with what they report."""

from __future__ import annotations

import tempfile
from collections.abc import Container, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import keras

from convnet_cfg import nn
from convnet_cfg.language import load_network
from convnet_cfg.language.dialects import DIALECTS
from convnet_cfg.language.layer_types import LayerSpec
from convnet_cfg.language.network import Network
from convnet_cfg.model import BuiltNetwork, Cost, build

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
DATA_DIMS = (192, 1, 10)
SLICE = "a slice of the tensor"
REORDERING = (keras.layers.Permute, keras.layers.Reshape)
ONE_MORE_READER = "\n[reader{number}]\ntype=cost.sum2\ninputs={source}\n"


class Example(NamedTuple):
    """One layer of a pair: the text of its sections, and what was built of it."""

    dialect: str
    spec: type[LayerSpec]
    definition: str
    parameters: str
    parts: tuple[Any, ...]  # Keras layer classes, functions of costs, or words
    cost: Cost | None


def files(dialect: str) -> tuple[Path, Path]:
    """Return the pair of a dialect."""
    return EXAMPLES / f"{dialect}.cfg", EXAMPLES / f"{dialect}.params.cfg"


def load_example(dialect: str) -> Network:
    """Return the network of a dialect's pair."""
    return load_network(*files(dialect), data_dims=DATA_DIMS)


def examples() -> list[Example]:
    """Return every layer of every pair."""
    return [example for dialect in DIALECTS for example in _examples_of(dialect)]


def _examples_of(dialect: str) -> Iterator[Example]:
    network = load_example(dialect)
    built, shared = _built(network), _built(_with_more_readers(network))
    definitions, parameters = (_sections(file.read_text()) for file in files(dialect))
    alone, among_others = ({cost.name: cost for cost in each.costs} for each in (built, shared))
    for layer in network.layers:
        if not layer.implicit:
            cost = alone.get(layer.name)
            found = _functions(among_others[layer.name], cost) if cost else _layers(built, layer.name)
            texts = (definitions[layer.name], parameters.get(layer.name, ""))
            yield Example(dialect, type(layer.spec), *texts, tuple(found), cost)


def _built(network: Network) -> BuiltNetwork:
    keras.backend.clear_session()
    return build(network, [(dim,) for dim in DATA_DIMS[: len(network.data_dims)]])


def _with_more_readers(network: Network) -> Network:
    """Return the network of an example in which costs read nothing alone.

    Those that do may be computed together with the layer below.
    """
    read = dict.fromkeys(source for cost in network.costs for source in cost.spec.inputs)
    readers = [ONE_MORE_READER.format(number=number, source=source) for number, source in enumerate(read)]
    with tempfile.TemporaryDirectory() as folder:
        copies = [Path(folder) / file.name for file in files(network.dialect.name)]
        for copy, file in zip(copies, files(network.dialect.name), strict=True):
            copy.write_text(file.read_text())
        with copies[0].open("a") as definition:
            definition.writelines(readers)
        with copies[1].open("a") as parameters:
            parameters.writelines(f"\n[reader{number}]\ncoeff=1\n" for number in range(len(readers)))
        return load_network(*copies, data_dims=DATA_DIMS)


def _sections(text: str) -> dict[str, str]:
    """Return the text of each section by its name."""
    blocks = (block.strip() for block in text.split("\n\n"))
    return {block[1 : block.index("]")]: block for block in blocks if block.startswith("[")}


def _functions(*costs: Cost) -> Iterator[Any]:
    """Yield the functions of costs, and what makes something else of their sums than means."""
    yield from dict.fromkeys(
        cost.values.func if isinstance(cost.values, partial) else cost.values for cost in costs
    )
    if costs[0].summary is not None:
        yield costs[0].summary


def _layers(built: BuiltNetwork, name: str) -> Iterator[Any]:
    """Yield the classes of the Keras layers from a layer's inputs to its output, but those that reorder."""
    inputs = {id(built.values[source.name].tensor) for source in built.network[name].inputs}
    for operation in _operations(built.values[name].tensor, inputs):
        kind = type(operation) if isinstance(operation, keras.layers.Layer) else SLICE
        if kind not in REORDERING:
            yield kind


def _operations(tensor: Any, inputs: Container[int]) -> Iterator[Any]:
    """Yield what a tensor is computed by, the first operation first."""
    if id(tensor) not in inputs:
        operation, node, _ = tensor._keras_history
        for source in operation._inbound_nodes[node].input_tensors:
            yield from _operations(source, inputs)
        yield operation


def public_name(part: Any) -> str:
    """Return the name under which a class or function can be imported."""
    if part == SLICE:
        return SLICE
    if is_own(part):
        assert getattr(nn, part.__name__) is part, part
        return f"`convnet_cfg.nn.{part.__name__}`"
    assert getattr(keras.layers, part.__name__) is part, part
    return f"`keras.layers.{part.__name__}`"


def is_own(part: Any) -> bool:
    """Return whether a class or function is one of ours."""
    return part != SLICE and part.__module__.startswith("convnet_cfg")
