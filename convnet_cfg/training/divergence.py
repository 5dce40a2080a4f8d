"""What to say when a cost became NaN or infinite: the layer with the largest values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np

from convnet_cfg.model import BuiltNetwork


def describe_divergence(
    built: BuiltNetwork, totals: Sequence[np.ndarray], minibatches: Iterable[Sequence[Any]], training: bool
) -> str:
    """Return which costs are not finite, and which layer has the largest values.

    `totals` are the sums of each cost over the `minibatches`, each of these the matrices of the provider.
    """
    bad = [cost.name for cost, total in zip(built.costs, totals, strict=True) if not np.isfinite(total).all()]
    largest = _largest_values(built, minibatches, training)
    return (
        f"{', '.join(bad)} is not a finite number; {_worst(largest, built)}. "
        "Smaller learning rates or initial weights may help"
    )


def _largest_values(
    built: BuiltNetwork, minibatches: Iterable[Sequence[Any]], training: bool
) -> dict[str, float]:
    """Return the largest absolute output of each layer, NaN if there is one; the data come first."""
    names = [layer.name for layer in built.network.layers if layer.name in built.values]
    probe = keras.Model(built.model.inputs, [built.values[name].tensor for name in names])
    largest = dict.fromkeys(names, 0.0)
    for matrices in minibatches:
        values = probe([matrices[index] for index in built.data_indices], training=training)
        for name, value in zip(names, values, strict=True):
            largest[name] = float(np.maximum(largest[name], np.max(np.abs(np.asarray(value)))))
    return largest


def _worst(largest: dict[str, float], built: BuiltNetwork) -> str:
    """Name the first layer with a value that is not finite, or else the one with the largest value."""
    for name, value in largest.items():
        if not np.isfinite(value):
            return f"the largest values are in layer {name!r}: {value}"
    name = max(built.layers.keys() & largest.keys(), key=lambda layer: largest[layer])
    return f"the largest values are in layer {name!r}: up to {largest[name]:.3g}"
