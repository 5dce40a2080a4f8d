"""JPEG to pixels and back, by TensorFlow; while it works, other Python threads can."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from convnet_cfg.errors import DataError

Result = TypeVar("Result")


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def decode(name: str, jpeg: bytes) -> np.ndarray:
    """Return the pixels of an image, uint8, (rows, columns, 3): red, green, blue.

    The numbers are those of libjpeg's accurate method, which cuda-convnet2 used.

    Raises:
        DataError: it is no image, or not all of it.
    """
    import tensorflow as tf

    try:
        with tf.device("/CPU:0"):
            image = tf.io.decode_jpeg(jpeg, channels=3, dct_method="INTEGER_ACCURATE")
    except tf.errors.OpError:
        raise DataError(f"{name} is not a JPEG image, or only a part of one ({len(jpeg)} bytes)") from None
    pixels: np.ndarray = image.numpy()
    return pixels


def encode(image: np.ndarray, quality: int) -> bytes:
    """Return an image, uint8, (rows, columns, 3), as JPEG of a quality from 1 to 100."""
    import tensorflow as tf

    with tf.device("/CPU:0"):
        jpeg: bytes = tf.io.encode_jpeg(image, format="rgb", quality=quality).numpy()
    return jpeg


def in_threads(work: Callable[[int], None], items: Sequence[int] | range) -> None:
    """Do something for each item, on all processors at once; the first error ends it."""
    with ThreadPoolExecutor(processors()) as threads:
        try:
            for _ in threads.map(work, items):
                pass
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise


def resized(image: np.ndarray, side: int) -> np.ndarray:
    """Return an image, uint8, (rows, columns, 3), whose shorter side is `side` pixels, in the same form.

    Where it shrinks, a pixel is the mean over its area of the old image; else it is interpolated by cubics.
    """
    import tensorflow as tf

    rows, columns = image.shape[:2]
    shorter = min(rows, columns)
    if shorter == side:
        return image
    shape = tuple((2 * size * side + shorter) // (2 * shorter) for size in (rows, columns))
    method = tf.image.ResizeMethod.AREA if shorter > side else tf.image.ResizeMethod.BICUBIC
    with tf.device("/CPU:0"):
        found = tf.image.resize(image, shape, method).numpy()
    return np.clip(np.rint(found, out=found), 0, 255, out=found).astype(np.uint8)
