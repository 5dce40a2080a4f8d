"""What training changes: weights, velocities, what is gathered, the states of dropout; by their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from convnet_cfg.errors import CheckpointError
from convnet_cfg.model import BuiltNetwork
from convnet_cfg.optim import GroupedOptimizer
from convnet_cfg.training.checkpoints import VELOCITY

# The last words of the names of what is gathered for an update.
GATHERED = ("gathered", "gathered_steps")
STATE = "/state"  # ends the names of the states of dropout


def state_arrays(built: BuiltNetwork) -> dict[str, np.ndarray]:
    """Return everything that training changes, by the names of the checkpoint."""
    return {name: variable.numpy() for name, variable in _variables(built).items()}


def restore_state(built: BuiltNetwork, arrays: Mapping[str, np.ndarray]) -> None:
    """Take weights, velocities and the states of generators from a checkpoint.

    The parameter file may have given dropout to a layer since, or taken it away: a state that is not
    there begins anew, and one without a layer is left.

    Raises:
        CheckpointError: the checkpoint is not of this network.
    """
    variables = {
        name: variable
        for name, variable in _variables(built).items()
        if name in arrays or name not in built.dropouts
    }
    arrays = _as_gathered_now(arrays, variables)
    there = {name for name in arrays if name in variables or not name.endswith(STATE)}
    if there != set(variables):
        missing, other = set(variables) - there, there - set(variables)
        raise CheckpointError(
            f"the checkpoint is not of this network: it lacks {sorted(missing)}, and has {sorted(other)}"
        )
    for name, variable in variables.items():
        if tuple(variable.shape) != arrays[name].shape:
            raise CheckpointError(
                f"the checkpoint is not of this network: {name} has shape {arrays[name].shape}, "
                f"expected {tuple(variable.shape)}"
            )
        variable.assign(arrays[name])


def state_counters(built: BuiltNetwork) -> dict[str, Any]:
    """Return what belongs to the state and is no array: connections of random sparsity, base rates."""
    optimizer = _optimizer(built)
    return {
        "connections": {name: list(chosen) for name, chosen in built.connections.items()},
        "base_rates": {name: group.base_learning_rate for name, group in optimizer.groups.items()},
    }


def _optimizer(built: BuiltNetwork) -> GroupedOptimizer:
    assert built.optimizer is not None, "a network without parameters cannot be trained"
    return built.optimizer


def _variables(built: BuiltNetwork) -> dict[str, Any]:
    optimizer, weights = _optimizer(built), built.variables
    velocities = {f"{name}{VELOCITY}": optimizer.velocity(weight) for name, weight in weights.items()}
    return {**weights, **velocities, **_gathered(built), **built.dropouts}


def _gathered(built: BuiltNetwork) -> dict[str, Any]:
    """Return what is gathered of the gradients of several minibatches for one update."""
    optimizer = _optimizer(built)
    found = {name: optimizer.gathering(weight) for name, weight in built.variables.items()}
    return {
        f"{name}/{what}": part
        for name, gathering in found.items()
        if gathering is not None
        for what, part in zip(GATHERED, (gathering.total, gathering.count), strict=True)
    }


def _as_gathered_now(arrays: Mapping[str, np.ndarray], variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the arrays with nothing gathered for matrices whose period of updates is new or gone."""
    kept = {name: array for name, array in arrays.items() if not _is_gathered(name)}
    gathered = filter(_is_gathered, variables)
    return {**kept, **{name: arrays.get(name, np.asarray(variables[name])) for name in gathered}}


def _is_gathered(name: str) -> bool:
    return name.rpartition("/")[2] in GATHERED
