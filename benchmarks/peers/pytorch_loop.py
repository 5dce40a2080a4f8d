"""PyTorch: channels_last, one parameter group for each tensor, a Python loop over the minibatches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from benchmarks.data import read_batch
from benchmarks.nets import MINIBATCH, MOMENTUM, Net, Weight

Weights = Mapping[str, torch.Tensor]


def conv(x: torch.Tensor, w: Weights, name: str) -> torch.Tensor:
    return F.conv2d(x, w[f"{name}/kernel"], w[f"{name}/bias"], padding=2)


def local(x: torch.Tensor, w: Weights, name: str) -> torch.Tensor:
    """Return a product with other filters at each place; kernels (places, values, filters)."""
    cases, _, side, _ = x.shape
    kernel = w[f"{name}/kernel"]
    patches = F.unfold(x, 3, padding=1).permute(2, 0, 1)
    y = torch.baddbmm(w[f"{name}/bias"], patches, kernel)
    return y.permute(1, 2, 0).reshape(cases, kernel.shape[2], side, side)


def dense(x: torch.Tensor, w: Weights, name: str) -> torch.Tensor:
    return F.linear(x, w[f"{name}/kernel"], w[f"{name}/bias"])


def max_pool(x: torch.Tensor) -> torch.Tensor:
    return F.max_pool2d(x, 3, 2, ceil_mode=True)


def avg_pool(x: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d(x, 3, 2, ceil_mode=True, count_include_pad=False)


def spatial_norm(x: torch.Tensor) -> torch.Tensor:
    """Divide by the energy of 3 x 3 pixels of the same channel; outside the image there are zeros."""
    divisor = 1.0 + 5e-5 * F.avg_pool2d(x.square(), 3, 1, padding=1)
    return x * divisor.pow(-0.75)


def channel_norm(x: torch.Tensor) -> torch.Tensor:
    """Divide by the energy of 9 channels: a 1 x 1 convolution sums them up."""
    number = torch.arange(x.shape[1])
    band = ((number[:, None] - number).abs() <= 4).to(x.dtype)[:, :, None, None]
    divisor = 1.0 + 0.001 / 9 * F.conv2d(x.square(), band)
    return x * divisor.pow(-0.75)


def flat(x: torch.Tensor) -> torch.Tensor:
    """Return the values in the order row, column, channel: that of the memory."""
    return x.permute(0, 2, 3, 1).reshape(len(x), -1)


def net_80sec(w: Weights, x: torch.Tensor) -> torch.Tensor:
    x = F.relu(max_pool(conv(x, w, "conv1")))
    x = avg_pool(F.relu(conv(x, w, "conv2")))
    x = avg_pool(F.relu(conv(x, w, "conv3")))
    return dense(F.relu(dense(flat(x), w, "fc64")), w, "fc10")


def net_18pct(w: Weights, x: torch.Tensor) -> torch.Tensor:
    x = spatial_norm(F.relu(max_pool(conv(x, w, "conv1"))))
    x = spatial_norm(avg_pool(F.relu(conv(x, w, "conv2"))))
    x = avg_pool(F.relu(conv(x, w, "conv3")))
    return dense(flat(x), w, "fc10")


def net_11pct(w: Weights, x: torch.Tensor) -> torch.Tensor:
    x = channel_norm(max_pool(F.relu(conv(x, w, "conv1"))))
    x = max_pool(channel_norm(F.relu(conv(x, w, "conv2"))))
    x = F.relu(local(x, w, "local3"))
    x = F.relu(local(x, w, "local4"))
    return dense(flat(x), w, "fc10")


FORWARD: dict[str, Callable[[Weights, torch.Tensor], torch.Tensor]] = {
    "80sec": net_80sec,
    "18pct": net_18pct,
    "conv-local-11pct": net_11pct,
}


def to_torch(weight: Weight, value: np.ndarray) -> np.ndarray:
    """Return a weight in PyTorch's layout, from ours."""
    if len(value.shape) == 6:  # patches of F.unfold are in the order channel, row, column
        return value.transpose(0, 1, 4, 2, 3, 5).reshape(-1, weight.fan_in, value.shape[5])
    if len(value.shape) == 3:
        return value.reshape(-1, 1, value.shape[2])
    return value.transpose(3, 2, 0, 1) if len(value.shape) == 4 else value.T


def from_torch(weight: Weight, value: np.ndarray) -> np.ndarray:
    """Return a weight in our layout."""
    if len(weight.shape) == 6:
        rows, columns, height, width, channels, filters = weight.shape
        split = value.reshape(rows, columns, channels, height, width, filters)
        return split.transpose(0, 1, 3, 4, 2, 5)
    if len(weight.shape) == 3:
        return value.reshape(weight.shape)
    return value.transpose(2, 3, 1, 0) if len(weight.shape) == 4 else value.T


class PyTorchLoop:
    """The three networks in PyTorch."""

    def __init__(self, net: Net, folder: Path, random_crops: bool) -> None:
        torch.set_num_threads(2)
        data = read_batch(folder, random_crops=random_crops)
        self.net = net
        self.forward = FORWARD[net.name]
        self.images, self.draws = torch.from_numpy(data.images), torch.from_numpy(data.draws).long()
        self.labels = torch.from_numpy(data.labels).long()
        self.mean = torch.from_numpy(data.central_mean if net.cropped else data.mean)
        rng = np.random.default_rng(0)
        self.kernels = {
            weight.name: self._parameter(to_torch(weight, rng.normal(0, 0.01, weight.shape)))
            for weight in net.weights
        }
        groups = [
            {"params": [self.kernels[weight.name]], "lr": weight.rate, "weight_decay": weight.decay}
            for weight in net.weights
        ]
        self.optimizer = torch.optim.SGD(groups, momentum=MOMENTUM)

    @staticmethod
    def _parameter(value: np.ndarray) -> torch.nn.Parameter:
        tensor = torch.from_numpy(np.ascontiguousarray(value, np.float32))
        return torch.nn.Parameter(
            tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor
        )

    @torch.no_grad()
    def set_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        for weight in self.net.weights:
            value = np.ascontiguousarray(to_torch(weight, weights[weight.name]))
            self.kernels[weight.name].copy_(torch.from_numpy(value))

    def weights(self) -> dict[str, np.ndarray]:
        return {
            weight.name: from_torch(weight, self.kernels[weight.name].detach().numpy())
            for weight in self.net.weights
        }

    def train(self, count: int) -> float:
        cost, errors = torch.zeros(()), torch.zeros((), dtype=torch.long)
        for begin in range(0, count * MINIBATCH, MINIBATCH):
            labels = self.labels[begin : begin + MINIBATCH]
            logits = self.forward(self.kernels, self._minibatch(begin))
            loss = F.cross_entropy(logits, labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            cost += loss.detach()
            errors += (logits.argmax(1) != labels).sum()
        return float(cost) / count

    def _minibatch(self, begin: int) -> torch.Tensor:
        """Return a minibatch in channels_last: the files' order is just that in memory."""
        images = self.images[begin : begin + MINIBATCH]
        if self.net.cropped:
            images = self._crop(images, self.draws[begin : begin + MINIBATCH])
        return (images - self.mean).permute(0, 3, 1, 2)

    def _crop(self, images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        places = torch.arange(self.net.side)
        rows = draws[:, :1] + places
        columns = draws[:, 1:2] + torch.where(draws[:, 2:] == 1, self.net.side - 1 - places, places)
        cases = torch.arange(len(images))[:, None, None]
        return images[cases, rows[:, :, None], columns[:, None, :]]
