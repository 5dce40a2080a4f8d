"""Every rule with every decay and position of the rate against NumPy, in each way of running a step."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from all_rules import HOW, AllRules, gradient_of
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from optim_reference import COMBINATIONS, WAYS, any_step, combination_id, difference, start

from convnet_cfg.optim import DECAYS, RULES, Group, GroupedOptimizer

pytestmark = pytest.mark.slow

STEPS = 50
# Without shrinking: an example takes seconds.
FEW = {"deadline": None, "phases": [Phase.reuse, Phase.generate]}


def test_there_are_forty_combinations():
    assert {rule for rule, _ in WAYS} == set(RULES)
    assert len(COMBINATIONS) == 5 * len(DECAYS) == 40


# W = 2, d = 0, m = 0.5; G = 1, -1, 0; e = 0.1, 0.1, 0.2. By hand, V and W after each step:
#   momentum, inside:  V = -0.1, 0.05, 0.025   D = V
#             outside: V = 1, -0.5, -0.25      D = -e V
#   nesterov, inside:  the same V; D = -0.05 - 0.1; 0.025 + 0.1; 0.0125 - 0
#             outside: the same V; D = -0.1 (1 + 0.5); -0.1 (-1 - 0.25); -0.2 (0 - 0.125)
BY_HAND = {
    ("momentum", "inside"): [(-0.1, 1.9), (0.05, 1.95), (0.025, 1.975)],
    ("momentum", "outside"): [(1.0, 1.9), (-0.5, 1.95), (-0.25, 2.0)],
    ("nesterov", "inside"): [(-0.1, 1.85), (0.05, 1.975), (0.025, 1.9875)],
    ("nesterov", "outside"): [(1.0, 1.85), (-0.5, 1.975), (-0.25, 2.0)],
}


@pytest.mark.parametrize(("rule", "position"), BY_HAND)
def test_the_reference_itself_by_hand(rule, position):
    now = {"rule": rule, "rate_position": position, "decay": "none", "momentum": 0.5, "weight_decay": 0.0}
    W, state = np.array([2.0]), (np.zeros(1),)
    for e, G, expected in zip((0.1, 0.1, 0.2), (1.0, -1.0, 0.0), BY_HAND[rule, position], strict=True):
        W, state = any_step(W, state, np.array([G]), now | {"learning_rate": e})
        assert (state[0][0], W[0]) == pytest.approx(expected, rel=1e-12)


def test_the_reference_of_adam_by_hand():
    # m = 1/2, s = 3/4, epsilon = 1/2, e = 0.1. G = 2: M = 1, S = 1; corrected 1 / (1/2) = 2 and
    # 1 / (1/4) = 4; D = -0.1 * 2 / (2 + 1/2) = -0.08. G = 0: M = 1/2, S = 3/4; corrected
    # (1/2) / (3/4) = 2/3 and (3/4) / (7/16) = 12/7; D = -0.1 (2/3) / (sqrt(12/7) + 1/2) = -0.03684652...
    now = {"rule": "adam", "decay": "none", "learning_rate": 0.1, "momentum": 0.5, "weight_decay": 0.0}
    now |= {"second_momentum": 0.75, "epsilon": 0.5}
    W, state = any_step(np.array([1.0]), start("adam", np.zeros(1)), np.array([2.0]), now)
    assert W[0] == pytest.approx(0.92, rel=1e-14)
    W, state = any_step(W, state, np.array([0.0]), now)
    assert W[0] == pytest.approx(0.92 - (0.2 / 3) / (np.sqrt(12 / 7) + 0.5), rel=1e-14)
    assert state[2] == 2


def momenta(rule, decay):
    """Momenta that Group accepts; 1 divides `decoupled-matched` by zero."""
    if rule == "adam":
        return st.one_of(st.just(0.0), st.floats(0.0, 0.99))
    ends = [-1.0, 0.0] if decay == "decoupled-matched" else [-1.0, 0.0, 1.0]
    return st.one_of(st.sampled_from(ends), st.floats(-0.9, 0.95))


RATES = st.one_of(st.just(0.0), st.just(-0.1), st.floats(1e-4, 0.2), st.floats(1e-4, 0.2))
# Keras keeps the factor in single precision: those that are exact there.
FACTORS = st.sampled_from([1.0, 1.5, 0.125, 0.0])


def numbers_of(combination):
    rule, _, decay = combination
    return st.fixed_dictionaries(
        {
            "learning_rate": RATES,
            "momentum": momenta(rule, decay),
            "weight_decay": st.one_of(st.just(0.0), st.floats(1e-6, 0.3)),
            "base_learning_rate": st.floats(0.05, 0.5),
        }
    )


ALL_NUMBERS = st.tuples(*map(numbers_of, COMBINATIONS))
CHANGES = st.dictionaries(
    st.integers(1, STEPS - 1),
    st.tuples(st.lists(RATES, min_size=len(COMBINATIONS), max_size=len(COMBINATIONS)), FACTORS),
    min_size=1,
    max_size=4,
)


@pytest.fixture(scope="module", params=["eager", "graph", "xla"])
def all_rules(request):
    return AllRules(request.param, second_momentum=0.99, epsilon=1e-3)


@settings(max_examples=2, **FEW)
@given(ALL_NUMBERS, CHANGES, st.integers(0, 999))
def test_all_rules_equal_the_reference_after_50_steps(all_rules, numbers, changes, seed):
    weights = np.random.default_rng(seed).normal(size=(len(COMBINATIONS), 3, 2))
    all_rules.set(numbers)
    rates = {0: ([mine["learning_rate"] for mine in numbers], 1.0), **changes}
    results = all_rules.train(weights, rates, STEPS)
    for name, (weight, velocity, expected_weight, expected_velocity) in results.items():
        assert difference(weight, expected_weight) < 1e-9, name
        assert np.abs(velocity - expected_velocity).max() < 1e-9 * max(np.abs(expected_velocity).max(), 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["eager", "graph", "xla"])
def test_all_rules_in_single_precision_stay_within_1e_6(how):
    """In the mean of squares: where sin(w) feeds an error back, a single weight may be 1e-5 off."""
    rules = AllRules(how, dtype="float32", shape=(50, 20))
    weights = np.random.default_rng(1).normal(size=(len(COMBINATIONS), 50, 20)).astype(np.float32)
    rules.set([{"momentum": 0.9, "weight_decay": 0.004, "base_learning_rate": 0.02}] * len(COMBINATIONS))
    rates = {number: ([rate] * len(COMBINATIONS), 1.0) for number, rate in [(0, 0.01), (25, 0.005)]}
    results = rules.train(weights, rates, STEPS)
    for (name, (weight, _, expected, _)), first in zip(results.items(), weights, strict=True):
        # The weights shrink on the way: rounding counts from where they were.
        assert np.sqrt(np.mean((weight - expected) ** 2) / np.mean(first**2)) < 1e-6, name


SHAPES = st.lists(st.sampled_from([(), (1,), (3,), (2, 3), (2, 1, 3)]), min_size=1, max_size=3)
ADAM_ONLY = st.fixed_dictionaries(
    {"second_momentum": st.floats(0.5, 0.9999), "epsilon": st.sampled_from([1e-10, 1e-8, 1e-3, 1.0])}
)
GROUPS = st.lists(
    st.sampled_from(COMBINATIONS).flatmap(
        lambda names: st.tuples(
            st.just(names), numbers_of(names), SHAPES, ADAM_ONLY if names[0] == "adam" else st.just({})
        )
    ),
    min_size=2,
    max_size=5,
)


@settings(max_examples=4, **FEW)
@given(st.data(), GROUPS, st.integers(0, 999))
def test_random_groups_of_random_shapes(data, drawn, seed):
    rng = np.random.default_rng(seed)
    groups, expected = {}, []
    for number, (names, numbers, shapes, adam) in enumerate(drawn):
        arguments = dict(zip(("rule", "rate_position", "decay"), names, strict=True)) | numbers | adam
        mine = [keras.Variable(rng.normal(size=shape), dtype="float64") for shape in shapes]
        groups[f"g{number}"] = (Group(mine, **arguments, name=f"g{number}"), arguments)
        expected += [(w, w.numpy(), start(names[0], w.numpy()), f"g{number}") for w in mine]
    optimizer = GroupedOptimizer(group for group, _ in groups.values())
    variables = [w for w, *_ in expected]
    changes = data.draw(
        st.dictionaries(st.integers(1, STEPS - 1), st.tuples(st.sampled_from(sorted(groups)), RATES))
    )
    factors = data.draw(st.dictionaries(st.integers(1, STEPS - 1), FACTORS, max_size=2))
    factor = 1.0
    for number in range(STEPS):
        if number in changes:
            name, rate = changes[number]
            optimizer.groups[name].learning_rate = groups[name][1]["learning_rate"] = rate
        if number in factors:
            optimizer.learning_rate = factor = factors[number]
        optimizer.apply([gradient_of(w.value, tf.sin) for w in variables], variables)
        for index, (w, weight, state, name) in enumerate(expected):
            now = groups[name][1]
            now = now | {"learning_rate": now["learning_rate"] * factor}
            expected[index] = (w, *any_step(weight, state, gradient_of(weight), now), name)
    for w, weight, _, name in expected:
        assert difference(w, weight) < 1e-9, drawn[int(name[1:])]


@pytest.mark.parametrize("names", COMBINATIONS, ids=combination_id)
def test_frozen_means_that_nothing_moves(names):
    arguments = dict(zip(("rule", "rate_position", "decay"), names, strict=True))
    w = keras.Variable([1.0, -2.0], dtype="float64")
    optimizer = GroupedOptimizer(
        [Group([w], **arguments, learning_rate=0.1, momentum=0.5, weight_decay=0.1, name="g")]
    )
    optimizer.apply([tf.ones(2, tf.float64)], [w])
    before = [kept.numpy() for kept in (w, *optimizer.variables[6:])]
    assert len(before) == 1 + len(RULES[names[0]].slots)
    for rate in (0.0, -1.0):
        optimizer.groups["g"].learning_rate = rate
        optimizer.apply([tf.constant([np.nan, np.inf], tf.float64)], [w])
    for kept, old in zip((w, *optimizer.variables[6:]), before, strict=True):
        np.testing.assert_array_equal(kept.numpy(), old)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float64", 1e-9), ("float32", 1e-6), ("float16", 2e-3), ("bfloat16", 2e-2)]
)
@pytest.mark.parametrize("how", ["eager", "graph", "xla"])
def test_adam_corrects_its_bias_though_momentum_changes(how, dtype, tolerance):
    """While the gradient stays the same, the corrected mean is that gradient: each step is e, to epsilon."""
    w = keras.Variable([0.0, 0.0], dtype=dtype)
    optimizer = GroupedOptimizer([Group([w], rule="adam", learning_rate=0.25, epsilon=1e-4, name="g")])
    optimizer.build([w])
    step = HOW[how](lambda: optimizer.apply([tf.constant([4.0, -0.5], w.dtype)], [w]))
    expected = np.zeros(2)
    for momentum, rate in [(0.9, 0.25), (0.0, 0.25), (0.99, 0.0), (0.99, 0.25), (0.5, 0.25)]:
        optimizer.groups["g"].momentum, optimizer.groups["g"].learning_rate = momentum, rate
        step()
        expected += rate * np.array([-4 / (4 + 1e-4), 0.5 / (0.5 + 1e-4)])
        np.testing.assert_allclose(w.numpy().astype(np.float64), expected, rtol=tolerance)
