"""A network, data and runs so small that training them takes a moment."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from convnet_cfg.training.checkpoints import read_checkpoint
from convnet_cfg.training.observer import Observer
from convnet_cfg.training.options import Options
from convnet_cfg.training.setup import begin, go_on, prepare, prepare_again

SIDE, CLASSES = 8, 10
PRINTED_COSTS = r"logprob \d+\.\d{4}, error \d+\.\d\d%"

INPUTS = """[data]
type=data
dataIdx=0

[labels]
type=data
dataIdx=1
"""
COST = """
[probs]
type=softmax
inputs=fc10

[logprob]
type=cost.logreg
inputs=labels,probs
"""

LAYERS = f"""{INPUTS}
[conv1]
type=conv
inputs=data
channels=3
filters=4
filterSize=3
padding=1
neuron=relu
initW=0.1
partialSum=0

[fc10]
type=fc
inputs=conv1
outputs=10
initW=0.1
{COST}"""

PARAMS = """
[conv1]
epsW=0.001
epsB=0.002
momW=0.9
momB=0.9
wc=0.004
dropout=0.5

[fc10]
epsW=0.001
epsB=0.002
momW=0.9
momB=0.9
wc=0.03

[logprob]
coeff=1
"""

FLAT_LAYERS = f"""{INPUTS}
[fc10]
type=fc
inputs=data
outputs=10
initW=0.01
{COST}"""

FLAT_PARAMS = """
[fc10]
epsW=0.001
epsB=0.002
momW=0.9
momB=0.5
wc=0.03

[logprob]
coeff=1
"""


def write_batch(path: Path, seed: int, cases: int = 40, side: int = SIDE) -> None:
    """Write one data_batch file: small random numbers which tell a little about the label."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, cases)
    images = rng.integers(0, 6, (3 * side * side, cases)) + labels // 2
    path.write_bytes(pickle.dumps({"data": images.astype(np.uint8), "labels": labels.tolist()}, protocol=2))


def write_data(folder: Path, batches: int = 5, cases: int = 40, side: int = SIDE) -> Path:
    """Write a batch directory and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    size = 3 * side * side
    meta = {
        "label_names": [f"class {number}" for number in range(CLASSES)],
        "num_vis": size,
        "data_mean": np.full((size, 1), 4.5, np.float32),
    }
    (folder / "batches.meta").write_bytes(pickle.dumps(meta, protocol=2))
    for number in range(1, batches + 1):
        write_batch(folder / f"data_batch_{number}", number, cases, side)
    return folder


def write_pair(folder: Path, layers: str = LAYERS, params: str = PARAMS) -> tuple[Path, Path]:
    """Write the two files and return their paths."""
    (folder / "net.cfg").write_text(layers)
    (folder / "net.params.cfg").write_text(params)
    return folder / "net.cfg", folder / "net.params.cfg"


def options(data: Path | None, **changes: object) -> Options:
    """Return options for a few epochs on the cropped data: minibatches of 16, 16 and 8 cases."""
    values = {
        "data_provider": "cifar-cropped",
        "data_path": str(data),
        "provider_options": {"crop_border": 1},
        "train_range": (1, 2, 3),
        "test_range": (4, 5),
        "epochs": 2,
        "minibatch": 16,
        "test_freq": 2,
        "seed": 7,
        **changes,
    }
    return Options(**values)


def flat_options(data: Path, **changes: object) -> Options:
    """Return options without anything random: whole images."""
    return options(data, **{"data_provider": "cifar", "provider_options": {}, **changes})


def start(folder: Path, chosen: Options, observer: Observer | None = None, name: str = "runs"):
    """Begin a run of the pair in a folder."""
    prepared = prepare(folder / "net.cfg", folder / "net.params.cfg", chosen)
    return begin(prepared, folder / name, observer or Observer())


def resume(run: Path, observer: Observer | None = None, params: Path | None = None, **given: object):
    """Go on with a run."""
    return go_on(prepare_again(run, given, params), observer or Observer())


def train(session):
    """Train to the end, and return the run directory."""
    try:
        session.train()
    finally:
        session.close()
    return session.run_directory.path


def fails(session, error) -> str:
    """Train, and return what the error says."""
    with pytest.raises(error) as raised:
        session.train()
    session.close()
    return str(raised.value)


class StopAfter(Observer):
    """Asks its session to stop after so many calls of one kind."""

    def __init__(self, minibatches: int | None = None, batches: int | None = None) -> None:
        self.minibatches, self.batches = minibatches, batches
        self.session = None

    def minibatches_done(self, done, minibatches):
        if self.minibatches is not None:
            self.minibatches -= 1
            self.session.stop_requested = self.minibatches <= 0

    def batch_done(self, result, seconds, test_follows):
        if self.batches is not None:
            self.batches -= 1
            self.session.stop_requested = self.batches <= 0


def newest(run: Path) -> Path:
    """Return the newest checkpoint, as a user would find it: there is but one."""
    (path,) = run.glob("*.safetensors")
    return path


def arrays(run: Path) -> dict[str, np.ndarray]:
    return read_checkpoint(newest(run))[0]


def log(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def record(run: Path) -> dict:
    return json.loads((run / "run.json").read_text())


def assert_same_run(one: Path, other: Path) -> None:
    """Two runs have equal weights, velocities, dropout states, counters and logs, to the last bit."""
    assert newest(one).name == newest(other).name
    first, second = read_checkpoint(newest(one)), read_checkpoint(newest(other))
    assert first[0].keys() == second[0].keys()
    for name in first[0]:
        np.testing.assert_array_equal(first[0][name], second[0][name], err_msg=name)
    assert first[1] == second[1]
    assert (one / "log.jsonl").read_bytes() == (other / "log.jsonl").read_bytes()
