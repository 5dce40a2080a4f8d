"""Begins a run, goes on with one, or opens one for tests.

Each comes in two steps: `prepare` and `prepare_again` read and check everything; `begin`, `go_on` and
`reopen` build the network, and only they import TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convnet_cfg.data import DataProvider, directory_on_path, open_provider, working_directory_on_path
from convnet_cfg.errors import CheckpointError, ConfigError, ConvnetError, Place, Problem, UsageError
from convnet_cfg.extend import load_extensions
from convnet_cfg.language import Network, load_network, refused_decay, refused_functions
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
    check_layers,
    current_params,
    first_record,
    read_file,
    record_changes,
)
from convnet_cfg.training.run_directory import LOG, PARAMS, RunDirectory

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
    provider = _open_provider(options)
    if training:
        provider.check_range(options.train_range)
    provider.check_range(options.test_range)
    network = load_network(
        layers,
        params,
        data_dims=[prod(shape) for shape in provider.shapes],
        classes=provider.num_classes,
        reading=options.reading,
    )
    problems = [
        *refused_functions(network, options.allowed_functions),
        *refused_decay(network, options.decay),
    ]
    if not any(network.owned()):
        problems.append(
            Problem(Place(str(layers), 1), None, "no layer has weights: there is nothing to train")
        )
    if problems:
        raise ConfigError(problems)
    return Prepared(layers, params, network, provider, options)


def _open_provider(options: Options) -> DataProvider:
    name = options.data_provider
    try:
        provider = open_provider(name, options.data_path, **options.provider_options)
    except ConvnetError:
        raise
    except Exception as error:
        # A class of the user's own may raise anything.
        raise UsageError(
            f"data provider {name!r} cannot be opened: {type(error).__name__}: {error}"
        ) from error
    if missing := [needed for needed in ("shapes", "num_classes") if not hasattr(provider, needed)]:
        raise UsageError(f"data provider {name!r} does not say its {' and '.join(missing)}")
    shapes = provider.shapes
    if not isinstance(shapes, (tuple, list)) or not shapes or not all(map(_is_shape, shapes)):
        raise UsageError(
            f"data provider {name!r}: each of its shapes must be (n,) or (side, side, channels), "
            f"got {shapes!r:.80}"
        )
    if not isinstance(provider.num_classes, (int, np.integer)) or provider.num_classes < 1:
        raise UsageError(
            f"data provider {name!r}: num_classes must be an integer >= 1, got {provider.num_classes!r:.80}"
        )
    return provider


def _is_shape(shape: Any) -> bool:
    """Return whether this is the shape of one case: a vector or a square image."""
    if not isinstance(shape, (tuple, list)) or not all(isinstance(size, (int, np.integer)) for size in shape):
        return False
    square = len(shape) == 3 and shape[0] == shape[1]
    return (len(shape) == 1 or square) and all(size > 0 for size in shape)


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
    built = _build(prepared, None)
    contents = read_file(prepared.layers), read_file(prepared.params)
    run = RunDirectory.create(save_path, name or prepared.layers.stem, *contents)
    paths = prepared.layers, None if shipped else prepared.params
    run.write_record(first_record(prepared.network, prepared.options, paths, contents, command))
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
        run.write_record(again.record)
    return session


def reopen(again: PreparedAgain, observer: Observer) -> Session:
    """Open a run for tests; nothing in its directory is changed.

    Raises:
        CheckpointError: the checkpoint does not fit the network.
    """
    session = _session(_build(again.prepared, again.counters), again.prepared, again.run, observer)
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
    if path.is_file():
        return RunDirectory.open(path.parent), path
    if path.suffix == SUFFIX and path.parent.is_dir():
        run = RunDirectory.open(path.parent)
        raise CheckpointError(f"{run.path} has no checkpoint {path.name}: {run.checkpoint_names()}")
    run = RunDirectory.open(path)
    return run, run.newest_checkpoint()


def _session(built: BuiltNetwork, prepared: Prepared, run: RunDirectory, observer: Observer) -> Session:
    from convnet_cfg.training.session import Session

    return Session(built, prepared.provider, prepared.options, run, observer)


def _build(prepared: Prepared, counters: Mapping[str, Any] | None) -> BuiltNetwork:
    """Build the network; `counters` are those of the checkpoint that it goes on from."""
    from convnet_cfg.model import InitFunctions, build
    from convnet_cfg.training.devices import strategy_for

    options = prepared.options
    strategy = strategy_for(prepared.network)
    with working_directory_on_path(), strategy.scope() if strategy is not None else nullcontext():
        built = build(
            prepared.network,
            prepared.provider.shapes,
            seed=options.seed,
            decay=options.decay,
            functions=InitFunctions(frozenset(options.allowed_functions)),
            connections=_known_connections(counters),
        )
    built.strategy = strategy
    assert built.optimizer is not None
    for name, group in built.optimizer.groups.items():
        base = (counters or {}).get("base_rates", {}).get(name, 0.0)
        if base > 0:
            group.base_learning_rate = base
        group.learning_rate = group.learning_rate * options.rate_factor
    return built


def _known_connections(counters: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if counters is None:
        return None
    return {
        name: tuple(tuple(chosen) if chosen is not None else None for chosen in layer)
        for name, layer in counters["connections"].items()
    }


def _branch(again: PreparedAgain, position: Position) -> RunDirectory:
    """Copy a run up to one of its older checkpoints into a new directory; its final tests are not copied."""
    run, path = again.run, again.run.path
    if path.name in ("", ".."):  # the working directory, or one above
        path = path.resolve()
    name = path.name.rsplit("__", 1)[0]
    branch = RunDirectory.create(path.parent, name, read_file(run.layers), read_file(run.params))
    again.record.update(branched_from=str(again.checkpoint.resolve()), final_tests=[])
    with explaining_failure(f"cannot copy {run.path} to {branch.path}"):
        checkpoint_path(branch.path, position).write_bytes(again.checkpoint.read_bytes())
        if (run.path / LOG).exists():
            (branch.path / LOG).write_bytes((run.path / LOG).read_bytes())
    return branch
