"""What a data provider delivers, checked: a provider of the user's own may make any mistake.

Checked are arrays of numbers with as many cases each, and labels that are class numbers. What a provider's
own `prepare_training` or `prepare_test` makes of the arrays cannot be checked here. Where it has one, an
array of whole numbers, one a case, that stands where the network has its labels is taken for them; labels in
any other form, or made of other arrays, are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from convnet_cfg.data import DataProvider
from convnet_cfg.data.provider import Arrays
from convnet_cfg.errors import ConvnetError, DataError
from convnet_cfg.language import Network
from convnet_cfg.language.layer_types import DataSpec


def deliver_training(
    network: Network, provider: DataProvider, number: int, rng: np.random.Generator
) -> Arrays:
    """Return one batch for training, checked.

    Raises:
        DataError: it cannot be had, or is not what it should be.
    """
    plain = type(provider).prepare_training is DataProvider.prepare_training
    return _checked(network, provider, number, plain, lambda: provider.training_arrays(number, rng))


def deliver_test(network: Network, provider: DataProvider, number: int) -> Arrays:
    """Return one batch for testing, checked.

    Raises:
        DataError: it cannot be had, or is not what it should be.
    """
    plain = type(provider).prepare_test is DataProvider.prepare_test
    return _checked(network, provider, number, plain, lambda: provider.test_arrays(number))


def _checked(
    network: Network, provider: DataProvider, number: int, plain: bool, deliver: Callable[[], Arrays]
) -> Arrays:
    """Return what is delivered; `plain`: a cast and a reshape make it the network's matrices."""
    where = f"data provider {provider.name}: batch {number}"
    try:
        arrays = deliver()
    except ConvnetError:
        raise
    except Exception as error:
        if _is_ours(provider):
            raise
        raise DataError(f"{where} cannot be had: {type(error).__name__}: {error}") from error
    _check_arrays(where, arrays)
    if plain:
        _check_shapes(provider, where, arrays)
    for index in _label_matrices(network):
        if plain or (index < len(arrays) and _may_be_labels(arrays[index])):
            _check_labels(network.least_label, provider.num_classes, where, arrays[index])
    return arrays


def _is_ours(provider: DataProvider) -> bool:
    """Return whether a fault of the provider is one of this program."""
    return type(provider).__module__.split(".")[0] == __name__.split(".")[0]


def _check_arrays(where: str, arrays: Any) -> None:
    if not isinstance(arrays, (tuple, list)) or not arrays:
        raise DataError(f"{where} must be arrays, got {type(arrays).__name__}")
    for array in arrays:
        if not isinstance(array, np.ndarray) or array.ndim == 0 or array.dtype.kind not in "buif":
            raise DataError(f"{where} must be arrays of numbers, got {_description(array)}")
    if len({len(array) for array in arrays}) > 1 or not len(arrays[0]):
        counts = " and ".join(str(len(array)) for array in arrays)
        raise DataError(f"{where} must have as many cases in each array, got {counts}")


def _check_shapes(provider: DataProvider, where: str, arrays: Any) -> None:
    if len(arrays) != len(provider.shapes):
        raise DataError(f"{where} has {len(arrays)} arrays, expected {len(provider.shapes)}")
    for array, shape in zip(arrays, provider.shapes, strict=True):
        if array.size != len(array) * int(np.prod(shape)):
            raise DataError(f"{where}: an array has shape {array.shape}, expected ({len(array)}, *{shape})")


def _may_be_labels(array: np.ndarray) -> bool:
    return array.dtype.kind in "ui" and array.size == len(array)


def _check_labels(least: int, classes: int, where: str, labels: np.ndarray) -> None:
    bad = ~((labels >= least) & (labels < classes)).reshape(len(labels), -1).all(axis=1)
    if bad.any():
        case = int(bad.argmax())
        raise DataError(
            f"{where}: the label of case {case} is {labels[case]!s:.40}, "
            f"expected a whole number from {least} to {classes - 1}"
        )


def _label_matrices(network: Network) -> set[int]:
    """Return which of the provider's matrices are labels of a cost."""
    specs = (network[name].spec for name in network.labels)
    return {spec.data_index for spec in specs if isinstance(spec, DataSpec)}


def _description(value: Any) -> str:
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
