import numpy as np
import pytest
import tensorflow as tf

from convnet_cfg import nn

from . import cost_references as reference
from .cost_gradients import assert_derivative, logistic, rows_and_gradient, softmax
from .gradients import normal

LOGITS = normal(7, 5)
BITS = (normal(7, 5, seed=1) > 0) * 1.0
SHARES = softmax(normal(7, 5, seed=2))
CLOSE = {"rtol": 1e-12, "atol": 1e-14}


def by_case(cost, targets, predictions, *options):
    return [cost(*case, *options) for case in zip(targets, predictions, strict=True)]


# -- distributions


@pytest.mark.parametrize("targets", [SHARES, np.eye(5)[[0, 3, 2, 4, 1, 1, 0]], 2 * SHARES - 0.1])
def test_cross_entropy(targets):
    probabilities = softmax(LOGITS)
    wanted = by_case(reference.cross_entropy, targets, probabilities)
    np.testing.assert_allclose(nn.cross_entropy(targets, tf.constant(probabilities)), wanted, **CLOSE)
    np.testing.assert_allclose(nn.softmax_cross_entropy(targets, tf.constant(LOGITS)), wanted, **CLOSE)
    assert_derivative(lambda p: nn.cross_entropy(targets, p), probabilities)


def test_gradient_of_cross_entropy():
    assert_derivative(lambda z: nn.softmax_cross_entropy(SHARES, z), LOGITS)
    _, separate = rows_and_gradient(lambda z: nn.cross_entropy(SHARES, tf.nn.softmax(z)), LOGITS)
    _, fused = rows_and_gradient(lambda z: nn.softmax_cross_entropy(SHARES, z), LOGITS)
    np.testing.assert_allclose(separate, softmax(LOGITS) - SHARES, atol=1e-14)
    np.testing.assert_allclose(fused, softmax(LOGITS) - SHARES, atol=1e-15)


def test_fused_gradient_for_targets_of_any_sum():
    _, fused = rows_and_gradient(lambda z: nn.softmax_cross_entropy(3 * SHARES, z), LOGITS)
    np.testing.assert_allclose(fused, softmax(LOGITS) - 3 * SHARES, atol=1e-15)


def test_errors_of_distributions():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.4, 0.4, 0.2], [0.4, 0.4, 0.2], [0.25, 0.5, 0.25]])
    targets = np.array([[0.1, 0.9, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    rows = nn.cross_entropy(targets, tf.constant(probabilities))
    np.testing.assert_array_equal(rows[:, 1], [0, 0.5, 1, 1])
    ties = softmax(np.round(normal(50, 6, seed=3)))
    targets = np.round(np.abs(normal(50, 6, seed=4)))
    np.testing.assert_allclose(
        nn.cross_entropy(targets, tf.constant(ties)), by_case(reference.cross_entropy, targets, ties), **CLOSE
    )


def test_logarithm_of_zero():
    probabilities, targets = np.array([[1.0, 0.0, 0.0]]), np.array([[0.5, 0.5, 0.0]])
    rows, gradient = rows_and_gradient(lambda p: nn.cross_entropy(targets, p), probabilities)
    np.testing.assert_array_equal(rows, [[25.0, 0.0]])
    np.testing.assert_array_equal(gradient, [[-0.5, 0.0, 0.0]])
    logits = np.array([[2000.0, 0.0, 0.0]])
    rows, gradient = rows_and_gradient(lambda z: nn.softmax_cross_entropy(targets, z), logits)
    np.testing.assert_array_equal(rows, [[25.0, 0.0]])
    np.testing.assert_array_equal(gradient, [[0.5, -0.5, 0.0]])


# -- independent outputs


@pytest.mark.parametrize("weight", [1.0, 3.0])
@pytest.mark.parametrize("targets", [BITS, SHARES])
@pytest.mark.parametrize(
    ("cost", "logistic_cost", "formula"),
    [
        (nn.binary_cross_entropy, nn.logistic_binary_cross_entropy, reference.binary),
        (nn.detection_cross_entropy, nn.logistic_detection_cross_entropy, reference.detection),
    ],
    ids=["binary", "detection"],
)
def test_cross_entropy_of_independent_outputs(cost, logistic_cost, formula, targets, weight):
    wanted = by_case(formula, targets, logistic(LOGITS), weight)
    unfused = lambda y: cost(targets, y, weight)  # noqa: E731
    fused = lambda x: logistic_cost(targets, x, weight)  # noqa: E731
    np.testing.assert_allclose(unfused(tf.constant(logistic(LOGITS))), wanted, **CLOSE)
    np.testing.assert_allclose(fused(tf.constant(LOGITS)), wanted, **CLOSE)
    assert_derivative(unfused, logistic(LOGITS))
    assert_derivative(fused, LOGITS)


def test_gradients_of_binary_cross_entropy():
    y = logistic(LOGITS)
    _, fused = rows_and_gradient(lambda x: nn.logistic_binary_cross_entropy(BITS, x), LOGITS)
    np.testing.assert_allclose(fused, y - BITS, atol=1e-15)
    _, unfused = rows_and_gradient(lambda y: nn.binary_cross_entropy(BITS, y, 2.0), y)
    np.testing.assert_allclose(unfused, -(2 * BITS / y - (1 - BITS) / (1 - y)), rtol=1e-13)


def test_an_aggregated_cost_is_one_column():
    for cost, x in ((nn.binary_cross_entropy, logistic(LOGITS)), (nn.logistic_binary_cross_entropy, LOGITS)):
        full, full_gradient = rows_and_gradient(lambda x, cost=cost: cost(BITS, x, 2.0), x)
        rows, gradient = rows_and_gradient(lambda x, cost=cost: cost(BITS, x, 2.0, aggregated=True), x)
        np.testing.assert_array_equal(rows, full[:, :1])
        np.testing.assert_array_equal(gradient, full_gradient)


def test_reports_by_hand():
    predictions = np.array([[0.5, 0.75, 0.75, 0.25], [0.75, 0.75, 0.75, 0.25]])
    targets = np.array([[0.0, 1.0, 0.0, 0.5], [1.0, 1.0, 0.0, 1.0]])
    rows = nn.binary_cross_entropy(targets, tf.constant(predictions)).numpy()
    np.testing.assert_allclose(rows[:, 1:], [[2 / 4, 1 / 2], [2 / 4, 1 / 3]], rtol=1e-15)


def test_ties_of_binary_outputs():
    y, targets = logistic(np.round(normal(50, 6, seed=5))), (normal(50, 6, seed=6) > 0) * 1.0
    wanted = by_case(reference.binary, targets, y)
    np.testing.assert_allclose(nn.binary_cross_entropy(targets, tf.constant(y)), wanted, **CLOSE)


def test_certain_outputs():
    y, targets = np.array([[1.0, 0.0, 1.0, 0.0]]), np.array([[1.0, 0.0, 0.0, 1.0]])
    rows, gradient = rows_and_gradient(lambda y: nn.binary_cross_entropy(targets, y), y)
    np.testing.assert_array_equal(rows[:, 0], [100.0])
    np.testing.assert_array_equal(gradient, [[-1.0, 1.0, 0.0, 0.0]])
    logits = np.array([[1000.0, -1000.0, 1000.0, -1000.0]])
    rows, gradient = rows_and_gradient(lambda x: nn.logistic_binary_cross_entropy(targets, x), logits)
    np.testing.assert_array_equal(rows[:, 0], [100.0])
    np.testing.assert_array_equal(gradient, [[0.0, 0.0, 1.0, -1.0]])


def test_independent_cross_entropy():
    cost = lambda x: nn.independent_cross_entropy(BITS, x)  # noqa: E731
    wanted = np.array(by_case(reference.binary, BITS, logistic(LOGITS)))[:, :2]
    rows, gradient = rows_and_gradient(cost, LOGITS)
    np.testing.assert_allclose(rows, wanted, **CLOSE)
    np.testing.assert_allclose(gradient, logistic(LOGITS) - BITS, atol=1e-15)
    assert_derivative(cost, LOGITS)
    far = nn.independent_cross_entropy(np.array([[0.0, 1.0, 1.0]]), tf.constant([[300.0, -300.0, 0.0]]))
    np.testing.assert_allclose(far, [[600 + np.log(2), 1]], rtol=1e-6)


# -- detection


def test_detection_summary_by_hand():
    sums = [6.0, 1.5, 4, 5, 3, 0, 2, 0, 3, 0, 0, 0, 0, 0]
    wanted = [2.0, 0.5, 3 / 4, 3 / 5, np.inf, 0, 0, np.inf, np.inf, np.inf]
    np.testing.assert_allclose(nn.detection_summary(sums, 3), wanted)


MASKED = np.array([[1, 0, -1, 1, 0], [-1, 0, 0, 1, 1], [-1] * 5, [1, -1, 1, 0, 0]], float)


@pytest.mark.parametrize("targets", [MASKED, np.abs(MASKED), -np.ones((4, 5)), np.minimum(MASKED, 0)])
def test_masked_binary_cross_entropy(targets):
    unfused = lambda y: nn.masked_binary_cross_entropy(targets, y)  # noqa: E731
    fused = lambda x: nn.logistic_masked_binary_cross_entropy(targets, x)  # noqa: E731
    logits = LOGITS[:4]
    wanted = reference.masked_binary(targets, logistic(logits))
    np.testing.assert_allclose(tf.reduce_sum(unfused(tf.constant(logistic(logits))), 0), wanted, **CLOSE)
    np.testing.assert_allclose(tf.reduce_sum(fused(tf.constant(logits)), 0), wanted, **CLOSE)
    assert_derivative(unfused, logistic(logits))
    assert_derivative(fused, logits)
    _, gradient = rows_and_gradient(fused, logits)
    np.testing.assert_allclose(gradient, (targets != -1) * (logistic(logits) - targets), atol=1e-15)


# -- all of them

UNFUSED = {
    "cross_entropy": (nn.cross_entropy, nn.softmax_cross_entropy),
    "binary": (nn.binary_cross_entropy, nn.logistic_binary_cross_entropy),
    "detection": (nn.detection_cross_entropy, nn.logistic_detection_cross_entropy),
    "masked": (nn.masked_binary_cross_entropy, nn.logistic_masked_binary_cross_entropy),
    "independent": (nn.independent_cross_entropy,),
}


@pytest.mark.parametrize("name", UNFUSED)
def test_not_a_number_shows(name):
    for cost in UNFUSED[name]:
        assert np.isnan(cost(np.ones((1, 2)), tf.constant([[np.nan, 0.5]]))[0, 0])


@pytest.mark.parametrize("name", UNFUSED)
def test_targets_have_no_gradient(name):
    for cost in UNFUSED[name]:
        targets = tf.constant(BITS)
        with tf.GradientTape() as tape:
            tape.watch(targets)
            total = tf.reduce_sum(cost(targets, tf.constant(SHARES)))
        assert tape.gradient(total, targets) is None
