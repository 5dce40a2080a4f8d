"""convnet-cfg itself: the session's own steps, in calls as long as the session makes them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.data import read_batch
from benchmarks.nets import MINIBATCH, Net
from convnet_cfg.training.observer import Observer
from convnet_cfg.training.options import Options
from convnet_cfg.training.session import SECONDS_PER_CALL
from convnet_cfg.training.setup import begin, prepare


class Ours:
    """A session as `convnet-train` makes it."""

    def __init__(self, net: Net, folder: Path, random_crops: bool) -> None:
        options = Options(
            data_provider=net.provider, data_path=str(folder), train_range=(1,), test_range=(1,), epochs=1
        )
        self.session = begin(
            prepare(*net.files, options), Path(tempfile.mkdtemp(dir=folder.parent)), Observer()
        )
        data = read_batch(folder, random_crops=random_crops)
        arrays = (data.images, data.labels, data.draws) if net.cropped else (data.images, data.labels)
        self.arrays = [tf.constant(array) for array in arrays]
        self.per_call = 1

    @property
    def variables(self) -> dict[str, tf.Variable]:
        return dict(self.session.built.variables)

    def set_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        for name, variable in self.variables.items():
            variable.assign(weights[name])

    def weights(self) -> dict[str, np.ndarray]:
        return {name: variable.numpy() for name, variable in self.variables.items()}

    def train(self, count: int) -> float:
        done, totals = 0, None
        while done < count:
            called = time.monotonic()
            last = min(done + self.per_call, count)
            part = self.session.steps.train(self.arrays, done, last, totals)
            seconds = (time.monotonic() - called) / (last - done)
            self.per_call = max(1, min(2 * self.per_call, round(SECONDS_PER_CALL / seconds)))
            done, totals = part.next, part.totals
        assert totals is not None
        return float(totals[0][0]) / (count * MINIBATCH)
