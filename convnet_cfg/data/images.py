"""Image providers: the mean subtracted, whole images or random crops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from convnet_cfg.data.batches import Batch
from convnet_cfg.data.provider import Arrays, DataProvider, cast_to_shapes
from convnet_cfg.errors import UsageError


class ImageSource(Protocol):
    """Where an image provider has its batches from."""

    image_shape: tuple[int, int, int]

    @property
    def name(self) -> str:
        """What error messages call it."""

    @property
    def label_names(self) -> Sequence[str]:
        """The names of the classes, by label."""

    @property
    def numbers(self) -> Sequence[int]:
        """The batches that there are."""

    @property
    def mean(self) -> np.ndarray:
        """The mean training image, float32, (rows, columns, channels)."""

    @property
    def batch(self) -> Callable[[int], Batch]:
        """The function that returns a batch by its number."""


class ImageProvider(DataProvider):
    """Whole images with the mean image subtracted, the same for training and for testing.

    Arrays: images (cases, rows, columns, channels) as in the file, labels (cases,) int32.
    """

    def __init__(self, source: ImageSource) -> None:
        super().__init__()
        self.source = source
        self.shapes = source.image_shape, (1,)
        self.num_classes = len(source.label_names)
        self.numbers = source.numbers

    @property
    def name(self) -> str:
        """What error messages call it."""
        return self.source.name

    @cached_property
    def mean(self) -> np.ndarray:
        """The mean that is subtracted, float32, of the shape of one image."""
        return self.source.mean

    def test_arrays(self, number: int) -> Arrays:
        """Return images and labels of a batch."""
        return tuple(self.source.batch(number))

    def prepare_training(self, arrays: Sequence[Any]) -> tuple[Any, ...]:
        """Return images minus the mean, and labels (cases, 1)."""
        return self.prepare_test(arrays)

    def prepare_test(self, arrays: Sequence[Any], view: Any = None) -> tuple[Any, ...]:
        """Return images minus the mean, and labels (cases, 1)."""
        images, labels = cast_to_shapes(arrays, self.shapes)
        return self.minus_mean(images), labels

    def minus_mean(self, images: Any) -> Any:
        """Return the images, float32, minus the mean."""
        return images - self.mean


class CropProvider(ImageProvider):
    """Random crops and flips for training, the centre or several views for testing, the mean subtracted.

    In training each case is cut out, `side` pixels square, at a row and a column from 0 to twice the border,
    and flipped half of the time; then the centre of the mean image is subtracted, wherever the crop was and
    flipped or not.

    Arrays for training: images, labels, and the draws: int32, (cases, 3): row, column, flip (0 or 1).
    """

    def __init__(self, source: ImageSource, *, side: int, view_table: np.ndarray, test_views: int) -> None:
        """Take the size of a crop, the table of views, (views, 3) like the draws, and 1 view or all."""
        super().__init__(source)
        if test_views not in (1, len(view_table)):
            raise UsageError(f"test views must be 1 or {len(view_table)}, got {test_views}")
        self.side = side
        self.border = (source.image_shape[0] - side) // 2
        self.view_table = view_table
        self.views = test_views
        self.shapes = (side, side, source.image_shape[2]), (1,)

    @cached_property
    def mean(self) -> np.ndarray:
        """The centre of the mean image."""
        mean: np.ndarray = centre(self.source.mean[np.newaxis], self.side)[0]
        return mean

    def training_arrays(self, number: int, rng: np.random.Generator) -> Arrays:
        """Return images, labels and one draw for each case."""
        images, labels = self.source.batch(number)
        ends = (2 * self.border + 1, 2 * self.border + 1, 2)
        return images, labels, rng.integers(0, ends, (len(images), 3), np.int32)

    def prepare_training(self, arrays: Sequence[Any]) -> tuple[Any, ...]:
        """Return the drawn crops minus the mean, and labels (cases, 1)."""
        images, labels, draws = arrays
        return super().prepare_test((crop(images, draws, self.side), labels))

    def prepare_test(self, arrays: Sequence[Any], view: Any = None) -> tuple[Any, ...]:
        """Return one view (None: the centre) minus the mean, and labels (cases, 1)."""
        images, labels = arrays
        if view is None:
            return super().prepare_test((centre(images, self.side), labels))
        return super().prepare_test((self._view(images, view), labels))

    def _view(self, images: Any, view: Any) -> Any:
        import tensorflow as tf

        table = tf.constant(self.view_table)
        draws = tf.repeat(table[view][tf.newaxis], tf.shape(images)[0], axis=0)
        return crop(images, draws, self.side)


class CroppedImageProvider(CropProvider):
    """The crops of cuda-convnet: all but a border of `crop_border` pixels on each side.

    The ten test views are top left, top right, centre, bottom left, bottom right, and these five flipped.
    """

    def __init__(self, source: ImageSource, *, crop_border: int = 4, test_views: int = 1) -> None:
        side = source.image_shape[0]
        if not 0 <= 2 * crop_border < side:
            raise UsageError(
                f"crop border must be from 0 to {(side - 1) // 2} for images of {side} x {side}, "
                f"got {crop_border}"
            )
        views = ten_views(crop_border)
        super().__init__(source, side=side - 2 * crop_border, view_table=views, test_views=test_views)


class InnerCropProvider(CropProvider):
    """The crops of cuda-convnet2's `cifar`: `inner_size` pixels square, 0 standing for the whole image.

    A number is subtracted from every pixel beside the mean image: -1 unless another is given, so that the
    data are shifted by +1. The nine test views, never flipped, start at 0, 1 and 2 times the border, from
    top to bottom and from left to right.
    """

    def __init__(
        self, source: ImageSource, *, inner_size: int = 0, scalar_mean: float = -1.0, test_views: int = 1
    ) -> None:
        side = inner_size_of(inner_size, source.image_shape[0])
        views = nine_views((source.image_shape[0] - side) // 2)
        super().__init__(source, side=side, view_table=views, test_views=test_views)
        self.scalar_mean = scalar_mean

    def minus_mean(self, images: Any) -> Any:
        """Return the images minus the number, minus the mean."""
        return super().minus_mean(images - self.scalar_mean)


def inner_size_of(inner_size: int, side: int) -> int:
    """Return the size of a crop, 0 standing for the whole image.

    Raises:
        UsageError: it does not fit the images.
    """
    if not 0 <= inner_size <= side:
        raise UsageError(
            f"inner size must be from 0 to {side} for images of {side} x {side}, got {inner_size}"
        )
    return inner_size or side


def ten_views(border: int) -> np.ndarray:
    """Return row, column and flip of the ten test views, int32, (10, 3), in the original's order."""
    far = 2 * border
    starts = [(0, 0), (0, far), (border, border), (far, 0), (far, far)]
    return np.array([(*start, flip) for flip in (0, 1) for start in starts], np.int32)


def nine_views(border: int) -> np.ndarray:
    """Return row, column and flip (0) of the nine test views of cuda-convnet2's `cifar`, int32, (9, 3)."""
    starts = (0, border, 2 * border)
    return np.array([(row, column, 0) for row in starts for column in starts], np.int32)


def centre(images: Any, side: int) -> Any:
    """Return the centre of each image, `side` pixels square; an odd border is smaller at the top and left."""
    row, column = (images.shape[1] - side) // 2, (images.shape[2] - side) // 2
    return images[:, row : row + side, column : column + side]


def crop(images: Any, draws: Any, side: int) -> Any:
    """Return the square of `side` pixels of each image that its draw names; the type stays as it is.

    images: tensor (cases, rows, columns, channels); draws: int32 tensor (cases, 3): row, column, flip.
    """
    import tensorflow as tf

    row, column, flip = tf.split(draws, 3, axis=1)
    places = tf.range(side)
    columns = column + tf.where(flip == 1, side - 1 - places, places)
    images = tf.gather(images, row + places, axis=1, batch_dims=1)
    return tf.gather(images, columns, axis=2, batch_dims=1)
