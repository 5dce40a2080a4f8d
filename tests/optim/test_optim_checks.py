"""What is refused, and how it is said: the factor over all groups, functions as rates, slips of the pen."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from convnet_cfg.optim import Group, GroupedOptimizer, Linear


def variable(values, name="w", dtype="float32"):
    return keras.Variable(np.asarray(values, dtype), name=name, dtype=dtype)


@pytest.mark.parametrize(
    ("factor", "error", "message"),
    [
        (float("nan"), ValueError, "must be finite and >= 0, got nan"),
        (-3.0, ValueError, "must be finite and >= 0, got -3.0"),
        ("fast", TypeError, "must be a number, got 'fast'"),
        (True, TypeError, "must be a number, got True"),
        (Linear(0.1, 10), TypeError, "may be a schedule of Keras, not one of the progress"),
    ],
)
def test_the_factor_over_all_groups_is_checked(factor, error, message):
    group = Group(variable([1.0]), learning_rate=0.1)
    with pytest.raises(error, match=f"^learning_rate, the factor over all groups, {message}"):
        GroupedOptimizer([group], learning_rate=factor, total_steps=3)


def test_the_factor_is_checked_when_it_is_set():
    optimizer = GroupedOptimizer([Group(variable([1.0]), learning_rate=0.1)])
    with pytest.raises(ValueError, match="must be finite and >= 0, got -1"):
        optimizer.learning_rate = -1
    optimizer.learning_rate = np.float32(0.25)
    optimizer.learning_rate = 2
    assert float(optimizer.learning_rate) == 2.0


@pytest.mark.parametrize("compiled", [False, True])
def test_a_schedule_that_is_no_number_is_seen_in_the_weights(compiled):
    w = variable([1.0])
    broken = Group(w, learning_rate=lambda step: tf.where(step < 1, 0.5, np.nan), name="w")
    optimizer = GroupedOptimizer([broken])
    update = tf.function(lambda: optimizer.apply([tf.ones(1)], [w]), jit_compile=compiled)
    update()
    assert w.numpy()[0] == 0.5
    update()
    assert np.isnan(w.numpy()[0])


def test_a_plain_function_gets_the_steps_as_a_float():
    w = variable([0.0], dtype="float64")
    optimizer = GroupedOptimizer([Group(w, learning_rate=lambda step: 1 / (1 + step))])
    update = tf.function(lambda: optimizer.apply([tf.ones(1, tf.float64)], [w]))
    for _ in range(3):
        update()
    assert w.numpy()[0] == pytest.approx(-(1 + 1 / 2 + 1 / 3), rel=1e-12)


def test_a_function_that_cannot_be_traced_is_named():
    w = variable([0.0])
    optimizer = GroupedOptimizer([Group(w, learning_rate=lambda step: 0.1 if step < 2 else 0.01, name="w")])
    with pytest.raises(TypeError, match="group 'w': learning_rate is a function that cannot compute with a"):
        tf.function(lambda: optimizer.apply([tf.ones(1)], [w]), autograph=False)()
    with pytest.raises(TypeError, match="group 'w': learning_rate must be a number, .* takes 0 positional"):
        Group(w, learning_rate=lambda: 0.1, name="w")


def test_a_schedule_that_may_warm_up_needs_a_base():
    w = variable([1.0])
    schedule = keras.optimizers.schedules.CosineDecay(1e-6, 10, warmup_target=0.1, warmup_steps=3)
    numbers = {"learning_rate": schedule, "weight_decay": 1e-3, "decay": "decoupled-schedule", "name": "w"}
    with pytest.raises(
        ValueError, match="group 'w': decay 'decoupled-schedule' divides by base_learning_rate"
    ):
        Group(w, **numbers)
    optimizer = GroupedOptimizer([Group(w, **numbers, base_learning_rate=0.1)])
    for _ in range(5):
        optimizer.apply([tf.zeros(1)], [w])
    assert 0.99 < w.numpy()[0] < 1.0


def test_slips_of_the_constructor_are_explained():
    group = Group(variable([1.0]), learning_rate=0.1)
    with pytest.raises(TypeError, match="^groups must be a list of Groups, got Group"):
        GroupedOptimizer(group)
    with pytest.raises(TypeError, match="^groups must be a list of Groups, got an item 0.1"):
        GroupedOptimizer([group, 0.1])
    with pytest.raises(TypeError, match="^Linear: base must be a number, got 'a'"):
        Linear("a", 10)
    with pytest.raises(KeyError, match="no group 0"):
        GroupedOptimizer([group], total_steps=np.int64(5)).groups[0]
