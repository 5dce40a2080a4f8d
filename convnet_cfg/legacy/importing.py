"""A checkpoint of cuda-convnet as a run directory of ours, from which training goes on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from convnet_cfg.data import image_shape, is_registered, takes_path
from convnet_cfg.data.writing import whole_folder
from convnet_cfg.errors import CheckpointError, ConfigError, UsageError, shorten
from convnet_cfg.language import Network, load_network
from convnet_cfg.language.cost_types import CostSpec
from convnet_cfg.legacy.comparison import differences, unread_fields
from convnet_cfg.legacy.definition import define
from convnet_cfg.legacy.describe import plain
from convnet_cfg.legacy.histories import Log, log_of
from convnet_cfg.legacy.kept import write_kept
from convnet_cfg.legacy.refusing import refuse
from convnet_cfg.legacy.run_options import carry_options
from convnet_cfg.legacy.values import Checkpoint
from convnet_cfg.legacy.weights import Connections, check_matrices, connections_of, state_of
from convnet_cfg.training.building import build_network, form_of, open_checked_provider, read_network
from convnet_cfg.training.checkpoints import checkpoint_path, explaining_failure, write_checkpoint
from convnet_cfg.training.options import Options
from convnet_cfg.training.position import Position
from convnet_cfg.training.record import DataForm, first_record
from convnet_cfg.training.run_directory import LAYERS, LOG, PARAMS, RUN, RunDirectory

if TYPE_CHECKING:
    import numpy as np

    from convnet_cfg.model import BuiltNetwork


class PreparedImport(NamedTuple):
    """A checkpoint, and all of the run that it is to become, checked, before anything slow is imported."""

    checkpoint: Checkpoint
    target: Path
    replace: bool
    files: tuple[bytes, bytes]
    network: Network
    form: DataForm
    options: Options
    connections: Connections
    notes: tuple[str, ...]

    @property
    def position(self) -> Position:
        """The batch after which the checkpoint was saved."""
        return Position(self.checkpoint.epoch, self.checkpoint.batch)


class Imported(NamedTuple):
    """A checkpoint as a run: where it is, what it was made of, and what of the file is not in it."""

    path: Path
    prepared: PreparedImport
    notes: tuple[str, ...]


def import_checkpoint(
    checkpoint: Checkpoint,
    target: Path,
    given: Mapping[str, Any] | None = None,
    *,
    force: bool = False,
    command: Sequence[str] = (),
) -> Imported:
    """Make a run directory at `target` of a checkpoint: `prepare_import` and `write_import` in one."""
    return write_import(prepare_import(checkpoint, target, given, force=force), command=command)


def prepare_import(
    checkpoint: Checkpoint, target: Path, given: Mapping[str, Any] | None = None, *, force: bool = False
) -> PreparedImport:
    """Return what a checkpoint is to become at `target`; nothing is written there yet.

    `given` are options of a run, by their names, that count in place of the file's. With a data path among
    them the data are opened, to see their form; else they are taken for what the data provider usually has.
    `force`: a run directory that is there may be replaced.

    Raises:
        UsageError: there is something at the target; the data provider cannot be opened.
        CheckpointError: the network cannot be expressed, its weights do not fit it, or options lack; of each
            all problems.
        DataError: the given data are missing or damaged.
    """
    given = given or {}
    _check_target(target, force, checkpoint.path)
    if checkpoint.epoch < 1 or checkpoint.batch < 0:
        raise CheckpointError(
            f"{checkpoint.path}: there is no batch {checkpoint.batch} of epoch {checkpoint.epoch}"
        )
    definition = define(checkpoint)
    files = definition.layers.encode(), definition.params.encode()
    options, left = carry_options(checkpoint, given, definition.dialect.name)
    with TemporaryDirectory() as folder, _explaining_network():
        paths = Path(folder) / LAYERS, Path(folder) / PARAMS
        for path, content in zip(paths, files, strict=True):
            path.write_bytes(content)
        network = load_network(*paths, data_dims=definition.dims, reading=options.reading)
        refuse(list(differences(checkpoint, network)), "the network could not be written as it is")
        form = _form(network, definition.dims, options, "data_path" in given)
        network = read_network(*paths, form, options)
    check_matrices(checkpoint, network)
    notes = (
        *definition.notes,
        *(f"{name}: no layer here has such a field" for name in unread_fields(checkpoint, network)),
        *left,
        *(
            f"{name}={shorten(str(plain(value)))}: it has no meaning here"
            for name, value in checkpoint.others.items()
        ),
    )
    connections = connections_of(checkpoint, network)
    return PreparedImport(checkpoint, target, force, files, network, form, options, connections, notes)


def write_import(prepared: PreparedImport, *, command: Sequence[str] = ()) -> Imported:
    """Build the network, give it its weights, and write the run: it appears whole or not at all.

    `command` is the command line, for the record.

    Raises:
        CheckpointError: the network cannot be built, or the directory not be written.
    """
    checkpoint, target, network = prepared.checkpoint, prepared.target, prepared.network
    with _explaining_network():
        counters = {"connections": prepared.connections}
        built = build_network(network, prepared.form.shapes, prepared.options, counters)
    arrays = _arrays(checkpoint, built)
    log = log_of(checkpoint, built.costs)
    notes = (*prepared.notes, *log.notes)
    paths = target / LAYERS, None
    record = first_record(network, prepared.form, prepared.options, paths, prepared.files, command)
    record["imported"] = _origin(checkpoint, notes)
    _check_target(target, prepared.replace, checkpoint.path)  # building took a while
    with (
        explaining_failure(f"cannot write {target}"),
        whole_folder(target, replace=prepared.replace) as folder,
    ):
        for name, content in zip((LAYERS, PARAMS), prepared.files, strict=True):
            (folder / name).write_bytes(content)
        state = {**_counters(prepared, built), "log_size": _write_log(folder, log)}
        write_checkpoint(checkpoint_path(folder, prepared.position), arrays, state)
        write_kept(folder, checkpoint)
        (folder / RUN).write_text(f"{json.dumps(record, indent=2)}\n", encoding="utf-8")
    return Imported(target, prepared, notes)


def _check_target(target: Path, force: bool, checkpoint: Path) -> None:
    """Raise an error unless a run directory may be made there; only another one is ever replaced."""
    if not os.path.exists(target):
        return
    if not force:
        raise UsageError(f"{target} is there already: give --force to replace it")
    run = RunDirectory.open(target)
    for inside, what in ((Path.cwd(), "the current directory"), (checkpoint.resolve(), "the checkpoint")):
        if inside.is_relative_to(target.resolve()):
            raise UsageError(f"{target} cannot be replaced: {what} is in it")
    run.lock.take()
    run.lock.release()


@contextmanager
def _explaining_network() -> Iterator[None]:
    """Turn problems of files that nobody wrote into those of the checkpoint that they were made of."""
    try:
        yield
    except ConfigError as error:
        problems = [
            f"[{each.section}] {each.message}" if each.section else each.message for each in error.problems
        ]
        refuse(problems, "the network of the checkpoint is not accepted")


def _form(network: Network, dims: Sequence[int], options: Options, has_data: bool) -> DataForm:
    """Return the form of the data: as they are, if they can be had, else as data of their kind are."""
    if has_data or not takes_path(options.data_provider):
        return form_of(open_checked_provider(options))
    image = image_shape(dims[0]) if is_registered(options.data_provider) and dims else None
    vectors = [(max(size, 1),) for size in dims]
    shapes = (image, *vectors[1:]) if image is not None else tuple(vectors)
    classes = {
        found
        for layer in network.costs
        if isinstance(layer.spec, CostSpec) and (found := layer.spec.classes(layer.inputs)) is not None
    }
    return DataForm(shapes, max(classes, default=1))


def _arrays(checkpoint: Checkpoint, built: BuiltNetwork) -> dict[str, np.ndarray]:
    """Return everything that a checkpoint of ours has; generators begin anew."""
    from convnet_cfg.training.state import restore_state, state_arrays

    first = state_arrays(built)
    restore_state(built, {**first, **state_of(checkpoint, built.network, built.kernel_images)})
    return state_arrays(built)


def _counters(prepared: PreparedImport, built: BuiltNetwork) -> dict[str, Any]:
    from convnet_cfg.training.state import state_counters

    return {
        "position": list(prepared.position),
        "tests": len(prepared.checkpoint.histories.get("test_outputs", ())),
        "test_is_due": False,
        "partial": None,
        **state_counters(built),
    }


def _write_log(folder: Path, log: Log) -> int:
    """Write the log of the batches that were done, and return its size in bytes."""
    content = "".join(f"{json.dumps(line)}\n" for line in log.lines).encode()
    if content:
        (folder / LOG).write_bytes(content)
    return len(content)


def _origin(checkpoint: Checkpoint, notes: Sequence[str]) -> dict[str, Any]:
    """Return what run.json says of the file."""
    return {
        "path": str(checkpoint.path.resolve()),
        "sha256": _digest(checkpoint.path),
        "program": checkpoint.program,
        "container": checkpoint.container,
        "not_carried_over": list(notes),
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
