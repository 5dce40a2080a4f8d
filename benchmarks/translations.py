"""Translates networks into Keras, and compares what the files compute with what we do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.translation_cases import Case, write_case

HERE = Path(__file__).parent


class Comparison(NamedTuple):
    """What came of one network: errors by array, or why it failed."""

    name: str
    errors: dict[str, float]
    failed: str = ""

    def worst(self, kind: str) -> float:
        """Return the largest error of the arrays of a kind: output, cost, gradient, stepped."""
        return max(
            (error for key, error in self.errors.items() if key.partition("/")[0] == kind), default=0.0
        )


def compare(cases: Sequence[Case], folder: Path) -> Iterator[Comparison]:
    """Yield what comes of networks, in one process in which convnet_cfg cannot be imported."""
    names = {write_case(case, folder): case.name for case in cases}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    command = [
        sys.executable,
        "-W",
        "error",
        "-W",
        "ignore:__array__:DeprecationWarning",
        str(HERE / cases[0].language.child),
        str(folder),
        *names,
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=False)
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    for answer in answers:
        yield Comparison(names[answer["name"]], answer.get("errors", {}), answer.get("failed", ""))
    for name in list(names)[len(answers) :]:
        yield Comparison(names[name], {}, done.stderr[-2000:] or f"the process ended with {done.returncode}")
