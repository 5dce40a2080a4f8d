"""The base class of everything that feeds a network."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from convnet_cfg.data.folders import missing_batches
from convnet_cfg.errors import DataError

if TYPE_CHECKING:
    import numpy as np

Shape = tuple[int, ...]
Arrays = tuple["np.ndarray", ...]


class DataProvider:
    """Feeds a network with numbered batches of cases.

    A provider works in two steps. `training_arrays` and `test_arrays` return one batch as numpy arrays whose
    first axis is the cases; they are put on the device as they are, so images should be uint8. Then
    `prepare_training` and `prepare_test` turn each minibatch of these arrays into the matrices that the
    network gets, on the device, in TensorFlow.

    One's own provider names the shapes and delivers the cases; the rest has defaults:

        import numpy as np
        from convnet_cfg.data import DataProvider

        class Stripes(DataProvider):
            '''8 x 8 images with bright rows (0) or bright columns (1); batches 1 to 4.'''

            shapes = ((8, 8, 1), (1,))
            num_classes = 2
            numbers = (1, 2, 3, 4)

            def __init__(self, path=None, *, noise=0.1):
                self.noise = noise

            def test_arrays(self, number):
                rng = np.random.default_rng(number)
                labels = rng.integers(0, 2, 100, dtype=np.int32)
                images = rng.normal(0, self.noise, (100, 8, 8, 1))
                images[labels == 0, ::2] += 1
                images[labels == 1, :, ::2] += 1
                return images.astype(np.float32), labels

    `--data-provider=mymodule.Stripes` finds it; `register("stripes", "what it is")(Stripes)` gives it a name.
    Keyword arguments of the constructor are its options.
    """

    shapes: tuple[Shape, ...]
    """One case of each matrix that the network gets: images (rows, columns, channels), labels (1,)."""

    num_classes: int
    """Labels are whole numbers from 0 to num_classes - 1."""

    numbers: Collection[int] | None = None
    """The batches that there are; None: any number."""

    views: int = 1
    """How many views of each test case the test error is averaged over."""

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = path

    @property
    def name(self) -> str:
        """What error messages call it."""
        return type(self).__name__

    def check_range(self, numbers: Iterable[int]) -> None:
        """Raise DataError, naming what is missing and what is there, if a batch of the range is missing."""
        there = self.numbers
        missing = set() if there is None else set(numbers) - set(there)
        if missing:
            raise DataError(missing_batches(self.name, missing, sorted(there or ())))

    def training_arrays(self, number: int, rng: np.random.Generator) -> Arrays:
        """Return one batch for training; all that is random in it comes from `rng`.

        The default returns the same cases as `test_arrays`.
        """
        return self.test_arrays(number)

    def test_arrays(self, number: int) -> Arrays:
        """Return one batch for testing."""
        raise NotImplementedError(f"{type(self).__name__} must define test_arrays")

    def prepare_training(self, arrays: Sequence[Any]) -> tuple[Any, ...]:
        """Return the network's matrices for a minibatch of `training_arrays`, as float32 tensors of `shapes`.

        Runs inside the graph. The default casts and reshapes each array.
        """
        return cast_to_shapes(arrays, self.shapes)

    def prepare_test(self, arrays: Sequence[Any], view: Any = None) -> tuple[Any, ...]:
        """Return the network's matrices for a minibatch of `test_arrays`.

        `view`, an int or a scalar int tensor below `views`, picks one of several views of each case; None is
        the plain one. Runs inside the graph. The default casts and reshapes each array.
        """
        return cast_to_shapes(arrays, self.shapes)


def cast_to_shapes(arrays: Sequence[Any], shapes: Sequence[Shape]) -> tuple[Any, ...]:
    """Return one float32 tensor (cases, *shape) for each shape."""
    import tensorflow as tf

    return tuple(
        tf.reshape(tf.cast(array, tf.float32), (-1, *shape))
        for array, shape in zip(arrays, shapes, strict=True)
    )
