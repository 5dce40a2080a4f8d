"""How hard each decay pulls: what spec/params.md section 4.1 derives, and the normalized decay of B.1."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from optim_reference import any_step, start

from convnet_cfg.optim import DECAYS, Group, GroupedOptimizer, normalized_decay


def weights_over_time(steps, gradient=tf.zeros_like, begin=1.0, **arguments):
    """W before the first step and after each, in double precision."""
    w = keras.Variable([begin], dtype="float64")
    optimizer = GroupedOptimizer([Group([w], **arguments)])
    step = tf.function(lambda: optimizer.apply([gradient(w.value)], [w]))
    values = [w.numpy()[0]]
    for _ in range(steps):
        step()
        values.append(w.numpy()[0])
    return np.array(values)


def long_run_shrink(values):
    """The share of W that a step takes off, in the mean over the last ten."""
    return 1 - (values[-1] / values[-11]) ** 0.1


@pytest.mark.parametrize("rule", ["momentum", "nesterov"])
@pytest.mark.parametrize("position", ["inside", "outside"])
def test_without_momentum_coupled_and_decoupled_are_one(rule, position):
    numbers = {"rule": rule, "rate_position": position, "learning_rate": 0.1, "weight_decay": 0.1}
    ends = [
        weights_over_time(30, tf.sin, decay=decay, **numbers)
        for decay in ("cuda-convnet", "l2", "decoupled-lr", "decoupled-matched")
    ]
    np.testing.assert_allclose(ends[1:], [ends[0]] * 3, rtol=1e-14)


@pytest.mark.parametrize(
    ("decay", "expected"),
    # Worked in 40 digits; the specification rounds to ten, the last of SGDW's up.
    [("cuda-convnet", 1.5583017443), ("l2", 1.5583017443), ("decoupled-lr", 1.56589791363)],
)
def test_vectors_of_the_specification(decay, expected):
    """m = 0.9, e = 0.1, d = 0.01; W = 1, V = 0; gradient -cos W; five steps."""
    numbers = {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.01}
    values = weights_over_time(5, lambda w: -tf.cos(w), decay=decay, **numbers)
    assert values[-1] == pytest.approx(expected, abs=1e-10)


# e = 0.01, m = 0.9, d = 0.01, e0 = 0.1: the shares of a step without any gradient, by hand.
# Coupled: e d / (1 - m) = 0.001. Others: d = 0.01; e d = 0.0001; e/e0 d = 0.001; e/(1-m) d = 0.001.
SHRINK = {
    "cuda-convnet": 1e-3,
    "l2": 1e-3,
    "decoupled": 1e-2,
    "decoupled-lr": 1e-4,
    "decoupled-schedule": 1e-3,
    "decoupled-matched": 1e-3,
    "after-step": 1e-2,
    "none": 0.0,
}


@pytest.mark.parametrize("position", ["inside", "outside"])
@pytest.mark.parametrize("rule", ["momentum", "nesterov"])
@pytest.mark.parametrize("decay", DECAYS)
def test_shrink_of_a_step_without_gradients(decay, rule, position):
    values = weights_over_time(
        200,
        decay=decay,
        rule=rule,
        rate_position=position,
        learning_rate=0.01,
        momentum=0.9,
        weight_decay=0.01,
        base_learning_rate=0.1,
    )
    # Coupled decay is e d / (1 - m) but for W being not quite constant: a share of about
    # m / (1 - m) * 0.001 = 0.009 more.
    tolerance = 0.011 if DECAYS[decay].coupled else 1e-9
    assert long_run_shrink(values) == pytest.approx(SHRINK[decay], rel=tolerance, abs=1e-15)


def test_coupled_shrink_is_the_larger_root_of_its_recurrence():
    """Without G, W(t+1) = (1 + m - e d) W(t) - m W(t-1): in the long run W shrinks by the larger root."""
    e, m, d = 0.01, 0.9, 0.01
    values = weights_over_time(300, learning_rate=e, momentum=m, weight_decay=d)
    root = max(np.roots([1.0, -(1 + m - e * d), m]))
    assert long_run_shrink(values) == pytest.approx(1 - root, rel=1e-9)
    assert 1 - root == pytest.approx(e * d / (1 - m), rel=0.01)


@pytest.mark.parametrize("momentum", [0.5, 0.9, 0.95])
def test_strength_of_coupled_decay_over_decoupled_lr(momentum):
    """At momentum 0.9 tenfold; a decay d' = d / (1 - m) of `decoupled-lr` makes up for it in the long run."""
    numbers = {"learning_rate": 1e-4, "momentum": momentum, "weight_decay": 1e-3}
    steps = round(10 / (1 - momentum))
    coupled = long_run_shrink(weights_over_time(steps, decay="cuda-convnet", **numbers))
    plain = long_run_shrink(weights_over_time(steps, decay="decoupled-lr", **numbers))
    matched = long_run_shrink(weights_over_time(steps, decay="decoupled-matched", **numbers))
    assert coupled / plain == pytest.approx(1 / (1 - momentum), rel=1e-3)
    assert matched / plain == pytest.approx(1 / (1 - momentum), rel=1e-7)


def test_the_transient_of_coupled_decay():
    """The velocity has to gather: the first steps take e d, e d (1 + m), e d (1 + m + m^2), ... of W."""
    e, m, d = 1e-4, 0.9, 1e-2
    taken = -np.diff(weights_over_time(5, learning_rate=e, momentum=m, weight_decay=d))
    expected = e * d * np.cumsum(m ** np.arange(5))
    np.testing.assert_allclose(taken, expected, rtol=1e-4)
    assert taken[-1] < 0.42 * e * d / (1 - m)


@pytest.mark.parametrize("decay", ["cuda-convnet", "l2"])
def test_coupled_decay_rests_where_cost_and_penalty_do(decay):
    """Cost (W - 1)^2 / 2 and d/2 W^2: W = 1 / (1 + d), whatever the rate."""
    for rate in (0.1, 0.4):
        numbers = {"learning_rate": rate, "momentum": 0.5, "weight_decay": 0.25}
        values = weights_over_time(400, lambda w: w - 1, decay=decay, **numbers)
        assert values[-1] == pytest.approx(0.8, rel=1e-12)


@pytest.mark.parametrize(
    ("decay", "pull"),
    [("decoupled", 0.25), ("decoupled-lr", 0.025), ("decoupled-schedule", 0.25), ("decoupled-matched", 0.05)],
)
def test_where_decoupled_decay_rests(decay, pull):
    """Where the moves of a constant W make up for the pull: e / (1 - m) (1 - W) = share W."""
    e, m = 0.1, 0.5
    numbers = {"learning_rate": e, "momentum": m, "weight_decay": 0.25}
    values = weights_over_time(400, lambda w: w - 1, decay=decay, **numbers)
    gain = e / (1 - m)
    assert values[-1] == pytest.approx(gain / (gain + pull), rel=1e-12)


def test_moves_of_one_gradient_sum_to_the_gain():
    """One gradient of 1, then none: momentum and Nesterov's move W by e / (1 - m); Adam's mean sums to 1."""
    for rule in ("momentum", "nesterov"):
        W, state = np.zeros(1), start(rule, np.zeros(1))
        now = {"rule": rule, "rate_position": "inside", "decay": "none", "learning_rate": 0.1}
        now |= {"momentum": 0.9, "weight_decay": 0.0}
        for gradient in [1.0] + [0.0] * 400:
            W, state = any_step(W, state, np.array([gradient]), now)
        assert W[0] == pytest.approx(-0.1 / (1 - 0.9), rel=1e-12)
    assert (1 - 0.9) * sum(0.9**t for t in range(400)) == pytest.approx(1.0)


@pytest.mark.parametrize("decay", ["decoupled-lr", "decoupled-matched"])
def test_adam_shrinks_by_the_rate(decay):
    numbers = {"rule": "adam", "learning_rate": 0.01, "weight_decay": 0.01}
    values = weights_over_time(50, decay=decay, **numbers)
    assert long_run_shrink(values) == pytest.approx(1e-4, rel=1e-9)


def test_l2_under_adam_is_no_decay():
    """Without other gradients Adam divides the pull by its own size: each step takes e, however small d."""
    numbers = {"rule": "adam", "learning_rate": 0.01, "epsilon": 1e-30, "decay": "l2"}
    for d in (1e-6, 1.0):
        values = weights_over_time(1, weight_decay=d, **numbers)
        assert values[1] == pytest.approx(0.99, rel=1e-12)


# d = d_norm sqrt(b / (B T)): 125 of 50000 cases, 100 epochs: sqrt(125 / 5e6) = sqrt(25e-6) = 0.005.
@pytest.mark.parametrize(
    ("batch_size", "cases", "epochs", "expected"),
    [
        (125, 50_000, 100, 0.05 * 0.005),
        # Four times as long: half.
        (125, 50_000, 400, 0.05 * 0.0025),
        # Four times the minibatch: double.
        (500, 50_000, 100, 0.05 * 0.01),
        # A training of one update.
        (50_000, 50_000, 1, 0.05),
        (128, 128, 0.25, 0.1),
    ],
)
def test_normalized_decay_by_hand(batch_size, cases, epochs, expected):
    got = normalized_decay(0.05, batch_size=batch_size, cases=cases, epochs=epochs)
    assert got == pytest.approx(expected, rel=1e-14)


def test_normalized_decay_takes_off_the_root_of_the_number_of_updates():
    """B T / b updates of d each: d_norm sqrt(updates) in all."""
    updates = 50_000 * 9 / 125
    total = updates * normalized_decay(0.05, batch_size=125, cases=50_000, epochs=9)
    assert total == pytest.approx(0.05 * math.sqrt(3600)) == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("numbers", "name"),
    [
        ((-0.1, 1, 1, 1), "normalized"),
        ((math.nan, 1, 1, 1), "normalized"),
        ((0.1, 0, 1, 1), "batch_size"),
        ((0.1, 1, -1, 1), "cases"),
        ((0.1, 1, 1, math.inf), "epochs"),
    ],
)
def test_normalized_decay_checks_its_numbers(numbers, name):
    with pytest.raises(ValueError, match=f"^{name} must be a finite number"):
        normalized_decay(numbers[0], batch_size=numbers[1], cases=numbers[2], epochs=numbers[3])
