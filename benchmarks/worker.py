"""A worker: one side and one network in a process of its own, at work only when it is told to.

Run as `python -m benchmarks.worker SIDE NET FOLDER CROPS`; reads a JSON command a line, answers with a line.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

THREADS = 2


def limit_threads() -> None:
    """Give every library two threads, on two processors; before any of them is imported."""
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ[name] = str(THREADS)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, processors[:THREADS])


class Worker:
    """Obeys the commands; the names of the methods are those of the commands."""

    def __init__(self, side: str, net: str, folder: str, crops: str) -> None:
        from benchmarks.nets import NETS
        from benchmarks.peers import make_side

        self.net = NETS[net]
        self.side = make_side(side, self.net, Path(folder), crops == "random")

    def measure(self, minibatches: int) -> dict[str, float]:
        """Train, and return the wall time and the processor time."""
        wall, processor = time.perf_counter(), time.process_time()
        cost = self.side.train(minibatches)
        return {
            "seconds": time.perf_counter() - wall,
            "processor": time.process_time() - processor,
            "cost": cost,
        }

    def set_weights(self, seed: int) -> None:
        from benchmarks.nets import lively_weights

        self.side.set_weights(lively_weights(self.net, seed))

    def save_weights(self, file: str) -> None:
        import numpy as np

        np.savez(file, **self.side.weights())

    def products(self, minibatches: int) -> dict[str, float]:
        """Time the convolutions and matrix products of our network alone."""
        from benchmarks.products import time_products

        return time_products(self.side, minibatches)

    def profile(self, minibatches: int) -> dict[str, float]:
        """Return milliseconds of a minibatch for each kind of operation, by TensorFlow's profiler."""
        from benchmarks.profiling import profile

        return profile(lambda: self.side.train(minibatches), minibatches)

    def memory(self) -> float:
        """Return the largest size of this process so far, in GB."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def serve(arguments: list[str]) -> None:
    """Answer commands until the input ends; what libraries print goes to the standard error."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    worker = Worker(*arguments)
    print(json.dumps(None), file=answers)
    for line in sys.stdin:
        name, keywords = json.loads(line)
        command: Callable[..., Any] = getattr(worker, name)
        print(json.dumps(command(**keywords)), file=answers)


if __name__ == "__main__":
    limit_threads()
    serve(sys.argv[1:])
