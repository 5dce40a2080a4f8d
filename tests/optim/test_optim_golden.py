"""The update rule on traces of cuda-convnet itself (golden/update_eps0_velocity).

The traces hold W and V of whole nets before and after each minibatch, not gradients. The gradient
of a matrix that moved is what its new velocity implies; everything else is then checked.
"""

import os
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from optim_reference import difference

from convnet_cfg.optim import Group, GroupedOptimizer

GOLDEN = Path(os.environ.get("CONVNET_GOLDEN", "../shared/golden"))

# The params file: rate, momentum, decay of each array.
SETTINGS = {
    "conv1_W0": (0, 0.9, 0.01),
    "conv1_B": (0.02, 0.5, 0),
    "fc1_W0": (0.02, 0.8, 0.02),
    "fc1_B": (0, 0.7, 0),
    "fc5_W0": (0, 0.5, 0.3),
    "fc5_B": (0, 0.5, 0),
}
FROZEN = [name for name, (rate, _, _) in SETTINGS.items() if rate == 0]


def velocity_name(name):
    return name.replace("_W0", "_Winc0").replace("_B", "_Binc")


def gradients(trace, step):
    """What the velocities after a step imply; nothing for frozen arrays."""
    result = []
    for name, (rate, momentum, decay) in SETTINGS.items():
        if rate == 0:
            result.append(None)
            continue
        weight, before = (trace[f"step{step}_{n}"].astype(np.float64) for n in (name, velocity_name(name)))
        after = trace[f"step{step + 1}_{velocity_name(name)}"].astype(np.float64)
        result.append((momentum * before - rate * decay * weight - after) / rate)
    return result


@pytest.mark.parametrize("prefix", ["", "v2_"])
def test_rate_zero_with_velocity(prefix):
    path = GOLDEN / f"{prefix}update_eps0_velocity.npz"
    if not path.exists():
        pytest.skip(f"no {path}: set CONVNET_GOLDEN to the folder of golden numbers")
    trace = np.load(path)
    variables = [keras.Variable(trace[f"step0_{name}"], name=name) for name in SETTINGS]
    optimizer = GroupedOptimizer(
        Group([w], learning_rate=e, momentum=m, weight_decay=d)
        for w, (e, m, d) in zip(variables, SETTINGS.values(), strict=True)
    )
    optimizer.build(variables)
    for w in variables:
        optimizer.velocity(w).assign(trace[f"step0_{velocity_name(w.name)}"])
    for step in range(3):
        given = [
            tf.zeros(w.shape) if g is None else tf.constant(g, tf.float32)
            for g, w in zip(gradients(trace, step), variables, strict=True)
        ]
        optimizer.apply(given, variables)
        for w in variables:
            velocity = optimizer.velocity(w).numpy()
            expected = trace[f"step{step + 1}_{w.name}"], trace[f"step{step + 1}_{velocity_name(w.name)}"]
            if w.name in FROZEN:
                assert np.array_equal(w.numpy(), expected[0])
                assert np.array_equal(velocity, expected[1])
                assert np.abs(velocity).max() > 0
            assert difference(w, expected[0]) < 1e-6
            assert difference(velocity, expected[1]) < 1e-6
