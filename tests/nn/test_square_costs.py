import numpy as np
import pytest

from convnet_cfg import nn

from . import cost_references as reference
from .cost_gradients import assert_derivative, rows_and_gradient
from .gradients import normal, run


@pytest.mark.parametrize("factor", [1.0, 0.5, 0.3])
def test_sum_of_squares_with_a_factor(factor):
    x = normal(4, 3, 3, 2)
    rows, gradient = rows_and_gradient(lambda x: nn.sum_of_squares(x, factor), x)
    np.testing.assert_allclose(rows[:, 0], [factor * (case**2).sum() for case in x])
    np.testing.assert_allclose(gradient, 2 * factor * x)


def test_squared_difference():
    a, b = normal(4, 5), normal(4, 5, seed=1)
    rows, g, (to_a, to_b) = run(nn.squared_difference, a, b)
    np.testing.assert_allclose(rows[:, 0], [((p - q) ** 2).sum() / 2 for p, q in zip(a, b, strict=True)])
    np.testing.assert_allclose(to_a, g * (a - b))
    np.testing.assert_allclose(to_b, g * (b - a))


def test_gated_sum_of_squares():
    gate, x = normal(4, 1), normal(4, 3, seed=1)
    rows, g, (to_gate, to_x) = run(nn.gated_sum_of_squares, gate, x)
    lengths = (x**2).sum(1, keepdims=True)
    np.testing.assert_allclose(rows, gate * lengths)
    np.testing.assert_allclose(to_gate, g * lengths)
    np.testing.assert_allclose(to_x, g * 2 * gate * x)


def test_cauchy():
    targets, predictions = normal(4, 3), normal(4, 3, seed=1)
    cost = lambda p: nn.cauchy(targets, p)  # noqa: E731
    rows, gradient = rows_and_gradient(cost, predictions)
    d = predictions - targets
    np.testing.assert_allclose(rows[:, 0], np.log(1 + d**2).sum(1))
    np.testing.assert_allclose(gradient, 2 * d / (1 + d**2))
    assert_derivative(cost, predictions)


@pytest.mark.parametrize(("side", "size"), [(5, 3), (4, 2), (6, 5), (3, 1), (2, 4)])
def test_topographic_energy(side, size):
    image, weights = normal(3, side, side, 2), normal(3, 1, seed=1)
    rows, gradient = rows_and_gradient(lambda x: nn.topographic_energy(x, size), image, weights)
    wanted = [sum(root for root, _ in reference.window_energies(case, size)) for case in image]
    np.testing.assert_allclose(rows[:, 0], wanted)
    for case, weight, found in zip(image, weights, gradient, strict=True):
        np.testing.assert_allclose(found, weight * reference.topographic_gradient(case, size))


def test_topographic_gradient_tends_to_the_derivative():
    assert_derivative(lambda x: nn.topographic_energy(x, 3), 1e4 * normal(2, 4, 4, 3), step=1, tolerance=1e-6)


def test_topographic_energy_of_nothing():
    rows, gradient = rows_and_gradient(lambda x: nn.topographic_energy(x, 3), np.zeros((2, 3, 3, 1)))
    assert not rows.any()
    assert not gradient.any()


LABELS = [2, 0, 2, 7, 2, 0]


@pytest.mark.parametrize("shape", [(6, 3, 3, 4), (6, 5)])
def test_group_sparsity(shape):
    x = normal(*shape)
    rows, gradient = rows_and_gradient(lambda x: nn.group_sparsity(np.float32(LABELS), x), x)
    wanted = sum(root for _, _, root in reference.group_roots(LABELS, x))
    np.testing.assert_allclose(rows, np.full((6, 1), wanted / 6))
    np.testing.assert_allclose(gradient, reference.group_gradient(LABELS, x))
    assert_derivative(lambda x: nn.group_sparsity(LABELS, x), x, tolerance=1e-6)


def test_group_sparsity_near_zero():
    x = 1e-7 * normal(6, 2, 2, 3)
    x[3] = 0
    rows, gradient = rows_and_gradient(lambda x: nn.group_sparsity(LABELS, x), x)
    wanted = sum(root for _, _, root in reference.group_roots(LABELS, x))
    np.testing.assert_allclose(rows.sum(), wanted)
    np.testing.assert_allclose(gradient, reference.group_gradient(LABELS, x))
    assert not gradient[3].any()
