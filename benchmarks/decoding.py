"""What decoding costs: `python -m benchmarks.decoding` trains on JPEG batches and on arrays, in turns.

Both trainings see the same images, with crops and flips: `image`, with colour noise, decodes them; `cifar`
with an inner size has them as arrays. Tensors are worked on by one thread, so that a processor is left for
decoding; with `--threads` they are worked on by as many as are given. The first batch of a training, for
which it has to wait, is left out, and in each round the order changes.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import tempfile
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.commands import BIN, run
from convnet_cfg.data.jpeg_coding import decode, encode
from convnet_cfg.data.writing import write_pickle

SIDE, CROP, CLASSES, CASES, QUALITY = 256, 224, 10, 256, 95
TEST_BATCH, TEST_CASES = 0, 16
OPTIONS = {"image": ["--color-noise=0.1"], "cifar": []}
LAYERS = """
[data]
type=data
dataIdx=0
[labels]
type=data
dataIdx=1
[conv1]
type=conv inputs=data channels=3 filters=64 filterSize=11 stride=4 padding=2 partialSum=0
initW=0.01 neuron=relu
[pool1]
type=pool pool=max inputs=conv1 channels=64 sizeX=3 stride=2 start=0
[conv2]
type=conv inputs=pool1 channels=64 filters=64 filterSize=5 stride=1 padding=2 partialSum=0
initW=0.01 neuron=relu
[pool2]
type=pool pool=max inputs=conv2 channels=64 sizeX=3 stride=2 start=0
[conv3]
type=conv inputs=pool2 channels=64 filters=64 filterSize=3 stride=1 padding=1 partialSum=0
initW=0.03 neuron=relu
[fc]
type=fc inputs=conv3 outputs=10 initW=0.01
[probs]
type=softmax inputs=fc
[logprob]
type=cost.logreg inputs=labels,probs
""".replace(" ", "\n")
RATES = "epsW=0.001\nepsB=0.002\nmomW=0.9\nmomB=0.9\nwc=0.0005\n"
PARAMS = "".join(f"[{name}]\n{RATES}" for name in ("conv1", "conv2", "conv3", "fc")) + "[logprob]\ncoeff=1\n"


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decoding", description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--batches", type=int, default=5, help="batches of each training (5)")
    parser.add_argument("--threads", type=int, default=1, help="threads for tensors (1)")
    options = parser.parse_args()
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(options.threads)
    with tempfile.TemporaryDirectory(prefix="convnet-bench-") as name:
        folder = Path(name)
        _write_data(folder, options.batches)
        seconds: dict[str, list[float]] = {provider: [] for provider in OPTIONS}
        for number in range(options.rounds):
            for provider in list(OPTIONS)[:: (-1) ** number]:
                seconds[provider].append(_train(folder, provider, options.batches))
                print(
                    f"round {number + 1}: {provider:6} {CASES / seconds[provider][-1]:6.1f} images/s",
                    flush=True,
                )
    print(_summary(seconds))


def _summary(seconds: dict[str, list[float]]) -> str:
    medians = "; ".join(
        f"{provider} {CASES / median(times):.1f} images/s" for provider, times in seconds.items()
    )
    ratios = sorted(
        arrays / decoded for arrays, decoded in zip(seconds["cifar"], seconds["image"], strict=True)
    )
    return f"{medians}; image / cifar: median {median(ratios):.3f}, {ratios[0]:.3f} to {ratios[-1]:.3f}"


def _train(folder: Path, provider: str, batches: int) -> float:
    """Train one epoch; return the median of the seconds of a batch, the first left out."""
    runs = folder / "runs" / f"{provider}-{len(list(folder.glob('runs/*')))}"
    command = [
        str(BIN / "convnet-train"),
        *(str(folder / name) for name in ("net.cfg", "net.params.cfg")),
        f"--data-provider={provider}",
        f"--data-path={folder / provider}",
        f"--train-range=1-{batches}",
        f"--test-range={TEST_BATCH}",
        f"--inner-size={CROP}",
        "--mini=64",
        "--epochs=1",
        "--test-freq=1000",
        f"--save-path={runs}",
        *OPTIONS[provider],
    ]
    run(command)
    (times,) = runs.glob("*/times.jsonl")
    lines = [json.loads(line) for line in times.read_text().splitlines()]
    return median([line["seconds"] for line in lines if line["kind"] == "train"][1:])


def _write_data(folder: Path, batches: int) -> None:
    """Write the two files, and the same generated images twice: as JPEG strings and as arrays."""
    (folder / "net.cfg").write_text(LAYERS)
    (folder / "net.params.cfg").write_text(PARAMS)
    mean = np.full((3 * SIDE * SIDE, 1), 128, np.float32)
    meta = {
        "num_vis": len(mean),
        "label_names": [f"class {number}" for number in range(CLASSES)],
        "data_mean": mean,
    }
    colors = (np.array([5.0, 12.0, 40.0]), np.eye(3))
    for provider in OPTIONS:
        (folder / provider).mkdir()
    write_pickle(folder / "image" / "batches.meta", {**meta, "color_pca": colors})
    write_pickle(folder / "cifar" / "batches.meta", meta)
    for number in (TEST_BATCH, *range(1, batches + 1)):
        rng = np.random.default_rng(number)
        cases = TEST_CASES if number == TEST_BATCH else CASES
        images = [encode(_image(rng), QUALITY) for _ in range(cases)]
        labels = rng.integers(0, CLASSES, cases).tolist()
        write_pickle(
            folder / "image" / f"data_batch_{number}",
            {"data": images, "labels": [[label] for label in labels]},
        )
        columns = np.stack([decode("", image).transpose(2, 0, 1).ravel() for image in images], axis=1)
        with (folder / "cifar" / f"data_batch_{number}").open("wb") as file:
            pickle.dump({"data": columns, "labels": labels}, file, protocol=2)


def _image(rng: np.random.Generator) -> np.ndarray:
    """Return patches of 8 x 8 pixels in a random colour, with noise on them: a JPEG image of about 30 KB."""
    patches = rng.integers(20, 236, (SIDE // 8, SIDE // 8, 3)).repeat(8, axis=0).repeat(8, axis=1)
    return np.clip(patches + rng.integers(-9, 10, patches.shape), 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
