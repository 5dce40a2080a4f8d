"""Checkpoints: weights, velocities and counters in one safetensors file, never half written."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from convnet_cfg.data.writing import write_whole
from convnet_cfg.errors import CheckpointError
from convnet_cfg.training.position import Position

FORMAT = "convnet-cfg checkpoint 1"
SUFFIX = ".safetensors"
VELOCITY = "/velocity"  # ends the names of velocities, behind those of their weights
COUNTERS = {"position", "tests", "test_is_due", "partial", "log_size", "connections", "base_rates"}


def write_checkpoint(path: Path, arrays: Mapping[str, np.ndarray], counters: Mapping[str, Any]) -> None:
    """Write arrays and counters to a new file, or leave everything as it was.

    The file appears under its name only when all of it is on the disk.

    Raises:
        CheckpointError: it cannot be written.
    """
    metadata = {"format": FORMAT, "state": json.dumps(counters)}
    with explaining_failure(f"cannot write checkpoint {path}"):
        # The library's own save_file makes files for nobody but their owner, whatever the umask says.
        content = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, metadata)
        write_whole(path, lambda file: file.write(content))


def read_checkpoint(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return arrays and counters.

    Raises:
        CheckpointError: the file is missing, damaged, or no checkpoint of this program.
    """
    with explaining_failure(f"cannot read checkpoint {path}"), safe_open(path, framework="numpy") as file:
        metadata = file.metadata() or {}
        if metadata.get("format") != FORMAT:
            raise CheckpointError(f"{path} is not a checkpoint of convnet-cfg")
        counters = json.loads(metadata.get("state", "null"))
        if not isinstance(counters, dict) or set(counters) != COUNTERS:
            raise CheckpointError(f"{path} is damaged: its counters are not there")
        return {name: file.get_tensor(name) for name in file.keys()}, counters  # noqa: SIM118


@contextlib.contextmanager
def explaining_failure(what: str) -> Iterator[None]:
    """Turn the failure of a file operation into a CheckpointError: what could not be done, and why."""
    try:
        yield
    except (OSError, SafetensorError, ValueError) as error:
        raise CheckpointError(f"{what}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def checkpoints(directory: Path) -> list[tuple[Position, Path]]:
    """Return the checkpoints of a run directory, oldest position first."""
    found = []
    for path in directory.glob(f"*{SUFFIX}"):
        with contextlib.suppress(ValueError):
            found.append((Position.parse(path.name.removesuffix(SUFFIX)), path))
    return sorted(found, key=lambda item: item[0].order)


def checkpoint_path(directory: Path, position: Position) -> Path:
    """Return the file for a position: `12.3.safetensors`."""
    return directory / f"{position}{SUFFIX}"


def prune(directory: Path, newest: Path, budget: int) -> None:
    """Delete the oldest checkpoints while all together have more than `budget` bytes; never the newest.

    Raises:
        CheckpointError: one cannot be deleted.
    """
    kept = [path for _, path in checkpoints(directory)]
    with explaining_failure(f"cannot delete old checkpoints in {directory}"):
        total = sum(path.stat().st_size for path in kept)
        for path in kept:
            if total <= budget:
                return
            if path != newest:
                total -= path.stat().st_size
                path.unlink()
