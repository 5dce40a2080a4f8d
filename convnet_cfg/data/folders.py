"""A folder of data batches: its `batches.meta`, its files by number, and how their entries are read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import isqrt
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from convnet_cfg.data.pickles import load_pickle
from convnet_cfg.errors import DataError, join_words

META = "batches.meta"
PUBLIC_TEST = "test_batch"
PUBLIC_TEST_NUMBER = 6


class Meta(NamedTuple):
    """What `batches.meta` says: everything, and what every folder has of it.

    image_shape: rows, columns, channels. mean: float32, of that shape; None where there is none.
    """

    file: Path
    content: Mapping[str, Any]
    label_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    mean: np.ndarray | None

    @classmethod
    def read(cls, folder: Path) -> Meta:
        """Return what the meta file of a folder says.

        Raises:
            DataError: it is not there, damaged, or something in it is not as it should be.
        """
        file = folder / META
        content = load_pickle(file)
        names = entry(file, content, "label_names")
        if not isinstance(names, list | tuple) or not names:
            raise DataError(f"{file}: label_names must be a list with one name for each class")
        mean = _mean_values(file, content) if "data_mean" in content else None
        values = content.get("num_vis", None if mean is None else mean.size)
        shape = _image_shape(file, values)
        if mean is not None and mean.size != values:
            raise DataError(f"{file}: data_mean has {mean.size} values, but num_vis is {values}")
        image = None if mean is None else to_images(mean.reshape(1, -1), shape)[0]
        return cls(file, content, tuple(map(str, names)), shape, image)


def find_files(path: Path) -> dict[int, Path]:
    """Return the batch files of a folder by number.

    Raises:
        DataError: it is no such folder; the message says where the right one may be.
    """
    try:
        return _find_files(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error})") from None


def _find_files(path: Path) -> dict[int, Path]:
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


def _image_shape(file: Path, values: object) -> tuple[int, int, int]:
    """Return rows, columns, channels of a square image with so many values."""
    if values is None:
        raise DataError(f"{file}: has neither num_vis nor data_mean, so the image size is unknown")
    shape = image_shape(int(values)) if isinstance(values, int | np.integer) else None
    if shape is None:
        raise DataError(f"{file}: images of {values!r:.40} values are not square with 3 channels or 1")
    return shape


def image_shape(values: int) -> tuple[int, int, int] | None:
    """Return rows, columns, channels of the square image of so many values, in colour or grey; else None."""
    for channels in (3, 1):
        side = isqrt(max(values, 0) // channels)
        if side and channels * side * side == values:
            return side, side, channels
    return None


def _mean_values(file: Path, content: Mapping[str, object]) -> np.ndarray:
    mean = array_entry(file, content, "data_mean").astype(np.float32)
    if not np.isfinite(mean).all():
        raise DataError(f"{file}: data_mean is not finite")
    return mean


def entry(file: Path, content: object, key: str) -> Any:
    """Return an entry of a dictionary, or raise DataError."""
    if not isinstance(content, dict):
        raise DataError(f"{file}: holds a {type(content).__name__}, expected a dictionary")
    if key not in content:
        raise DataError(f"{file}: has no {key!r}; it has {', '.join(map(repr, content)) or 'nothing':.200}")
    return content[key]


def array_entry(file: Path, content: object, key: str) -> np.ndarray:
    """Return an entry which must be an array of real numbers, or raise DataError."""
    array = entry(file, content, key)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "uif":
        kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise DataError(f"{file}: {key} must be an array of numbers, got {kind}")
    return np.asarray(array)


def to_images(rows: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Turn (cases, values), channel after channel, into (cases, rows, columns, channels)."""
    side, _, channels = shape
    return np.ascontiguousarray(rows.reshape(-1, channels, side, side).transpose(0, 2, 3, 1))


def missing_batches(where: str, missing: Iterable[int], there: Iterable[int]) -> str:
    """Return the message that names the missing batches and those that are there."""
    names = sorted(missing)
    word = "batch" if len(names) == 1 else "batches"
    return f"{where}: {word} {listed(names)} missing; there are {listed(there) or 'none'}"


def listed(numbers: Iterable[int]) -> str:
    """Return "1, 2 and 3"."""
    return join_words([str(number) for number in numbers], "and")
