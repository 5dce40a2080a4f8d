"""The mean image and the principal colours of many images, from sums that are exact in any order."""

from __future__ import annotations

from threading import Lock

import numpy as np

from convnet_cfg.data.images import centre
from convnet_cfg.data.jpeg_batches import ColorStatistics


class Totals:
    """Sums over images whose shorter side is `side` pixels; several threads may add to them.

    The mean image is over the centre of each, `side` pixels square; the colours are those of all pixels.

    images: how many. pixels: the sum of the centres, int64, (side, side, 3). colors: how many pixels. sums:
    of their values, int64, (3,). products: of the values of two channels, int64, (3, 3).
    """

    def __init__(self, side: int) -> None:
        self.side = side
        self.images = 0
        self.colors = 0
        self.pixels = np.zeros((side, side, 3), np.int64)
        self.sums = np.zeros(3, np.int64)
        self.products = np.zeros((3, 3), np.int64)
        self._lock = Lock()

    def add(self, image: np.ndarray) -> None:
        """Add an image, uint8, (rows, columns, 3)."""
        # Whole numbers below 2 ** 53, which float64 adds up without an error.
        channels = np.ascontiguousarray(image.reshape(-1, 3).T).astype(np.float64)
        sums, products = channels.sum(axis=1), channels @ channels.T
        with self._lock:
            self.images += 1
            self.colors += channels.shape[1]
            self.pixels += centre(image[np.newaxis], self.side)[0]
            self.sums += sums.astype(np.int64)
            self.products += products.astype(np.int64)

    def add_totals(self, other: Totals) -> None:
        """Add what others were added up to."""
        self.images += other.images
        self.colors += other.colors
        self.pixels += other.pixels
        self.sums += other.sums
        self.products += other.products

    def mean(self) -> np.ndarray:
        """Return the mean image, float32, (side, side, 3)."""
        return (self.pixels / self.images).astype(np.float32)

    def color_statistics(self) -> ColorStatistics:
        """Return the principal components of the colours, that of the smallest deviation first.

        The sign of a component is chosen so that its largest part is positive.
        """
        mean = self.sums / self.colors
        values, vectors = np.linalg.eigh(self.products / self.colors - np.outer(mean, mean))
        largest = vectors[np.abs(vectors).argmax(axis=0), range(3)]
        return ColorStatistics(np.sqrt(values.clip(0)), np.ascontiguousarray(vectors * np.sign(largest)))
