"""Batch directories: cuda-convnet's own, and the public CIFAR-10 python version."""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from math import isqrt
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from convnet_cfg.data.pickles import load_pickle
from convnet_cfg.errors import DataError, UsageError, join_words

CACHE_BYTES = 512 << 20
"""How much of the loaded batches is kept in memory; all of CIFAR-10 takes 184 MB."""

META = "batches.meta"
PUBLIC_TEST = "test_batch"
PUBLIC_TEST_NUMBER = 6
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
        try:
            self._files = _find_files(self.path)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error})") from None
        meta = _Meta.read(self.path / META)
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
                f"{self.path}: the mean image needs batches 1 to 5; missing: {_listed(missing)}",
            )
        batches = map(self.batch, PUBLIC_TRAINING_NUMBERS)
        return mean_image(batch.images for batch in batches)

    def _load(self, number: int) -> Batch:
        if (file := self._files.get(number)) is None:
            raise DataError(missing_batches(self.name, [number], self.numbers))
        content = load_pickle(file)
        labels = _labels(file, content, len(self.label_names))
        rows = self._rows(file, _array(file, content, "data"), len(labels))
        return Batch(_images(rows, self.image_shape), labels)

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


class _Meta(NamedTuple):
    """What `batches.meta` says."""

    label_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    mean: np.ndarray | None

    @classmethod
    def read(cls, file: Path) -> _Meta:
        content = load_pickle(file)
        names = _entry(file, content, "label_names")
        if not isinstance(names, list | tuple) or not names:
            raise DataError(f"{file}: label_names must be a list with one name for each class")
        mean = _mean_values(file, content) if "data_mean" in content else None
        values = content.get("num_vis", None if mean is None else mean.size)
        shape = _image_shape(file, values)
        if mean is not None and mean.size != values:
            raise DataError(f"{file}: data_mean has {mean.size} values, but num_vis is {values}")
        image = None if mean is None else _images(mean.reshape(1, -1), shape)[0]
        return cls(tuple(map(str, names)), shape, image)


def stored_provider(path: str | os.PathLike[str]) -> str:
    """Return the name of the data provider that a batch directory asks for (`dp_type`).

    Raises:
        UsageError: it asks for none.
        DataError: there is no such directory, or its meta file is damaged.
    """
    file = Path(path) / META
    content = load_pickle(file)
    name = content.get("dp_type") if isinstance(content, dict) else None
    if not isinstance(name, str) or not name:
        raise UsageError(f"{file} does not name its data provider (dp_type)")
    return name


def _image_shape(file: Path, values: object) -> tuple[int, int, int]:
    """Return rows, columns, channels of a square image with so many values."""
    if values is None:
        raise DataError(f"{file}: has neither num_vis nor data_mean, so the image size is unknown")
    if isinstance(values, int | np.integer) and values > 0:
        for channels in (3, 1):
            side = isqrt(int(values) // channels)
            if channels * side * side == values:
                return side, side, channels
    raise DataError(f"{file}: images of {values!r:.40} values are not square with 3 channels or 1")


def _mean_values(file: Path, content: Mapping[str, object]) -> np.ndarray:
    mean = _array(file, content, "data_mean").astype(np.float32)
    if not np.isfinite(mean).all():
        raise DataError(f"{file}: data_mean is not finite")
    return mean


def _find_files(path: Path) -> dict[int, Path]:
    """Return the batch files of a folder by number, or say where the right folder may be."""
    if not path.exists():
        raise DataError(f"{path}: no such folder")
    if not path.is_dir():
        raise DataError(
            f"{path}: is a file, expected a folder with {META} and data_batch_1, data_batch_2, ..."
        )
    if not (path / META).exists():
        inside = sorted(child for child in path.iterdir() if (child / META).exists())
        hint = f"; did you mean {join_words([str(child) for child in inside])}?" if inside else ""
        raise DataError(f"{path}: no {META} here{hint}")
    files = {PUBLIC_TEST_NUMBER: path / PUBLIC_TEST} if (path / PUBLIC_TEST).exists() else {}
    for file in path.iterdir():
        if match := re.fullmatch("data_batch_([0-9]+)", file.name):
            files[int(match[1])] = file
    return files


def _entry(file: Path, content: object, key: str) -> Any:
    if not isinstance(content, dict):
        raise DataError(f"{file}: holds a {type(content).__name__}, expected a dictionary")
    if key not in content:
        raise DataError(f"{file}: has no {key!r}; it has {', '.join(map(repr, content)) or 'nothing':.200}")
    return content[key]


def _array(file: Path, content: object, key: str) -> np.ndarray:
    """Return an entry which must be an array of real numbers."""
    array = _entry(file, content, key)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "uif":
        kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise DataError(f"{file}: {key} must be an array of numbers, got {kind}")
    return np.asarray(array)


def _labels(file: Path, content: object, classes: int) -> np.ndarray:
    """Return labels as int32, (cases,), after a check of each."""
    labels = _entry(file, content, "labels")
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


def _images(rows: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Turn (cases, values), channel after channel, into (cases, rows, columns, channels)."""
    side, _, channels = shape
    return np.ascontiguousarray(rows.reshape(-1, channels, side, side).transpose(0, 2, 3, 1))


def mean_image(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Return the mean over the first axis of all parts, added up in float64, as float32."""
    total, cases = 0.0, 0
    for part in parts:
        total = total + part.sum(axis=0, dtype=np.float64)
        cases += len(part)
    return np.asarray(total / cases, np.float32)


def missing_batches(where: str, missing: Iterable[int], there: Iterable[int]) -> str:
    """Return the message that names the missing batches and those that are there."""
    names = sorted(missing)
    word = "batch" if len(names) == 1 else "batches"
    return f"{where}: {word} {_listed(names)} missing; there are {_listed(there) or 'none'}"


def _listed(numbers: Iterable[int]) -> str:
    return join_words([str(number) for number in numbers], "and")
