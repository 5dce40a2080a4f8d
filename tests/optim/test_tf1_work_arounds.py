"""`after-step` against the two ways in which TensorFlow 1 users added true weight decay."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from optim_reference import difference

from convnet_cfg.optim import Group, GroupedOptimizer

RATE, MOMENTUM, DECAY, STEPS = 0.05, 0.9, 0.004, 50
START = np.random.default_rng(0).normal(size=(6, 5))


def cost(w):
    return tf.reduce_sum(tf.sin(w) + 0.1 * w)


def descend(optimizer, w, loss):
    with tf.GradientTape() as tape:
        tape.watch(w.value)
        value = loss(w.value)
    optimizer.apply([tape.gradient(value, w.value)], [w])


def an_op_after_each_step():
    w = keras.Variable(START, dtype="float64")
    optimizer = keras.optimizers.SGD(RATE, momentum=MOMENTUM)
    for _ in range(STEPS):
        descend(optimizer, w, cost)
        w.assign((1 - DECAY) * w)
    return w.numpy()


def a_second_optimizer_over_the_regularization_losses():
    w = keras.Variable(START, dtype="float64")
    first, second = keras.optimizers.SGD(RATE, momentum=MOMENTUM), keras.optimizers.SGD(1.0)
    for _ in range(STEPS):
        descend(first, w, cost)
        descend(second, w, lambda w: DECAY * tf.nn.l2_loss(w))
    return w.numpy()


@pytest.mark.parametrize(
    "work_around", [an_op_after_each_step, a_second_optimizer_over_the_regularization_losses]
)
def test_after_step_equals_the_work_arounds(work_around):
    w = keras.Variable(START, dtype="float64")
    optimizer = GroupedOptimizer(
        [Group([w], learning_rate=RATE, momentum=MOMENTUM, weight_decay=DECAY, decay="after-step")]
    )
    for _ in range(STEPS):
        descend(optimizer, w, cost)
    # Keras keeps the rates of its own SGD in float32: 1e-8 of each step.
    assert difference(w, work_around()) < 1e-7


def test_decoupled_lr_equals_weight_decay_of_keras():
    mine, theirs = (keras.Variable(START, dtype="float64") for _ in range(2))
    numbers = {"learning_rate": RATE, "momentum": MOMENTUM, "weight_decay": DECAY}
    ours = GroupedOptimizer([Group([mine], **numbers, decay="decoupled-lr")])
    keras_sgd = keras.optimizers.SGD(**numbers)
    for _ in range(STEPS):
        descend(ours, mine, cost)
        descend(keras_sgd, theirs, cost)
    assert difference(mine, theirs) < 1e-7
