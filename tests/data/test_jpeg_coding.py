"""Resizing, against sums over areas and against the cubic formula, written out."""

import numpy as np
import pytest
from jpeg_folders import jpeg_of, picture, pixels_of

from convnet_cfg.data.jpeg_coding import decode, encode, in_threads, processors, resized
from convnet_cfg.errors import DataError


def area_weights(before, after):
    """The part of each old pixel in each new one, (after, before)."""
    scale = before / after
    weights = np.zeros((after, before))
    for new in range(after):
        for old in range(before):
            overlap = min((new + 1) * scale, old + 1) - max(new * scale, old)
            weights[new, old] = max(overlap, 0) / scale
    return weights


def cubic(distance):
    """The interpolating cubic with slope -1/2 at distance 1."""
    x = abs(distance)
    if x < 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def cubic_weights(before, after):
    """The weight of each old pixel in each new one, those outside the image left out, (after, before)."""
    weights = np.zeros((after, before))
    for new in range(after):
        centre = (new + 0.5) * before / after - 0.5
        weights[new] = [cubic(old - centre) for old in range(before)]
        weights[new] /= weights[new].sum()
    return weights


@pytest.mark.parametrize(
    ("rows", "columns", "side", "shape", "weights"),
    [
        (40, 60, 20, (20, 30), area_weights),
        (50, 37, 16, (22, 16), area_weights),  # 21.6
        (33, 33, 32, (32, 32), area_weights),
        (20, 31, 32, (32, 50), cubic_weights),  # 49.6
        (30, 13, 16, (37, 16), cubic_weights),  # 36.9
    ],
)
def test_resizing(rows, columns, side, shape, weights):
    image = picture(1, rows, columns)
    found = resized(image, side)
    assert (found.shape, found.dtype) == ((*shape, 3), np.uint8)
    down, across = weights(rows, shape[0]), weights(columns, shape[1])
    exact = np.einsum("ab,cd,bdk->ack", down, across, image.astype(np.float64)).clip(0, 255)
    # Rounded, from single precision; TensorFlow looks up the cubic at 1024 places a pixel.
    assert np.abs(found - exact).max() < (0.501 if weights is area_weights else 0.55)
    assert (found == np.rint(exact)).mean() > (0.999 if weights is area_weights else 0.95)


def test_an_image_of_the_right_size_stays_as_it_is():
    image = picture(1, 16, 40)
    assert resized(image, 16) is image


def test_coding():
    image = np.add.outer(np.arange(40)[:, None] * [3, 1, 0], np.arange(31)).transpose(0, 2, 1)
    image = (image + [20, 90, 60]).astype(np.uint8)
    jpeg = encode(image, 95)
    assert np.abs(decode("it", jpeg).astype(int) - image).max() < 5
    assert np.array_equal(decode("it", jpeg), pixels_of(jpeg))
    assert len(encode(image, 50)) < len(jpeg) == len(jpeg_of(image, 95))


def test_no_image():
    with pytest.raises(DataError, match=r"^mine is not a JPEG image, or only a part of one \(5 bytes\)$"):
        decode("mine", b"hello")


def test_threads():
    done = []
    in_threads(done.append, range(100))
    assert sorted(done) == list(range(100))
    assert processors() >= 1


def test_the_first_error_of_a_thread_ends_it():
    done = []

    def work(item):
        if item == 3:
            raise DataError("three")
        done.append(item)

    with pytest.raises(DataError, match="three"):
        in_threads(work, range(10**5))
    assert len(done) < 10**5 - 1
