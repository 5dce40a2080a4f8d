"""Large variables, each of whose steps is compiled by XLA on its own, take the same steps as small ones."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from all_rules import HOW, AllRules, gradient_of
from optim_reference import COMBINATIONS, any_step, combination_id, difference, start

from convnet_cfg.optim import Group, GroupedOptimizer, fused

pytestmark = pytest.mark.slow

STEPS = 12
FORTY = len(COMBINATIONS)


def compiled_slots(optimizer):
    return [slot.compiled is not None for slot in optimizer._slots.values()]


def run(how, dtype):
    rules = AllRules(how, dtype)
    rng = np.random.default_rng(3)
    rules.set([{"momentum": 0.7, "weight_decay": 0.05, "base_learning_rate": 0.2}] * FORTY)
    # All rates change; each second group is frozen for a while.
    rates = {0: ([0.1] * FORTY, 1.0), 4: ([0.03, 0.0] * (FORTY // 2), 1.5), 8: ([0.05] * FORTY, 0.5)}
    return rules.optimizer, rules.train(rng.normal(size=(FORTY, 3, 2)).astype(dtype), rates, STEPS)


# Single precision: 12 steps; each is rounded about ten times.
@pytest.mark.parametrize(
    ("how", "dtype", "tolerance"),
    [
        ("graph", "float64", 1e-12),
        pytest.param("graph", "float32", 2e-6, marks=pytest.mark.slow),
        pytest.param("eager", "float64", 1e-12, marks=pytest.mark.slow),
        pytest.param("eager", "float32", 2e-6, marks=pytest.mark.slow),
    ],
)
def test_the_large_way_equals_the_small_way_and_the_reference(how, dtype, tolerance, monkeypatch):
    optimizer, small = run(how, dtype)
    assert not any(compiled_slots(optimizer))
    monkeypatch.setattr(fused, "LARGE", 1)
    optimizer, large = run(how, dtype)
    assert all(compiled_slots(optimizer))
    for name, (weight, velocity, *expected) in large.items():
        for got, other, wanted in zip((weight, velocity), small[name], expected, strict=False):
            assert difference(got, other) < tolerance, name
            assert difference(got, wanted) < tolerance, name


@pytest.mark.parametrize("names", COMBINATIONS[::9], ids=combination_id)
def test_a_variable_of_a_million_numbers(names):
    numbers = dict(zip(("rule", "rate_position", "decay"), names, strict=True))
    numbers |= {"learning_rate": 0.1, "momentum": 0.7, "weight_decay": 0.05}
    weight = np.random.default_rng(5).normal(size=(1024, 1024))
    assert weight.size >= fused.LARGE
    w = keras.Variable(weight, dtype="float64")
    optimizer = GroupedOptimizer([Group([w], **numbers, name="large")])
    now, state = numbers | {"base_learning_rate": 0.1}, start(names[0], weight)
    for rate in (0.1, 0.1, 0.02):
        optimizer.groups["large"].learning_rate = rate
        optimizer.apply([gradient_of(w.value, tf.sin)], [w])
        weight, state = any_step(weight, state, gradient_of(weight), now | {"learning_rate": rate})
    assert compiled_slots(optimizer) == [True]
    assert difference(w.numpy(), weight) < 1e-13
    assert difference(optimizer.velocity(w).numpy(), state[0]) < 1e-13


@pytest.mark.parametrize("how", ["eager", "graph"])
def test_a_broken_gradient_does_not_reach_a_large_frozen_variable(how, monkeypatch):
    monkeypatch.setattr(fused, "LARGE", 1)
    rules = AllRules(how, combinations=COMBINATIONS[::8])
    variables = list(rules.variables.values())
    rules.set([{"learning_rate": 0.0}] * 5)
    rules.restart(np.ones((5, 3, 2)))
    before = [kept.numpy() for kept in rules.optimizer.variables[1:]]
    HOW[how](lambda: rules.optimizer.apply([tf.fill((3, 2), np.float64("nan"))] * 5, variables))()
    assert all(compiled_slots(rules.optimizer))
    for w in variables:
        assert (w.numpy() == 1).all()
    for kept, old in zip(rules.optimizer.variables[1:], before, strict=True):
        np.testing.assert_array_equal(kept.numpy(), old)
