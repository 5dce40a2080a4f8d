"""Begins a run, goes on with one, or opens one for tests.

TensorFlow is imported only when the files and the data are known to be right.
"""

from __future__ import annotations

import difflib
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

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


@dataclass
class Prepared:
    """A network that fits its data, checked, before anything slow is imported."""

    network: Network
    provider: DataProvider
    options: Options


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
    return Prepared(network, provider, options)


def start(
    layers: Path,
    params: Path,
    options: Options,
    save_path: Path,
    observer: Observer,
    *,
    shipped: bool = False,
    command: list[str] | None = None,
) -> Session:
    """Begin a run in a new directory below `save_path`.

    `shipped`: the files came with the program, so that a change of theirs is not the user's.

    Raises:
        UsageError, ConfigError, DataError: as `prepare`.
        CheckpointError: the directory cannot be made.
    """
    prepared = prepare(layers, params, options)
    texts = {LAYERS: read_text(layers), PARAMS: read_text(params)}
    built = _build(prepared, None)
    run = RunDirectory.create(save_path, layers.stem, texts[LAYERS], texts[PARAMS])
    record = {
        "format": 1,
        "command": command,
        "started": time.strftime("%Y-%m-%d %H:%M:%S"),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in RECORDED_PACKAGES},
        "machine": platform.platform(),
        "dialect": prepared.network.dialect.name,
        "recognized_by": prepared.network.recognized_by,
        "deviation": prepared.network.dialect.deviation,
        "decay": options.decay,
        "options": options.to_json(),
        "files": {
            LAYERS: {"path": str(layers.resolve()), "sha256": sha256(texts[LAYERS])},
            PARAMS: {
                "path": None if shipped else str(params.resolve()),
                "sha256": sha256(texts[PARAMS]),
                "text": texts[PARAMS],
            },
        },
        "changes": [],
        "final_tests": [],
    }
    run.write_record(record)
    return _session(built, prepared, run, observer)


def resume(
    path: Path,
    given: Mapping[str, Any],
    observer: Observer,
    *,
    params: Path | None = None,
) -> Session:
    """Go on with a run from its newest checkpoint, or from the given checkpoint file in a new directory.

    `given` are options that change; `params` is a parameter file to use from now on. Changes are recorded.

    Raises:
        CheckpointError: there is nothing to go on from, or it does not fit.
        UsageError, ConfigError, DataError: as `prepare`.
    """
    run, checkpoint = locate(path)
    arrays, counters = read_checkpoint(checkpoint)
    if checkpoint != run.newest_checkpoint():
        run = _branch(run, checkpoint)
    record = run.read_record()
    options = _options(record).changed(given)
    text = _current_params(run, record, params)
    check_layers(run, record)
    if text != read_text(run.params):
        run.replace_text(PARAMS, text)
    prepared = prepare(run.layers, run.params, options)
    session = _session(_build(prepared, counters), prepared, run, observer)
    session.restore(arrays, counters)
    run.cut_log(counters["log_size"])
    _record_changes(record, options, text, session.position)
    run.write_record(record)
    return session


def reopen(path: Path, given: Mapping[str, Any], observer: Observer) -> Session:
    """Open a run, or one of its checkpoints, for tests; nothing in it is changed.

    Raises:
        CheckpointError, UsageError, ConfigError, DataError: as `resume`.
    """
    run, checkpoint = locate(path)
    arrays, counters = read_checkpoint(checkpoint)
    record = run.read_record()
    check_layers(run, record)
    prepared = prepare(run.layers, run.params, _options(record).changed(given))
    session = _session(_build(prepared, counters), prepared, run, observer)
    session.restore(arrays, counters)
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


def _current_params(run: RunDirectory, record: Mapping[str, Any], given: Path | None) -> str:
    """Return the parameter text that counts: the given file, or whichever copy was edited since."""
    if given is not None:
        return read_text(given)
    recorded = record["files"][PARAMS]
    inside = read_text(run.params)
    original = Path(recorded["path"]) if recorded["path"] else None
    outside = read_text(original) if original and original.is_file() else inside
    edited = [text for text in (inside, outside) if sha256(text) != recorded["sha256"]]
    if len(set(edited)) > 1:
        raise UsageError(
            f"both {run.params} and {original} were edited since the run was last at work; "
            "say which one counts with --layer-params"
        )
    return edited[0] if edited else inside


def _record_changes(record: dict[str, Any], options: Options, text: str, position: Position) -> None:
    """Add to the record what is different from now on."""
    before, now = record["options"], options.to_json()
    change: dict[str, Any] = {"at": str(position), "time": time.strftime("%Y-%m-%d %H:%M:%S")}
    changed = {
        name: [before.get(name), now[name]] for name in now if _plain(before.get(name)) != _plain(now[name])
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
    if len(change) > 2:
        record["changes"].append(change)
    record["options"] = now
    record["decay"] = options.decay


def _plain(value: Any) -> Any:
    """Return a value as JSON gives it back."""
    return list(value) if isinstance(value, tuple) else value


def _branch(run: RunDirectory, checkpoint: Path) -> RunDirectory:
    """Copy a run up to one of its older checkpoints into a new directory, so that the newer ones stay."""
    name = run.path.name.split("__")[0]
    branch = RunDirectory.create(run.path.parent, name, read_text(run.layers), read_text(run.params))
    record = run.read_record()
    record["branched_from"] = str(checkpoint.resolve())
    (branch.path / checkpoint.name).write_bytes(checkpoint.read_bytes())
    log = run.path / LOG
    if log.exists():
        (branch.path / LOG).write_bytes(log.read_bytes())
    branch.write_record(record)
    return branch


__all__ = ["prepare", "record_final_test", "reopen", "resume", "start"]
