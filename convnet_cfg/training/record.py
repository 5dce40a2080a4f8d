"""What run.json says: how a run began, what its files were, and what was changed since."""

from __future__ import annotations

import difflib
import os
import platform
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from convnet_cfg.errors import CheckpointError, UsageError
from convnet_cfg.language import Network
from convnet_cfg.language.grammar import decode
from convnet_cfg.training.observer import Result, costs_of
from convnet_cfg.training.options import Options
from convnet_cfg.training.position import Position
from convnet_cfg.training.run_directory import LAYERS, PARAMS, RECORD_FORMAT, RunDirectory, sha256

RECORDED_PACKAGES = ("convnet-cfg", "tensorflow", "keras", "numpy")
# What a test depends on beside its place, its batches and its views: the data, and how the files are read.
TEST_OPTIONS = (
    "data_provider",
    "data_path",
    "provider_options",
    "mode",
    "dialect",
    "average_divisor",
    "ignore_gpu",
    "extensions",
)


class DataForm(NamedTuple):
    """What a data provider delivers: the shape of one case of each matrix, and the number of classes."""

    shapes: tuple[tuple[int, ...], ...]
    classes: int

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"shapes": [list(shape) for shape in self.shapes], "classes": self.classes}

    @classmethod
    def from_json(cls, record: Any) -> DataForm:
        """Return what `to_json` made.

        Raises:
            CheckpointError: it is something else.
        """
        try:
            shapes = tuple(tuple(int(size) for size in shape) for shape in record["shapes"])
            return cls(shapes, int(record["classes"]))
        except (TypeError, KeyError, ValueError):
            raise CheckpointError("run.json is damaged: it does not say the form of the data") from None


def first_record(
    network: Network,
    form: DataForm,
    options: Options,
    paths: tuple[Path, Path | None],
    contents: tuple[bytes, bytes],
    command: Sequence[str],
) -> dict[str, Any]:
    """Return the record of a run that begins with the two files, on data of this form.

    `paths` are where they are; None for the parameter file says that a change of it is not the user's.
    """
    layers, params = contents
    return {
        "format": RECORD_FORMAT,
        "command": list(command),
        "directory": os.getcwd(),
        "started": _now(),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in RECORDED_PACKAGES},
        "machine": platform.platform(),
        "dialect": network.dialect.name,
        "recognized_by": network.recognized_by,
        "deviations": list(network.deviations),
        "data": form.to_json(),
        "options": options.to_json(),
        "files": {
            LAYERS: {"path": str(paths[0].resolve()), "sha256": sha256(layers)},
            PARAMS: {
                "path": str(paths[1].resolve()) if paths[1] else None,
                "path_sha256": sha256(params),
                "sha256": sha256(params),
                "text": decode(params),
            },
        },
        "changes": [],
        "final_tests": [],
    }


def check_layers(run: RunDirectory, record: Mapping[str, Any]) -> None:
    """Raise CheckpointError if the definition is not what the run began with: weights belong to it."""
    if sha256(read_file(run.layers)) != record["files"][LAYERS]["sha256"]:
        raise CheckpointError(
            f"{run.layers} was changed since the run began: its weights belong to the definition as it was; "
            "start a new run for the new one"
        )


def current_params(run: RunDirectory, record: Mapping[str, Any], given: Path | None) -> tuple[Path, bytes]:
    """Return the parameter file that counts, the given one or whichever copy was edited, and its content.

    Raises:
        UsageError: both copies were edited, or a file cannot be read.
    """
    if given is not None:
        return given, read_file(given)
    known = record["files"][PARAMS]
    inside, outside = read_file(run.params), _outside(record)
    inside_edited = sha256(inside) != known["sha256"]
    outside_edited = outside is not None and sha256(outside) != known["path_sha256"]
    if inside_edited and outside_edited and inside != outside:
        raise UsageError(
            f"both {run.params} and {known['path']} were edited since the run was last at work; "
            "say which one counts with --layer-params"
        )
    return (Path(known["path"]), outside) if outside is not None and outside_edited else (run.params, inside)


def record_changes(
    record: dict[str, Any],
    options: Options,
    source: Path | None,
    params: bytes,
    run: RunDirectory,
    at: Position,
) -> None:
    """Add to the record what is different from now on: options, or the parameters from the file `source`.

    As in `first_record`, None says that a change of that file is not the user's.
    """
    known = record["files"][PARAMS]
    change: dict[str, Any] = {}
    before, after = record["options"], options.to_json()
    changed = {name: [before[name], value] for name, value in after.items() if before[name] != value}
    if changed:
        change["options"] = changed
    if sha256(params) != known["sha256"]:
        lines = difflib.unified_diff(
            known["text"].splitlines(), decode(params).splitlines(), "before", "now", lineterm="", n=1
        )
        change["params"] = {"before": known["sha256"], "now": sha256(params), "diff": list(lines)}
        known.update(sha256=sha256(params), text=decode(params))
    if source is None:
        known["path"] = None
    elif source.resolve() != run.params.resolve():
        known["path"] = str(source.resolve())
    # Whatever the file outside says now has been taken or was decided against.
    if (outside := _outside(record)) is not None:
        known["path_sha256"] = sha256(outside)
    if change:
        record["changes"].append({"at": str(at), "time": _now(), **change})
    record["options"] = after


def record_new_files(
    record: dict[str, Any], files: tuple[bytes, bytes], why: Mapping[str, Any], at: Position
) -> None:
    """Say in the record of a run that its definition and parameters are others now, and why."""
    layers, params = files
    record["files"][LAYERS]["sha256"] = sha256(layers)
    record["files"][PARAMS].update(
        path=None, path_sha256=sha256(params), sha256=sha256(params), text=decode(params)
    )
    record["changes"].append({"at": str(at), "time": _now(), **why})


def record_final_test(
    run: RunDirectory, result: Result, options: Options, params: bytes | None = None
) -> None:
    """Add the test at the end of a training to run.json, unless the newest one of its kind says the same.

    `params` is the parameter file that it was made with; None for the one in the record.
    """
    record = run.read_record()
    digest = record["files"][PARAMS]["sha256"] if params is None else sha256(params)
    wanted = _conditions(result.position, result.test_batches, result.views, options, digest)
    columns = {name: list(names) for name, names in result.columns.items()}
    test = {**result.to_json(), **wanted, "columns": columns}
    if _newest_test(record, wanted) != test:
        record["final_tests"].append(test)
        run.write_record(record)


def recorded_final_test(
    record: Mapping[str, Any], position: Position, options: Options, views: int, params: bytes
) -> Result | None:
    """Return the newest final test of a position with these options and parameters, None if there is none."""
    wanted = _conditions(position, options.test_range, views, options, sha256(params))
    test = _newest_test(record, wanted)
    if test is None:
        return None
    batches = tuple(test["test_batches"])
    return Result("final-test", position, costs_of(test), test["cases"], batches, views, test["columns"])


def _conditions(
    position: Position, batches: Sequence[int], views: int, options: Options, params: str
) -> dict[str, Any]:
    """Return everything that the values of a test depend on, as JSON has it."""
    chosen = options.to_json()
    return {
        "position": str(position),
        "test_batches": list(batches),
        "views": views,
        "options": {name: chosen[name] for name in TEST_OPTIONS},
        "params_sha256": params,
    }


def _newest_test(record: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the newest final test that was made as wanted."""
    found = (test for test in reversed(record["final_tests"]) if wanted.items() <= test.items())
    return next(found, None)


def _outside(record: Mapping[str, Any]) -> bytes | None:
    """Return what the parameter file that the user named says now, if it is still there."""
    path = record["files"][PARAMS]["path"]
    return read_file(Path(path)) if path is not None and Path(path).is_file() else None


def read_file(path: Path) -> bytes:
    """Return the content of a file; UsageError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")
