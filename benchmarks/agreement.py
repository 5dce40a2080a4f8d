"""Do all sides compute the same network? `python -m benchmarks --check` says so.

From equal weights the cost of the first minibatch must agree to 1e-4, and so must, of the sides with a rate
for each tensor, every weight after three updates. As weights hardly move in three
updates, the difference is also told as a part of the way that the weight went.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.nets import Net, lively_weights
from benchmarks.workers import RemoteWorker

SEED = 0
TOLERANCE = 1e-4
UPDATING = ("ours", "tensorflow", "pytorch")


class Outcome(NamedTuple):
    """What a side made of the same weights and minibatches; weights None: it has one rate for all."""

    cost: float
    weights: dict[str, np.ndarray] | None


class Agreement(NamedTuple):
    """How far a peer is from ours."""

    net: str
    peer: str
    cost: float
    weights: float | None  # the largest difference of any weight
    moved: float | None  # the same, over the largest step of that tensor; the worst tensor

    @property
    def holds(self) -> bool:
        return self.cost <= TOLERANCE and (self.weights is None or self.weights <= TOLERANCE)

    def __str__(self) -> str:
        text = f"{self.net:>16} {self.peer:<10} cost differs by {self.cost:.1e}"
        if self.weights is not None:
            text += f", weights by {self.weights:.1e}, {self.moved:.1e} of their step"
        return f"{text}  {'ok' if self.holds else 'DIFFERENT'}"


def check(net: Net, sides: Iterable[str], folder: Path) -> list[Agreement]:
    """Compare each side with ours."""
    found = []
    ours: dict[bool, Outcome] = {}
    for side in sides:
        if side == "ours":
            continue
        crops = side != "keras"  # Keras gets central crops
        if crops not in ours:
            ours[crops] = run("ours", net, folder, crops)
        found.append(compare(net, side, ours[crops], run(side, net, folder, crops)))
    return found


def run(side: str, net: Net, folder: Path, random_crops: bool) -> Outcome:
    """Train a side from the same weights: on the first minibatch, then on the first two."""
    file = folder.parent / f"{side}.npz"
    with RemoteWorker(side, net.name, folder, random_crops) as worker:
        worker.tell("set_weights", seed=SEED)
        cost = worker.tell("measure", minibatches=1)["cost"]
        if side not in UPDATING:
            return Outcome(cost, None)
        worker.tell("measure", minibatches=2)
        worker.tell("save_weights", file=str(file))
    with np.load(file) as weights:
        return Outcome(cost, dict(weights))


def compare(net: Net, peer: str, ours: Outcome, theirs: Outcome) -> Agreement:
    """Return how far two outcomes are apart."""
    cost = abs(ours.cost - theirs.cost)
    if ours.weights is None or theirs.weights is None:
        return Agreement(net.name, peer, cost, None, None)
    first = lively_weights(net, SEED)
    differences = {name: np.abs(ours.weights[name] - theirs.weights[name]).max() for name in first}
    moved = (differences[name] / np.abs(ours.weights[name] - first[name]).max() for name in first)
    return Agreement(net.name, peer, cost, float(max(differences.values())), float(max(moved)))
