"""Draw one weight under each kind of weight decay, in docs/images/weight-decay.svg.

The weight starts at 0. A gradient of -1 pushes it up; then the learning rate falls to a fifth; then the
gradient ends. The eight weights are those of one optimizer with eight groups.

    python docs/examples/weight_decay_trajectories.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from convnet_cfg.optim import DECAYS, Group, GroupedOptimizer

PICTURE = Path(__file__).parents[1] / "images" / "weight-decay.svg"
RATE, MOMENTUM, DECAY = 0.05, 0.9, 0.1


class Phase(NamedTuple):
    """Steps with one gradient and one factor of the learning rate."""

    words: str
    steps: int
    gradient: float
    factor: float


PHASES = (
    Phase("gradient -1, rate e0", 25, -1, 1),
    Phase("gradient -1, rate e0 / 5", 25, -1, 0.2),
    Phase("gradient 0, rate e0 / 5", 25, 0, 0.2),
)


class Line(NamedTuple):
    """How a trajectory is drawn, and what is written at its end."""

    color: str
    style: Any
    label: str


LINES = {
    "none": Line("#555555", ":", "none"),
    "decoupled-lr": Line("#0072b2", "-", "decoupled-lr"),
    "cuda-convnet": Line("#d55e00", "-", "cuda-convnet = l2: one path"),
    "l2": Line("#000000", (0, (1, 6)), ""),
    "decoupled-matched": Line("#9a7000", "--", "decoupled-matched"),
    "decoupled-schedule": Line("#00855f", "-", "decoupled-schedule"),
    "decoupled": Line("#8e4585", "-", "decoupled"),
    "after-step": Line("#c2185b", "--", "after-step"),
}
"""From the highest end to the lowest."""


def trajectories() -> dict[str, list[float]]:
    """Return the weight before the first step and after each step, for each kind of decay."""
    weights = {name: keras.Variable(0.0, dtype="float64", name=name) for name in DECAYS}
    optimizer = GroupedOptimizer(
        Group(weight, learning_rate=RATE, momentum=MOMENTUM, weight_decay=DECAY, decay=name)
        for name, weight in weights.items()
    )
    paths = {name: [0.0] for name in weights}
    for phase in PHASES:
        optimizer.learning_rate = phase.factor
        for _ in range(phase.steps):
            optimizer.apply([np.float64(phase.gradient)] * len(weights), list(weights.values()))
            for name, weight in weights.items():
                paths[name].append(float(weight))
    return paths


def draw(paths: Mapping[str, Sequence[float]], file: Path = PICTURE) -> None:
    """Write the picture; text stays text, and the same numbers give the same bytes.

    Raises:
        SystemExit: matplotlib is missing.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise SystemExit("drawing needs matplotlib: pip install 'convnet-cfg[docs]'") from None
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "weight-decay", "path.simplify": False}):
        figure = Figure(figsize=(9, 5.2), facecolor="white", layout="constrained")
        axes = figure.add_subplot()
        for name, line in LINES.items():
            (drawn,) = axes.plot(paths[name], color=line.color, linestyle=line.style, linewidth=2)
            drawn.set_gid(name)
        _label_ends(axes, paths)
        _mark_phases(axes)
        figure.savefig(file, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))


def _label_ends(axes: Any, paths: Mapping[str, Sequence[float]]) -> None:
    height = -np.inf
    for name, line in reversed(LINES.items()):
        if not line.label:
            continue
        last, end = len(paths[name]) - 1, paths[name][-1]
        height = max(end, height + 0.7)
        leader = {"arrowstyle": "-", "color": line.color, "linewidth": 0.8, "relpos": (0, 0.5)}
        axes.annotate(
            line.label, (last, end), (last + 2, height), color=line.color, va="center", arrowprops=leader
        )


def _mark_phases(axes: Any) -> None:
    start = 0
    for phase in PHASES:
        middle = start + phase.steps / 2
        axes.text(middle, 1.03, phase.words, transform=axes.get_xaxis_transform(), ha="center")
        start += phase.steps
        axes.axvline(start, color="#bbbbbb", linewidth=0.8, zorder=0)
    axes.set(xlim=(0, start), xlabel=f"steps (e0 = {RATE}, m = {MOMENTUM}, d = {DECAY})", ylabel="weight")
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    draw(trajectories())
    print(f"{PICTURE.name}: {PICTURE.stat().st_size:,} bytes")
