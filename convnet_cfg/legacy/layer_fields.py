"""The fields that the original programs kept of a layer, from the network (spec/checkpoints.md section 5).

What the two files say, or a parser worked out of them, is in `language.describe`. Here is the rest: how a
program kept its books of memory and devices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from convnet_cfg.language.cost_types import BinaryCrossEntropySpec, CostSpec
from convnet_cfg.language.derived import derived_values
from convnet_cfg.language.describe import original_values
from convnet_cfg.language.layer_types import BlurSpec, DataSpec, LayerSpec, NeuronSpec, SumSpec
from convnet_cfg.language.network import Layer, Network
from convnet_cfg.language.v2_types import (
    ChannelPoolSpec,
    ConcatSpec,
    CropSpec,
    DropoutSpec,
    InvertedDropoutSpec,
    PassSpec,
)
from convnet_cfg.language.weight_types import WeightSpec
from convnet_cfg.legacy.values import Array, Value

Fields = dict[str, Any]

OUTPUT_FILTER = "lambda sums, cases: [total / cases for total in sums]"
"""What cuda-convnet2 runs to report a cost: its sums over the cases as means."""

MADE_ELSEWHERE = frozenset({"weights", "biases", "filterConns"})
"""Fields of which `original_values` says no more than the size: what is in them, training made."""

_NOT_KEPT = {
    "v1": {"decay", "dropout", "weightSourceLayers"},
    "v1+dropout": {"decay", "weightSourceLayers"},
    "v2": {
        *("decay", "dropout", "weightSourceLayerIndices"),
        *("partialSum", "randSparse", "filterConns", "overSample"),
    },
}


def layer_fields(network: Network, program: str) -> dict[str, Mapping[str, Value]]:
    """Return the fields of each layer by name, in the program's order, but for `MADE_ELSEWHERE`.

    The network is one in the program's language.
    """
    layers = network.in_file_order()
    numbers = {layer.name: number for number, layer in enumerate(layers)}
    book = _Book(network, program, numbers)
    return {layer.name: book.fields(layer) for layer in layers}


class Uses(NamedTuple):
    """What a layer's gradient reads, and whether its output must have memory of its own."""

    acts: bool = True
    inputs: bool = True
    own_acts: bool = True


class _Book:
    """Knows the network whose layers are written down."""

    def __init__(self, network: Network, program: str, numbers: Mapping[str, int]) -> None:
        self.network = network
        self.program = program
        self.numbers = numbers

    def fields(self, layer: Layer) -> Mapping[str, Value]:
        """Return the fields of a layer."""
        values = original_values(layer, self.network, self.numbers)
        values |= self._memory(layer) | self._references(layer)
        values |= self._of_v2(layer) if self.program == "v2" else {"conserveMem": 0}
        values |= _of_base(_EXTRA, layer)(layer)
        left_out = _NOT_KEPT[self.program] | MADE_ELSEWHERE
        if values.get("pool") != "avg":
            left_out |= {"sum"}
        return MappingProxyType(
            {name: frozen(value) for name, value in sorted(values.items()) if name not in left_out}
        )

    def _memory(self, layer: Layer) -> Fields:
        uses = _of_base(_USES, layer)(layer)
        gradient, acts = self._shared_memory(layer)
        return {
            "requiresParams": type(layer.spec).params.required,
            "usesActs": uses.acts,
            "usesInputs": uses.inputs,
            "forceOwnActs": uses.own_acts,
            "actsGradTarget": gradient,
            "actsTarget": acts,
        }

    def _shared_memory(self, layer: Layer) -> tuple[int, int]:
        """Return the input whose memory a layer takes for its gradient, and that for its output; -1: none.

        That is an input of the same size that no other layer reads (spec/layers.md section 8); its output is
        overwritten if neither of the two layers needs it again.
        """
        uses = _of_base(_USES, layer)(layer)
        for number, name in enumerate(source.name for source in layer.inputs):
            source = self.network[name]
            if not uses.own_acts and self._is_alone(layer, source):
                kept = uses.inputs or _of_base(_USES, source)(source).acts
                return number, -1 if kept else number
        return -1, -1

    def _is_alone(self, layer: Layer, source: Layer) -> bool:
        """Return whether a layer is the one reader of an input of its size, on the same devices."""
        readings = [each.name for other in self.network.layers for each in other.inputs]
        return (
            not isinstance(source.spec, DataSpec)
            and source.output.size == layer.output.size
            and source.devices == layer.devices
            and readings.count(source.name) == 1
        )

    def _references(self, layer: Layer) -> Fields:
        """Inputs: v1 has their numbers, and refers to the layer that an activation belongs to."""
        if not layer.inputs:
            return {}
        names = [source.name for source in layer.inputs]
        if self.program == "v2":
            return {"inputs": names, "inputLayers": names}
        return {
            "inputs": [self.numbers[name] for name in names],
            "inputLayers": [self._owner(name) for name in names],
        }

    def _owner(self, name: str) -> str:
        source = self.network[name]
        return source.inputs[0].name if source.implicit else name

    def _of_v2(self, layer: Layer) -> Fields:
        values: Fields = {"id": self.numbers[layer.name]}
        if not isinstance(layer.spec, DataSpec):
            values["gpus"] = ", ".join(map(str, layer.devices))
        if layer.implicit:
            values["src_layer"] = layer.inputs[0].name
        if isinstance(layer.spec, CostSpec):
            values["aggregated"] = bool(layer.spec.children) or layer.name in self.network.child_costs
            values["outputFilter"] = OUTPUT_FILTER
        if isinstance(layer.spec, BinaryCrossEntropySpec):
            values["computeSoftmaxErrorRate"] = not values["aggregated"]
        if isinstance(layer.spec, WeightSpec):
            values |= {"superEps": 0.0, "superMom": 0.0, "wballNormed": _norms(layer)}
        return values


def frozen(value: Any) -> Value:
    """Return a value as `legacy.values` has it."""
    if isinstance(value, (list, tuple)):
        return tuple(map(frozen, value))
    if isinstance(value, dict):
        return MappingProxyType({name: frozen(item) for name, item in value.items()})
    return value


def _norms(layer: Layer) -> list[float]:
    rules = [matrix.rule for matrix in layer.matrices]
    return [rule.limits.norm if rule else 0.0 for rule in rules]


def _of_base(table: Mapping[type[LayerSpec], Any], layer: Layer) -> Any:
    """Return what a table has for the type of a layer, or the nearest one that it is derived from."""
    return next(table[base] for base in type(layer.spec).__mro__ if base in table)


def _all(_layer: Layer) -> Uses:
    return Uses()


def _neither(_layer: Layer) -> Uses:
    return Uses(acts=False, inputs=False, own_acts=False)


def _weights(_layer: Layer) -> Uses:
    return Uses(acts=False)


def _neuron(layer: Layer) -> Uses:
    described = _described_neuron(layer)
    return Uses(described["usesActs"], described["usesInputs"], own_acts=False)


# As in the checkpoints of the programs. Types that they do not have are given all memory: it is safe.
_USES: Mapping[type[LayerSpec], Callable[[Layer], Uses]] = {
    LayerSpec: _all,
    WeightSpec: _weights,
    SumSpec: _neither,
    InvertedDropoutSpec: _neither,
    DropoutSpec: _neither,
    NeuronSpec: _neuron,
}


def _described_neuron(layer: Layer) -> Mapping[str, bool]:
    described: Mapping[str, bool] = derived_values(layer)["neuron"]
    return described


def _nothing(_layer: Layer) -> Fields:
    return {}


def _offsets(layer: Layer) -> Fields:
    sizes = [source.output.size for source in layer.inputs]
    return {"copyOffsets": [sum(sizes[:number]) for number in range(len(sizes))]}


def _blur(layer: Layer) -> Fields:
    """Weights of a Gaussian that sum to one (spec/layers.md section 12)."""
    assert isinstance(layer.spec, BlurSpec)
    away = np.arange(layer.spec.size) - layer.spec.size // 2
    weights = np.exp(-(away**2) / (2 * layer.spec.deviation**2)).astype(np.float32)
    return {"filter": Array((weights / weights.sum()).reshape(1, -1))}


def _crop(layer: Layer) -> Fields:
    assert isinstance(layer.spec, CropSpec)
    return {"startY": layer.spec.row}


def _channel_pool(layer: Layer) -> Fields:
    assert isinstance(layer.spec, ChannelPoolSpec)
    return {"outputChannels": layer.spec.outputs}


# What single types have beside the rest.
_EXTRA: Mapping[type[LayerSpec], Callable[[Layer], Fields]] = {
    LayerSpec: _nothing,
    ConcatSpec: _offsets,
    PassSpec: _nothing,
    BlurSpec: _blur,
    CropSpec: _crop,
    ChannelPoolSpec: _channel_pool,
}
