import numpy as np
import pytest
import tensorflow as tf

from convnet_cfg import nn

from . import cost_references as reference
from .cost_gradients import assert_derivative, rows_and_gradient
from .gradients import normal

LABELS = np.array([1, 0, 2, 0, 1, 0, 1, 2])


@pytest.mark.parametrize("margin", [0.0, 1.5, 2.5, 9.0])
@pytest.mark.parametrize("cases", [8, 7, 2, 1])
def test_contrastive(cases, margin):
    x = normal(cases, 3)
    cost = lambda x: nn.contrastive(LABELS[:cases], x, margin)  # noqa: E731
    pairs = reference.contrastive(LABELS, x, margin)
    rows = cost(tf.constant(x)).numpy()
    wanted = [c / 2 for c in pairs] * 2 + [0.0] * (cases % 2)
    np.testing.assert_allclose(rows[:, 0], wanted, rtol=1e-12)
    assert_derivative(cost, x, tolerance=1e-6)


def test_contrastive_pairs_by_hand():
    x = np.array([[0.0, 0.0], [0.0, 0.0], [3.0, 4.0], [3.0, 4.0]])
    rows, gradient = rows_and_gradient(lambda x: nn.contrastive([0, 0, 0, 1], x, 6.0), x)
    np.testing.assert_allclose(rows[:, 0], [12.5 / 2, 0.25, 12.5 / 2, 0.25])
    np.testing.assert_allclose(gradient, [[-3, -4], [0.6, 0.8], [3, 4], [-0.6, -0.8]], rtol=1e-7)


def test_contrastive_pair_of_equals():
    x = np.ones((4, 2))
    rows, gradient = rows_and_gradient(lambda x: nn.contrastive([0, 1, 0, 2], x, 2.0), x)
    np.testing.assert_allclose(rows[:, 0], [0, 1, 0, 1], atol=1e-7)
    np.testing.assert_array_equal(gradient, np.zeros((4, 2)))


def test_a_negative_margin_is_refused():
    with pytest.raises(ValueError, match="margin must be at least 0, got -1.0"):
        nn.contrastive([0, 1], tf.zeros((2, 3)), -1.0)


LAYERS = [1 / (1 + np.exp(-5 * normal(6, 80, seed=seed))) for seed in (0, 1, 2)]
WEIGHTS = np.array([[1.0], [0.5], [2.0], [0.0], [1.5], [3.0]])


def ranking_gradients(coefficient, told):
    inputs = [tf.constant(x) for x in LAYERS]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        rows = nn.ranking(*inputs, tf.constant(WEIGHTS), **told)
        total = coefficient * tf.reduce_sum(rows)
    return rows.numpy(), [gradient.numpy() for gradient in tape.gradient(total, inputs)]


def test_ranking():
    rows, _ = ranking_gradients(1.0, {})
    wanted = [reference.ranking(*case) for case in zip(*LAYERS, WEIGHTS[:, 0], strict=True)]
    np.testing.assert_allclose(rows, wanted)
    assert 0 < sum(row == [0.0] for row in wanted) < 5


@pytest.mark.parametrize("coefficient", [1.0, 0.25])
def test_ranking_gradients(coefficient):
    rows, gradients = ranking_gradients(coefficient, {"coefficient": coefficient})
    bits = [2 * x - 1 for x in LAYERS]
    active = coefficient * WEIGHTS * (rows > 0)
    extra = WEIGHTS * 2 * bits[0].mean(0) / 6
    np.testing.assert_allclose(gradients[0], active * (bits[2] - bits[1]) + extra)
    np.testing.assert_allclose(gradients[1], -active * bits[0])
    np.testing.assert_allclose(gradients[2], active * bits[0])


def test_ranking_is_differentiated_apart_from_the_extra_part():
    assert_derivative(lambda *x: nn.ranking(*x, tf.constant(WEIGHTS), coefficient=0.0), *LAYERS)
