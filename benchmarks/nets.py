"""The three networks that are compared: their weights, as every side knows them.

Weights have our layout: kernels (rows, columns, channels, filters), those of local layers (rows, columns of
the output, rows, columns, channels, filters), fully connected ones (values, units) with the values of an
image in the order row, column, channel. The peers are written by hand from these numbers and the
definitions in layers/; `python -m benchmarks --check` compares them with what our reader makes of the files.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod, sqrt
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
MINIBATCH = 128
RATE, BIAS_RATE, MOMENTUM = 0.001, 0.002, 0.9
BORDER = 4  # of the crops of 11pct


@dataclass(frozen=True)
class Weight:
    """One weight matrix or bias and its numbers in the update V = m V - e (G + d W); W = W + V."""

    name: str
    shape: tuple[int, ...]
    decay: float = 0.0

    @property
    def is_bias(self) -> bool:
        return self.name.endswith("/bias")

    @property
    def rate(self) -> float:
        return BIAS_RATE if self.is_bias else RATE

    @property
    def fan_in(self) -> int:
        """How many values each output is made of."""
        return prod(self.shape[-4:-1]) if len(self.shape) > 2 else self.shape[0]


@dataclass(frozen=True)
class Net:
    """A network: the name of its files, the side of its images, its weights."""

    name: str
    side: int
    weights: tuple[Weight, ...]

    @property
    def provider(self) -> str:
        return "cifar-cropped" if self.cropped else "cifar"

    @property
    def cropped(self) -> bool:
        return self.side < 32

    @property
    def files(self) -> tuple[Path, Path]:
        stem = ROOT / "layers" / f"cifar10-{self.name}"
        return stem.with_name(f"{stem.name}.cfg"), stem.with_name(f"{stem.name}.params.cfg")


def _layer(name: str, shape: tuple[int, ...], decay: float) -> tuple[Weight, Weight]:
    bias = (*shape[:2], shape[-1]) if len(shape) == 6 else shape[-1:]
    return Weight(f"{name}/kernel", shape, decay), Weight(f"{name}/bias", bias)


NETS = {
    net.name: net
    for net in (
        Net(
            "80sec",
            32,
            (
                *_layer("conv1", (5, 5, 3, 32), 0.004),
                *_layer("conv2", (5, 5, 32, 32), 0.004),
                *_layer("conv3", (5, 5, 32, 64), 0.004),
                *_layer("fc64", (1024, 64), 0.03),
                *_layer("fc10", (64, 10), 0.03),
            ),
        ),
        Net(
            "18pct",
            32,
            (
                *_layer("conv1", (5, 5, 3, 32), 0.004),
                *_layer("conv2", (5, 5, 32, 32), 0.004),
                *_layer("conv3", (5, 5, 32, 64), 0.004),
                *_layer("fc10", (1024, 10), 1.0),
            ),
        ),
        Net(
            "conv-local-11pct",
            24,
            (
                *_layer("conv1", (5, 5, 3, 64), 0.0),
                *_layer("conv2", (5, 5, 64, 64), 0.0),
                *_layer("local3", (6, 6, 3, 3, 64, 64), 0.004),
                *_layer("local4", (6, 6, 3, 3, 64, 32), 0.004),
                *_layer("fc10", (1152, 10), 0.01),
            ),
        ),
    )
}


def lively_weights(net: Net, seed: int = 0) -> dict[str, np.ndarray]:
    """Return weights with which every layer says something: values near 10, so that norms count too.

    With the first weights of the definitions all outputs would be near zero, and any two networks agree.
    """
    rng = np.random.default_rng(seed)
    gains = {"conv1/kernel": 10 / 60, "fc10/kernel": 1 / 20}
    return {
        weight.name: (
            rng.normal(0, 0.1, weight.shape)
            if weight.is_bias
            else rng.normal(0, gains.get(weight.name, 1.0) * sqrt(2 / weight.fan_in), weight.shape)
        ).astype(np.float32)
        for weight in net.weights
    }
