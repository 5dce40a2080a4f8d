"""The costs against the numbers of the original programs, from probabilities and from what makes them."""

import numpy as np
import pytest
import tensorflow as tf
from golden_cases import FOLDER, MISSING, close, read_arrays

from convnet_cfg import nn

TOLERANCE = 2e-6

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=MISSING)


def sums_and_gradient(cost, x):
    """Return the sums of the columns, and the original's gradient: that of minus the cost."""
    x = tf.constant(x.T)
    with tf.GradientTape() as tape:
        tape.watch(x)
        rows = cost(x)
        total = tf.reduce_sum(rows[:, 0])
    return tf.reduce_sum(rows, 0).numpy(), -tape.gradient(total, x).numpy().T


def forms(fused, unfused, activation, labels, *numbers):
    """Return both forms of a cost as functions of what enters the layer below it."""
    return (
        lambda x: fused(labels, x, *numbers),
        lambda x: unfused(labels, activation(x), *numbers),
    )


LOGREG = (nn.softmax_logreg, nn.logreg, tf.nn.softmax)
ENTROPY = (nn.softmax_cross_entropy, nn.cross_entropy, tf.nn.softmax)
BINARY = (nn.logistic_binary_cross_entropy, nn.binary_cross_entropy, tf.sigmoid)
DETECTION = (nn.logistic_detection_cross_entropy, nn.detection_cross_entropy, tf.sigmoid)

# Case -> functions, numbers, coefficient (from its .params.cfg).
CASES = {
    "v2_cost_logreg_top1": (LOGREG, (1,), 1.0),
    "v2_cost_logreg_top5": (LOGREG, (5,), 1.0),
    "v2_cost_logreg_topk_ties": (LOGREG, (4,), 1.0),
    "v2_cost_bce": (BINARY, (), 1.0),
    "v2_cost_bce_posWeight3": (BINARY, (3.0,), 0.5),
    "v2_cost_bce_ties": (BINARY, (1.0,), 1.0),
    "v2_cost_dce": (DETECTION, (), 1.0),
    "v2_cost_crossent": (ENTROPY, (), None),
    "v2_cost_crossent_ties": (ENTROPY, (), None),
}


@pytest.mark.parametrize("name", CASES)
def test_costs(name):
    arrays = read_arrays(name)
    functions, numbers, coefficient = CASES[name]
    for cost in forms(*functions, arrays["in_labels"].T, *numbers):
        sums, gradient = sums_and_gradient(cost, arrays["in_data"])
        np.testing.assert_allclose(sums, arrays["cost_top"], rtol=TOLERANCE)
        if coefficient is not None:  # The original's gradient of a single cost.crossent is undefined.
            assert close(coefficient * gradient, arrays["din_L_0"]) <= TOLERANCE


@pytest.mark.parametrize("name", CASES)
def test_costs_of_the_original_probabilities(name):
    arrays = read_arrays(name)
    (_, unfused, _), numbers, _ = CASES[name]
    sums, _ = sums_and_gradient(lambda x: unfused(arrays["in_labels"].T, x, *numbers), arrays["out_L"])
    np.testing.assert_allclose(sums, arrays["cost_top"], rtol=TOLERANCE)


def test_two_cross_entropies_on_one_softmax():
    arrays = read_arrays("v2_two_crossents_on_softmax")
    labels = arrays["in_labels"].T
    sums, gradient = sums_and_gradient(lambda p: nn.cross_entropy(labels, p), arrays["out_L"])
    np.testing.assert_allclose(sums, arrays["cost_top"], rtol=TOLERANCE)
    np.testing.assert_allclose(sums, arrays["cost_top2"], rtol=TOLERANCE)
    assert close((1.0 + 0.5) * gradient, arrays["dout_L"]) <= TOLERANCE
    for cost in forms(*ENTROPY, labels):
        _, gradient = sums_and_gradient(cost, arrays["in_data"])
        assert close(1.5 * gradient, arrays["din_L_0"]) <= TOLERANCE


def test_a_cost_without_a_coefficient_is_reported():
    arrays = read_arrays("v2_coeff0_logreg")
    for cost in forms(*LOGREG, arrays["in_labels"].T, 1):
        sums, gradient = sums_and_gradient(cost, arrays["in_data"])
        np.testing.assert_allclose(sums, arrays["cost_logprob0"], rtol=TOLERANCE)
        np.testing.assert_allclose(sums, arrays["cost_logprob1"], rtol=TOLERANCE)
        assert close(gradient, arrays["dout_data"]) <= TOLERANCE


def test_two_sums_of_squares_one_without_a_coefficient():
    arrays = read_arrays("v2_coeff0_branch")
    sums, gradient = sums_and_gradient(lambda x: nn.sum_of_squares(tf.tanh(0.5 * x)), arrays["in_data"])
    np.testing.assert_allclose(sums, arrays["cost_topA"], rtol=1e-5)
    assert close(0.5 * gradient, arrays["dout_data"]) <= TOLERANCE
    sums, _ = sums_and_gradient(lambda x: nn.sum_of_squares(tf.square(x)), arrays["in_data"])
    np.testing.assert_allclose(sums, arrays["cost_topB"], rtol=1e-5)


@pytest.mark.parametrize(("name", "factor"), [("cost_sum2", 1.0), ("nin_cost_sum2", 0.5)])
def test_sums_of_squares(name, factor):
    arrays = read_arrays(name)
    sums, gradient = sums_and_gradient(lambda x: nn.sum_of_squares(x, factor), arrays["in_data"])
    np.testing.assert_allclose(sums, arrays["cost_top"], rtol=1e-5)
    assert close(0.5 * gradient, arrays["din_top_0"]) <= TOLERANCE


def test_detection_rates_of_the_original_counts():
    sums = read_arrays("v2_cost_dce")["cost_top"]
    printed = nn.detection_summary(sums, 32)
    np.testing.assert_allclose(printed[:2], sums[:2] / 32)
    np.testing.assert_allclose(printed[2:6], [5 / 16, 5 / 10, 8 / 24, 8 / 13])
