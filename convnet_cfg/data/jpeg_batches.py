"""Batches of JPEG strings, as cuda-convnet2 had ImageNet: read and checked, not decoded."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from convnet_cfg.data.folders import META, Meta, array_entry, entry, find_files, listed, missing_batches
from convnet_cfg.data.pickles import load_pickle
from convnet_cfg.errors import DataError


class JpegImage(NamedTuple):
    """One image: what error messages call its file, its number in there from 0, its bytes, all its labels."""

    file: str
    number: int
    jpeg: bytes
    labels: tuple[int, ...]

    @property
    def name(self) -> str:
        """What error messages call it."""
        return f"{self.file}: image {self.number}"


class ColorStatistics(NamedTuple):
    """The principal components of the colours of all pixels.

    deviations: (3,), the standard deviation along each component, in grey levels. components: (3, 3), one in
    each column, red, green and blue.
    """

    deviations: np.ndarray
    components: np.ndarray


class JpegDirectory:
    """A folder with `batches.meta` and `data_batch_0`, `data_batch_1`, ...: files, or folders of sub-batches.

    A file holds a dictionary, or a list of them: `data`, a list of JPEG strings, and `labels`, a list with a
    list of numbers for each image. The files of a sub-batch folder follow each other as a reader would count
    them: `.2` before `.10`.

    Raises:
        DataError: on opening, if the folder or its meta file is not as described; on loading, if a batch or
            a sub-batch is missing, damaged, or has a label that the meta file does not know.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.name = str(path)
        self._files = find_files(self.path)
        self._meta = Meta.read(self.path)
        self.label_names = self._meta.label_names
        self.side, _, channels = self._meta.image_shape
        self._label_offset = _label_offset(self._meta)
        if channels != 3:
            raise DataError(f"{self._meta.file}: expected images of 3 channels, num_vis is {self.side**2}")

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the batches that are there, ascending."""
        return tuple(sorted(self._files))

    @property
    def mean(self) -> np.ndarray:
        """The mean image, float32, (side, side, 3)."""
        if self._meta.mean is None:
            raise DataError(f"{self.path / META}: has no data_mean")
        return self._meta.mean

    @property
    def colors(self) -> ColorStatistics:
        """How the colours are distributed (`color_pca`)."""
        file, found = self._meta.file, entry(self._meta.file, self._meta.content, "color_pca")
        if not isinstance(found, list | tuple) or len(found) != 2:
            raise DataError(f"{file}: color_pca must be 3 deviations and a 3 x 3 array of components")
        parts = dict(zip(("deviations", "components"), found, strict=True))
        deviations, components = (
            array_entry(file, parts, name).astype(np.float64) for name in ("deviations", "components")
        )
        if deviations.size != 3 or components.shape != (3, 3):
            raise DataError(
                f"{file}: color_pca has shapes {deviations.shape} and {components.shape}, "
                "expected (3,) and (3, 3)"
            )
        if not (np.isfinite(deviations).all() and np.isfinite(components).all()):
            raise DataError(f"{file}: color_pca is not finite")
        return ColorStatistics(deviations.ravel(), components)

    def batch(self, number: int) -> list[JpegImage]:
        """Return the images of a batch, at least one."""
        if (path := self._files.get(number)) is None:
            raise DataError(missing_batches(self.name, [number], self.numbers))
        images = [image for file in _sub_batches(path) for image in self._read(file)]
        if not images:
            raise DataError(f"{path}: has no images")
        return images

    def _read(self, file: Path) -> Iterator[JpegImage]:
        content = load_pickle(file)
        if not isinstance(content, list):
            yield from self._read_part(str(file), content)
            return
        for number, part in enumerate(content):
            yield from self._read_part(f"{file}: part {number}", part)

    def _read_part(self, name: str, part: object) -> Iterator[JpegImage]:
        """Yield the images of one dictionary."""
        jpegs, labels = (entry(Path(name), part, key) for key in ("data", "labels"))
        for key, values in (("data", jpegs), ("labels", labels)):
            if not isinstance(values, list | tuple):
                raise DataError(
                    f"{name}: {key} must be a list with one item for each image, got {type(values).__name__}"
                )
        if len(jpegs) != len(labels):
            raise DataError(f"{name}: has {len(jpegs)} images and labels for {len(labels)}")
        for index, (jpeg, numbers) in enumerate(zip(jpegs, labels, strict=True)):
            where = f"{name}: image {index}"
            yield JpegImage(name, index, _bytes(where, jpeg), self._labels(where, numbers))

    def _labels(self, where: str, numbers: object) -> tuple[int, ...]:
        """Return the labels of an image, the offset added, after a check of each."""
        numbers = numbers.tolist() if isinstance(numbers, np.ndarray) else numbers
        if not isinstance(numbers, list | tuple):
            raise DataError(f"{where} has labels {numbers!r:.40}, expected a list of whole numbers")
        first, last = -self._label_offset, len(self.label_names) - 1 - self._label_offset
        for label in numbers:
            number = isinstance(label, int | float | np.number)
            if not number or not first <= label <= last or label != int(label):
                raise DataError(
                    f"{where} has label {label!r:.40}, expected a whole number from {first} to {last}"
                )
        return tuple(int(label) + self._label_offset for label in numbers)


def _label_offset(meta: Meta) -> int:
    offset = meta.content.get("label_offset", 0)
    if not isinstance(offset, int | np.integer):
        raise DataError(f"{meta.file}: label_offset must be an integer, got {offset!r:.40}")
    return int(offset)


def _bytes(where: str, jpeg: object) -> bytes:
    """Return a JPEG string as bytes; Python 2's strings come as text of as many characters."""
    try:
        jpeg = jpeg.encode("latin-1") if isinstance(jpeg, str) else jpeg
    except UnicodeEncodeError:
        raise DataError(f"{where} is text, expected a JPEG string") from None
    if not isinstance(jpeg, bytes):
        raise DataError(f"{where} is a {type(jpeg).__name__}, expected a JPEG string")
    return jpeg


def _sub_batches(path: Path) -> list[Path]:
    """Return the files of a batch: itself, or what is in the folder, in natural order.

    A gap in their numbers is a file that was lost.
    """
    if not path.is_dir():
        return [path]
    try:
        files = sorted((file for file in path.iterdir() if not file.name.startswith(".")), key=_natural_order)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
    if not files:
        raise DataError(f"{path}: has no sub-batches")
    ends = [re.fullmatch(rf"{re.escape(path.name)}\.([0-9]+)", file.name) for file in files]
    numbers = [int(end[1]) for end in ends if end]
    if len(numbers) == len(files):
        first = min(1, numbers[0])
        if missing := sorted(set(range(first, numbers[-1])) - set(numbers)):
            word = "sub-batch" if len(missing) == 1 else "sub-batches"
            raise DataError(f"{path}: {word} {listed(missing)} missing; there are {listed(numbers)}")
    return files


def _natural_order(file: Path) -> list[tuple[int, str]]:
    """Return a key that sorts numbers in names by their value."""
    parts = re.split("([0-9]+)", file.name)
    return [(int(part), "") if part.isdigit() and part.isascii() else (-1, part) for part in parts]
