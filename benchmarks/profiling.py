"""Where the time of a step goes, by TensorFlow's own profiler: milliseconds for each kind of operation."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf


def profile(work: Callable[[], object], minibatches: int) -> dict[str, float]:
    """Run `work` and return milliseconds of a minibatch by kind of operation, the longest first.

    Operations that run at the same time count each for itself.
    """
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            work()
        file = next(Path(folder).rglob("*.xplane.pb"))
        picoseconds = _by_kind(file.read_bytes())
    return {kind: time / 1e9 / minibatches for kind, time in picoseconds.most_common()}


def _by_kind(content: bytes) -> Counter[str]:
    from tensorflow.tsl.profiler.protobuf.xplane_pb2 import XSpace

    space = XSpace()
    space.ParseFromString(content)
    total: Counter[str] = Counter()
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                if kind := _kind(plane.event_metadata[event.metadata_id].name):
                    total[kind] += event.duration_ps
    return total


def _kind(event: str) -> str | None:
    """Return the kind of operation of an event; None for events that hold others.

    Operations are called `path/of/node:Kind`. With XLA we compute the gradient of the maximum only.
    """
    if event == "CpuExecutable::ExecuteAsyncOnStream":
        return "MaxPoolGrad (XLA)"
    _, colon, kind = event.rpartition(":")
    if not colon or not kind.isidentifier() or kind.startswith("__inference") or "::" in event:
        return None
    return kind.removeprefix("_Mkl").removeprefix("Native")
