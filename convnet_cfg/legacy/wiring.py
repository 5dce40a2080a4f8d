"""How the layers of a checkpoint hang together: activations of keys, shared matrices, an order for files."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from convnet_cfg.errors import CheckpointError
from convnet_cfg.language.kinds import SourceRef
from convnet_cfg.legacy.values import Layer, Value

Sources = tuple[SourceRef | None, ...]


@dataclass(frozen=True)
class Wiring:
    """The layers of a checkpoint by name, in its order."""

    layers: Mapping[str, Layer]

    @cached_property
    def owners(self) -> Mapping[str, str]:
        """The layer that an activation was split off from, by the activation's name."""
        return {
            layer.name: layer.inputs[0]
            for layer in self.layers.values()
            if layer.type == "neuron" and len(layer.inputs) == 1 and self._asks(layer.inputs[0])
        }

    def _asks(self, name: str) -> bool:
        neuron = self.layers[name].values.get("neuron")
        return isinstance(neuron, str) and neuron != ""

    @cached_property
    def activations(self) -> Mapping[str, list[Layer]]:
        """The activation that the key of a layer made, by the layer's name."""
        found: dict[str, list[Layer]] = {}
        for name, owner in self.owners.items():
            found.setdefault(owner, []).append(self.layers[name])
        return found

    def inputs(self, layer: Layer) -> tuple[str, ...]:
        """Return the inputs of a layer as a file names them."""
        return tuple(self.owners.get(name, name) for name in layer.inputs)

    def sources(self, layer: Layer) -> Sources:
        """Return the owners of a layer's matrices, None for its own.

        The text in `weightSource` is not asked: it stays when a matrix is no longer shared (section 5.4).

        Raises:
            CheckpointError: they are not there, or not one for each matrix.
        """
        values = layer.values
        owners = values.get("weightSourceLayers", values.get("weightSourceLayerIndices", ()))
        numbers = values.get("weightSourceMatrixIndices", ())
        if not isinstance(owners, tuple) or not isinstance(numbers, tuple) or len(owners) != len(numbers):
            raise CheckpointError(f"layer {layer.name!r} does not say where its matrices are from")
        if not owners:
            return (None,) * len(layer.inputs)
        return tuple(self._source(layer, *each) for each in zip(owners, numbers, strict=True))

    def _source(self, layer: Layer, owner: Value, number: Value) -> SourceRef | None:
        if owner in ("", -1):
            return None
        name = self._by_name_and_place.get(owner) if isinstance(owner, str | int) else None
        if name is None or type(number) is not int or number < 0:
            raise CheckpointError(f"layer {layer.name!r} has a matrix of a layer that is not there")
        return SourceRef(name, number)

    @cached_property
    def _by_name_and_place(self) -> Mapping[str | int, str]:
        """The names of the layers, also by their place: the first program counts them."""
        return {name: name for name in self.layers} | dict(enumerate(self.layers))


def ordered(needs: Mapping[str, Iterable[str]]) -> tuple[list[str], list[str]]:
    """Return names so that each stands behind those it needs, else as they are; and those in a circle."""
    waits = {name: set(needed) for name, needed in needs.items()}
    readers: dict[str, list[str]] = {}
    for name, needed in waits.items():
        for each in needed:
            readers.setdefault(each, []).append(name)
    names = list(waits)
    places = {name: place for place, name in enumerate(names)}
    ready = [places[name] for name, needed in waits.items() if not needed]
    found: list[str] = []
    while ready:
        done = names[heapq.heappop(ready)]
        found.append(done)
        for name in readers.get(done, ()):
            waits[name].discard(done)
            if not waits[name]:
                heapq.heappush(ready, places[name])
    return found, [name for name in names if waits[name]]
