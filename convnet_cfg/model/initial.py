"""The first values of weights, and random sparsity: as the original drew them, from our own seed.

Weights are initW times standard normal numbers, biases are initB (spec: layers.md section 0.2). Every matrix
has a generator of its own, made from the seed and its place in the network, so that no layer's first values
depend on how many numbers another layer drew.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from convnet_cfg.errors import ConfigError, Problem
from convnet_cfg.language.fork_types import TransitionSpec
from convnet_cfg.language.kinds import FunctionCall
from convnet_cfg.language.layer_types import Image
from convnet_cfg.language.layout import bias_layout, kernel_layout
from convnet_cfg.language.network import Layer, Matrix, Network, Owned
from convnet_cfg.language.weight_types import FilterSpec

# The second word of each generator's seed: what it is for.
WEIGHTS, CONNECTIONS = 1, 2


@dataclass(frozen=True)
class InitFunctions:
    """The outside functions that the user allows a cfg file to call, by `module.function`."""

    allowed: frozenset[str] = frozenset()

    def call(self, layer: Layer, key: str, call: FunctionCall, *arguments: Any) -> Any:
        """Return what the function makes of its arguments and `params=`.

        Raises:
            ConfigError: the function is not allowed, not there, or fails.
        """
        if call.name not in self.allowed:
            raise _problem(
                layer,
                f"{key}={call.name} would run code from outside: "
                f"give --allow-init-func {call.name} if you trust it",
            )
        try:
            function = getattr(importlib.import_module(call.module), call.function)
            return function(*arguments, params=list(call.arguments))
        except Exception as error:
            # Whatever the user's own function raises is about that function, not about us.
            raise _problem(layer, f"{key}={call.name} failed: {type(error).__name__}: {error}") from error


def _problem(layer: Layer, message: str) -> ConfigError:
    return ConfigError([Problem(layer.place, layer.name, message)])


def initial_values(
    network: Network,
    seed: int,
    functions: InitFunctions,
    kernel_images: Mapping[tuple[str, int], Image | None],
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield name and first values, in our layout, of every weight matrix and bias.

    `kernel_images` says of which inputs of fully connected layers the values are images to us.

    Raises:
        ConfigError: an init function may not be called, or does not return what it should.
    """
    for owned in network.owned():
        if owned.input is None:
            yield owned.name, _first_bias(owned.layer, owned.matrix, functions)
        else:
            image = kernel_images.get((owned.layer.name, owned.input))
            yield owned.name, _first_kernel(owned, owned.input, seed, functions, image)


def _first_kernel(
    owned: Owned, index: int, seed: int, functions: InitFunctions, image: Image | None
) -> np.ndarray:
    layer, matrix = owned.layer, owned.matrix
    layout = kernel_layout(layer, index, image)
    if matrix.function is not None:
        made = functions.call(layer, "initWFunc", matrix.function, layer.name, index, tuple(matrix.shape))
        return layout.to_kernel(_checked(layer, "initWFunc", matrix, made))
    rng = np.random.default_rng([seed, WEIGHTS, owned.number, index])
    if isinstance(layer.spec, TransitionSpec):
        return _distributions(layer.spec, layout.shape, rng)
    return rng.standard_normal(layout.shape, dtype=np.float32) * np.float32(matrix.deviation)


def _distributions(spec: TransitionSpec, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return the matrix that the file gives, or one whose columns are random distributions."""
    if isinstance(spec.initial, tuple):
        return np.array(spec.initial, np.float32)
    if spec.initial == "identity":
        return np.eye(*shape, dtype=np.float32)
    drawn = rng.random(shape, dtype=np.float32)
    return drawn / drawn.sum(axis=0)


def _first_bias(layer: Layer, bias: Matrix, functions: InitFunctions) -> np.ndarray:
    layout = bias_layout(layer)
    if bias.function is not None:
        made = functions.call(layer, "initBFunc", bias.function, layer.name, tuple(bias.shape))
        return layout.to_kernel(_checked(layer, "initBFunc", bias, made))
    return np.full(layout.shape, bias.mean, np.float32)


def _checked(layer: Layer, key: str, matrix: Matrix, made: Any) -> np.ndarray:
    rows, columns = matrix.shape
    if not (isinstance(made, np.ndarray) and made.dtype == np.float32 and made.shape == (rows, columns)):
        got = f"{made.dtype} {made.shape}" if isinstance(made, np.ndarray) else type(made).__name__
        raise _problem(layer, f"{key} must return a float32 array of shape ({rows}, {columns}), got {got}")
    return made


def draw_connections(
    layer: Layer, index: int, number: int, seed: int, functions: InitFunctions
) -> tuple[int, ...] | None:
    """Return which channel each group sees, permutation after permutation; None without random sparsity.

    Source: cuda-convnet, spec layers.md section 4.1.

    Raises:
        ConfigError: initCFunc may not be called, or does not return permutations of the channels.
    """
    spec = layer.spec
    if not isinstance(spec, FilterSpec) or not spec.sparse[index]:
        return None
    channels, groups = spec.channels[index], spec.groups[index]
    if spec.connection_function is not None:
        geometry = (groups, channels, spec.filter_channels(index))
        made = functions.call(layer, "initCFunc", spec.connection_function, layer.name, index, geometry)
        return _checked_connections(layer, spec, index, made)
    rng = np.random.default_rng([seed, CONNECTIONS, number, index])
    return tuple(
        int(channel) for _ in range(spec.oversampling(index)) for channel in rng.permutation(channels)
    )


def _checked_connections(layer: Layer, spec: FilterSpec, index: int, made: Any) -> tuple[int, ...]:
    channels, times = spec.channels[index], spec.oversampling(index)
    drawn = np.array(made, object)
    whole = drawn.shape == (channels * times,) and all(isinstance(each, int | np.integer) for each in drawn)
    if not whole or (np.sort(drawn.reshape(times, channels)) != np.arange(channels)).any():
        raise _problem(
            layer,
            f"initCFunc must return {channels * times} channel numbers, "
            f"every {channels} of them a permutation of 0 to {channels - 1}",
        )
    return tuple(map(int, drawn))
