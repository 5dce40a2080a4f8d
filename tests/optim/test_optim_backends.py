"""The optimizer on the TensorFlow, JAX and PyTorch backends: one program, run on each."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from optim_reference import COMBINATIONS, any_step, start

PROGRAM = Path(__file__).parent / "backend_program.py"
EPOCHS, MINIBATCH, FROZEN = 6, 8, ("momentum", "inside", "l2")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["tensorflow", "jax", "torch"])
def result(request, tmp_path_factory):
    pytest.importorskip(request.param)
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path_factory.mktemp(request.param))],
        env={
            **os.environ,
            "KERAS_BACKEND": request.param,
            "PYTHONPATH": os.pathsep.join((str(PROGRAM.parent), os.getcwd())),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, done.stderr[-3000:]
    found = json.loads(lines[0].removeprefix("RESULT "))
    assert found["backend"] == request.param
    return found


def expected(combination):
    """Follow one column: its cost is the mean of squares over the cases and all columns."""
    from backend_program import columns_data

    rule, position, decay = combination
    numbers = {"rule": rule, "rate_position": position, "decay": decay, "momentum": 0.9, "weight_decay": 0.01}
    e, numbers["base_learning_rate"] = (0.02, 0.04) if rule == "adam" else (0.5, 1.0)
    x, y = (array.astype(np.float64) for array in columns_data())
    w = np.full((3, 1), 0.5)
    state = start(rule, w)
    for epoch in range(EPOCHS):
        changed = epoch >= 3
        rate = 0.0 if changed and combination == FROZEN else e * (0.5 if changed else 1)
        for first in range(0, len(x), MINIBATCH):
            cases, targets = x[first : first + MINIBATCH], y[first : first + MINIBATCH]
            gradient = cases.T @ (cases @ w - targets) * 2 / (MINIBATCH * len(COMBINATIONS))
            w, state = any_step(w, state, gradient, {**numbers, "learning_rate": rate})
    return w.ravel()


def test_every_rule_takes_the_steps_of_the_reference(result):
    assert len(result["weights"]) == len(COMBINATIONS) == 40
    moved = []
    for combination, weights in zip(COMBINATIONS, result["weights"], strict=True):
        wanted = expected(combination)
        moved.append(np.abs(wanted - 0.5).max())
        assert np.abs(wanted - weights).max() < 5e-6, combination
    assert min(moved) > 0.1


def test_a_loaded_model_goes_on_as_the_saved_one(result):
    assert result["loaded continues"]


def test_a_convolution_with_a_schedule_clipping_accumulation_and_averages(result):
    assert result["losses"][-1] < result["losses"][0] / 2
    # 64 steps of 64 are made: base / target_factor.
    assert result["scheduled"] == pytest.approx(0.005, rel=1e-5)
