"""Schedules against those of cuda-convnet's language, alone and in an optimizer."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from optim_reference import any_step, start

from convnet_cfg.language.schedules import V2_SCHEDULES, Progress, schedule_kind
from convnet_cfg.optim import Exponential, Group, GroupedOptimizer, Linear, ProgressSchedule, Steps

READ = schedule_kind(V2_SCHEDULES).convert

PAIRS = {
    "linear[base=.1;tgtFactor=10]": Linear(0.1, 10.0),
    "linear[base=.1;tgtFactor=.5]": Linear(0.1, 0.5),
    "exp[base=.01;tgtFactor=250]": Exponential(0.01, 250.0),
    "exp[base=.01;tgtFactor=.25]": Exponential(0.01, 0.25),
    "dexp[base=.01;tgtFactor=1000;numSteps=4]": Steps(0.01, 1000.0, 4),
    "dexp[base=.01;tgtFactor=1000;numSteps=2]": Steps(0.01, 1000.0, 2),
    "dexp[base=.5;tgtFactor=16;numSteps=5]": Steps(0.5, 16.0, 5),
    "dexp[base=.5;tgtFactor=16;numSteps=7]": Steps(0.5, 16.0, 7),
    "dexp[base=.5;tgtFactor=.5;numSteps=10]": Steps(0.5, 0.5, 10),
}
BOUNDARIES = sorted({(i + 1) / steps for steps in (2, 4, 5, 7, 10) for i in range(steps)})
POINTS = sorted(
    {0.0, 1.0, *np.random.default_rng(0).uniform(size=50)}
    | {
        float(np.clip(neighbour, 0, 1))
        for boundary in BOUNDARIES
        for at in (boundary, np.float32(boundary))
        for neighbour in (at, np.nextafter(at, 0), np.nextafter(at, 2), at - 1e-6, at + 1e-6)
    }
)


@pytest.mark.parametrize("text", PAIRS)
def test_the_rate_is_that_of_the_language(text):
    spec, ours = READ(text), PAIRS[text]
    assert isinstance(ours, ProgressSchedule)
    assert len(POINTS) > 100
    for point in POINTS:
        assert float(ours(point)) == pytest.approx(spec.rate(Progress(point)), rel=1e-6), point


@pytest.mark.parametrize("text", PAIRS)
def test_a_tensor_of_double_precision_gives_the_same(text):
    ours = PAIRS[text]
    rates = tf.function(lambda point: tf.cast(ours(point), tf.float64))
    for point in POINTS[::5]:
        assert rates(tf.constant(point, tf.float64)).numpy() == pytest.approx(float(ours(point)), rel=1e-6)


def test_vectors_of_the_specification():
    steps = Steps(0.01, 1000.0, 4)
    vectors = [(0, 0.01), (0.25, 0.01), (0.2500001, 1e-3), (0.5, 1e-3), (0.75, 1e-4), (0.76, 1e-5)]
    for progress, rate in vectors:
        assert float(steps(progress)) == pytest.approx(rate, rel=1e-6)


def test_a_boundary_belongs_to_the_step_before_unless_single_precision_passes_it():
    for steps in (2, 4, 8):
        for index in range(steps):
            rate = float(Steps(1.0, 2.0, steps)((index + 1) / steps))
            assert rate == pytest.approx(2.0 ** (-index / (steps - 1)), rel=1e-6)
    # float32(0.2) = 0.200000003, float32(0.7) = 0.699999988
    assert float(Steps(1.0, 2.0, 5)(0.2)) == pytest.approx(2**-0.25)
    assert float(Steps(1.0, 2.0, 10)(0.7)) == pytest.approx(2 ** (-6 / 9))


def train(optimizer, w, steps, gradient=None):
    """The rate of group g that each step sees."""
    gradient = tf.zeros_like if gradient is None else gradient
    step = tf.function(lambda: optimizer.apply([gradient(w.value)], [w]))
    rates = []
    for _ in range(steps):
        rates.append(optimizer.groups["g"].learning_rate)
        step()
    return rates


@pytest.mark.parametrize("text", PAIRS)
def test_the_rate_of_each_step_of_a_training(text):
    total, ours, spec = 20, PAIRS[text], READ(text)
    w = keras.Variable([1.0], dtype="float64")
    optimizer = GroupedOptimizer([Group([w], learning_rate=ours, name="g")], total_steps=total)
    rates = train(optimizer, w, total + 3)
    for step, rate in enumerate(rates):
        assert rate == pytest.approx(spec.rate(Progress(min(step / total, 1.0))), rel=1e-6), step


class FromSpec(ProgressSchedule):
    """A shape of one's own."""

    def __call__(self, progress):
        return 0.25 * (1 - progress) ** 2


# Rate of each step of 20; those of Keras are in single precision.
KINDS = {
    "progress": (Exponential(0.1, 4.0), lambda step: 0.1 * 4.0 ** (-step / 20)),
    "steps": (Steps(0.125, 4.0, 3), lambda step: 0.125 * 2.0 ** -(step * 3 > 20) * 2.0 ** -(step * 3 > 40)),
    "own": (FromSpec(), lambda step: 0.25 * (1 - step / 20) ** 2),
    "keras": (
        keras.optimizers.schedules.InverseTimeDecay(0.125, 4, 1.0),
        lambda step: 0.125 / (1 + step / 4),
    ),
    "function": (lambda step: 0.125 / (1.0 + tf.cast(step, tf.float64)), lambda step: 0.125 / (1 + step)),
    "freezing": (lambda step: tf.where(step < 10, 0.125, 0.0), lambda step: 0.125 if step < 10 else 0.0),
}


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("rule", ["momentum", "adam"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_schedule_moves_the_weights_as_its_rates_do(kind, rule, compiled):
    schedule, rate_of = KINDS[kind]
    begin = np.array([1.0, -2.0])
    w = keras.Variable(begin, dtype="float64")
    numbers = {"rule": rule, "momentum": 0.5, "weight_decay": 0.1, "decay": "decoupled-schedule"}
    numbers |= {"rate_position": "outside"} if rule == "momentum" else {}
    if kind in ("keras", "function", "freezing"):
        numbers["base_learning_rate"] = rate_of(0)
    group = Group([w], learning_rate=schedule, **numbers, name="g")
    assert group.base_learning_rate == pytest.approx(rate_of(0), rel=1e-7)
    optimizer = GroupedOptimizer([group], learning_rate=0.5, total_steps=20)
    step = tf.function(lambda: optimizer.apply([tf.sin(w.value)], [w]), jit_compile=compiled)
    weight, state = begin, start(rule, begin)
    for number in range(20):
        assert optimizer.groups["g"].learning_rate == pytest.approx(rate_of(number), rel=1e-6)
        step()
        now = numbers | {"learning_rate": 0.5 * rate_of(number), "base_learning_rate": rate_of(0)}
        weight, state = any_step(weight, state, np.sin(weight), now)
    np.testing.assert_allclose(w.numpy(), weight, rtol=1e-6)


def test_a_schedule_of_keras_over_all_groups():
    w = keras.Variable([0.0], dtype="float64")
    factor = keras.optimizers.schedules.PiecewiseConstantDecay([1], [1.0, 0.5])
    optimizer = GroupedOptimizer(
        [Group([w], learning_rate=Linear(1.0, 2.0), name="g")], factor, total_steps=4
    )
    train(optimizer, w, 4, tf.ones_like)
    # Rates 1, 0.875, 0.75, 0.625; factors 1, 1, 0.5, 0.5.
    assert w.numpy()[0] == pytest.approx(-(1 + 0.875 + 0.375 + 0.3125), rel=1e-12)


def test_a_schedule_beside_a_number_that_is_set():
    a, b = (keras.Variable([0.0], dtype="float64", name=name) for name in "ab")
    optimizer = GroupedOptimizer(
        [Group([a], learning_rate=Linear(1.0, 2.0), name="g"), Group([b], learning_rate=1.0)], total_steps=4
    )
    step = tf.function(lambda: optimizer.apply([tf.ones(1, tf.float64)] * 2, [a, b]))
    step()
    optimizer.groups["b"].learning_rate = 0.25
    step()
    assert (a.numpy()[0], b.numpy()[0]) == (-1.875, -1.25)


def test_total_steps_is_needed():
    w = keras.Variable([0.0])
    group = Group([w], learning_rate=Linear(1.0, 2.0), name="g")
    with pytest.raises(ValueError, match="total_steps is needed: the rate of group 'g' follows the progress"):
        GroupedOptimizer([group])
    for total in (0, -1, 2.5, True, "3"):
        with pytest.raises(ValueError, match="total_steps must be an integer >= 1, got"):
            GroupedOptimizer([group], total_steps=total)
    # A function of the step needs none.
    GroupedOptimizer([Group([w], learning_rate=lambda step: 0.1)])


@pytest.mark.parametrize("given", [lambda step: None, lambda step: "fast", lambda step: [0.1, 0.2]])
def test_a_schedule_gives_a_number(given):
    with pytest.raises(TypeError, match="^group 'g': learning_rate must be a number, a schedule, or a func"):
        Group([keras.Variable([0.0])], learning_rate=given, name="g")


def test_a_scheduled_rate_cannot_be_set():
    w = keras.Variable([0.0])
    optimizer = GroupedOptimizer([Group([w], learning_rate=lambda step: 0.1, momentum=0.5, name="g")])
    with pytest.raises(TypeError, match="group 'g': learning_rate follows a schedule and cannot be set"):
        optimizer.groups["g"].learning_rate = 0.2
    optimizer.groups["g"].momentum = 0.25
    assert optimizer.groups["g"].momentum == 0.25


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Linear(math.inf, 2.0), "Linear: base must be finite, got inf"),
        (lambda: Exponential(0.1, 0.0), "Exponential: target_factor must be finite and above 0, got 0.0"),
        (lambda: Steps(0.1, math.nan, 3), "Steps: target_factor must be finite and above 0, got nan"),
        (lambda: Steps(0.1, 2.0, 1), "Steps: steps must be an integer >= 2, got 1"),
        (lambda: Steps(0.1, 2.0, True), "Steps: steps must be an integer >= 2, got True"),
        (lambda: Steps(0.1, 2.0, 2.5), "Steps: steps must be an integer >= 2, got 2.5"),
    ],
)
def test_schedules_check_their_numbers(make, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        make()
