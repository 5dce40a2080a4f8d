"""Whether a network is the one of a checkpoint: every value that its layers have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from convnet_cfg.errors import shorten
from convnet_cfg.language import Network
from convnet_cfg.language.describe import describe
from convnet_cfg.legacy.values import Checkpoint
from convnet_cfg.legacy.wiring import Wiring

# What the original worked out for itself, or what is compared in another way or nowhere.
NOT_COMPARED = frozenset(
    ("gradConsumer", "filterConns", "initWFunc", "initBFunc", "initCFunc", "weightSource", "inputs")
    + ("weightSourceLayers", "weightSourceLayerIndices", "weightSourceMatrixIndices", "weights", "biases")
)
# Fields of the original that say nothing about what a layer computes (spec/checkpoints.md section 5.1), or
# nothing that others do not say.
BOOKKEEPING = frozenset(
    ("name", "type", "outputs", "requiresParams", "usesActs", "usesInputs", "forceOwnActs", "gradConsumer")
    + ("actsTarget", "actsGradTarget", "conserveMem", "id", "gpus", "numReplicas", "inputLayers", "src_layer")
    + ("numInputs", "inputs", "neuron", "weightsInc", "biasesInc", "wballNormed", "superEps", "superMom")
    + ("weightsPerFilter", "outputFilter", "aggregated", "computeSoftmaxErrorRate", "outputFilterFormatter")
    + ("copyOffsets", "filter", "quantF", "quantB", "partialSum", "sharedBiases", "initCFunc")
)


def differences(checkpoint: Checkpoint, network: Network) -> Iterator[str]:
    """Yield a line for each layer, field and shared matrix in which the two differ."""
    described = {layer["name"]: layer for layer in describe(network)["layers"]}
    wiring = Wiring({layer.name: layer for layer in checkpoint.layers})
    if wiring.layers.keys() != described.keys():
        strange = sorted(wiring.layers.keys() ^ described.keys())
        yield f"the layers are not the same: {', '.join(map(shorten, strange[:10]))}"
        return
    for layer in checkpoint.layers:
        ours = described[layer.name]
        if list(layer.inputs) != ours.get("inputs", []):
            yield f"layer {layer.name!r} reads {list(layer.inputs)}, not {ours.get('inputs', [])}"
        for name, value in layer.values.items():
            if name in ours and name not in _not_compared(ours) and not _same(ours[name], value):
                would = _short(ours[name])
                yield f"layer {layer.name!r} has {name}={_short(value)}, here it would be {would}"
        if "weightSourceLayers" in ours:
            theirs = [(ref.layer, ref.number) if ref else ("", -1) for ref in wiring.sources(layer)]
            if theirs != list(
                zip(ours["weightSourceLayers"], ours["weightSourceMatrixIndices"], strict=True)
            ):
                yield f"layer {layer.name!r} shares other matrices"


def _not_compared(ours: Mapping[str, Any]) -> frozenset[str]:
    """A cost of a fork may have outputs, which nobody can read."""
    return NOT_COMPARED if ours["outputs"] else NOT_COMPARED | {"outputs"}


def unread_fields(checkpoint: Checkpoint, network: Network) -> Iterator[str]:
    """Yield the fields of layers, as `conv1.flipWeights`, that nothing here has a use for."""
    described = {layer["name"]: layer for layer in describe(network)["layers"]}
    for layer in checkpoint.layers:
        known = described[layer.name].keys() | BOOKKEEPING
        yield from (f"{layer.name}.{name}" for name in layer.values if name not in known)


def _same(our: Any, their: Any) -> bool:
    """Compare exactly; one value for all inputs may stand for itself."""
    if isinstance(their, Mapping):
        return (
            isinstance(our, Mapping)
            and our.keys() == their.keys()
            and all(_same(our[name], their[name]) for name in our)
        )
    if isinstance(our, list) and isinstance(their, tuple):
        return len(our) == len(their) and all(map(_same, our, their))
    if isinstance(our, list) and len(our) == 1:
        return _same(our[0], their)
    return bool(our == their)


def _short(value: object) -> str:
    return shorten(str(list(value) if isinstance(value, tuple) else value))
