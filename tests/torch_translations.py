"""Networks translated to PyTorch, run there in a process of its own (torch_jobs.py)."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
PROGRAM = Path(__file__).parent / "export" / "torch_jobs.py"


@dataclass
class Job:
    """A translation, and what it is given: arrays by kind and name, as torch_jobs.py reads them."""

    name: str
    text: str
    arrays: dict[str, np.ndarray]
    training: bool = True
    objective: bool = False
    dtype: str = "float32"
    minibatch: int = 0
    more: dict[str, object] = field(default_factory=dict)

    def write(self, folder):
        """Write the files of the job; return its entry in jobs.json."""
        (folder / f"{self.name}.py").write_text(self.text)
        np.savez(folder / f"{self.name}.arrays.npz", **self.arrays)
        names = ("name", "training", "objective", "dtype", "minibatch")
        return {**{name: getattr(self, name) for name in names}, **self.more}


def run(jobs, folder):
    """Return the results of each job, arrays by kind and name; all run in one process."""
    (folder / "jobs.json").write_text(json.dumps([job.write(folder) for job in jobs]))
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, PROGRAM, folder], capture_output=True, text=True, env=environment, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return {job.name: read(folder / f"{job.name}.results.npz") for job in jobs}


def read(path):
    with np.load(path) as arrays:
        return dict(arrays)


def assert_well_written(texts, folder):
    """Check with ruff that files of these texts, by name, are as our own files have to be."""
    for name, text in texts.items():
        (folder / f"{re.sub(r'[^a-zA-Z0-9]', '_', name)}.py").write_text(text)
    for command in (["check"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--config", ROOT / "pyproject.toml", folder]
        done = subprocess.run(ruff, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
