"""The provider of JPEG batches: decoded in threads, cropped and flipped there, the rest on the device."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from convnet_cfg.data.images import centre, inner_size_of
from convnet_cfg.data.jpeg_batches import ColorStatistics, JpegDirectory, JpegImage
from convnet_cfg.data.jpeg_coding import decode, in_threads
from convnet_cfg.data.provider import Arrays, DataProvider, cast_to_shapes
from convnet_cfg.errors import DataError, UsageError

FIVE_VIEWS = ((0, 0), (0, 2), (1, 1), (2, 0), (2, 2))
"""Top left, top right, centre, bottom left, bottom right: in halves of the way down and to the right."""
CENTRE = FIVE_VIEWS.index((1, 1))
NO_LABEL = -1


class JpegImageProvider(DataProvider):
    """Crops of JPEG images of any shape, as cuda-convnet2's `image` made them from ImageNet.

    The shorter side of every image is that of the mean image; crops are `inner_size` pixels square, 0
    standing for the shorter side. In training they are taken anywhere in the image and flipped half of the
    time, in tests from the centre, or as ten views: the corners and the centre, and these five flipped. The
    centre of the mean image is subtracted, or `scalar_mean` if that is not negative. `color_noise` adds to
    each training image a colour of its own: a random one with the standard deviations of the colours of the
    data, times `color_noise`; then the image is divided by 1 + `color_noise`.

    The network gets three matrices: images; one label of each image, picked at random where it has several
    and -1 where it has none; and all labels, (cases, classes), 1 where the image has the label.

    Arrays: crops, uint8, (cases, side, side, 3), or (cases, 5, side, side, 3) for ten test views; the picked
    labels, int32, (cases,); all labels, uint8, (cases, classes); with colour noise, in training, what is
    added, float32, (cases, 3).
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        *,
        inner_size: int = 0,
        scalar_mean: float = -1.0,
        color_noise: float = 0.0,
        test_views: int = 1,
    ) -> None:
        super().__init__(path)
        if path is None:
            raise UsageError("data provider 'image' needs a data path")
        if test_views not in (1, 2 * len(FIVE_VIEWS)):
            raise UsageError(f"test views must be 1 or {2 * len(FIVE_VIEWS)}, got {test_views}")
        if not 0 <= color_noise < np.inf:
            raise UsageError(f"colour noise must be a number >= 0, got {color_noise}")
        self.source = source = JpegDirectory(path)
        self.side = inner_size_of(inner_size, source.side)
        self.scalar_mean = scalar_mean
        self.color_noise = color_noise
        self.views = test_views
        self.num_classes = len(source.label_names)
        self.numbers = source.numbers
        self.shapes = (self.side, self.side, 3), (1,), (self.num_classes,)
        self._colors = source.colors if color_noise else None
        if scalar_mean < 0:
            _ = self.mean  # to say at once that there is none

    @property
    def name(self) -> str:
        """What error messages call it."""
        return self.source.name

    @cached_property
    def mean(self) -> np.ndarray:
        """What is subtracted, float32: an image (side, side, 3), or one number ()."""
        if self.scalar_mean >= 0:
            return np.array(self.scalar_mean, np.float32)
        mean: np.ndarray = centre(self.source.mean[np.newaxis], self.side)[0]
        return mean

    # -- on the host

    def training_arrays(self, number: int, rng: np.random.Generator) -> Arrays:
        """Return random crops, labels, and with colour noise what is added to the channels."""
        batch = self.source.batch(number)
        flips = rng.integers(0, 2, len(batch))
        places = rng.random((len(batch), 2))
        labels = self._labels(batch, rng)

        def cut(case: int, image: np.ndarray) -> np.ndarray:
            found = cut_out(image, np.floor(places[case] * (free_pixels(image, self.side) + 1)), self.side)
            return mirrored(found) if flips[case] else found

        images = self._decoded(batch, (), cut)
        if self._colors is None:
            return images, *labels
        offsets = color_offsets(self._colors, rng.standard_normal((len(batch), 3)))
        return images, *labels, (self.color_noise * offsets).astype(np.float32)

    def test_arrays(self, number: int) -> Arrays:
        """Return the centre or five views of each image, and labels; the same at each call."""
        batch = self.source.batch(number)
        labels = self._labels(batch, np.random.default_rng(number))
        if self.views == 1:
            return self._decoded(batch, (), lambda _, image: view_of(image, CENTRE, self.side)), *labels

        def cut(_: int, image: np.ndarray) -> np.ndarray:
            return np.stack([view_of(image, view, self.side) for view in range(len(FIVE_VIEWS))])

        return self._decoded(batch, (len(FIVE_VIEWS),), cut), *labels

    def _decoded(
        self, batch: Sequence[JpegImage], views: tuple[int, ...], cut: Callable[[int, np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """Return what `cut` makes of each image of a batch, (cases, *views, side, side, 3)."""
        found = np.empty((len(batch), *views, *self.shapes[0]), np.uint8)

        def fill(case: int) -> None:
            image = batch[case]
            pixels = decode(image.name, image.jpeg)
            rows, columns, _ = pixels.shape
            if min(rows, columns) != self.source.side:
                raise DataError(
                    f"{image.name} has {rows} rows of {columns} pixels, "
                    f"expected {self.source.side} in the shorter direction"
                )
            found[case] = cut(case, pixels)

        in_threads(fill, range(len(batch)))
        return found

    def _labels(self, batch: Sequence[JpegImage], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return one label of each image, and all of them."""
        every = np.zeros((len(batch), self.num_classes), np.uint8)
        picked = np.full(len(batch), NO_LABEL, np.int32)
        draws = rng.random(len(batch))
        for case, image in enumerate(batch):
            every[case, list(image.labels)] = 1
            if image.labels:
                picked[case] = image.labels[int(draws[case] * len(image.labels))]
        return picked, every

    # -- on the device

    def prepare_training(self, arrays: Sequence[Any]) -> tuple[Any, ...]:
        """Return crops minus the mean, with colour noise, labels (cases, 1), and all labels."""
        images, *labels = self.prepare_test(arrays[:3])
        if self._colors is None:
            return images, *labels
        offsets = arrays[3][:, None, None, :]
        return (images + offsets) * (1 / (1 + self.color_noise)), *labels

    def prepare_test(self, arrays: Sequence[Any], view: Any = None) -> tuple[Any, ...]:
        """Return one view (None: the centre) minus the mean, labels (cases, 1), and all labels."""
        images, *labels = arrays
        if len(images.shape) == 5:
            images = images[:, CENTRE] if view is None else self._view(images, view)
        images, *labels = cast_to_shapes((images, *labels), self.shapes)
        return images - self.mean, *labels

    def _view(self, images: Any, view: Any) -> Any:
        """Return one of the ten views of images of which there are five."""
        import tensorflow as tf

        images = tf.gather(images, view % len(FIVE_VIEWS), axis=1)
        places = tf.range(self.side)
        return tf.gather(images, tf.where(view < len(FIVE_VIEWS), places, self.side - 1 - places), axis=2)


def free_pixels(image: np.ndarray, side: int) -> np.ndarray:
    """Return how far a square of `side` pixels can move in an image, down and to the right."""
    return np.array(image.shape[:2]) - side


def cut_out(image: np.ndarray, start: np.ndarray, side: int) -> np.ndarray:
    """Return the square of `side` pixels that begins at a row and a column."""
    row, column = (int(number) for number in start)
    return image[row : row + side, column : column + side]


def mirrored(image: np.ndarray) -> np.ndarray:
    """Return an image with left and right exchanged."""
    found = np.empty_like(image)
    for channel in range(3):  # five times as fast as all channels at once
        found[..., channel] = image[:, ::-1, channel]
    return found


def view_of(image: np.ndarray, view: int, side: int) -> np.ndarray:
    """Return one of the five views of an image."""
    return cut_out(image, free_pixels(image, side) * FIVE_VIEWS[view] // 2, side)


def color_offsets(colors: ColorStatistics, normals: np.ndarray) -> np.ndarray:
    """Return a colour for each row of three standard normal numbers, distributed like the data's, (n, 3)."""
    return (colors.deviations * normals) @ colors.components.T
