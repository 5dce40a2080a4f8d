"""The commands as a user starts them: how soon they answer, and how much memory a training takes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.data import TEST_BATCH, write_batches
from benchmarks.imagenet import SIDE, write_pair
from benchmarks.nets import MINIBATCH, NETS

BIN = Path(sys.executable).parent
TRAINING_BATCHES = (1, 2, 3, 4, 5)


class Run(NamedTuple):
    """One run of a command."""

    wall: float  # seconds to the end
    user: float  # seconds of processor time, the system's left out
    peak: float  # GB
    first: float | None  # seconds to the line that was waited for
    output: str


def run(command: Sequence[str], wait_for: str | None = None) -> Run:
    """Run a command to its end; `wait_for` is how the awaited line begins, blanks left out.

    Raises:
        RuntimeError: the command failed, or the line did not come.
    """
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    lines, first = [], None
    for line in process.stdout:
        lines.append(line)
        if first is None and wait_for is not None and line.strip().startswith(wait_for):
            first = time.perf_counter() - started
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    output = "".join(lines)
    if process.returncode or (wait_for is not None and first is None):
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{output[-2000:]}")
    return Run(wall, usage.ru_utime, usage.ru_maxrss * 1024 / 1e9, first, output)


class Commands(NamedTuple):
    """What was measured of the commands: medians, seconds and GB."""

    check: tuple[float, float]  # wall, user
    help: tuple[float, float]
    first_step: tuple[float, float]  # wall to the line after the first training step; user of the whole run
    first_step_range: tuple[float, float]  # the shortest and the longest
    peaks: dict[int, float]  # epochs -> GB


def measure_commands(folder: Path, repeats: int, epochs: Sequence[int]) -> Commands:
    """Run every command; `folder` is for what they need and write."""
    layers, params = write_pair(folder)
    dims = f"{3 * SIDE * SIDE},1"
    checks = [
        run([str(BIN / "convnet"), "check", str(layers), str(params), "--data-dims", dims])
        for _ in range(repeats)
    ]
    helps = [run([str(BIN / "convnet-train"), "--help"]) for _ in range(repeats)]
    small = write_batches(folder / "one-minibatch", (1, TEST_BATCH), MINIBATCH)
    steps = [run(_training(small, "1", 1, folder), "1.1") for _ in range(repeats)]
    first = [step.first for step in steps if step.first is not None]
    batches = write_batches(folder / "cifar", (*TRAINING_BATCHES, TEST_BATCH))
    peaks = {count: run(_training(batches, "1-5", count, folder)).peak for count in epochs}
    users = median(step.user for step in steps)
    return Commands(
        _medians(checks), _medians(helps), (median(first), users), (min(first), max(first)), peaks
    )


def _training(data: Path, batches: str, epochs: int, folder: Path) -> list[str]:
    layers, params = NETS["80sec"].files
    return [
        str(BIN / "convnet-train"),
        str(layers),
        str(params),
        "--data-provider=cifar",
        f"--data-path={data}",
        f"--train-range={batches}",
        f"--test-range={TEST_BATCH}",
        f"--epochs={epochs}",
        f"--save-path={folder / 'runs'}",
    ]


def _medians(runs: Sequence[Run]) -> tuple[float, float]:
    return median(one.wall for one in runs), median(one.user for one in runs)
