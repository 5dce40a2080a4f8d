"""What a data provider delivers, checked: a provider of the user's own may make any mistake."""

from __future__ import annotations

from typing import Any

import numpy as np

from convnet_cfg.data import DataProvider
from convnet_cfg.errors import DataError
from convnet_cfg.language import Network
from convnet_cfg.language.layer_types import DataSpec, LogregSpec


def check_arrays(network: Network, provider: DataProvider, number: int, arrays: Any) -> None:
    """Check one batch: arrays of numbers with as many cases each, and labels that are class numbers.

    Raises:
        DataError: it is not so.
    """
    where = f"data provider {provider.name}: batch {number}"
    if not isinstance(arrays, (tuple, list)) or not arrays:
        raise DataError(f"{where} must be arrays, got {type(arrays).__name__}")
    for array in arrays:
        if not isinstance(array, np.ndarray) or array.ndim == 0 or array.dtype.kind not in "buif":
            raise DataError(f"{where} must be arrays of numbers, got {_description(array)}")
    if len({len(array) for array in arrays}) > 1 or not len(arrays[0]):
        counts = " and ".join(str(len(array)) for array in arrays)
        raise DataError(f"{where} must have as many cases in each array, got {counts}")
    if type(provider).prepare_training is DataProvider.prepare_training:
        _check_plain(network, provider, where, arrays)


def _check_plain(network: Network, provider: DataProvider, where: str, arrays: Any) -> None:
    """Check arrays that become the network's matrices by a cast and a reshape."""
    if len(arrays) != len(provider.shapes):
        raise DataError(f"{where} has {len(arrays)} arrays, expected {len(provider.shapes)}")
    for array, shape in zip(arrays, provider.shapes, strict=True):
        if array.size != len(array) * int(np.prod(shape)):
            raise DataError(f"{where}: an array has shape {array.shape}, expected ({len(array)}, *{shape})")
    for index in _label_matrices(network):
        labels = arrays[index]
        bad = ~((labels >= 0) & (labels < provider.num_classes)).reshape(len(labels), -1).all(axis=1)
        if bad.any():
            case = int(bad.argmax())
            raise DataError(
                f"{where}: the label of case {case} is {labels[case]!s:.40}, "
                f"expected a whole number from 0 to {provider.num_classes - 1}"
            )


def _label_matrices(network: Network) -> set[int]:
    """Return which of the provider's matrices are labels of a cost."""
    labels = (layer.inputs[0].name for layer in network.layers if isinstance(layer.spec, LogregSpec))
    specs = (network[name].spec for name in labels)
    return {spec.data_index for spec in specs if isinstance(spec, DataSpec)}


def _description(value: Any) -> str:
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
