"""The measurements as Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median

from benchmarks.agreement import Agreement
from benchmarks.commands import Commands
from benchmarks.nets import MINIBATCH
from benchmarks.peers import TITLES
from benchmarks.speed import Speeds, summary
from benchmarks.worker import THREADS

BEGIN, END = "<!-- measured by `make bench`: begin -->", "<!-- measured by `make bench`: end -->"
TARGETS = {"tensorflow": 0.95, "pytorch": 1.2, "keras": 1.8}
PACKAGES = ("tensorflow", "keras", "torch", "numpy")
SHOWN = 0.005  # of a step: what takes less is summed up in the profile


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table, all but its first column aligned right."""
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> str:
    """Return what was measured on."""
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )

    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{date.today()}, {model}, {os.cpu_count()} cores, {THREADS} threads for every side, "
        f"Python {platform.python_version()}, {versions}."
    )


def speed_tables(measured: Sequence[Speeds]) -> str:
    """Return the images a second, the ratios, and the memory of every side."""
    rows, ratios = [], []
    for speeds in measured:
        for side in speeds.seconds:
            rows.append(
                [
                    speeds.net,
                    TITLES[side],
                    f"{speeds.images(side):,.0f}",
                    f"{1000 * median(speeds.seconds[side]):.1f}",
                    f"{1000 * median(speeds.processor[side]):.1f}",
                    f"{speeds.memory[side]:.2f}",
                ]
            )
            if side != "ours":
                ratios.append([speeds.net, TITLES[side], *_ratio(speeds, side), f"{TARGETS[side]:.2f}"])
    columns = ("net", "program", "images/s", "ms a minibatch", "processor ms", "peak memory, GB")
    ratio_columns = ("net", "convnet-cfg is faster than", "times", "quartiles", "aim, at least")
    return f"{table(columns, rows)}\n\n{table(ratio_columns, ratios)}"


def _ratio(speeds: Speeds, side: str) -> tuple[str, str]:
    middle, low, high = summary(speeds.ratios(side))
    return f"{middle:.2f}", f"{low:.2f} to {high:.2f}"


def share_table(measured: Sequence[Speeds]) -> str:
    """Return what the convolutions and matrix products take alone, against the whole step."""
    rows = []
    for speeds in measured:
        alone = [sum(layers) for layers in zip(*speeds.products.values(), strict=True)]
        shares = [one / step for one, step in zip(alone, speeds.seconds["ours"], strict=True)]
        middle, low, high = summary(shares)
        each = ", ".join(f"{name} {1000 * median(seconds):.1f}" for name, seconds in speeds.products.items())
        step = f"{1000 * median(speeds.seconds['ours']):.1f}"
        rows.append([speeds.net, step, each, f"{middle:.2f}", f"{low:.2f} to {high:.2f}"])
    return table(("net", "step, ms", "alone, ms", "share", "quartiles"), rows)


def profile_table(speeds: Speeds) -> str:
    """Return the milliseconds of each kind of operation in a step, ours beside the peer's."""
    least = 1000 * SHOWN * median(speeds.seconds["ours"])
    sides = list(speeds.profiles)
    times = {side: speeds.profiles[side] for side in sides}
    kinds = sorted(
        {kind for side in sides for kind, time in times[side].items() if time >= least},
        key=lambda kind: -max(times[side].get(kind, 0.0) for side in sides),
    )
    rows = [[kind, *(f"{times[side].get(kind, 0.0):.2f}" for side in sides)] for kind in kinds]
    rest = [sum(time for kind, time in times[side].items() if kind not in kinds) for side in sides]
    rows.append(["all others", *(f"{time:.2f}" for time in rest)])
    return table((f"{speeds.net}: operation", *(TITLES[side] for side in sides)), rows)


def commands_table(commands: Commands) -> str:
    """Return the start-up times and the memory."""
    low, high = commands.first_step_range
    rows = [
        ["`convnet check` of an ImageNet-sized pair, s", *_two(commands.check), "0.4"],
        ["`convnet-train --help`, s", *_two(commands.help), "0.4"],
        [
            f"first training step of 80sec after the command, s (from {low:.1f} to {high:.1f})",
            *_two(commands.first_step),
            "8",
        ],
    ]
    rows += [
        [f"peak memory of `convnet-train`, 80sec, 5 batches, epochs: {epochs}, GB", f"{peak:.2f}", "", "1.6"]
        for epochs, peak in commands.peaks.items()
    ]
    return table(("command", "measured", "of it user time", "aim, below"), rows)


def _two(times: tuple[float, float]) -> tuple[str, str]:
    return f"{times[0]:.2f}", f"{times[1]:.2f}"


def report(
    measured: Sequence[Speeds], commands: Commands | None, agreements: Sequence[Agreement], how: str
) -> str:
    """Return the whole block."""
    parts = [machine(), how]
    if measured:
        title = f"### Speed in training, minibatches of {MINIBATCH}"
        parts += [title, speed_tables(measured)]
        parts += ["### Convolutions and matrix products alone", share_table(measured)]
        parts += ["### Where a step goes, ms of a minibatch by TensorFlow's profiler"]
        parts += [profile_table(speeds) for speeds in measured if speeds.profiles]
    if commands:
        parts += ["### Commands", commands_table(commands)]
    if agreements:
        lines = "\n".join(str(agreement) for agreement in agreements)
        parts += ["### Do they compute the same?", f"```\n{lines}\n```"]
    return "\n\n".join(parts)


def write(file: Path, block: str) -> None:
    """Put the block between the marks of a file."""
    text = file.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{file} lacks the lines\n{BEGIN}\n{END}")
    file.write_text(f"{before}{begin}\n\n{block}\n\n{end}{after}")
