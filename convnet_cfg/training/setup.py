"""Begins a run, goes on with one, or opens one for tests.

Each comes in two steps: `prepare` and `prepare_again` read and check everything; `begin`, `go_on` and
`reopen` build the network, and only they import TensorFlow.
"""

from __future__ import annotations

import difflib
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convnet_cfg.data import DataProvider, open_provider
from convnet_cfg.errors import CheckpointError, ConfigError, Problem, UsageError
from convnet_cfg.language import Network, load_network
from convnet_cfg.training.checkpoints import read_checkpoint
from convnet_cfg.training.observer import Observer
from convnet_cfg.training.options import Options
from convnet_cfg.training.position import Position
from convnet_cfg.training.run_directory import LAYERS, LOG, PARAMS, RunDirectory, sha256

if TYPE_CHECKING:
    from convnet_cfg.model import BuiltNetwork
    from convnet_cfg.training.session import Session

RECORDED_PACKAGES = ("convnet-cfg", "tensorflow", "keras", "numpy")


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
    """A run to go on with: its directory, its checkpoint, and the network as its files are now."""

    run: RunDirectory
    checkpoint: Path
    arrays: Mapping[str, np.ndarray]
    counters: Mapping[str, Any]
    record: dict[str, Any]
    params_text: str
    prepared: Prepared


def prepare(layers: Path, params: Path, options: Options) -> Prepared:
    """Read the files and open the data.

    Raises:
        UsageError: a file, a provider or one of its options does not exist.
        ConfigError: the files have errors, or do not fit the data.
        DataError: data are missing or damaged.
    """
    provider = open_provider(options.data_provider, options.data_path, **options.provider_options)
    provider.check_range(options.train_range)
    provider.check_range(options.test_range)
    network = load_network(
        layers,
        params,
        data_dims=[prod(shape) for shape in provider.shapes],
        classes=provider.num_classes,
        mode=options.reading,
    )
    refused = [
        Problem(
            layer.place, layer.name, f"{name} is code from outside: give --allow-init-func {name} to run it"
        )
        for name, (layer, _) in network.functions.items()
        if name not in options.allowed_functions
    ]
    if refused:
        raise ConfigError(refused)
    return Prepared(layers, params, network, provider, options)


def begin(
    prepared: Prepared,
    save_path: Path,
    observer: Observer,
    *,
    shipped: bool = False,
    command: Sequence[str] = (),
) -> Session:
    """Begin a run in a new directory below `save_path`.

    `shipped`: the files came with the program, so that a change of theirs is not the user's. `command` is the
    command line, for the record.

    Raises:
        ConfigError: an init function does not return what it should.
        CheckpointError: the directory cannot be made.
    """
    built = _build(prepared, None)
    texts = {LAYERS: read_text(prepared.layers), PARAMS: read_text(prepared.params)}
    run = RunDirectory.create(save_path, prepared.layers.stem, texts[LAYERS], texts[PARAMS])
    run.write_record(_first_record(prepared, texts, shipped, command))
    return _session(built, prepared, run, observer)


def _first_record(
    prepared: Prepared, texts: Mapping[str, str], shipped: bool, command: Sequence[str]
) -> dict[str, Any]:
    network, options = prepared.network, prepared.options
    return {
        "format": 1,
        "command": list(command),
        "started": now(),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in RECORDED_PACKAGES},
        "machine": platform.platform(),
        "dialect": network.dialect.name,
        "recognized_by": network.recognized_by,
        "deviation": network.dialect.deviation,
        "decay": options.decay,
        "options": options.to_json(),
        "files": {
            LAYERS: {"path": str(prepared.layers.resolve()), "sha256": sha256(texts[LAYERS])},
            PARAMS: {
                "path": None if shipped else str(prepared.params.resolve()),
                "path_sha256": sha256(texts[PARAMS]),
                "sha256": sha256(texts[PARAMS]),
                "text": texts[PARAMS],
            },
        },
        "changes": [],
        "final_tests": [],
    }


def prepare_again(path: Path, given: Mapping[str, Any], params: Path | None = None) -> PreparedAgain:
    """Read a run, from its newest checkpoint or the given checkpoint file, to go on with it or to test it.

    `given` are options that change; `params` is a parameter file to use from now on.

    Raises:
        CheckpointError: there is nothing to go on from, or it does not fit.
        UsageError, ConfigError, DataError: as `prepare`.
    """
    run, checkpoint = locate(path)
    arrays, counters = read_checkpoint(checkpoint)
    record = run.read_record()
    check_layers(run, record)
    options = _options(record).changed(given)
    text, source = _current_params(run, record, params)
    return PreparedAgain(
        run, checkpoint, arrays, counters, record, text, prepare(run.layers, source, options)
    )


def go_on(again: PreparedAgain, observer: Observer) -> Session:
    """Go on with a run; what changes is recorded.

    From an older checkpoint the run goes on in a new directory, so that the newer ones stay.

    Raises:
        CheckpointError: the checkpoint does not fit the network, or something cannot be written.
    """
    older = again.checkpoint != again.run.newest_checkpoint()
    run = _branch(again.run, again.checkpoint, again.record) if older else again.run
    session = _restored(again, run, observer)
    if again.params_text != read_text(run.params):
        run.replace_text(PARAMS, again.params_text)
    run.cut_log(again.counters["log_size"])
    _record_changes(again, run, session.position)
    run.write_record(again.record)
    return session


def reopen(again: PreparedAgain, observer: Observer) -> Session:
    """Open a run for tests; nothing in its directory is changed.

    Raises:
        CheckpointError: the checkpoint does not fit the network.
    """
    return _restored(again, again.run, observer)


def _restored(again: PreparedAgain, run: RunDirectory, observer: Observer) -> Session:
    session = _session(_build(again.prepared, again.counters), again.prepared, run, observer)
    session.restore(again.arrays, again.counters)
    return session


def locate(path: Path) -> tuple[RunDirectory, Path]:
    """Return the run directory and the checkpoint that a path, to either, means.

    Raises:
        CheckpointError: it is neither.
    """
    if path.is_file():
        return RunDirectory.open(path.parent), path
    run = RunDirectory.open(path)
    return run, run.newest_checkpoint()


def record_final_test(session: Session, result: Any) -> None:
    """Add the test at the end of a training to run.json."""
    record = session.run_directory.read_record()
    record["final_tests"].append({**result.to_json(), "position": str(result.position)})
    session.run_directory.write_record(record)


def read_text(path: Path) -> str:
    """Return the text of a file in whatever encoding; UsageError if it cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def check_layers(run: RunDirectory, record: Mapping[str, Any]) -> None:
    """Raise CheckpointError if the definition is not what the run began with: weights belong to it."""
    if sha256(read_text(run.layers)) != record["files"][LAYERS]["sha256"]:
        raise CheckpointError(
            f"{run.layers} was changed since the run began: its weights belong to the definition as it was; "
            "start a new run for the new one"
        )


def _session(built: BuiltNetwork, prepared: Prepared, run: RunDirectory, observer: Observer) -> Session:
    from convnet_cfg.training.session import Session

    return Session(built, prepared.provider, prepared.options, run, observer)


def _build(prepared: Prepared, counters: Mapping[str, Any] | None) -> BuiltNetwork:
    """Build the network; `counters` are those of the checkpoint that it goes on from."""
    from convnet_cfg.model import InitFunctions, build

    options = prepared.options
    built = build(
        prepared.network,
        prepared.provider.shapes,
        seed=options.seed,
        decay=options.decay,
        functions=InitFunctions(frozenset(options.allowed_functions)),
        connections=_known_connections(counters),
    )
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


def _options(record: Mapping[str, Any]) -> Options:
    try:
        return Options.from_json(record["options"])
    except KeyError:
        raise CheckpointError("run.json has no options") from None


def _current_params(run: RunDirectory, record: Mapping[str, Any], given: Path | None) -> tuple[str, Path]:
    """Return the parameter text that counts, and its file: the given one, or whichever copy was edited."""
    if given is not None:
        return read_text(given), given
    known = record["files"][PARAMS]
    inside = read_text(run.params)
    edited = {inside: run.params} if sha256(inside) != known["sha256"] else {}
    outside = Path(known["path"]) if known["path"] else None
    if outside is not None and outside.is_file() and sha256(read_text(outside)) != known["path_sha256"]:
        edited[read_text(outside)] = outside
    if len(edited) > 1:
        raise UsageError(
            f"both {run.params} and {outside} were edited since the run was last at work; "
            "say which one counts with --layer-params"
        )
    return next(iter(edited.items()), (inside, run.params))


def _record_changes(again: PreparedAgain, run: RunDirectory, position: Position) -> None:
    """Add to the record what is different from now on."""
    record, text = again.record, again.params_text
    before, after = record["options"], again.prepared.options.to_json()
    change: dict[str, Any] = {}
    changed = {
        name: [before.get(name), after[name]]
        for name in after
        if _plain(before.get(name)) != _plain(after[name])
    }
    if changed:
        change["options"] = changed
    params = record["files"][PARAMS]
    if sha256(text) != params["sha256"]:
        lines = difflib.unified_diff(
            params["text"].splitlines(), text.splitlines(), "before", "now", lineterm="", n=1
        )
        change["params"] = {"before": params["sha256"], "now": sha256(text), "diff": list(lines)}
        params.update(sha256=sha256(text), text=text)
    source = again.prepared.params
    if source != run.params:
        params.update(path=str(source.resolve()), path_sha256=sha256(read_text(source)))
    if change:
        record["changes"].append({"at": str(position), "time": now(), **change})
    record["options"] = after
    record["decay"] = again.prepared.options.decay


def _plain(value: Any) -> Any:
    """Return a value as JSON gives it back."""
    return list(value) if isinstance(value, tuple) else value


def _branch(run: RunDirectory, checkpoint: Path, record: dict[str, Any]) -> RunDirectory:
    """Copy a run up to one of its older checkpoints into a new directory."""
    name = run.path.name.split("__")[0]
    branch = RunDirectory.create(run.path.parent, name, read_text(run.layers), read_text(run.params))
    record["branched_from"] = str(checkpoint.resolve())
    (branch.path / checkpoint.name).write_bytes(checkpoint.read_bytes())
    log = run.path / LOG
    if log.exists():
        (branch.path / LOG).write_bytes(log.read_bytes())
    return branch


def now() -> str:
    """Return the time of day for a record."""
    return time.strftime("%Y-%m-%d %H:%M:%S")


__all__ = [
    "Prepared",
    "PreparedAgain",
    "begin",
    "go_on",
    "locate",
    "prepare",
    "prepare_again",
    "record_final_test",
    "reopen",
]
