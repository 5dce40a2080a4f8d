"""The eight rules as plain NumPy in double precision, written from design.md, not from rules.py."""

import numpy as np

from convnet_cfg.optim import Numbers, take_step


def step(name, W, V, G, e, m, d, e0):
    if e <= 0:
        return W, V
    d = max(d, 0.0)
    if name in ("cuda-convnet", "l2"):
        new = m * V - e * d * W - e * G
        return W + new, new
    new = m * V - e * G
    if name == "after-step":
        return (1 - d) * (W + new), new
    strength = {
        "decoupled": 1.0,
        "decoupled-lr": e,
        "decoupled-schedule": e / e0 if name == "decoupled-schedule" else None,
        "decoupled-matched": e / (1 - m) if name == "decoupled-matched" else None,
        "none": 0.0,
    }[name]
    return (1 - strength * d) * W + new, new


def difference(got, expected):
    """The largest error relative to the largest number."""
    got, expected = np.asarray(got, np.float64), np.asarray(expected, np.float64)
    return np.abs(got - expected).max() / max(np.abs(expected).max(), 1e-30)


def momentum_step(weight, velocity, gradient, now, decay):
    """`take_step` of one group with momentum, from its `Settings`."""
    share = decay.share(now, 1 / (1 - now.momentum)) if decay.share else 0
    e, m = now.learning_rate, now.momentum
    numbers = Numbers(True, e, -e, type(e)(-1), m, 1 - m, now.weight_decay, share)
    weight, (velocity,) = take_step(weight, (velocity,), gradient, numbers, decay)
    return weight, velocity
