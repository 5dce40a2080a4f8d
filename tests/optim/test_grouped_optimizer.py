"""The Keras optimizer: numbers against NumPy, frozen groups, settings changed while training."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from optim_reference import difference, step

from convnet_cfg.optim import DECAYS, Group, GroupedOptimizer, grouped, steps


def variable(values, name="w", dtype="float32", **more):
    return keras.Variable(np.asarray(values, dtype), name=name, dtype=dtype, **more)


def single(values=(1.0, -2.0), dtype="float32", **group):
    """One variable in one group called w, and its optimizer."""
    w = variable(values, dtype=dtype)
    optimizer = GroupedOptimizer([Group([w], **({"learning_rate": 0.1} | group))])
    optimizer.build([w])
    return w, optimizer


def gradient_of(w):
    return tf.sin(w) + 0.1


def train_graph(optimizer, variables, steps):
    @tf.function
    def train():
        for _ in tf.range(steps):
            optimizer.apply([gradient_of(w.value) for w in variables], variables)

    train()


def train_eagerly(optimizer, variables, steps):
    for _ in range(steps):
        optimizer.apply([gradient_of(w.value) for w in variables], variables)


def train_xla(optimizer, variables, steps):
    @tf.function(jit_compile=True)
    def train():
        for _ in tf.range(steps):
            optimizer.apply([gradient_of(w.value) for w in variables], variables)

    train()


def reference(w, numbers, steps, **given):
    """(W, V) after so many steps; numbers: the arguments of Group."""
    velocity = np.zeros_like(w)
    e, e0 = numbers["learning_rate"], numbers.get("base_learning_rate", numbers["learning_rate"])
    rest = numbers.get("momentum", 0.0), numbers.get("weight_decay", 0.0), e0
    for _ in range(steps):
        gradient = given.get("gradient", np.sin(w) + 0.1)
        w, velocity = step(numbers["decay"], w, velocity, gradient, e, *rest)
    return w, velocity


NUMBERS = st.fixed_dictionaries(
    {
        "learning_rate": st.one_of(st.just(0.0), st.just(-0.1), st.floats(1e-4, 0.2)),
        "momentum": st.floats(-0.5, 0.95),
        "weight_decay": st.one_of(st.just(0.0), st.floats(1e-5, 0.05)),
        "base_learning_rate": st.floats(0.05, 0.5),
    }
)


@pytest.mark.parametrize("train", [train_eagerly, train_graph], ids=["eager", "graph"])
# Without shrinking: each example traces a graph, and shrinking would take minutes.
@settings(max_examples=4, deadline=None, phases=[Phase.reuse, Phase.generate])
@given(st.lists(st.tuples(NUMBERS, st.integers(1, 2)), min_size=8, max_size=8), st.integers(0, 999))
def test_random_groups_equal_the_reference_after_50_steps(train, drawn, seed):
    rng = np.random.default_rng(seed)
    groups, variables, expected = [], [], []
    for name, (numbers, count) in zip(DECAYS, drawn, strict=True):
        numbers["decay"] = name
        mine = [variable(rng.normal(size=(3, 2)), f"w{count}", dtype="float64") for _ in range(count)]
        expected += [reference(w.numpy(), numbers, 50) for w in mine]
        groups.append(Group(mine, **numbers, name=name))
        variables += mine
    optimizer = GroupedOptimizer(groups)
    train(optimizer, variables, 50)
    for w, (weight, velocity) in zip(variables, expected, strict=True):
        assert difference(w, weight) < 1e-9
        assert np.abs(optimizer.velocity(w) - velocity).max() < 1e-9 * max(np.abs(velocity).max(), 1e-6)


@pytest.mark.parametrize("train", [train_eagerly, train_graph, train_xla], ids=["eager", "graph", "xla"])
def test_single_precision_stays_within_1e_6(train):
    numbers = {"learning_rate": 0.01, "momentum": 0.9, "weight_decay": 0.004, "base_learning_rate": 0.02}
    start = np.random.default_rng(1).normal(size=(8, 20, 10)).astype(np.float32)
    variables = [variable(part, name) for part, name in zip(start, DECAYS, strict=True)]
    optimizer = GroupedOptimizer(
        [Group([w], **numbers, decay=name) for w, name in zip(variables, DECAYS, strict=True)]
    )
    train(optimizer, variables, 50)
    for w, part, name in zip(variables, start, DECAYS, strict=True):
        weight, _ = reference(part.astype(np.float64), numbers | {"decay": name}, 50)
        # The weights shrink to a tenth on the way: rounding counts from where they were.
        assert np.abs(w.numpy() - weight).max() < 1e-6 * np.abs(part).max()


@pytest.mark.parametrize("train", [train_eagerly, train_graph, train_xla], ids=["eager", "graph", "xla"])
def test_frozen_groups_do_not_move(train):
    moving, still = variable([1.0, 2.0], "a"), variable([1.0, 2.0], "b")
    optimizer = GroupedOptimizer(
        [
            Group([moving], learning_rate=0.1),
            Group([still], learning_rate=0, momentum=0.9, weight_decay=0.1, decay="after-step"),
        ]
    )
    optimizer.build([moving, still])
    optimizer.velocity(still).assign([0.5, -0.5])
    train(optimizer, [moving, still], 3)
    assert still.numpy().tolist() == [1.0, 2.0]
    assert optimizer.velocity(still).numpy().tolist() == [0.5, -0.5]
    assert moving.numpy()[0] < 1.0
    assert optimizer.iterations.numpy() == 3


def test_a_broken_gradient_does_not_reach_a_frozen_group():
    w, optimizer = single(learning_rate=0)
    for compiled in (False, True):
        tf.function(lambda: optimizer.apply([tf.constant([np.nan, np.inf])], [w]), jit_compile=compiled)()
        assert w.numpy().tolist() == [1.0, -2.0]


def test_a_variable_without_a_gradient_is_left_alone_as_in_keras():
    a, b = variable([1.0], "a"), variable([1.0], "b")
    optimizer = GroupedOptimizer([Group([a, b], learning_rate=0.1, weight_decay=0.1, name="both")])
    with pytest.warns(UserWarning, match=r"Gradients do not exist for variables \['b'\]"):
        optimizer.apply([tf.ones(1), None], [a, b])
    assert (a.numpy()[0] < 1, b.numpy()[0]) == (True, 1.0)
    with pytest.raises(ValueError, match="No gradients provided for any variable"):
        optimizer.apply([None, None], [a, b])


def test_settings_change_without_retracing():
    w, optimizer = single(dtype="float64", momentum=0.9, weight_decay=0.01, decay="decoupled-schedule")
    traces = []

    @tf.function
    def update(active):
        traces.append(active)
        optimizer.apply([gradient_of(w.value)], [w])

    weight, velocity = w.numpy(), np.zeros(2)
    e, m, d, e0 = 0.1, 0.9, 0.01, 0.1
    for field, value in [
        ("learning_rate", 0.01),
        ("momentum", 0.5),
        ("weight_decay", 0.2),
        ("base_learning_rate", 0.3),
        ("weight_decay", 0),
    ]:
        update(optimizer.active)
        weight, velocity = step("decoupled-schedule", weight, velocity, np.sin(weight) + 0.1, e, m, d, e0)
        np.testing.assert_allclose(w.numpy(), weight, rtol=1e-12)
        setattr(optimizer.groups["w"], field, value)
        assert getattr(optimizer.groups["w"], field) == value
        numbers = optimizer.groups["w"]
        e, m, d, e0 = (
            numbers.learning_rate,
            numbers.momentum,
            numbers.weight_decay,
            numbers.base_learning_rate,
        )
    assert traces == [(True,)]


def test_only_the_group_that_is_set_changes():
    a, b = variable([1.0], "a"), variable([1.0], "b")
    optimizer = GroupedOptimizer([Group([a], learning_rate=0.1), Group([b], learning_rate=0.2)])
    optimizer.groups["b"].learning_rate = 0.3
    optimizer.build([a, b])
    assert [handle.learning_rate for handle in optimizer.groups.values()] == [0.1, 0.3]
    assert repr(optimizer.groups["b"]) == (
        "GroupHandle('b', learning_rate=0.3, momentum=0, weight_decay=0, base_learning_rate=0.2, "
        "decay='cuda-convnet', rule='momentum')"
    )
    assert optimizer.groups["b"].variables == (b,)


def test_settings_are_checked_when_set():
    _, optimizer = single(decay="decoupled-matched", momentum=0.9)
    handle = optimizer.groups["w"]
    for field, value, error in [
        ("momentum", 1.0, ValueError),
        ("learning_rate", float("nan"), ValueError),
        ("weight_decay", "0.1", TypeError),
        ("weight_decay", -1, ValueError),
        ("learning_rate", True, TypeError),
    ]:
        with pytest.raises(error, match=f"group 'w': .*{field}.*|group 'w': .*momentum"):
            setattr(handle, field, value)
    assert (handle.learning_rate, handle.momentum, handle.weight_decay) == (0.1, 0.9, 0.0)


def test_a_group_frozen_from_the_start_needs_a_base_to_thaw_with_schedule_decay():
    _, optimizer = single(learning_rate=0, decay="decoupled-schedule")
    handle = optimizer.groups["w"]
    with pytest.raises(ValueError, match="needs base_learning_rate > 0"):
        handle.learning_rate = 0.1
    handle.base_learning_rate = 0.1
    handle.learning_rate = 0.1
    assert optimizer.active == (True,)


@pytest.mark.parametrize("how", ["eager", "graph", "xla", "inside xla"])
def test_rates_may_cross_zero(how):
    w, optimizer = single([1.0], dtype="float64", momentum=0.5)

    def update():
        optimizer.apply([tf.ones(1, tf.float64)], [w])

    xla = tf.function(jit_compile=True)
    run = {
        "eager": lambda f: f,
        "graph": tf.function,
        "xla": xla,
        "inside xla": lambda f: xla(tf.function(f)),
    }[how](update)
    for rate, expected in [(0.1, 0.9), (0.0, 0.9), (0.1, 0.75), (-1, 0.75), (0.2, 0.475)]:
        optimizer.groups["w"].learning_rate = rate
        run()
        assert w.numpy()[0] == pytest.approx(expected, rel=1e-12)


def test_one_factor_over_all_groups():
    numbers = {"learning_rate": 0.1, "momentum": 0.5, "weight_decay": 0.1, "decay": "decoupled-schedule"}
    w, optimizer = single(dtype="float64", **numbers)
    optimizer.learning_rate = 0.5
    optimizer.apply([gradient_of(w.value)], [w])
    start = np.array([1.0, -2.0])
    expected, _ = step("decoupled-schedule", start, 0 * start, np.sin(start) + 0.1, 0.05, 0.5, 0.1, 0.1)
    np.testing.assert_allclose(w.numpy(), expected, rtol=1e-12)
    optimizer.learning_rate = 0.0
    assert optimizer.active == (False,)


def test_without_momentum_three_rules_are_one():
    ends = []
    for name in ("cuda-convnet", "l2", "decoupled-lr"):
        w, optimizer = single(dtype="float64", weight_decay=0.1, decay=name)
        train_eagerly(optimizer, [w], 20)
        ends.append(w.numpy())
    np.testing.assert_allclose(ends[1:], [ends[0]] * 2, rtol=1e-14)


def test_rates_are_rounded_once():
    w, optimizer = single([0.0], learning_rate=0.1)
    optimizer.apply([tf.constant([3.0])], [w])
    assert w.numpy()[0] == -(np.float32(0.1) * np.float32(3.0))


def test_mixed_types_in_one_optimizer():
    types = ["float16", "bfloat16", "float32", "float64"]
    variables = [variable([1.0], name, dtype=name) for name in types]
    optimizer = GroupedOptimizer([Group(variables, learning_rate=0.25, momentum=0.5, weight_decay=0.5)])
    tf.function(lambda: optimizer.apply([tf.ones(1)] * 4, variables))()
    assert [float(w.numpy()[0]) for w in variables] == [0.625] * 4


def test_penalty_counts_active_l2_groups():
    a, b, c, d = (variable([1.0, -2.0], name, dtype="float64") for name in "abcd")
    optimizer = GroupedOptimizer(
        [
            Group([a, b], learning_rate=0.1, weight_decay=0.5, decay="l2", name="two"),
            Group([c], learning_rate=0.1, weight_decay=0.5),
            Group([d], learning_rate=0, weight_decay=0.5, decay="l2", name="frozen"),
        ]
    )
    optimizer.build([a, b, c, d])
    assert float(optimizer.penalty()) == pytest.approx(0.25 * 10)
    optimizer.groups["frozen"].learning_rate = 0.1
    assert float(tf.function(optimizer.penalty)()) == pytest.approx(0.25 * 15)
    optimizer.groups["two"].weight_decay = 0
    assert float(optimizer.penalty()) == pytest.approx(0.25 * 5)


def test_penalty_is_what_the_step_descends():
    w, optimizer = single(dtype="float64", weight_decay=0.3, decay="l2")
    with tf.GradientTape() as tape:
        tape.watch(w.value)
        penalty = optimizer.penalty()
    np.testing.assert_allclose(tape.gradient(penalty, w.value), 0.3 * w.numpy(), rtol=1e-12)


def test_velocity_is_found_by_variable():
    w, optimizer = single(momentum=0.9)
    optimizer.apply([tf.ones(2)], [w])
    velocity = optimizer.velocity(w)
    np.testing.assert_allclose(velocity.numpy(), [-0.1, -0.1], rtol=1e-6)
    assert velocity.path == "grouped_optimizer/w_velocity"
    assert any(velocity is kept for kept in optimizer.variables)
    with pytest.raises(ValueError, match="grouped_optimizer was not built with variable stranger"):
        optimizer.velocity(variable([1.0], "stranger"))
    with pytest.raises(ValueError, match="not built with variable stranger"):
        optimizer.apply([tf.ones(1)], [variable([1.0], "stranger")])


def test_gradients_and_variables_come_in_pairs():
    w, optimizer = single()
    with pytest.raises(ValueError, match="zip"):
        optimizer.apply([tf.ones(2), tf.ones(2)], [w])
    optimizer.apply([tf.ones(2)])
    assert w.numpy()[0] == np.float32(0.9)


def test_variables_that_are_not_handed_over_are_left_alone():
    a, b = variable([1.0], "a"), variable([1.0], "b")
    optimizer = GroupedOptimizer([Group([a, b], learning_rate=0.1, weight_decay=0.1, name="both")])
    optimizer.build([a, b])
    optimizer.apply([tf.ones(1)], [a])
    assert (a.numpy()[0] < 1, b.numpy()[0]) == (True, 1.0)


@pytest.mark.parametrize("compiled", [False, True])
def test_constraints_and_sparse_gradients(compiled):
    table = variable(np.full((3, 2), 4.0))
    table.constraint = keras.constraints.MaxNorm(1.0)
    optimizer = GroupedOptimizer([Group([table], learning_rate=0.1)])

    @tf.function(jit_compile=compiled)
    def update():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.gather(table.value, [1, 1]))
        gradient = tape.gradient(loss, table.value)
        assert isinstance(gradient, tf.IndexedSlices)
        optimizer.apply([gradient], [table])

    update()
    expected = np.array([[4.0, 4.0], [3.8, 3.8], [4.0, 4.0]])
    np.testing.assert_allclose(table.numpy(), expected / np.sqrt((expected**2).sum(0)), rtol=1e-6)


def test_a_step_in_the_scope_of_a_strategy_is_the_step_without_it():
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    with strategy.scope():
        w, optimizer = single(momentum=0.9, weight_decay=0.1)
        for _ in range(3):
            optimizer.apply([gradient_of(w.value)], [w])
    plain, alone = single(momentum=0.9, weight_decay=0.1)
    for _ in range(3):
        alone.apply([gradient_of(plain.value)], [plain])
    np.testing.assert_array_equal(w.numpy(), plain.numpy())


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "xla"])
def test_keras_fit(compiled):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
    groups = [
        Group([layer.kernel], learning_rate=0.05, momentum=0.9, weight_decay=1e-4) for layer in model.layers
    ] + [Group([layer.bias], learning_rate=0.1, momentum=0.5, decay="none") for layer in model.layers]
    model.compile(GroupedOptimizer(groups), "mse", jit_compile=compiled)
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    history = model.fit(x, x[:, :1], epochs=10, verbose=0).history["loss"]
    assert history[-1] < history[0] / 2


@pytest.mark.parametrize("name", DECAYS)
@pytest.mark.parametrize("rate", [0.1, 0.0])
def test_the_path_of_other_backends_takes_the_same_steps(name, rate, monkeypatch):
    monkeypatch.setattr(grouped, "IN_TENSORFLOW", False)
    monkeypatch.setattr(steps, "IN_TENSORFLOW", False)
    numbers = {"learning_rate": rate, "momentum": 0.5, "weight_decay": 0.1, "decay": name}
    w, optimizer = single(dtype="float64", **numbers)
    train_eagerly(optimizer, [w], 5)
    weight, velocity = reference(np.array([1.0, -2.0]), numbers, 5)
    np.testing.assert_allclose(w.numpy(), weight, rtol=1e-12)
    np.testing.assert_allclose(optimizer.velocity(w).numpy(), velocity, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("gradient", [0.0, 1e-4, 1.0])
def test_adam_in_half_precision_stays_a_number(dtype, gradient):
    w = variable([1.0], dtype=dtype)
    optimizer = GroupedOptimizer([Group(w, learning_rate=0.125, rule="adam")])
    tf.function(lambda: optimizer.apply([tf.constant([gradient], dtype)], [w]))()
    # The first step of Adam is the rate, whatever the size of the gradient.
    assert float(w.numpy()[0]) == pytest.approx(0.875 if gradient else 1.0, abs=0.01)
