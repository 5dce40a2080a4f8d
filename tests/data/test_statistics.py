"""The mean image and the principal colours, against NumPy on all images at once."""

import numpy as np
import pytest
from jpeg_folders import picture

from convnet_cfg.data.statistics import Totals

SHAPES = [(16, 16), (16, 25), (21, 16), (16, 17)]


@pytest.fixture(scope="module")
def images():
    return [picture(seed, *SHAPES[seed % 4]) // [1, 2, 4] for seed in range(24)]


@pytest.fixture
def totals(images):
    totals = Totals(16)
    for image in images:
        totals.add(image.astype(np.uint8))
    return totals


def test_the_mean_is_over_the_centres(images, totals):
    centres = []
    for image in images:
        row, column = (image.shape[0] - 16) // 2, (image.shape[1] - 16) // 2
        centres.append(image[row : row + 16, column : column + 16])
    expected = np.mean(centres, axis=0, dtype=np.float64)
    assert totals.mean().dtype == np.float32
    assert np.array_equal(totals.mean(), expected.astype(np.float32))


def test_the_colors_are_those_of_all_pixels(images, totals):
    pixels = np.concatenate([image.reshape(-1, 3) for image in images]).astype(np.float64)
    covariance = np.cov(pixels.T, bias=True)
    deviations, components = totals.color_statistics()
    assert np.all(np.diff(deviations) > 0)
    assert np.allclose(components.T @ components, np.eye(3), atol=1e-12)
    assert np.allclose(covariance @ components, components * deviations**2, rtol=1e-8, atol=1e-6)
    assert np.allclose(np.std(pixels @ components, axis=0), deviations, rtol=1e-9)
    assert np.array_equal(np.abs(components).max(axis=0), components.max(axis=0))
    assert components.flags.c_contiguous


def test_the_order_does_not_matter_to_the_last_bit(images, totals):
    first, second = Totals(16), Totals(16)
    for number, image in enumerate(reversed(images)):
        (first if number % 3 else second).add(image.astype(np.uint8))
    first.add_totals(second)
    assert (first.images, first.colors) == (totals.images, totals.colors)
    assert np.array_equal(first.mean(), totals.mean())
    for part, same in zip(first.color_statistics(), totals.color_statistics(), strict=True):
        assert np.array_equal(part, same)
