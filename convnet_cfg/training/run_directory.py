"""The directory of one run: the files as given, run.json, log.jsonl, times.jsonl, checkpoints.

`log.jsonl` holds what was computed and nothing else, so that two runs with equal seeds, or one run that was
stopped and resumed, have equal logs to the last byte; when it was computed is in `times.jsonl`.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from convnet_cfg.data.writing import write_whole
from convnet_cfg.errors import CheckpointError, join_words
from convnet_cfg.training.checkpoints import checkpoints, explaining_failure
from convnet_cfg.training.lock import Lock
from convnet_cfg.training.observer import checked_line

LAYERS, PARAMS, RUN, LOG, TIMES = "layers.cfg", "params.cfg", "run.json", "log.jsonl", "times.jsonl"
KEPT = ("imported.json", "imported.safetensors")
"""What an imported run keeps of the checkpoint that it began as."""
RECORD_FORMAT = 1
RECORD_KINDS = {"options": dict, "files": dict, "changes": list, "final_tests": list}


class RunDirectory:
    """Reads and writes the files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = Lock(path)

    @classmethod
    def create(cls, parent: Path, name: str, layers: bytes, params: bytes) -> RunDirectory:
        """Make a new directory below `parent`, named by `name` and the time, with the two files in it.

        It is locked.

        Raises:
            CheckpointError: it cannot be made.
        """
        with explaining_failure(f"cannot make a run directory in {parent}"):
            run = cls(make_folder(parent, name))
            run.lock.take()
            run.layers.write_bytes(layers)
            run.params.write_bytes(params)
        return run

    @classmethod
    def open(cls, path: Path) -> RunDirectory:
        """Return the run directory at a path.

        Raises:
            CheckpointError: there is none.
        """
        # Unlike the methods of Path, these raise nothing for a name too long or a place that is closed.
        missing = [name for name in (LAYERS, PARAMS, RUN) if not os.path.isfile(path / name)]
        is_there = os.path.isdir(path)
        if not is_there or missing:
            why = f"it has no {', '.join(missing)}" if is_there else "there is no such directory"
            raise CheckpointError(f"{path} is not a run directory: {why}")
        return cls(path)

    @property
    def layers(self) -> Path:
        """The definition file as given."""
        return self.path / LAYERS

    @property
    def params(self) -> Path:
        """The parameter file as given, or as edited since."""
        return self.path / PARAMS

    def newest_checkpoint(self) -> Path:
        """Return the checkpoint of the latest position.

        Raises:
            CheckpointError: there is none.
        """
        found = checkpoints(self.path)
        if not found:
            raise CheckpointError(f"{self.path} has no checkpoint to go on from")
        return found[-1][1]

    def checkpoint_names(self) -> str:
        """Return which checkpoints there are, in words."""
        names = [path.name for _, path in checkpoints(self.path)]
        return f"there {'are' if len(names) > 1 else 'is'} {join_words(names, 'and') or 'none'}"

    # -- run.json

    def read_record(self) -> dict[str, Any]:
        """Return what run.json says.

        Raises:
            CheckpointError: it cannot be read, or is not of this program.
        """
        path = self.path / RUN
        with explaining_failure(f"cannot read {path}"):
            record = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(record, dict) or record.get("format") != RECORD_FORMAT:
            raise CheckpointError(f"{path} is not the record of a run of this version of convnet-cfg")
        for name, kind in RECORD_KINDS.items():
            if not isinstance(record.get(name), kind):
                raise CheckpointError(f"{path} is damaged: it has no {name}")
        if not all(map(_is_change, record["changes"])):
            raise CheckpointError(f"{path} is damaged: its changes do not say what was changed")
        for name, keys in {LAYERS: {"sha256"}, PARAMS: {"path", "path_sha256", "sha256", "text"}}.items():
            if not keys <= set(record["files"].get(name, ())):
                raise CheckpointError(f"{path} is damaged: it does not say all of {name}")
        return record

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Replace run.json.

        Raises:
            CheckpointError: it cannot be written; the old one is still there.
        """
        self.replace(RUN, f"{json.dumps(record, indent=2)}\n".encode())

    def replace(self, name: str, content: bytes) -> None:
        """Replace a file as a whole: a reader sees the old content or the new.

        Raises:
            CheckpointError: it cannot be written; the old one is still there.
        """
        with explaining_failure(f"cannot write {self.path / name}"):
            write_whole(self.path / name, lambda file: file.write(content))

    # -- log.jsonl and times.jsonl

    def append(self, name: str, line: Mapping[str, Any]) -> None:
        """Add a line to one of the logs.

        Raises:
            CheckpointError: it cannot be written.
        """
        path = self.path / name
        with explaining_failure(f"cannot write {path}"), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def results(self, size: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield the lines of log.jsonl, from the first `size` bytes of it, that have an end.

        Raises:
            CheckpointError: a line is not what `Result.to_json` made.
        """
        path = self.path / LOG
        with explaining_failure(f"cannot read {path}"):
            content = path.read_bytes()[:size] if path.exists() else b""
        for number, text in enumerate(content.split(b"\n")[:-1], 1):
            try:
                yield checked_line(json.loads(text))
            except ValueError:
                raise CheckpointError(f"{path} is damaged: line {number} is no result of a batch") from None

    def log_size(self) -> int:
        """Return the bytes of log.jsonl, on the disk for good.

        Raises:
            CheckpointError: they cannot be brought there.
        """
        path = self.path / LOG
        if not path.exists():
            return 0
        with explaining_failure(f"cannot write {path}"), path.open("rb") as file:
            os.fsync(file.fileno())
            return path.stat().st_size

    def cut_log(self, size: int) -> None:
        """Drop what log.jsonl has beyond `size` bytes: lines of batches after the checkpoint.

        Raises:
            CheckpointError: the log is shorter than it was when the checkpoint was written.
        """
        path = self.path / LOG
        with explaining_failure(f"cannot shorten {path}"):
            there = path.stat().st_size if path.exists() else 0
            if there < size:
                raise CheckpointError(f"{path} has {there} bytes, {size} when the checkpoint was written")
            if there > size:
                os.truncate(path, size)


def _is_change(change: Any) -> bool:
    """Return whether this is an entry of `changes`: when, and of each option what it was and is."""
    if not isinstance(change, dict) or not isinstance(change.get("at"), str):
        return False
    options = change.get("options", {})
    return isinstance(options, dict) and all(
        isinstance(values, list) and len(values) == 2 for values in options.values()
    )


def branch_of(run: RunDirectory, layers: bytes, params: bytes, others: Sequence[str]) -> RunDirectory:
    """Make a new run directory beside one, with two files, and copies of those of the others that it has.

    It is locked.

    Raises:
        CheckpointError: it cannot be made.
    """
    path = run.path.resolve() if run.path.name in ("", "..") else run.path  # here, or above
    branch = RunDirectory.create(path.parent, path.name.rsplit("__", 1)[0], layers, params)
    with explaining_failure(f"cannot copy {run.path} to {branch.path}"):
        for name in others:
            if (path / name).exists():
                (branch.path / name).write_bytes((path / name).read_bytes())
    return branch


def make_folder(parent: Path, name: str) -> Path:
    """Make a directory named by `name` and the time, and by a number if there is one already.

    Raises:
        OSError: it cannot be made.
    """
    parent.mkdir(parents=True, exist_ok=True)
    timed, number = f"{name}__{time.strftime('%Y-%m-%d_%H.%M.%S')}", 1
    while True:
        path = parent / (timed if number == 1 else f"{timed}-{number}")
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
        else:
            return path


def sha256(content: bytes) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
