"""Folders of generated images, one for each class: what is turned into batches."""

from __future__ import annotations

from pathlib import Path

from jpeg_folders import jpeg_of, picture

CLASSES = ("cat", "dog", "owl")
SHAPES = ((40, 60), (50, 41), (33, 33), (20, 25))
"""Rows and columns: larger than 32 pixels, where a test wants so many, but for the last."""


def plant(folder: Path, images: int, seed: int = 0, classes: tuple[str, ...] = CLASSES) -> Path:
    """Write so many images of each class, of several shapes."""
    for label, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(images):
            image = picture(10000 * seed + 100 * label + number, *SHAPES[(number + label) % 4])
            (folder / name / f"{name}-{number:02d}.jpg").write_bytes(jpeg_of(image))
    return folder


def plant_both(folder: Path, training: int = 7, validation: int = 2) -> Path:
    """Write `train` and `val`."""
    plant(folder / "train", training)
    plant(folder / "val", validation, seed=1)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
