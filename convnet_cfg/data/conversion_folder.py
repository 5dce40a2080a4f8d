"""The folder that a conversion writes into: whose it is, how far the conversion is, and its end."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from convnet_cfg.data.folders import META
from convnet_cfg.data.statistics import Totals
from convnet_cfg.data.writing import TEMPORARY, explaining_failure, write_pickle, write_whole
from convnet_cfg.errors import DataError, UsageError

RECORD, STATE = "conversion.json", "unfinished.safetensors"
IMAGES = "images_sha256"
"""What the record calls the hash of the names of all images."""
ARRAYS = ("pixels", "sums", "products")


class Stage(enum.Enum):
    """How far a conversion is."""

    NEW = "new"
    BEGUN = "begun"
    DONE = "done"


@dataclass
class Progress:
    """What is done: files, images in them, sums over those to train on, and the images left out and why."""

    totals: Totals
    files: int = 0
    images: int = 0
    left_out: list[tuple[str, str]] = field(default_factory=list)


class ConversionFolder:
    """Reads and writes everything in the folder but the batches.

    `conversion.json` says which images are converted and how, in the end also which were left out;
    `unfinished.safetensors` says how far the conversion is, and is not there before and after.

    Raises:
        UsageError: the folder has something else in it, or another conversion.
        DataError: it cannot be read.
    """

    def __init__(self, path: Path, what: Mapping[str, Any]) -> None:
        self.path = path
        self._what = dict(what)
        with explaining_failure(f"cannot read {path}"):
            self.stage = self._stage()

    def _stage(self) -> Stage:
        if not self.path.exists():
            return Stage.NEW
        if not self.path.is_dir():
            raise UsageError(f"{self.path} is a file, expected a folder for the batches")
        names = {child.name for child in self.path.iterdir()} - {TEMPORARY}
        if RECORD not in names:
            if names:
                raise UsageError(f"{self.path} is not empty, and no conversion began there")
            return Stage.NEW
        self._check_record()
        return Stage.DONE if META in names and STATE not in names else Stage.BEGUN

    def _check_record(self) -> None:
        file = self.path / RECORD
        try:
            before = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            before = None
        if not isinstance(before, dict):
            raise DataError(f"{file} is damaged: delete {self.path} to begin again")
        was = [
            f"{name} is {value}, was {before.get(name)}"
            for name, value in self._what.items()
            if before.get(name) != value and name != IMAGES
        ]
        if not was and before.get(IMAGES) != self._what[IMAGES]:
            was = ["its images are others, or were chosen in another way"]
        if was:
            raise UsageError(f"{self.path} belongs to another conversion: {'; '.join(was)}")

    def begin(self) -> None:
        """Make the folder, and say in it what it is for.

        Raises:
            DataError: it cannot be made.
        """
        with explaining_failure(f"cannot make {self.path}"):
            self.path.mkdir(parents=True, exist_ok=True)
        self._write_record(self._what)

    def read_progress(self, size: int) -> Progress:
        """Return how far the conversion is; `size` is the shorter side of its images.

        Raises:
            DataError: the file that says it is damaged.
        """
        progress = Progress(Totals(size))
        done = self.stage is Stage.DONE
        file = self.path / (RECORD if done else STATE)
        if not file.exists():
            return progress
        try:
            _read_end(file, progress) if done else _read_state(file, progress)
        except (OSError, SafetensorError, ValueError, TypeError, KeyError):
            raise DataError(f"{file} is damaged: delete {self.path} to begin again") from None
        return progress

    def write_progress(self, progress: Progress) -> None:
        """Say how far the conversion is.

        Raises:
            DataError: it cannot be written.
        """
        totals = progress.totals
        arrays = {name: getattr(totals, name) for name in ARRAYS}
        counts = [progress.files, progress.images, totals.images, totals.colors, progress.left_out]
        content = save(arrays, {"counts": json.dumps(counts)})
        self._write(STATE, content)

    def finish(self, progress: Progress, meta: Mapping[str, Any]) -> None:
        """Write `batches.meta`, with which the folder can be used, and what became of the conversion.

        Raises:
            DataError: it cannot be written.
        """
        write_pickle(self.path / META, dict(meta))
        self._write_record({**self._what, "converted": progress.images, "left_out": progress.left_out})
        with explaining_failure(f"cannot delete {self.path / STATE}"):
            (self.path / STATE).unlink(missing_ok=True)

    def _write_record(self, record: Mapping[str, Any]) -> None:
        content = f"{json.dumps(record, indent=2)}\n".encode()
        self._write(RECORD, content)

    def _write(self, name: str, content: bytes) -> None:
        with explaining_failure(f"cannot write {self.path / name}"):
            write_whole(self.path / name, lambda file: file.write(content))


def _read_end(file: Path, progress: Progress) -> None:
    record = json.loads(file.read_text(encoding="utf-8"))
    progress.images, progress.left_out = record["converted"], list(map(tuple, record["left_out"]))


def _read_state(file: Path, progress: Progress) -> None:
    totals = progress.totals
    with safe_open(file, framework="numpy") as opened:
        counts = json.loads(opened.metadata()["counts"])
        for name in ARRAYS:
            array = opened.get_tensor(name)
            if array.shape != getattr(totals, name).shape:
                raise ValueError(name)
            setattr(totals, name, array)
    progress.files, progress.images, totals.images, totals.colors, left_out = counts
    progress.left_out = list(map(tuple, left_out))
