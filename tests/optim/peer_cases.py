"""What peers are compared on: starts, a gradient, rates that change, and our side of it.

Importing this does not import Keras.
"""

import numpy as np

STEPS = 50
# Exact in single precision, in which Keras keeps rates and turns its other numbers.
NUMBERS = {"learning_rate": 0.0625, "momentum": 0.875, "weight_decay": 0.03125}
SHAPES = {"conv/kernel": (3, 4), "conv/bias": (4,), "fc/kernel": (4, 2)}
STARTS = {
    name: np.random.default_rng(seed).normal(size=shape) for seed, (name, shape) in enumerate(SHAPES.items())
}
# Of each variable, before the factors of all.
RATES = {"conv/kernel": 0.0625, "conv/bias": 0.125, "fc/kernel": 0.03125}
DECAYS_OF = {"conv/kernel": 0.03125, "conv/bias": 0.0, "fc/kernel": 0.25}
CHANGES = {0: 1.0, 15: 0.25, 30: 2.0}
"""Factors over all rates, by the step from which on they hold."""


def rate_at(name, step, changes=None):
    changes = CHANGES if changes is None else changes
    return RATES[name] * changes[max(begin for begin in changes if begin <= step)]


def ours(changes=None, **arguments):
    """Weights after 50 steps of a group for each variable, each with its own rate and decay."""
    import keras
    import tensorflow as tf

    from convnet_cfg.optim import Group, GroupedOptimizer

    changes = CHANGES if changes is None else changes
    variables = {name: keras.Variable(start, dtype="float64") for name, start in STARTS.items()}
    optimizer = GroupedOptimizer(
        Group(
            [w],
            **{"learning_rate": RATES[name], "momentum": 0.875, "weight_decay": DECAYS_OF[name], **arguments},
            name=name,
        )
        for name, w in variables.items()
    )
    optimizer.build(list(variables.values()))
    step = tf.function(
        lambda: optimizer.apply([tf.sin(w.value) + 0.1 for w in variables.values()], [*variables.values()])
    )
    for number in range(STEPS):
        optimizer.learning_rate = changes.get(number, optimizer.learning_rate)
        step()
    return {name: w.numpy() for name, w in variables.items()}


def assert_same(got, expected, tolerance):
    for name, weight in expected.items():
        assert np.abs(got[name] - weight).max() < tolerance * np.abs(weight).max(), name
