"""Images a second of each side, interleaved in rounds, so that a busy machine slows all sides alike.

What is compared is the ratio within a round; medians over the rounds are quoted, with quartiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.nets import MINIBATCH, Net
from benchmarks.workers import RemoteWorker


@dataclass(frozen=True)
class Speeds:
    """What was measured of one network."""

    net: str
    seconds: dict[str, list[float]]  # of a minibatch, by side; one for each round
    processor: dict[str, list[float]]  # the same in processor time
    memory: dict[str, float]  # GB, the largest size of the worker
    products: dict[str, Any]
    profiles: dict[str, dict[str, float]]

    def images(self, side: str) -> float:
        """Return the median of images a second."""
        return MINIBATCH / median(self.seconds[side])

    def ratios(self, peer: str) -> list[float]:
        """Return the speed of ours over that of a peer, for each round."""
        return [peer / ours for ours, peer in zip(self.seconds["ours"], self.seconds[peer], strict=True)]


def summary(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the median and the two quartiles."""
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return middle, low, high


def measure(net: Net, sides: Sequence[str], folder: Path, rounds: int, minibatches: int) -> Speeds:
    """Let each side train as many minibatches in every round; the order goes round."""
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    processor: dict[str, list[float]] = {side: [] for side in sides}
    products: list[dict[str, float]] = []
    with ExitStack() as stack:
        workers = {side: stack.enter_context(RemoteWorker(side, net.name, folder)) for side in sides}
        for worker in workers.values():
            _warm_up(worker, minibatches)
        for number in range(rounds):
            for side in _rotated(sides, number):
                took = workers[side].tell("measure", minibatches=minibatches)
                seconds[side].append(took["seconds"] / minibatches)
                processor[side].append(took["processor"] / minibatches)
                if side == "ours":
                    products.append(workers[side].tell("products", minibatches=minibatches))
        memory = {side: worker.tell("memory") for side, worker in workers.items()}
        profiles = {
            side: workers[side].tell("profile", minibatches=minibatches)
            for side in ("ours", "tensorflow")
            if side in workers
        }
    return Speeds(net.name, seconds, processor, memory, _by_layer(products), profiles)


def _warm_up(worker: RemoteWorker, minibatches: int) -> None:
    """Compile, and let the lengths of calls and the caches settle."""
    worker.tell("measure", minibatches=2)
    worker.tell("measure", minibatches=minibatches)
    if worker.side == "ours":
        worker.tell("products", minibatches=2)


def _rotated(sides: Sequence[str], number: int) -> list[str]:
    first = number % len(sides)
    return [*sides[first:], *sides[:first]]


def _by_layer(rounds: list[dict[str, float]]) -> dict[str, list[float]]:
    """Return the seconds of each layer's products, round after round."""
    return {layer: [one[layer] for one in rounds] for layer in (rounds[0] if rounds else {})}
