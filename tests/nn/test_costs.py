import numpy as np
import pytest
import tensorflow as tf

from convnet_cfg import nn

from .gradients import normal, value_and_gradient

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
    x = normal(3, 2, 2, 2)
    cost, gradient = value_and_gradient(nn.sum_of_squares, x)
    np.testing.assert_allclose(cost[:, 0], (x**2).sum((1, 2, 3)))
    np.testing.assert_allclose(gradient, 2 * x)


LABELS = np.float32([[0], [2], [1]])
BITS = np.eye(4, dtype=np.float32)[[0, 2, 1]]

# name -> the cost of (3, 4) numbers between 0 and 1, and how many columns it has
COSTS = {
    "label_errors": (lambda x: nn.label_errors(LABELS, x), 1),
    "logreg": (lambda x: nn.logreg(LABELS, x), 2),
    "logreg top": (lambda x: nn.logreg(LABELS, x, 2), 3),
    "softmax_logreg": (lambda x: nn.softmax_logreg(LABELS, x), 2),
    "softmax_logreg top": (lambda x: nn.softmax_logreg(LABELS, x, 1), 3),
    "log_logreg": (lambda x: nn.log_logreg(LABELS, x), 2),
    "masked_logreg": (lambda x: nn.masked_logreg(LABELS - 1, x), 2),
    "softmax_masked_logreg": (lambda x: nn.softmax_masked_logreg(LABELS - 1, x), 2),
    "task_logreg": (lambda x: nn.task_logreg(LABELS, LABELS, x, 1, 2), 3),
    "softmax_task_logreg": (lambda x: nn.softmax_task_logreg(LABELS, LABELS, x, 1, 2), 3),
    "hinge_loss": (lambda x: nn.hinge_loss(LABELS, x), 2),
    "cross_entropy": (lambda x: nn.cross_entropy(BITS, x), 2),
    "softmax_cross_entropy": (lambda x: nn.softmax_cross_entropy(BITS, x), 2),
    "binary_cross_entropy": (lambda x: nn.binary_cross_entropy(BITS, x, 2.0), 3),
    "binary_cross_entropy alone": (lambda x: nn.binary_cross_entropy(BITS, x, aggregated=True), 1),
    "logistic_binary_cross_entropy": (lambda x: nn.logistic_binary_cross_entropy(BITS, x, 2.0), 3),
    "independent_cross_entropy": (lambda x: nn.independent_cross_entropy(BITS, x), 2),
    "detection_cross_entropy": (lambda x: nn.detection_cross_entropy(BITS, x), 14),
    "logistic_detection_cross_entropy": (lambda x: nn.logistic_detection_cross_entropy(BITS, x), 14),
    "masked_binary_cross_entropy": (lambda x: nn.masked_binary_cross_entropy(BITS, x), 3),
    "logistic_masked_binary_cross_entropy": (
        lambda x: nn.logistic_masked_binary_cross_entropy(BITS, x),
        3,
    ),
    "sum_of_squares": (nn.sum_of_squares, 1),
    "squared_difference": (lambda x: nn.squared_difference(x, x + 1), 1),
    "gated_sum_of_squares": (lambda x: nn.gated_sum_of_squares(x[:, :1], x), 1),
    "cauchy": (lambda x: nn.cauchy(BITS, x), 1),
    "topographic_energy": (lambda x: nn.topographic_energy(tf.reshape(x, (-1, 2, 2, 1)), 3), 1),
    "group_sparsity": (lambda x: nn.group_sparsity(LABELS, x), 1),
    "contrastive": (lambda x: nn.contrastive(LABELS, x, 1.0), 1),
    "ranking": (lambda x: nn.ranking(x, 1 - x, x, LABELS, coefficient=2.0), 1),
    "subset_logreg": (lambda x: nn.subset_logreg(LABELS, x, 2), 3),
}


def test_every_cost_has_a_case():
    functions = {name for name in nn.__all__ if name.islower()}
    assert {name.split()[0] for name in COSTS} == functions - {"detection_summary"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", COSTS)
def test_rows_in_a_graph_for_any_number_of_cases(name, dtype):
    cost, columns = COSTS[name]

    @tf.function(input_signature=[tf.TensorSpec((None, 4), dtype)], autograph=False)
    def rows_and_gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            rows = cost(x)
        return rows, tape.gradient(rows, x, unconnected_gradients="zero")

    x = tf.nn.softmax(tf.constant(normal(3, 4), dtype))
    rows, gradient = rows_and_gradient(x)
    assert (rows.dtype, rows.shape) == (dtype, (3, columns))
    assert (gradient.dtype, gradient.shape) == (dtype, (3, 4))
    np.testing.assert_allclose(rows, cost(x), rtol=1e-6)
    assert np.isfinite(gradient).all()
