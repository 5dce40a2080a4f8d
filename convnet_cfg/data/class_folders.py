"""Images in folders that are named by their class: which there are, and which are held out for tests."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from convnet_cfg.errors import DataError, UsageError, did_you_mean

SUFFIXES = (".jpg", ".jpeg", ".png")
TRAINING, VALIDATION = "train", "val"


class ImageFile(NamedTuple):
    """One image: the name of its file in the folder of its class, the class, and its size in bytes."""

    folder: Path
    name: str
    label: int
    size: int

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.folder / self.name


class ImageTree(NamedTuple):
    """All images, in the order in which they go into the batches; the names of the classes by label."""

    label_names: tuple[str, ...]
    training: Sequence[ImageFile]
    validation: Sequence[ImageFile]

    @property
    def digest(self) -> str:
        """A hash of all names, labels and sizes in their order, hexadecimal."""
        found = hashlib.sha256()
        for images in (self.training, self.validation):
            for image in images:
                found.update(f"{self.label_names[image.label]}/{image.name} {image.size}\n".encode())
            found.update(b"\n")
        return found.hexdigest()


def find_images(source: Path, validation: Path | None, held_out: float, seed: int) -> ImageTree:
    """Return the images below a folder: of `source/train` and `source/val`, or of `source` if it has neither.

    The images to train on are shuffled, always in the same way for the same seed; those to test on are in
    the order of their names. `validation` is another folder of the latter. `held_out` is the part of
    `source`, from 0 to below 1, that is chosen at random for tests where there is no such folder.

    Raises:
        DataError: a folder is missing, or not as described.
        UsageError: both a folder and a part of the images are to be tested on.
    """
    split = any((source / name).is_dir() for name in (TRAINING, VALIDATION))
    training = source / TRAINING if split else source
    if validation is None and (source / VALIDATION).is_dir():
        validation = source / VALIDATION
    names = _class_names(training)
    labels = {name: label for label, name in enumerate(names)}
    images = list(_images_of(training, labels))
    # NumPy promises that this old generator never changes its numbers.
    shuffled = [images[index] for index in np.random.RandomState(seed).permutation(len(images))]
    if validation is not None:
        if held_out:
            raise UsageError(f"no part of the images can be held out: those to test on are in {validation}")
        if unknown := sorted(set(_class_names(validation)) - set(names)):
            hint = did_you_mean(unknown[0], names)
            raise DataError(f"{validation / unknown[0]}: {training} has no such class{hint}")
        return ImageTree(names, shuffled, _by_name(_images_of(validation, labels)))
    aside = round(held_out * len(images))
    if aside == len(images) or (held_out and not aside):
        raise UsageError(f"{held_out:g} of {len(images)} images cannot be held out")
    return ImageTree(names, shuffled[aside:], _by_name(shuffled[:aside]))


def _by_name(images: Iterator[ImageFile] | Sequence[ImageFile]) -> list[ImageFile]:
    return sorted(images, key=lambda image: (image.name, image.label))


def _class_names(path: Path) -> tuple[str, ...]:
    """Return the names of the folders in a folder, sorted."""
    if not path.is_dir():
        raise DataError(f"{path}: {'is not a folder' if path.exists() else 'no such folder'}")
    names = sorted(child.name for child in path.iterdir() if child.is_dir() and not _is_hidden(child.name))
    if not names:
        reserved = f"; {path.name} cannot be a class itself" if path.name in (TRAINING, VALIDATION) else ""
        raise DataError(f"{path}: has no folders, expected one for each class of images{reserved}")
    return tuple(names)


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def _images_of(path: Path, labels: Mapping[str, int]) -> Iterator[ImageFile]:
    """Yield the images of the classes that are there, class by class, in the order of their names."""
    for name, label in labels.items():
        folder = path / name
        if not folder.exists():
            continue
        files = sorted(
            (entry for entry in os.scandir(folder) if _is_image(entry)), key=lambda file: file.name
        )
        if not files:
            raise DataError(f"{folder}: has no images ({', '.join(SUFFIXES)})")
        yield from (ImageFile(folder, file.name, label, file.stat().st_size) for file in files)


def _is_image(entry: os.DirEntry[str]) -> bool:
    return entry.name.lower().endswith(SUFFIXES) and not _is_hidden(entry.name) and entry.is_file()
