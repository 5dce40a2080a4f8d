"""Shapes on a ring of pixels, in every position: the data of Hinton's experiment on shift invariance.

Source: G. Hinton, Learning Translation Invariant Recognition in a Massively Parallel Network (PARLE 1987), as
he described it again on the Connectionists list on 22 February 1996.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from convnet_cfg.data.folders import missing_batches
from convnet_cfg.data.provider import Arrays, DataProvider
from convnet_cfg.errors import DataError, UsageError

PIXELS = 12
FREE_PIXELS = 4
SHAPES = 2**FREE_PIXELS
WIDTH = FREE_PIXELS + 2
TRAINED_POSITIONS = 10
TRAINING, TEST = 1, 2


class Cases(NamedTuple):
    """Cases in order: the ring (cases, 12) float32, the shape and its first pixel (cases,) int32."""

    rings: np.ndarray
    shapes: np.ndarray
    positions: np.ndarray

    def chosen(self, which: np.ndarray) -> Cases:
        """Return the cases that a mask or a list of indices names."""
        return Cases(*(part[which] for part in self))


def all_cases() -> Cases:
    """Return the 192 cases: shape after shape, each in its 12 positions.

    A shape is a bright pixel, the four binary digits of its number, and another bright pixel; all other
    pixels are dark.
    """
    shapes, positions = (part.ravel() for part in np.mgrid[:SHAPES, :PIXELS].astype(np.int32))
    digits = shapes[:, np.newaxis] >> np.arange(FREE_PIXELS)[::-1] & 1
    ends = np.ones((len(shapes), 1), digits.dtype)
    rings = np.zeros((len(shapes), PIXELS), np.float32)
    rings[:, :WIDTH] = np.hstack([ends, digits, ends])
    return Cases(np.take_along_axis(rings, _around(-positions, PIXELS), 1), shapes, positions)


def windows(rings: np.ndarray) -> np.ndarray:
    """Return the six pixels from each of the twelve on, around the ring: (cases, 12 * 6)."""
    return rings[:, _around(np.arange(PIXELS), WIDTH)].reshape(len(rings), PIXELS * WIDTH)


def _around(starts: np.ndarray, count: int) -> np.ndarray:
    """Return the numbers of so many pixels from each start on, (starts, count)."""
    return (starts[:, np.newaxis] + np.arange(count)) % PIXELS


class RingProvider(DataProvider):
    """16 shapes on a ring: ten positions of each are batch 1, to train on, the other two batch 2, to test on.

    Matrices: the windows of six pixels that begin at each pixel, 72 values, window after window, so that a
    group of a convolution's channels can be a window; and the number of the shape. Pixels are 0 and 1.

    `split` says which positions of which shape are held out: another number, other positions. They are drawn
    for each shape by itself. A batch to train on has its cases in an order that never changes, all of them
    `sweeps` times: so many sweeps are an epoch.
    """

    shapes = ((PIXELS * WIDTH,), (1,))
    num_classes = SHAPES
    numbers = (TRAINING, TEST)

    def __init__(self, *, split: int = 0, sweeps: int = 1) -> None:
        super().__init__()
        if split < 0 or sweeps < 1:
            raise UsageError(
                f"data provider 'ring': split must be 0 or more, sweeps 1 or more, got {split} and {sweeps}"
            )
        self.split, self.sweeps = split, sweeps

    @property
    def name(self) -> str:
        """What error messages call it."""
        return "ring"

    @cached_property
    def _is_trained(self) -> np.ndarray:
        """Which of all cases are for training."""
        # NumPy promises that this old generator never changes its numbers.
        random = np.random.RandomState(self.split)
        order = np.array([random.permutation(PIXELS) for _ in range(SHAPES)])
        return (order < TRAINED_POSITIONS).ravel()

    def cases(self, number: int) -> Cases:
        """Return the cases of a batch."""
        if number not in self.numbers:
            raise DataError(missing_batches(self.name, [number], self.numbers))
        return all_cases().chosen(self._is_trained == (number == TRAINING))

    def training_arrays(self, number: int, rng: np.random.Generator) -> Arrays:
        """Return windows and shapes, `sweeps` times over."""
        return tuple(np.concatenate([array] * self.sweeps) for array in self.test_arrays(number))

    def test_arrays(self, number: int) -> Arrays:
        """Return windows (cases, 72) and shapes (cases,)."""
        rings, shapes, _ = self.cases(number)
        return windows(rings), shapes
