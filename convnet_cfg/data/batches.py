"""Batch directories: cuda-convnet's own, and the public CIFAR-10 python version."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np

from convnet_cfg.data.folders import (
    META,
    PUBLIC_TEST,
    PUBLIC_TEST_NUMBER,
    Meta,
    array_entry,
    entry,
    find_files,
    listed,
    missing_batches,
    to_images,
)
from convnet_cfg.data.pickles import load_pickle
from convnet_cfg.errors import DataError

CACHE_BYTES = 512 << 20
"""How much of the loaded batches is kept in memory; all of CIFAR-10 takes 184 MB."""

PUBLIC_TRAINING_NUMBERS = range(1, 6)


class Batch(NamedTuple):
    """The cases of one data file.

    images: (cases, rows, columns, channels), uint8, or float32 where the file holds anything else.
    labels: (cases,), int32.
    """

    images: np.ndarray
    labels: np.ndarray


class BatchCache:
    """The batches used last, up to a number of bytes; the newest is kept even if it is larger.

    Training and the thread that prepares its next batch may both ask.
    """

    def __init__(self, load: Callable[[int], Batch], limit: int = CACHE_BYTES) -> None:
        self._load = load
        self._limit = limit
        self._batches: OrderedDict[int, Batch] = OrderedDict()
        self._lock = Lock()

    def __call__(self, number: int) -> Batch:
        """Return a batch, from memory if it is there."""
        with self._lock:
            if number not in self._batches:
                self._batches[number] = self._load(number)
            self._batches.move_to_end(number)
            while self.size > self._limit and len(self._batches) > 1:
                self._batches.popitem(last=False)
            return self._batches[number]

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return sum(batch.images.nbytes + batch.labels.nbytes for batch in self._batches.values())


class BatchDirectory:
    """A folder with `batches.meta` and `data_batch_1`, `data_batch_2`, ...

    Both layouts are read: cuda-convnet's, one column a case, and that of the public CIFAR-10 python version,
    one row a case, whose `test_batch` is batch 6 and which has no mean image. There the mean over the
    training images, batches 1 to 5, is computed in float64 and kept as float32.

    The images may be of any size, square, with three channels or one. Loaded batches stay in memory up to
    `CACHE_BYTES`.

    Raises:
        DataError: on opening, if the folder or its meta file is not as described; on loading, if a batch is
            missing, damaged, or does not fit the meta file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.name = str(path)
        self._files = find_files(self.path)
        meta = Meta.read(self.path)
        self.label_names = meta.label_names
        self.image_shape = meta.image_shape
        self._stored_mean = meta.mean
        self.batch = BatchCache(self._load)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the batches that are there, ascending."""
        return tuple(sorted(self._files))

    @cached_property
    def mean(self) -> np.ndarray:
        """The mean image, float32, (rows, columns, channels)."""
        return self._computed_mean() if self._stored_mean is None else self._stored_mean

    def _computed_mean(self) -> np.ndarray:
        if PUBLIC_TEST_NUMBER not in self._files or self._files[PUBLIC_TEST_NUMBER].name != PUBLIC_TEST:
            raise DataError(f"{self.path / META}: has no data_mean")
        if missing := sorted(set(PUBLIC_TRAINING_NUMBERS) - set(self._files)):
            raise DataError(
                f"{self.path}: the mean image needs batches 1 to 5; missing: {listed(missing)}",
            )
        batches = map(self.batch, PUBLIC_TRAINING_NUMBERS)
        return mean_image(batch.images for batch in batches)

    def _load(self, number: int) -> Batch:
        if (file := self._files.get(number)) is None:
            raise DataError(missing_batches(self.name, [number], self.numbers))
        content = load_pickle(file)
        labels = _labels(file, content, len(self.label_names))
        rows = self._rows(file, array_entry(file, content, "data"), len(labels))
        return Batch(to_images(rows, self.image_shape), labels)

    def _rows(self, file: Path, data: np.ndarray, cases: int) -> np.ndarray:
        """Return data as (cases, values), after a check of its shape and its numbers."""
        values = int(np.prod(self.image_shape))
        if data.shape not in ((values, cases), (cases, values)):
            raise DataError(
                f"{file}: data has shape {data.shape}, expected ({values}, {cases}) or ({cases}, {values}): "
                f"{values} values for each of {cases} labels"
            )
        columns = self._has_columns(file) if cases == values else data.shape == (values, cases)
        rows = data.T if columns else data
        if rows.dtype == np.uint8:
            return rows
        with np.errstate(over="ignore"):
            rows = rows.astype(np.float32)
        finite = np.isfinite(rows).all(axis=1)
        if not finite.all():
            raise DataError(f"{file}: the data of case {finite.argmin()} are not finite")
        return rows

    def _has_columns(self, file: Path) -> bool:
        """Tell the layout of a batch with as many cases as values from the kind of the folder."""
        public = any(other.name == PUBLIC_TEST for other in self._files.values())
        if public == (self._stored_mean is not None):
            raise DataError(
                f"{file}: as many cases as values, and {META} does not tell if a case is a row or a column"
            )
        return not public


def _labels(file: Path, content: object, classes: int) -> np.ndarray:
    """Return labels as int32, (cases,), after a check of each."""
    labels = entry(file, content, "labels")
    labels = labels.ravel().tolist() if isinstance(labels, np.ndarray) else labels
    if not isinstance(labels, list | tuple) or not labels:
        raise DataError(f"{file}: labels must be a list with one number for each case")
    for case, label in enumerate(labels):
        number = isinstance(label, int | float | np.number)
        if not number or not 0 <= label < classes or label != int(label):
            raise DataError(
                f"{file}: the label of case {case} is {label!r:.40}, "
                f"expected a whole number from 0 to {classes - 1}"
            )
    return np.array(labels, np.int32)


def mean_image(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Return the mean over the first axis of all parts, added up in float64, as float32."""
    total, cases = 0.0, 0
    for part in parts:
        total = total + part.sum(axis=0, dtype=np.float64)
        cases += len(part)
    return np.asarray(total / cases, np.float32)
