import numpy as np
import pytest
import tensorflow as tf

from convnet_cfg import nn

from . import cost_references as reference
from .cost_gradients import assert_derivative, rows_and_gradient, softmax
from .gradients import normal

LABELS = np.array([0, 3, 2, 4, 1, 1])
LOGITS = normal(6, 5)
TIED = np.round(normal(40, 6, seed=1))
TIED_LABELS = np.arange(40) % 6


@pytest.mark.parametrize("top_k", [1, 2, 4, 6])
def test_equal_scores_share_the_places(top_k):
    wanted = [[reference.top_error(*case, top_k)] for case in zip(TIED_LABELS, TIED, strict=True)]
    np.testing.assert_allclose(nn.label_errors(TIED_LABELS, tf.constant(TIED), top_k), wanted, atol=1e-15)


def test_places_by_hand():
    scores = tf.constant([[0.4, 0.2, 0.2, 0.2]])
    for label, top_k, error in [(0, 1, 0), (1, 1, 1), (1, 2, 2 / 3), (2, 3, 1 / 3), (3, 4, 0)]:
        np.testing.assert_allclose(nn.label_errors([label], scores, top_k), [[error]], atol=1e-7)


@pytest.mark.parametrize("top_k", [None, 1, 2])
def test_logreg_with_more_places(top_k):
    probabilities = softmax(LOGITS)
    wanted = [reference.logreg(*case, top_k) for case in zip(LABELS, probabilities, strict=True)]
    np.testing.assert_allclose(nn.logreg(LABELS, tf.constant(probabilities), top_k), wanted, rtol=1e-13)
    np.testing.assert_allclose(nn.softmax_logreg(LABELS, tf.constant(LOGITS), top_k), wanted, rtol=1e-13)


def test_derivatives_of_logreg():
    assert_derivative(lambda p: nn.logreg(LABELS, p, 2), softmax(LOGITS))
    assert_derivative(lambda z: nn.softmax_logreg(LABELS, z, 2), LOGITS)
    _, gradient = rows_and_gradient(lambda z: nn.softmax_logreg(LABELS, z, 3), LOGITS)
    np.testing.assert_allclose(gradient, softmax(LOGITS) - np.eye(5)[LABELS], atol=1e-15)


def test_logreg_of_logarithms():
    logarithms = np.log(softmax(LOGITS))
    rows, gradient = rows_and_gradient(lambda x: nn.log_logreg(LABELS, x), logarithms)
    wanted = [reference.logreg(*case) for case in zip(LABELS, softmax(LOGITS), strict=True)]
    np.testing.assert_allclose(rows, wanted, rtol=1e-13)
    np.testing.assert_array_equal(gradient, -np.eye(5)[LABELS])
    assert_derivative(lambda z: nn.log_logreg(LABELS, tf.nn.log_softmax(z)), LOGITS)
    _, through = rows_and_gradient(lambda z: nn.log_logreg(LABELS, tf.nn.log_softmax(z)), LOGITS)
    np.testing.assert_allclose(through, softmax(LOGITS) - np.eye(5)[LABELS], atol=1e-15)


FORMS = [(nn.masked_logreg, nn.softmax_masked_logreg), (nn.task_logreg, nn.softmax_task_logreg)]


def test_cases_without_a_label():
    labels = np.float32([[0], [-1], [2], [-1], [1], [1]])
    known = labels[:, 0] != -1
    unfused = rows_and_gradient(lambda p: nn.masked_logreg(labels, p), softmax(LOGITS))
    fused = rows_and_gradient(lambda z: nn.softmax_masked_logreg(labels, z), LOGITS)
    wanted = np.zeros((6, 2))
    for n in np.flatnonzero(known):
        wanted[n] = reference.logreg(int(labels[n, 0]), softmax(LOGITS)[n])
    targets = known[:, None] * np.eye(5)[labels[:, 0].astype(int)]
    np.testing.assert_allclose(unfused[0], wanted * 6 / 4, rtol=1e-13)
    np.testing.assert_allclose(fused[0], wanted * 6 / 4, rtol=1e-13)
    np.testing.assert_allclose(unfused[1], -targets / softmax(LOGITS), rtol=1e-13)
    np.testing.assert_allclose(fused[1], known[:, None] * softmax(LOGITS) - targets, atol=1e-15)


def test_no_case_with_a_label():
    for cost, x in ((nn.masked_logreg, softmax(LOGITS)), (nn.softmax_masked_logreg, LOGITS)):
        rows, gradient = rows_and_gradient(lambda x, cost=cost: cost(-np.ones(6), x), x)
        assert not rows.any()
        assert not gradient.any()


def test_all_cases_with_a_label():
    for masked, plain in ((nn.masked_logreg, nn.logreg), (nn.softmax_masked_logreg, nn.softmax_logreg)):
        x = tf.constant(softmax(LOGITS))
        np.testing.assert_array_equal(masked(LABELS, x), plain(LABELS, x))
        assert_derivative(lambda x, cost=masked: cost(LABELS, x), softmax(LOGITS))


def test_cases_of_one_task():
    tasks = np.float32([[3], [1], [3], [3], [0], [1]])
    chosen = tasks[:, 0] == 3
    wanted = np.zeros((6, 3))
    for n in np.flatnonzero(chosen):
        wanted[n] = reference.logreg(LABELS[n], softmax(LOGITS)[n], 2)
    unfused = lambda p: nn.task_logreg(LABELS, tasks, p, 3, 2)  # noqa: E731
    fused = lambda z: nn.softmax_task_logreg(LABELS, tasks, z, 3, 2)  # noqa: E731
    np.testing.assert_allclose(unfused(tf.constant(softmax(LOGITS))), wanted, rtol=1e-13)
    np.testing.assert_allclose(fused(tf.constant(LOGITS)), wanted, rtol=1e-13)
    assert_derivative(unfused, softmax(LOGITS))
    assert_derivative(fused, LOGITS)
    np.testing.assert_array_equal(rows_and_gradient(fused, LOGITS)[1][~chosen], 0)


def test_what_does_not_count_may_be_anything():
    certain = np.array([[1.0, 0.0, 0.0], [0.5, 0.25, 0.25]])
    for cost in (
        lambda p: nn.masked_logreg([-1, 1], p),
        lambda p: nn.task_logreg([1, 1], [0, 1], p, 1),
        lambda p: nn.task_logreg([7, 1], [0, 1], p, 1),
        lambda z: nn.softmax_task_logreg([7, 1], [0, 1], z, 1),
    ):
        rows, gradient = rows_and_gradient(cost, certain)
        assert np.isfinite(rows).all()
        assert not gradient[0].any()
        assert gradient[1].any()


def test_hinge_loss():
    values = 2 * LOGITS
    wanted = [reference.hinge(*case) for case in zip(LABELS, values, strict=True)]
    np.testing.assert_allclose(nn.hinge_loss(LABELS, tf.constant(values)), wanted, rtol=1e-14)
    assert {0.0} < {row[0] for row in wanted}
    assert_derivative(lambda x: nn.hinge_loss(LABELS, x), values)


def test_hinge_loss_of_equal_values():
    values = np.array([[0.5, 2.0, 2.0], [2.0, 2.0, 0.0], [3.0, 2.0, 2.0], [3.0, 2.5, 2.5]])
    rows, gradient = rows_and_gradient(lambda x: nn.hinge_loss([0, 0, 0, 0], x), values)
    np.testing.assert_array_equal(rows[:, 0], [2.5, 1.0, 0.0, 0.5])
    np.testing.assert_array_equal(gradient, [[-1, 1, 0], [-1, 1, 0], [0, 0, 0], [-1, 1, 0]])


@pytest.mark.parametrize("place", [0, 1, 2])
def test_hinge_loss_of_what_is_not_a_number(place):
    values = np.array([[1.0, 2.0, 3.0]])
    values[0, place] = np.nan
    assert np.isnan(nn.hinge_loss([0], tf.constant(values))[0, 0])
