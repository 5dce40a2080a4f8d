"""Where square windows lie on a square image, and which part of them the image covers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf


class Window(NamedTuple):
    """What a convolution does with one of its input images.

    `size` is the side of the filters, `padding` the rows and columns of zeros above and to the left;
    below and to the right there are as many zeros as the last window needs. `channels` counts those
    of the image. Each of the `groups` sees `filter_channels` of them (by default an equal share in
    order; with `connections`, the channels listed there, one run of `filter_channels` per group).
    """

    size: int
    strides: int
    padding: int
    channels: int
    groups: int = 1
    filter_channels: int | None = None
    connections: tuple[int, ...] | None = None

    @property
    def depth(self) -> int:
        """The number of channels that one filter sees."""
        return self.filter_channels or self.channels // self.groups


@dataclass(frozen=True)
class Span:
    """`count` windows of `size` pixels along one axis of `side` pixels, `strides` apart from `start`."""

    side: int
    size: int
    strides: int
    start: int
    count: int

    @property
    def before(self) -> int:
        """Pixels that the first window lacks at the low border (negative: pixels not used)."""
        return -self.start

    @property
    def after(self) -> int:
        """Pixels that the last window lacks at the high border (negative: pixels not used)."""
        return self.start + self.strides * (self.count - 1) + self.size - self.side

    @property
    def reach(self) -> int:
        """The number of runs of `strides` pixels that a window reaches over."""
        return -(-self.size // self.strides)

    @property
    def lead(self) -> int:
        """Pixels to put before the image so that a window could begin there."""
        return self.before % self.strides

    @property
    def mode(self) -> str | None:
        """The name of the TensorFlow padding with exactly these windows: SAME, VALID or None."""
        if self.start == 0 and self.count == (self.side - self.size) // self.strides + 1:
            return "VALID"
        around = max(self.strides * (self.count - 1) + self.size - self.side, 0)
        if self.count == -(-self.side // self.strides) and self.before == around // 2:
            return "SAME"
        return None

    @property
    def seeing(self) -> Span:
        """The windows without those that begin behind the image and see nothing of it."""
        return replace(self, count=max(1, min(self.count, -(-(self.side - self.start) // self.strides))))

    def existing(self) -> np.ndarray:
        """The number of pixels of each window that lie inside the image; shape (count,)."""
        first = self.start + self.strides * np.arange(self.count)
        return np.minimum(first + self.size, self.side) - np.maximum(first, 0)


def fit(image: Any, span: Span, *, fill: float = 0.0, axes: tuple[int, int] = (1, 2)) -> Any:
    """Return the image cropped and padded so that its VALID windows are those of `span`.

    `axes` are the two spatial axes of the image, which has four.
    """
    crop, pad = [slice(None)] * 4, [(0, 0)] * 4
    for axis in axes:
        crop[axis] = slice(max(0, -span.before), span.side - max(0, -span.after))
        pad[axis] = (max(0, span.before), max(0, span.after))
    if min(span.before, span.after) < 0:
        image = image[tuple(crop)]
    if max(span.before, span.after) > 0:
        image = tf.pad(image, pad, constant_values=fill)
    return image
