"""Generated batches in the shape of CIFAR-10, the same for all sides; nothing is downloaded."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.nets import BORDER

CLASSES, SIDE, CASES = 10, 32, 10_000
TEST_BATCH = 6


class Data(NamedTuple):
    """One batch as the peers get it."""

    images: np.ndarray  # uint8, (cases, 32, 32, 3)
    labels: np.ndarray  # int32, (cases,)
    mean: np.ndarray  # float32, (32, 32, 3)
    draws: np.ndarray  # int32, (cases, 3): row, column and flip of each crop

    @property
    def central_mean(self) -> np.ndarray:
        """The mean that is subtracted from crops."""
        return centre(self.mean[np.newaxis])[0]


def write_batches(folder: Path, numbers: tuple[int, ...], cases: int = CASES) -> Path:
    """Write batches in cuda-convnet's own layout, one column a case, and return the folder."""
    folder.mkdir(parents=True)
    templates = _templates()
    for number in numbers:
        images, labels = _cases(templates, cases, number)
        columns = np.ascontiguousarray(images.transpose(0, 3, 1, 2).reshape(cases, -1).T)
        _dump(folder / f"data_batch_{number}", {"data": columns, "labels": labels.tolist()})
    mean = templates.mean(axis=0).transpose(2, 0, 1).reshape(-1, 1).astype(np.float32)
    names = [f"class {number}" for number in range(CLASSES)]
    _dump(folder / "batches.meta", {"label_names": names, "num_vis": mean.size, "data_mean": mean})
    return folder


def read_batch(folder: Path, number: int = 1, random_crops: bool = True) -> Data:
    """Read a batch that `write_batches` wrote."""
    batch, meta = _load(folder / f"data_batch_{number}"), _load(folder / "batches.meta")
    images = _images(batch["data"].T)
    labels = np.array(batch["labels"], np.int32)
    draws = np.full((len(images), 3), (BORDER, BORDER, 0), np.int32)
    if random_crops:
        ends = (2 * BORDER + 1, 2 * BORDER + 1, 2)
        draws = np.random.default_rng(number).integers(0, ends, draws.shape, np.int32)
    return Data(images, labels, _images(meta["data_mean"].T)[0], draws)


def centre(images: np.ndarray) -> np.ndarray:
    """Return the central crops."""
    return images[:, BORDER:-BORDER, BORDER:-BORDER]


def _images(rows: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rows.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1))


def _templates() -> np.ndarray:
    """Return a coarse pattern for each class, so that training finds something to learn."""
    coarse = np.random.default_rng(0).uniform(64, 192, (CLASSES, 4, 4, 3))
    return np.kron(coarse, np.ones((1, SIDE // 4, SIDE // 4, 1)))


def _cases(templates: np.ndarray, cases: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(number)
    shown = rng.integers(0, CLASSES, cases)
    noise = rng.normal(0, 50, (cases, SIDE, SIDE, 3)).astype(np.float32)
    images = np.clip(templates[shown] + noise, 0, 255).astype(np.uint8)
    # Three labels in ten are wrong, so that the cost stays well above zero however long a run is.
    labels = np.where(rng.random(cases) < 0.3, rng.integers(0, CLASSES, cases), shown)
    return images, labels


def _dump(file: Path, content: dict[str, Any]) -> None:
    file.write_bytes(pickle.dumps(content, protocol=2))


def _load(file: Path) -> dict[str, Any]:
    """Read a file of our own making."""
    content: dict[str, Any] = pickle.loads(file.read_bytes())
    return content
