"""The directory of one run: the files as given, run.json, log.jsonl, times.jsonl, checkpoints.

`log.jsonl` holds what was computed and nothing else, so that two runs with equal seeds, or one run that was
stopped and resumed, have equal logs to the last byte; when it was computed is in `times.jsonl`.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from convnet_cfg.errors import CheckpointError
from convnet_cfg.training.checkpoints import checkpoints, reason

LAYERS, PARAMS, RUN, LOG, TIMES = "layers.cfg", "params.cfg", "run.json", "log.jsonl", "times.jsonl"


class RunDirectory:
    """Reads and writes the files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, parent: Path, name: str, layers: str, params: str) -> RunDirectory:
        """Make a new directory below `parent`, named by `name` and the time, with the two files' texts.

        Raises:
            CheckpointError: it cannot be made.
        """
        stamp = time.strftime("%Y-%m-%d_%H.%M.%S")
        try:
            parent.mkdir(parents=True, exist_ok=True)
            for suffix in ("", *(f"-{number}" for number in range(2, 1000))):
                path = parent / f"{name}__{stamp}{suffix}"
                if not path.exists():
                    break
            path.mkdir()
            (path / LAYERS).write_text(layers, encoding="utf-8")
            (path / PARAMS).write_text(params, encoding="utf-8")
        except OSError as error:
            raise CheckpointError(f"cannot make a run directory in {parent}: {reason(error)}") from None
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> RunDirectory:
        """Return the run directory at a path.

        Raises:
            CheckpointError: there is none.
        """
        missing = [name for name in (LAYERS, PARAMS, RUN) if not (path / name).is_file()]
        if not path.is_dir() or missing:
            why = f"it has no {', '.join(missing)}" if path.is_dir() else "there is no such directory"
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

    # -- run.json

    def read_record(self) -> dict[str, Any]:
        """Return what run.json says.

        Raises:
            CheckpointError: it cannot be read.
        """
        try:
            record = json.loads((self.path / RUN).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"cannot read {self.path / RUN}: {reason(error)}") from None
        if not isinstance(record, dict):
            raise CheckpointError(f"cannot read {self.path / RUN}: it is not a JSON object")
        return record

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Replace run.json.

        Raises:
            CheckpointError: it cannot be written; the old one is still there.
        """
        self.replace_text(RUN, json.dumps(record, indent=2) + "\n")

    def replace_text(self, name: str, text: str) -> None:
        """Replace a file as a whole: a reader sees the old text or the new.

        Raises:
            CheckpointError: it cannot be written; the old one is still there.
        """
        temporary = self.path / f".{name}.tmp"
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path / name)
        except OSError as error:
            raise CheckpointError(f"cannot write {self.path / name}: {reason(error)}") from None

    # -- log.jsonl and times.jsonl

    def append(self, name: str, line: Mapping[str, Any]) -> None:
        """Add a line to one of the logs.

        Raises:
            CheckpointError: it cannot be written.
        """
        try:
            with (self.path / name).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise CheckpointError(f"cannot write {self.path / name}: {reason(error)}") from None

    def log_size(self) -> int:
        """Return the bytes of log.jsonl, on the disk for good."""
        path = self.path / LOG
        if not path.exists():
            return 0
        with path.open("rb") as file:
            os.fsync(file.fileno())
        return path.stat().st_size

    def cut_log(self, size: int) -> None:
        """Drop what log.jsonl has beyond `size` bytes: lines of batches after the checkpoint.

        Raises:
            CheckpointError: the log is shorter than it was when the checkpoint was written.
        """
        path = self.path / LOG
        there = path.stat().st_size if path.exists() else 0
        if there < size:
            raise CheckpointError(f"{path} has {there} bytes, {size} when the checkpoint was written")
        if there > size:
            os.truncate(path, size)


def sha256(text: str) -> str:
    """Return the SHA-256 of a text's UTF-8 bytes, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
