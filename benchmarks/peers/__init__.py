"""The sides of the comparison: each trains the same networks on the same data.

A side is made for one network and one folder of batches; `train` is what is timed.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from benchmarks.nets import Net


class Side(Protocol):
    """What a worker needs of a side."""

    def __init__(self, net: Net, folder: Path, random_crops: bool) -> None: ...

    def set_weights(self, weights: Mapping[str, np.ndarray]) -> None: ...

    def weights(self) -> dict[str, np.ndarray]: ...

    def train(self, count: int) -> float:
        """Train on the first `count` minibatches of batch 1 and return the mean cost."""


SIDES = {
    "ours": "benchmarks.peers.ours:Ours",
    "tensorflow": "benchmarks.peers.tensorflow_loop:TensorFlowLoop",
    "pytorch": "benchmarks.peers.pytorch_loop:PyTorchLoop",
    "keras": "benchmarks.peers.keras_fit:KerasFit",
}
TITLES = {
    "ours": "convnet-cfg",
    "tensorflow": "TensorFlow, loop written by hand",
    "pytorch": "PyTorch, channels_last",
    "keras": "Keras `fit`, default settings",
}


def make_side(name: str, net: Net, folder: Path, random_crops: bool) -> Side:
    """Import a side and make it."""
    module, attribute = SIDES[name].split(":")
    side: Side = getattr(importlib.import_module(module), attribute)(net, folder, random_crops)
    return side
