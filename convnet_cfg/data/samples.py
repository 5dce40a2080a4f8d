"""Data that need no files: scikit-learn's digits, and random numbers."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from convnet_cfg.data.batches import Batch, mean_image
from convnet_cfg.data.folders import missing_batches
from convnet_cfg.data.provider import Arrays, DataProvider
from convnet_cfg.errors import DataError, UsageError


class Digits:
    """The 1797 handwritten digits of scikit-learn: an image source.

    8 x 8 pixels, one channel, uint8 from 0 to 16. Batches 1 to 3 have 500 digits each and are for training;
    batch 4 has the other 297 and is for testing. The mean is over batches 1 to 3.

    scikit-learn has them sorted by writer. They are shuffled here, always in the same way, so that every
    batch has all writers.
    """

    name = "digits"
    label_names = tuple("0123456789")
    image_shape = (8, 8, 1)
    numbers = (1, 2, 3, 4)
    batch_size = 500

    def __init__(self) -> None:
        try:
            from sklearn.datasets import load_digits
        except ImportError:
            raise UsageError(
                "data provider 'digits' needs scikit-learn: pip install 'convnet-cfg[demo]'"
            ) from None
        digits = load_digits()
        # NumPy promises that this old generator never changes its numbers.
        order = np.random.RandomState(0).permutation(len(digits.target))
        self._images = digits.images.astype(np.uint8)[order, ..., np.newaxis]
        self._labels = digits.target.astype(np.int32)[order]

    @cached_property
    def mean(self) -> np.ndarray:
        """The mean training image, float32, (8, 8, 1)."""
        return mean_image([self.batch(number).images for number in (1, 2, 3)])

    def batch(self, number: int) -> Batch:
        """Return one batch."""
        if number not in self.numbers:
            raise DataError(missing_batches(self.name, [number], self.numbers))
        start = (number - 1) * self.batch_size
        part = slice(start, start + self.batch_size)
        return Batch(self._images[part], self._labels[part])


class RandomProvider(DataProvider):
    """Random cases without any meaning, new ones each time, to try a network or to time it.

    A batch has 512 cases: `dimension` values uniform in [0, 1), float32, and a label from 0 to 9. The values
    are one flat vector a case; a network that takes them for an image reads them channel after channel.
    """

    num_classes = 10
    cases = 512

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.shapes = ((dimension,), (1,))

    def training_arrays(self, number: int, rng: np.random.Generator) -> Arrays:
        """Return values (512, dimension) and labels (512,)."""
        return self.draw(rng)

    def test_arrays(self, number: int) -> Arrays:
        """Return a batch that is always the same for the same number."""
        return self.draw(np.random.default_rng(number))

    def draw(self, rng: np.random.Generator) -> Arrays:
        """Return new cases."""
        values = rng.random((self.cases, *self.shapes[0]), np.float32)
        return values, rng.integers(0, self.num_classes, self.cases, np.int32)


class RepeatedProvider(RandomProvider):
    """Seven random cases, the same ones in every batch and every run: cuda-convnet2's `dummy-labeled-n`."""

    cases = 7

    def training_arrays(self, number: int, rng: np.random.Generator) -> Arrays:
        """Return values (7, dimension) and labels (7,)."""
        return self.test_arrays(number)

    def test_arrays(self, number: int) -> Arrays:
        """Return values (7, dimension) and labels (7,)."""
        return self.draw(np.random.default_rng(0))
