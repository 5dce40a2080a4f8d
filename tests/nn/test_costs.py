import numpy as np
import pytest
import tensorflow as tf

from convnet_cfg import nn

from .gradients import normal

PROBABILITIES = np.array([[0.5, 0.25, 0.25], [0.4, 0.4, 0.2], [0.2, 0.2, 0.6], [0.25, 0.5, 0.25]])


@pytest.mark.parametrize(
    "labels", [[0, 1, 1, 1], np.float32([[0.0], [1.9], [1.0], [1.0]]), np.int64([0, 1, 1, 1])]
)
def test_logreg_worked_by_hand(labels):
    values = nn.logreg(tf.constant(labels), tf.constant(PROBABILITIES))
    np.testing.assert_allclose(values[:, 0], -np.log([0.5, 0.4, 0.2, 0.5]))
    np.testing.assert_allclose(values[:, 1], [0, 0.5, 1, 0])
    np.testing.assert_allclose(nn.label_errors(labels, tf.constant(PROBABILITIES))[:, 0], [0, 0.5, 1, 0])


def test_ties_of_three_count_two_thirds():
    errors = nn.label_errors([1], tf.fill((1, 3), 1 / 3))
    np.testing.assert_allclose(errors, [[2 / 3]], rtol=1e-6)


def test_gradients():
    labels, logits = [0, 2, 1], tf.constant(normal(3, 4))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        probabilities = tf.nn.softmax(logits)
        separate = tf.reduce_sum(nn.logreg(labels, probabilities))
        fused = tf.reduce_sum(nn.softmax_logreg(labels, logits))
    wanted = probabilities - np.eye(4)[labels]
    np.testing.assert_allclose(tape.gradient(fused, logits), wanted, atol=1e-14)
    np.testing.assert_allclose(tape.gradient(separate, logits), wanted, atol=1e-14)
    at_label = -np.eye(4)[labels] / probabilities.numpy()
    np.testing.assert_allclose(tape.gradient(separate, probabilities), at_label)


def test_certain_mistakes():
    logits = tf.constant([[1000.0, 0.0]])
    assert np.isinf(nn.logreg([1], tf.nn.softmax(logits))[0, 0])
    np.testing.assert_array_equal(nn.softmax_logreg([1], logits), [[1000.0, 1.0]])


def test_sum_of_squares_has_no_half():
    x = tf.constant(normal(3, 2, 2, 2))
    with tf.GradientTape() as tape:
        tape.watch(x)
        cost = nn.sum_of_squares(x)
    np.testing.assert_allclose(cost[:, 0], (x.numpy() ** 2).sum((1, 2, 3)))
    np.testing.assert_allclose(tape.gradient(cost, x), 2 * x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_types_are_kept(dtype):
    x = tf.constant(normal(3, 4), dtype)
    for values in (
        nn.logreg([0, 1, 2], tf.nn.softmax(x)),
        nn.softmax_logreg([0, 1, 2], x),
        nn.sum_of_squares(x),
    ):
        assert values.dtype == dtype
