"""All update rules with all decays as plain NumPy in double precision: from the papers and the design.

Not from rules.py. Sources: momentum and Nesterov's as I. Sutskever et al. (2013) write them; Adam as in
algorithm 1 of arXiv 1412.6980; decay as in algorithms 1 and 2 of arXiv 1711.05101 and in docs.
"""

import numpy as np

from convnet_cfg.optim import DECAYS, Numbers, take_step

WAYS = [
    ("momentum", "inside"),
    ("momentum", "outside"),
    ("nesterov", "inside"),
    ("nesterov", "outside"),
    ("adam", None),
]
"""Each rule with each position of the learning rate."""

COMBINATIONS = [(rule, position, decay) for rule, position in WAYS for decay in DECAYS]


def combination_id(combination):
    return "-".join(part for part in combination if part)


def _momentum(state, G, e, m, now):
    (V,) = state
    if now["rate_position"] == "outside":
        V = m * V + G
        return -e * V, (V,)
    V = m * V - e * G
    return V, (V,)


def _nesterov(state, G, e, m, now):
    (V,) = state
    if now["rate_position"] == "outside":
        V = m * V + G
        return -e * (G + m * V), (V,)
    V = m * V - e * G
    return m * V - e * G, (V,)


def _adam(state, G, e, m, now):
    M, S, t = state
    s, t = now.get("second_momentum", 0.999), t + 1
    M = m * M + (1 - m) * G
    S = s * S + (1 - s) * G**2
    mean, square = M / (1 - m**t), S / (1 - s**t)
    return -e * mean / (np.sqrt(square) + now.get("epsilon", 1e-8)), (M, S, t)


MOVES = {"momentum": _momentum, "nesterov": _nesterov, "adam": _adam}


def start(rule, W):
    """The state before the first step: V, or M, S and t."""
    zero = np.zeros_like(W)
    return (zero, zero, 0) if rule == "adam" else (zero,)


def any_step(W, state, G, now):
    """(W, state) after a step; now: the arguments of a Group, with the rate of this step."""
    rule, decay, e, m, d = (
        now[name] for name in ("rule", "decay", "learning_rate", "momentum", "weight_decay")
    )
    if e <= 0:
        return W, state
    if decay in ("cuda-convnet", "l2"):
        G = G + d * W
    D, state = MOVES[rule](state, G, e, m, now)
    if decay == "after-step":
        return (1 - d) * (W + D), state
    if decay in ("cuda-convnet", "l2", "none"):
        return W + D, state
    if decay == "decoupled":
        strength = 1.0
    elif decay == "decoupled-lr":
        strength = e
    elif decay == "decoupled-schedule":
        strength = e / now["base_learning_rate"]
    elif decay == "decoupled-matched":
        strength = e if rule == "adam" else e / (1 - m)
    return W + D - strength * d * W, state


def step(name, W, V, G, e, m, d, e0):
    """(W, V) after a step of momentum with the rate inside."""
    now = {"rule": "momentum", "rate_position": "inside", "decay": name, "learning_rate": e}
    now |= {"momentum": m, "weight_decay": d, "base_learning_rate": e0}
    W, (V,) = any_step(W, (V,), G, now)
    return W, V


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
