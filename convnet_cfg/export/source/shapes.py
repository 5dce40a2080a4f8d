"""The shapes of data of which only the sizes are known: an image is what a layer reads as one."""

from __future__ import annotations

from collections.abc import Iterator
from math import isqrt

from convnet_cfg.language.layer_types import DataSpec, ImageSpec
from convnet_cfg.language.network import Layer, Network
from convnet_cfg.language.weight_types import FilterSpec


def data_shapes(network: Network) -> list[tuple[int, ...]]:
    """Return the shape of one case of each data matrix: (side, side, channels), or (values,)."""
    channels = dict(_channels(network))
    return [_shape(size, channels.get(index)) for index, size in enumerate(network.data_dims)]


def _shape(size: int, channels: int | None) -> tuple[int, ...]:
    side = isqrt(size // channels) if channels else 0
    return (side, side, channels) if channels and side**2 * channels == size else (size,)


def _channels(network: Network) -> Iterator[tuple[int, int]]:
    """Yield data matrices with the channels that layers read of a whole one, the first layer last."""
    specs = {layer.name: layer.spec for layer in network.layers}
    known = {name: spec.data_index for name, spec in specs.items() if isinstance(spec, DataSpec)}
    for layer in reversed(network.layers):
        for number, source in enumerate(layer.inputs):
            index = known.get(source.name)
            if index is not None and source.output.size == network.data_dims[index]:
                yield from ((index, channels) for channels in _read(layer, number))


def _read(layer: Layer, number: int) -> Iterator[int]:
    """Yield the channels of the image that a layer reads of an input; none if it reads no image."""
    if isinstance(layer.spec, FilterSpec):
        yield layer.spec.channels[number]
    elif isinstance(layer.spec, ImageSpec):
        yield layer.spec.channels
