"""What to say when a cost became NaN or infinite: which batch, and the layer with the largest values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from convnet_cfg.data import DataProvider
from convnet_cfg.errors import DivergedError
from convnet_cfg.model import BuiltNetwork
from convnet_cfg.training.steps import Part, Steps


def explain_divergence(
    built: BuiltNetwork,
    provider: DataProvider,
    steps: Steps,
    arrays: Sequence[Any],
    part: Part,
    epoch: int,
    batch: int,
) -> DivergedError:
    """Return the error for a minibatch whose cost is not finite; the weights are those from before it."""
    minibatch = part.next - 1
    begin = minibatch * steps.minibatch
    slices = [array[begin : begin + steps.minibatch] for array in arrays]
    matrices = provider.prepare_training(slices)
    names = [name for name in built.values if name in built.layers]
    outputs = [built.values[name].tensor for name in names]
    probe = keras.Model(built.model.inputs, outputs)
    values = probe([matrices[index] for index in built.data_indices], training=True)
    largest = {
        name: float(np.max(np.abs(np.asarray(value))))
        for name, value in zip(names, _listed(values), strict=True)
    }
    bad = [
        cost.name
        for cost, total in zip(built.costs, part.totals, strict=True)
        if not np.isfinite(total).all()
    ]
    return DivergedError(
        f"batch {epoch}.{batch}, minibatch {minibatch + 1}: {', '.join(bad)} is not a finite number; "
        f"{_worst(largest)}. Smaller learning rates or initial weights may help"
    )


def _worst(largest: dict[str, float]) -> str:
    """Name the first layer with a value that is not finite, or else the one with the largest value."""
    for name, value in largest.items():
        if not np.isfinite(value):
            return f"the largest values are in layer {name!r}: {value}"
    name = max(largest, key=lambda layer: largest[layer])
    return f"the largest values are in layer {name!r}: up to {largest[name]:.3g}"


def _listed(values: Any) -> list[Any]:
    return list(values) if isinstance(values, (list, tuple)) else [values]
