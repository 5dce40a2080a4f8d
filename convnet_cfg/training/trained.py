"""A run with its network as it was trained up to a checkpoint, away from its data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from convnet_cfg.extend import load_extensions
from convnet_cfg.language import Network
from convnet_cfg.training.building import build_network, read_network, recorded_form
from convnet_cfg.training.checkpoints import read_checkpoint
from convnet_cfg.training.options import Options
from convnet_cfg.training.position import Position
from convnet_cfg.training.record import DataForm, check_layers
from convnet_cfg.training.run_directory import RunDirectory
from convnet_cfg.training.setup import locate, modules_of

if TYPE_CHECKING:
    from convnet_cfg.model import BuiltNetwork


class StoredRun(NamedTuple):
    """A run and one of its checkpoints, read and checked; nothing is built."""

    run: RunDirectory
    checkpoint: Path
    arrays: Mapping[str, np.ndarray]
    counters: Mapping[str, Any]
    record: dict[str, Any]
    options: Options
    form: DataForm
    network: Network


@dataclass(frozen=True)
class Trained:
    """A run, read up to one of its checkpoints: `built` has the weights, the velocities and the rates."""

    run: RunDirectory
    checkpoint: Path
    record: Mapping[str, Any]
    options: Options
    form: DataForm
    built: BuiltNetwork
    counters: Mapping[str, Any]

    @property
    def position(self) -> Position:
        """Where the training stands."""
        return Position(*self.counters["position"])


def read_run(path: Path) -> StoredRun:
    """Read a run, with its newest checkpoint or the given checkpoint file, without its data.

    Raises:
        CheckpointError: there is no checkpoint, or something of the run is damaged.
        UsageError, ConfigError: as `prepare`.
        DataError: a run of an earlier version did not record the form of its data, and they are not there.
    """
    run, checkpoint = locate(path)
    arrays, counters = read_checkpoint(checkpoint)
    record = run.read_record()
    check_layers(run, record)
    options = Options.from_json(record["options"])
    with modules_of(path):
        load_extensions(options.extensions)
        form = recorded_form(record, options)
        network = read_network(run.layers, run.params, form, options)
    return StoredRun(run, checkpoint, arrays, counters, record, options, form, network)


def load_trained(path: Path) -> Trained:
    """Load a run as `read_run`, and build its network. Nothing in its directory is changed.

    Raises:
        CheckpointError: as `read_run`, or the checkpoint does not fit the network.
        UsageError, ConfigError, DataError: as `read_run`.
    """
    from convnet_cfg.training.state import restore_state

    run, checkpoint, arrays, counters, record, options, form, network = read_run(path)
    with modules_of(path):
        built = build_network(network, form.shapes, options, counters)
    restore_state(built, arrays)
    return Trained(run, checkpoint, record, options, form, built, counters)
