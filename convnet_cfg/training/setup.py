"""Begins a run, goes on with one, or opens one for tests.

Each comes in two steps: `prepare` and `prepare_again` read and check everything; `begin`, `go_on` and
`reopen` build the network, and only they import TensorFlow.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convnet_cfg.data import DataProvider, directory_on_path
from convnet_cfg.errors import CheckpointError
from convnet_cfg.extend import load_extensions
from convnet_cfg.language import Network
from convnet_cfg.training.building import (
    build_network,
    check_form,
    form_of,
    open_checked_provider,
    read_network,
)
from convnet_cfg.training.checkpoints import (
    SUFFIX,
    checkpoint_path,
    checkpoints,
    explaining_failure,
    read_checkpoint,
)
from convnet_cfg.training.observer import Observer
from convnet_cfg.training.options import Options
from convnet_cfg.training.position import Position
from convnet_cfg.training.record import (
    DataForm,
    check_layers,
    current_params,
    first_record,
    read_file,
    record_changes,
)
from convnet_cfg.training.run_directory import KEPT, LOG, PARAMS, RunDirectory, branch_of

if TYPE_CHECKING:
    from convnet_cfg.model import BuiltNetwork
    from convnet_cfg.training.session import Session

__all__ = [
    "Prepared",
    "PreparedAgain",
    "begin",
    "go_on",
    "locate",
    "modules_of",
    "prepare",
    "prepare_again",
    "reopen",
]


@dataclass(frozen=True)
class Prepared:
    """A network that fits its data, checked, before anything slow is imported."""

    layers: Path
    params: Path
    network: Network
    provider: DataProvider
    options: Options


@dataclass(frozen=True)
class PreparedAgain:
    """A run to go on with: its directory, its checkpoint, and the network as its files are now.

    `in_place`: training goes on in this directory, which is locked. `shipped`: the parameter file is a new
    one, whose later changes are not the user's.
    """

    run: RunDirectory
    checkpoint: Path
    in_place: bool
    arrays: Mapping[str, np.ndarray]
    counters: Mapping[str, Any]
    record: dict[str, Any]
    params: bytes
    prepared: Prepared
    shipped: bool = False

    @property
    def position(self) -> Position:
        """Where the training stands."""
        return Position(*self.counters["position"])

    @property
    def is_done(self) -> bool:
        """Whether no batch is left to train on, and no test to make on the way."""
        options = self.prepared.options
        return (
            self.position.next_batch(options.train_range)[0] > options.epochs
            and not self.counters["test_is_due"]
        )


def prepare(layers: Path, params: Path, options: Options, *, training: bool = True) -> Prepared:
    """Read the files and open the data; without `training`, only the batches to test on have to be there.

    Raises:
        UsageError: a file, a provider or one of its options does not exist.
        ConfigError: the files have errors, or do not fit the data.
        DataError: data are missing or damaged.
    """
    load_extensions(options.extensions)
    provider = open_checked_provider(options)
    if training:
        provider.check_range(options.train_range)
    provider.check_range(options.test_range)
    network = read_network(layers, params, form_of(provider), options)
    return Prepared(layers, params, network, provider, options)


def begin(
    prepared: Prepared,
    save_path: Path,
    observer: Observer,
    *,
    shipped: bool = False,
    command: Sequence[str] = (),
    name: str | None = None,
) -> Session:
    """Begin a run in a new directory below `save_path`, named by `name` or the definition, and the time.

    `shipped`: the files came with the program, so that a change of theirs is not the user's. `command` is the
    command line, for the record.

    Raises:
        ConfigError: an init function does not return what it should.
        CheckpointError: the directory cannot be made.
    """
    built = build_network(prepared.network, prepared.provider.shapes, prepared.options)
    contents = read_file(prepared.layers), read_file(prepared.params)
    run = RunDirectory.create(save_path, name or prepared.layers.stem, *contents)
    paths = prepared.layers, None if shipped else prepared.params
    form = form_of(prepared.provider)
    run.write_record(first_record(prepared.network, form, prepared.options, paths, contents, command))
    return _session(built, prepared, run, observer)


def prepare_again(
    path: Path,
    given: Mapping[str, Any],
    params: Path | None = None,
    *,
    training: bool = True,
    shipped: bool = False,
) -> PreparedAgain:
    """Read a run, from its newest checkpoint or the given checkpoint file, to go on with it or to test it.

    `given` are options that change; `params` is a parameter file to use from now on, `shipped` as in `begin`.
    To test it, without `training`, the run's own copy counts, whatever became of the file that it began with.

    Raises:
        CheckpointError: there is nothing to go on from, it does not fit, or another program trains there.
        UsageError, ConfigError, DataError: as `prepare`.
    """
    run, checkpoint = locate(path)
    with run.lock.released_on_failure():
        in_place = training and [checkpoint] == _newest(run)
        if in_place:
            run.lock.take()
            # Whoever had the lock until now may have written a newer one.
            checkpoint = checkpoint if path.is_file() else run.newest_checkpoint()
        arrays, counters = read_checkpoint(checkpoint)
        record = run.read_record()
        check_layers(run, record)
        options = Options.from_json(record["options"]).changed(given)
        if training:
            source, content = current_params(run, record, params)
        else:
            source, content = run.params, read_file(run.params)
        prepared = prepare(run.layers, source, options, training=training)
        if "data" in record:
            check_form(prepared.network, DataForm.from_json(record["data"]), form_of(prepared.provider))
        return PreparedAgain(run, checkpoint, in_place, arrays, counters, record, content, prepared, shipped)


def _newest(run: RunDirectory) -> list[Path]:
    """Return the newest checkpoint, if there is one of a position."""
    return [path for _, path in checkpoints(run.path)[-1:]]


def go_on(again: PreparedAgain, observer: Observer) -> Session:
    """Go on with a run; what changes is recorded.

    From an older checkpoint, or one under a name of the user's, the run goes on in a new directory, so that
    the newer ones stay.

    Raises:
        CheckpointError: the checkpoint does not fit the network, or something cannot be written.
    """
    with again.run.lock.released_on_failure():
        session = reopen(again, observer)
        if not again.in_place:
            session.run_directory = _branch(again, session.position)
        run = session.run_directory
        if again.params != read_file(run.params):
            run.replace(PARAMS, again.params)
        run.cut_log(again.counters["log_size"])
        prepared = again.prepared
        source = run.params if prepared.params == again.run.params else prepared.params
        record_changes(
            again.record,
            prepared.options,
            None if again.shipped else source,
            again.params,
            run,
            session.position,
        )
        again.record["data"] = form_of(prepared.provider).to_json()
        run.write_record(again.record)
    return session


def reopen(again: PreparedAgain, observer: Observer) -> Session:
    """Open a run for tests; nothing in its directory is changed.

    Raises:
        CheckpointError: the checkpoint does not fit the network.
    """
    prepared = again.prepared
    built = build_network(prepared.network, prepared.provider.shapes, prepared.options, again.counters)
    session = _session(built, prepared, again.run, observer)
    session.restore(again.arrays, again.counters)
    return session


def modules_of(path: Path) -> AbstractContextManager[None]:
    """Let what a run imports be found in the directory that it was begun in, be the present one another.

    Raises:
        CheckpointError: the path is neither a run directory nor a checkpoint in one.
    """
    return directory_on_path(str(locate(path)[0].read_record().get("directory", "")))


def locate(path: Path) -> tuple[RunDirectory, Path]:
    """Return the run directory and the checkpoint that a path, to either, means.

    Raises:
        CheckpointError: it is neither.
    """
    if os.path.isfile(path):
        return RunDirectory.open(path.parent), path
    if path.suffix == SUFFIX and os.path.isdir(path.parent):
        run = RunDirectory.open(path.parent)
        raise CheckpointError(f"{run.path} has no checkpoint {path.name}: {run.checkpoint_names()}")
    run = RunDirectory.open(path)
    return run, run.newest_checkpoint()


def _session(built: BuiltNetwork, prepared: Prepared, run: RunDirectory, observer: Observer) -> Session:
    from convnet_cfg.training.session import Session

    return Session(built, prepared.provider, prepared.options, run, observer)


def _branch(again: PreparedAgain, position: Position) -> RunDirectory:
    """Copy a run up to one of its older checkpoints into a new directory; its final tests are not copied."""
    run = again.run
    branch = branch_of(run, read_file(run.layers), read_file(run.params), (LOG, *KEPT))
    again.record.update(branched_from=str(again.checkpoint.resolve()), final_tests=[])
    with explaining_failure(f"cannot copy {run.path} to {branch.path}"):
        checkpoint_path(branch.path, position).write_bytes(again.checkpoint.read_bytes())
    return branch
