import os
import pickle
from pathlib import Path

import numpy as np
import pytest

CHECKPOINTS = Path(os.environ.get("CONVNET_CHECKPOINTS", "../shared/checkpoints"))


@pytest.fixture(scope="session")
def tiny():
    """The made-up CIFAR-format batches 1, 2 and 6 that the original providers were run on."""
    folder = CHECKPOINTS / "data-tiny-cifar-colmajor"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there (set CONVNET_CHECKPOINTS)")
    return folder


@pytest.fixture
def dump(tmp_path):
    """Write an object as a pickle of protocol 2 into the test's folder."""

    def dump(name, content, protocol=2):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(pickle.dumps(content, protocol))
        return path

    return dump


@pytest.fixture
def make_folder(tmp_path, dump):
    """Write a batch directory with 12 x 12 images in one of both layouts; the same images in both."""

    def make_folder(name="data", *, public=False, channels=3, cases=20, meta=(), batch=()):
        rng = np.random.default_rng(1)
        values = channels * 12 * 12
        images = rng.integers(0, 256, (6, cases, values), dtype=np.uint8)
        labels = rng.integers(0, 4, (6, cases))
        mean = images[:5].mean(axis=(0, 1), dtype=np.float64).astype(np.float32).reshape(-1, 1)
        contents = {"label_names": list("abcd"), "num_vis": values}
        dump(f"{name}/batches.meta", contents | ({} if public else {"data_mean": mean}) | dict(meta))
        for number, (data, label) in enumerate(zip(images, labels, strict=True), 1):
            contents = {"data": data if public else np.ascontiguousarray(data.T), "labels": label.tolist()}
            file = "test_batch" if public and number == 6 else f"data_batch_{number}"
            dump(f"{name}/{file}", contents | dict(batch))
        return tmp_path / name

    return make_folder
