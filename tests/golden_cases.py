"""The numbers that the original programs computed (golden/README.md), and their layout.

In the files activities are (features, cases), a feature being (channel, row, column).
"""

import json
import os
from math import isqrt
from pathlib import Path

import numpy as np

FOLDER = Path(os.environ.get("CONVNET_GOLDEN", Path(__file__).parents[2] / "shared" / "golden"))
MISSING = f"{FOLDER} is not there (set CONVNET_GOLDEN)"


OTHER_PROGRAMS = ("v2_", "dc_", "nin_")


def entries():
    """Return the entries of all cases by name, but for the whole trainings; none without the folder."""
    if not (FOLDER / "index.json").is_file():
        return {}
    cases = json.loads((FOLDER / "index.json").read_text())["cases"]
    return {e["name"]: e for e in cases if not e["name"].startswith("e2e_")}


def read_arrays(name):
    """Return the arrays of a case by name."""
    with np.load(FOLDER / f"{name}.npz") as arrays:
        return dict(arrays)


def as_original(tensor):
    """Return an activity of ours as (features, cases)."""
    array = np.asarray(tensor)
    if array.ndim == 4:
        array = array.transpose(0, 3, 1, 2)
    return array.reshape(len(array), -1).T


def as_image(matrix, channels):
    """Return (features, cases) as (cases, rows, columns, channels)."""
    side = isqrt(len(matrix) // channels)
    return np.ascontiguousarray(matrix.reshape(channels, side, side, -1).transpose(3, 1, 2, 0))


def close(actual, wanted):
    """Return the largest difference in units of the largest wanted value."""
    actual, wanted = np.asarray(actual), np.asarray(wanted)
    assert actual.shape == wanted.shape
    largest = np.abs(wanted).max()
    return np.abs(actual - wanted).max() / (largest if largest > 0 else 1.0)
