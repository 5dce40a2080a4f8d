"""Generated images, and folders with batches of them as JPEG strings: a stand-in for ImageNet."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np

CLASSES = ("cat", "dog", "owl")
DEVIATIONS = np.array([5.0, 12.0, 40.0])
# Columns of length 1, at right angles.
COMPONENTS = np.array([[2.0, -2.0, 1.0], [1.0, 2.0, 2.0], [2.0, 1.0, -2.0]]) / 3


def picture(seed: int, rows: int, columns: int) -> np.ndarray:
    """Return an image: patches of 4 x 4 pixels in a random colour, with a little noise on them."""
    rng = np.random.default_rng(seed)
    patches = rng.integers(20, 236, (rows // 4 + 1, columns // 4 + 1, 3))
    pixels = patches.repeat(4, axis=0).repeat(4, axis=1)[:rows, :columns]
    return np.clip(pixels + rng.integers(-9, 10, pixels.shape), 0, 255).astype(np.uint8)


def jpeg_of(image: np.ndarray, quality: int = 95) -> bytes:
    import tensorflow as tf

    return tf.io.encode_jpeg(image, quality=quality).numpy()


def pixels_of(jpeg: bytes) -> np.ndarray:
    """Return what is in a JPEG string, by the method of the original."""
    import tensorflow as tf

    return tf.io.decode_jpeg(jpeg, channels=3, dct_method="INTEGER_ACCURATE").numpy()


def write_pickle(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=2))
    return path


def write_meta(folder: Path, side: int, **changes: object) -> Path:
    """Write batches.meta; an entry that is changed to None is left out."""
    mean = np.random.default_rng(side).uniform(90, 140, (3 * side * side, 1)).astype(np.float32)
    meta = {
        "label_names": list(CLASSES),
        "num_vis": 3 * side * side,
        "data_mean": mean,
        "color_pca": (DEVIATIONS, COMPONENTS),
        "batch_size": 12,
        **changes,
    }
    return write_pickle(
        folder / "batches.meta", {key: value for key, value in meta.items() if value is not None}
    )


def part(images: Sequence[np.ndarray], labels: Sequence[Sequence[int]]) -> dict[str, object]:
    return {"data": [jpeg_of(image) for image in images], "labels": [list(each) for each in labels]}


def write_folder(
    folder: Path, batches: Sequence[int] = (0, 1, 1000), cases: int = 12, side: int = 16, **meta: object
) -> Path:
    """Write a folder of batches, each in two sub-batches; every third image is wide, every third high."""
    write_meta(folder, side, **meta)
    for number in batches:
        shapes = [((side, side), (side, side + 7), (side + 5, side))[case % 3] for case in range(cases)]
        images = [picture(1000 * number + case, *shape) for case, shape in enumerate(shapes)]
        labels = [[(number + case) % len(CLASSES)] for case in range(cases)]
        name, half = f"data_batch_{number}", cases // 2
        write_pickle(folder / name / f"{name}.0", part(images[:half], labels[:half]))
        write_pickle(folder / name / f"{name}.1", part(images[half:], labels[half:]))
    return folder
