import numpy as np
import pytest
import tensorflow as tf

from convnet_cfg import nn

from . import cost_references as reference
from .cost_gradients import assert_derivative, rows_and_gradient, softmax
from .gradients import normal

LABELS = np.array([0, 3, 5, 1])
ENERGIES = 2 * normal(4, 6)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_subset_logreg(size):
    cost = lambda e: nn.subset_logreg(LABELS, e, size)  # noqa: E731
    wanted = [
        [
            -reference.subset_log_probability(label, e, size),
            *(reference.top_error(label, e, k) for k in (1, size)),
        ]
        for label, e in zip(LABELS, ENERGIES, strict=True)
    ]
    np.testing.assert_allclose(cost(tf.constant(ENERGIES)), wanted, rtol=1e-12, atol=1e-13)
    assert_derivative(cost, ENERGIES)


def test_sets_of_one_class_are_a_softmax():
    one = rows_and_gradient(lambda e: nn.subset_logreg(LABELS, e, 1), ENERGIES)
    np.testing.assert_allclose(one[0][:, :2], nn.softmax_logreg(LABELS, tf.constant(ENERGIES)), rtol=1e-12)
    np.testing.assert_allclose(one[1], softmax(ENERGIES) - np.eye(6)[LABELS], atol=1e-13)


def test_all_but_one_class():
    """The label is missed by the one set without it: that of the softmax of the negated energies."""
    rows = nn.subset_logreg(LABELS, tf.constant(ENERGIES), 5).numpy()
    missed = softmax(-ENERGIES)[np.arange(4), LABELS]
    np.testing.assert_allclose(rows[:, 0], -np.log1p(-missed), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shift", [0.0, 1e4, -1e4])
def test_energies_of_any_size(dtype, shift):
    energies = np.array([[0, 300, -300, 200, 100.0], [0, 0, 0, 0, 0]], dtype) + np.asarray(shift, dtype)
    rows, gradient = rows_and_gradient(lambda e: nn.subset_logreg([0, 1], e, 2), energies)
    np.testing.assert_allclose(rows[:, 0], [200, -np.log(2 / 5)], rtol=1e-6)
    # Given the label, its best companion is sure: the two largest move down and up, by one each.
    np.testing.assert_allclose(gradient[0], [-1, 0, 0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(gradient[1], [0.15, -0.6, 0.15, 0.15, 0.15], atol=1e-6)


@pytest.mark.slow
def test_many_classes():
    energies = np.zeros((2, 1000), np.float32)
    rows, gradient = rows_and_gradient(lambda e: nn.subset_logreg([0, 999], e, 5), energies)
    np.testing.assert_allclose(rows[:, 0], [-np.log(5 / 1000)] * 2, rtol=1e-5)
    np.testing.assert_allclose(rows[:, 1:], [[0.999, 0.995]] * 2, rtol=1e-6)
    np.testing.assert_allclose(gradient.sum(1), [0, 0], atol=1e-3)
    np.testing.assert_allclose(gradient[0, 1:], 5 / 1000 - 4 / 999, rtol=1e-2)


def test_inside_a_compiled_loop():
    @tf.function(autograph=False)
    def total(energies):
        with tf.GradientTape() as tape:
            tape.watch(energies)
            _, cost = tf.while_loop(
                lambda step, cost: step < 3,
                lambda step, cost: (
                    step + 1,
                    cost + tf.reduce_sum(nn.subset_logreg(LABELS, energies, 2)[:, 0]),
                ),
                (0, tf.constant(0.0, tf.float64)),
            )
        return cost, tape.gradient(cost, energies)

    cost, gradient = total(tf.constant(ENERGIES))
    rows, once = rows_and_gradient(lambda e: nn.subset_logreg(LABELS, e, 2), ENERGIES)
    np.testing.assert_allclose(cost, 3 * rows[:, 0].sum())
    np.testing.assert_allclose(gradient, 3 * once, atol=1e-13)
