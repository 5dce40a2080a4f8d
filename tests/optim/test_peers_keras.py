"""Keras' own optimizers, and its MultiOptimizer with one for each group, where both can express the same."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
from optim_reference import COMBINATIONS, combination_id
from peer_cases import CHANGES, DECAYS_OF, RATES, STARTS, STEPS, assert_same, ours, rate_at

from convnet_cfg.optim import Group, GroupedOptimizer

SGD = partial(keras.optimizers.SGD, momentum=0.875)
NESTEROV = partial(SGD, nesterov=True)
# Keras adds epsilon to the root of the uncorrected mean of squares: only a tiny one compares.
ADAM = {"beta_1": 0.875, "beta_2": 0.9921875, "epsilon": 1e-30}
OUR_ADAM = {"momentum": 0.875, "second_momentum": 0.9921875, "epsilon": 1e-30}
CONSTANT = {0: 1.0}


def nothing(d, rate):
    return 0.0


def keras_run(make, changes=CHANGES, decay=lambda d, rate: d, penalty=False, before=nothing, after=nothing):
    """Weights after 50 steps of a MultiOptimizer with one optimizer for each variable.

    decay: weight_decay of Keras from d and the rate at the start; None: none. penalty: d/2 |W|^2 is in the
    cost, as a regularizer of a layer puts it there. before, after: the share of the weight that code of
    one's own takes off before or after the step, from d and the rate now.
    """
    variables = {
        name: keras.Variable(start, dtype="float64", name=name.replace("/", "_"))
        for name, start in STARTS.items()
    }
    parts = {}
    for name in STARTS:
        options = {} if penalty or decay is None else {"weight_decay": decay(DECAYS_OF[name], RATES[name])}
        parts[name] = make(RATES[name], **options)
    several = keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(
            default_optimizer=SGD(0.0),
            optimizer_map={variables[name].path: part for name, part in parts.items()},
        )
    )
    several.build(list(variables.values()))

    @tf.function
    def step():
        gradients = []
        for name, w in variables.items():
            value = w.value
            gradients.append(tf.sin(value) + 0.1)
            if penalty:
                with tf.GradientTape() as tape:
                    tape.watch(value)
                    cost = tf.cast(DECAYS_OF[name] / 2, value.dtype) * tf.reduce_sum(value**2)
                gradients[-1] += tape.gradient(cost, value)
        shrink(before)
        several.apply(gradients, list(variables.values()))
        shrink(after)

    def shrink(share):
        for name, w in variables.items():
            w.assign(w.value - share(DECAYS_OF[name], parts[name].learning_rate) * w.value)

    for number in range(STEPS):
        if number in changes:
            for name, part in parts.items():
                part.learning_rate = rate_at(name, number, changes)
        step()
    return {name: w.numpy() for name, w in variables.items()}


def whole(d, rate):
    return d


def of_schedule(d, rate):
    return d / rate


def matched(d, rate):
    return d / (1 - 0.875)


ADAM_RULE, ADAMW_RULE = partial(keras.optimizers.Adam, **ADAM), partial(keras.optimizers.AdamW, **ADAM)
WITHOUT, L2, AFTER = {"decay": None}, {"penalty": True}, {"decay": None, "after": whole}
EXPRESSIBLE = {
    (rule, position, decay): (make, options)
    for rule, position, make, coupled in [
        ("momentum", "inside", SGD, SGD),
        ("nesterov", "inside", NESTEROV, NESTEROV),
        ("adam", None, ADAMW_RULE, ADAM_RULE),
    ]
    for decay, make, options in [
        ("cuda-convnet", coupled, L2),
        ("l2", coupled, L2),
        ("decoupled", coupled, {"decay": None, "before": whole}),
        ("decoupled-lr", make, {}),
        ("decoupled-schedule", make, {"decay": of_schedule}),
        ("decoupled-matched", make, {} if rule == "adam" else {"decay": matched}),
        ("after-step", coupled, AFTER),
        ("none", coupled, WITHOUT),
    ]
}


def arguments_of(names):
    rule, position, decay = names
    return {"rule": rule, "rate_position": position, "decay": decay} | (OUR_ADAM if rule == "adam" else {})


def test_all_but_the_rate_outside_is_there():
    assert set(EXPRESSIBLE) == {names for names in COMBINATIONS if names[1] != "outside"}


@pytest.mark.parametrize("names", EXPRESSIBLE, ids=combination_id)
def test_a_keras_optimizer_for_each_group_takes_the_same_steps(names):
    make, options = EXPRESSIBLE[names]
    assert_same(keras_run(make, **options), ours(**arguments_of(names)), 1e-12)


@pytest.mark.parametrize(
    ("rule", "position", "make"),
    [("momentum", "inside", SGD), ("nesterov", "inside", NESTEROV), ("adam", None, ADAMW_RULE)],
)
def test_plain_decoupled_decay_by_its_own_only_while_the_rate_stays(rule, position, make):
    """Keras reads weight_decay when it traces: it cannot follow d / e."""
    arguments = arguments_of((rule, position, "decoupled"))
    assert_same(keras_run(make, CONSTANT, of_schedule), ours(CONSTANT, **arguments), 1e-12)
    with pytest.raises(AssertionError):
        assert_same(keras_run(make, decay=of_schedule), ours(**arguments), 1e-3)


@pytest.mark.parametrize("names", [n for n in EXPRESSIBLE if n[0] != "adam"], ids=combination_id)
def test_the_rate_outside_is_the_same_only_while_it_stays(names):
    (make, options), outside = EXPRESSIBLE[names], arguments_of(names) | {"rate_position": "outside"}
    assert_same(keras_run(make, CONSTANT, **options), ours(CONSTANT, **outside), 1e-12)
    with pytest.raises(AssertionError):
        assert_same(keras_run(make, **options), ours(**outside), 1e-3)


def test_one_sgd_has_one_rate_and_one_decay_which_some_variables_may_be_spared():
    decayed, spared = (keras.Variable([1.0, -2.0], dtype="float64", name=name) for name in ("w", "b"))
    mine = [keras.Variable([1.0, -2.0], dtype="float64", name=name) for name in ("w", "b")]
    sgd = SGD(0.0625, weight_decay=0.25)
    sgd.exclude_from_weight_decay(var_list=[spared])
    groups = GroupedOptimizer(
        Group([w], learning_rate=0.0625, momentum=0.875, weight_decay=d, decay="decoupled-lr")
        for w, d in zip(mine, (0.25, 0.0), strict=True)
    )
    for _ in range(STEPS):
        sgd.apply([tf.sin(w.value) for w in (decayed, spared)], [decayed, spared])
        groups.apply([tf.sin(w.value) for w in mine], mine)
    for theirs, w in zip((decayed, spared), mine, strict=True):
        np.testing.assert_allclose(w.numpy(), theirs.numpy(), rtol=1e-12)


def test_a_regularizer_of_keras_is_the_penalty_of_l2():
    w = keras.Variable([1.0, -2.0], dtype="float32")
    groups = GroupedOptimizer([Group([w], learning_rate=0.1, weight_decay=0.25, decay="l2")])
    groups.build([w])
    assert float(groups.penalty()) == float(keras.regularizers.L2(0.125)(w)) == 0.625


def test_a_rate_of_zero_does_not_freeze():
    w = keras.Variable([1.0])
    sgd = SGD(0.5)
    sgd.apply([tf.ones(1)], [w])
    sgd.learning_rate = 0.0
    sgd.apply([tf.ones(1)], [w])
    # V = -0.5 went on to move W by m V.
    assert w.numpy()[0] == 1 - 0.5 - 0.875 * 0.5


def test_weight_decay_that_is_set_while_training():
    """Keras reads it when a step is traced; ours lives in a variable."""
    w, mine = keras.Variable([1.0]), keras.Variable([1.0])
    sgd = keras.optimizers.SGD(0.5, weight_decay=0.5)
    groups = GroupedOptimizer(
        [Group([mine], learning_rate=0.5, weight_decay=0.5, decay="decoupled-lr", name="g")]
    )
    for optimizer, variable in ((sgd, w), (groups, mine)):
        optimizer.build([variable])
        step = tf.function(partial(optimizer.apply, [tf.zeros(1)], [variable]))
        step()
        if optimizer is sgd:
            sgd.weight_decay = 0.0
        else:
            groups.groups["g"].weight_decay = 0.0
        step()
    assert (w.numpy()[0], mine.numpy()[0]) == (0.5625, 0.75)


def test_epsilon_of_keras_adam_is_smaller_by_the_root_of_the_correction():
    """Ours, as in algorithm 1 of arXiv 1412.6980, is Keras' epsilon / sqrt(1 - beta_2^t) at step t."""
    ends = []
    for rule in ("ours", "keras"):
        w = keras.Variable([0.0], dtype="float64")
        if rule == "ours":
            adam = GroupedOptimizer(
                [Group([w], rule="adam", learning_rate=0.0625, second_momentum=0.75, epsilon=0.5)]
            )
        else:
            adam = keras.optimizers.Adam(0.0625, beta_2=0.75, epsilon=0.25)
        adam.apply([tf.constant([2.0], tf.float64)], [w])
        ends.append(w.numpy()[0])
    # G = 2: mean 2, root 2: 0.0625 * 2 / (2 + 0.5); in Keras 0.25 / sqrt(1 - 0.75) = 0.5.
    assert ends == pytest.approx([-0.05, -0.05], rel=1e-6)


def multi(model, **optimizers):
    default = keras.optimizers.SGD(0.0)
    several = keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(default, optimizers))
    model.compile(several, "mse")
    return several


def small_model():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="fc")])


DATA = (np.ones((4, 2)), np.ones((4, 1)))


class Halve(keras.callbacks.Callback):
    """A schedule as users write it."""

    def on_epoch_begin(self, epoch, logs=None):
        self.model.optimizer.learning_rate = 0.5 * float(self.model.optimizer.learning_rate)


def by_epoch(epoch):
    return 0.5**epoch


CALLBACKS = {
    "own": Halve,
    "scheduler": partial(keras.callbacks.LearningRateScheduler, by_epoch),
    "plateau": partial(keras.callbacks.ReduceLROnPlateau, "loss", factor=0.5, patience=1, min_delta=1e9),
}
# After three epochs, of 0.25 and 0.5. Keras' own callbacks set the rate of each part of a MultiOptimizer:
# a schedule of the epoch sets the same for all.
MULTI_RATES = {"own": None, "scheduler": [0.25, 0.25], "plateau": [0.0625, 0.125]}
OUR_RATES = {"own": [0.03125, 0.0625], "scheduler": [0.0625, 0.125], "plateau": [0.0625, 0.125]}


@pytest.mark.parametrize("name", CALLBACKS)
def test_callbacks_that_change_the_rate(name):
    model, parts = small_model(), [keras.optimizers.SGD(0.25), keras.optimizers.SGD(0.5)]
    several = multi(model, **dict(zip((".*/kernel", ".*/bias"), parts, strict=True)))
    if MULTI_RATES[name] is None:
        with pytest.raises(AttributeError, match="Learning rate cannot be accessed on a MultiOptimizer"):
            model.fit(*DATA, epochs=3, verbose=0, callbacks=[CALLBACKS[name]()])
    else:
        model.fit(*DATA, epochs=3, verbose=0, callbacks=[CALLBACKS[name]()])
        assert [float(part.learning_rate) for part in parts] == MULTI_RATES[name]
    assert len(several.optimizers) == 3
    model = small_model()
    groups = [Group(["*/kernel"], learning_rate=0.25), Group(["*/bias"], learning_rate=0.5)]
    model.compile(GroupedOptimizer(groups), "mse")
    model.fit(*DATA, epochs=3, verbose=0, callbacks=[CALLBACKS[name]()])
    factor = float(model.optimizer.learning_rate)
    rates = [factor * group.learning_rate for group in model.optimizer.groups.values()]
    assert rates == OUR_RATES[name]


def test_a_variable_that_no_pattern_finds():
    """MultiOptimizer hands it to the default optimizer without a word; here it is an error."""
    model = small_model()
    several = multi(model, **{"fc/kernl": keras.optimizers.SGD(0.01)})
    kernel = model.get_weights()[0]
    model.fit(*DATA, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], kernel)
    assert len(several.optimizers) == 2
    model.compile(GroupedOptimizer([Group(["fc/kernl", "fc/bias"], learning_rate=0.01, name="all")]), "mse")
    with pytest.raises(ValueError, match="in no group: .*fc/kernel"):
        model.fit(*DATA, verbose=0)


def test_one_norm_over_all_groups():
    """Each optimizer within a MultiOptimizer clips by the norm of its own gradients; G = 3 and 4, norm 5."""
    gradients = [tf.constant([3.0]), tf.constant([4.0])]
    a, b = (keras.Variable([0.0], name=name) for name in "ab")
    parts = {w.path: keras.optimizers.SGD(1.0, global_clipnorm=1.0) for w in (a, b)}
    several = keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(SGD(0.0), parts))
    several.apply(gradients, [a, b])
    assert [a.numpy()[0], b.numpy()[0]] == pytest.approx([-1.0, -1.0])
    with pytest.raises(TypeError, match="global_clipnorm"):
        keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(SGD(0.0), parts), global_clipnorm=1.0)
    a, b = (keras.Variable([0.0], name=name) for name in "ab")
    ours = GroupedOptimizer([Group([w], learning_rate=1.0) for w in (a, b)], global_clipnorm=1.0)
    ours.apply(gradients, [a, b])
    assert [a.numpy()[0], b.numpy()[0]] == pytest.approx([-0.6, -0.8])
