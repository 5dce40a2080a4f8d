"""TensorFlow by hand: plain variables, one tf.function, the minibatches looped inside.

The images stay uint8 on the device until their minibatch comes; the update is TensorFlow's own fused kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.data import read_batch
from benchmarks.nets import MINIBATCH, MOMENTUM, Net

Weights = Mapping[str, tf.Variable]


def conv(x: tf.Tensor, w: Weights, name: str) -> tf.Tensor:
    return tf.nn.bias_add(tf.nn.conv2d(x, w[f"{name}/kernel"], 1, "SAME"), w[f"{name}/bias"])


def local(x: tf.Tensor, w: Weights, name: str) -> tf.Tensor:
    """Return a product with other filters at each place."""
    patches = tf.image.extract_patches(x, (1, 3, 3, 1), (1, 1, 1, 1), (1, 1, 1, 1), "SAME")
    kernel = w[f"{name}/kernel"]
    rows, columns, *_, filters = kernel.shape
    return tf.einsum(
        "nrck,rckf->nrcf", patches, tf.reshape(kernel, (rows, columns, -1, filters))
    ) + tf.convert_to_tensor(w[f"{name}/bias"])


def dense(x: tf.Tensor, w: Weights, name: str) -> tf.Tensor:
    return tf.nn.bias_add(tf.matmul(x, w[f"{name}/kernel"]), w[f"{name}/bias"])


def max_pool(x: tf.Tensor) -> tf.Tensor:
    return tf.nn.max_pool2d(x, 3, 2, "SAME")


def avg_pool(x: tf.Tensor) -> tf.Tensor:
    return tf.nn.avg_pool2d(x, 3, 2, "SAME")


def spatial_norm(x: tf.Tensor) -> tf.Tensor:
    """Divide by the energy of 3 x 3 pixels of the same channel; outside the image there are zeros."""
    squares = tf.pad(tf.square(x), ((0, 0), (1, 1), (1, 1), (0, 0)))
    divisor = 1.0 + 5e-5 * tf.nn.avg_pool2d(squares, 3, 1, "VALID")
    inverse = tf.math.rsqrt(divisor)
    return x * inverse * tf.sqrt(inverse)


def channel_norm(x: tf.Tensor) -> tf.Tensor:
    return tf.nn.local_response_normalization(x, depth_radius=4, bias=1.0, alpha=0.001 / 9, beta=0.75)


def flat(x: tf.Tensor) -> tf.Tensor:
    return tf.reshape(x, (x.shape[0], -1))


def net_80sec(w: Weights, x: tf.Tensor) -> tf.Tensor:
    x = tf.nn.relu(max_pool(conv(x, w, "conv1")))
    x = avg_pool(tf.nn.relu(conv(x, w, "conv2")))
    x = avg_pool(tf.nn.relu(conv(x, w, "conv3")))
    return dense(tf.nn.relu(dense(flat(x), w, "fc64")), w, "fc10")


def net_18pct(w: Weights, x: tf.Tensor) -> tf.Tensor:
    x = spatial_norm(tf.nn.relu(max_pool(conv(x, w, "conv1"))))
    x = spatial_norm(avg_pool(tf.nn.relu(conv(x, w, "conv2"))))
    x = avg_pool(tf.nn.relu(conv(x, w, "conv3")))
    return dense(flat(x), w, "fc10")


def net_11pct(w: Weights, x: tf.Tensor) -> tf.Tensor:
    x = channel_norm(max_pool(tf.nn.relu(conv(x, w, "conv1"))))
    x = max_pool(channel_norm(tf.nn.relu(conv(x, w, "conv2"))))
    x = tf.nn.relu(local(x, w, "local3"))
    x = tf.nn.relu(local(x, w, "local4"))
    return dense(flat(x), w, "fc10")


FORWARD: dict[str, Callable[[Weights, tf.Tensor], tf.Tensor]] = {
    "80sec": net_80sec,
    "18pct": net_18pct,
    "conv-local-11pct": net_11pct,
}


def crop(images: tf.Tensor, draws: tf.Tensor, side: int) -> tf.Tensor:
    """Return the squares that the draws (row, column, flip) name."""
    places = tf.range(side)
    rows = draws[:, :1] + places
    columns = draws[:, 1:2] + tf.where(draws[:, 2:] == 1, side - 1 - places, places)
    images = tf.gather(images, rows, axis=1, batch_dims=1)
    return tf.gather(images, columns, axis=2, batch_dims=1)


class TensorFlowLoop:
    """The three networks in plain TensorFlow."""

    def __init__(self, net: Net, folder: Path, random_crops: bool) -> None:
        data = read_batch(folder, random_crops=random_crops)
        self.net = net
        self.forward = FORWARD[net.name]
        self.images, self.labels = tf.constant(data.images), tf.constant(data.labels)
        self.draws = tf.constant(data.draws)
        self.mean = tf.constant(data.central_mean if net.cropped else data.mean)
        rng = np.random.default_rng(0)
        self.kernels = {
            weight.name: tf.Variable(rng.normal(0, 0.01, weight.shape).astype(np.float32))
            for weight in net.weights
        }
        self.velocities = {name: tf.Variable(tf.zeros_like(kernel)) for name, kernel in self.kernels.items()}

    def set_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        for name, kernel in self.kernels.items():
            kernel.assign(weights[name])

    def weights(self) -> dict[str, np.ndarray]:
        return {name: kernel.numpy() for name, kernel in self.kernels.items()}

    def train(self, count: int) -> float:
        cost, _ = self._loop(self.images, self.labels, self.draws, tf.constant(count))
        return float(cost) / count

    @tf.function
    def _loop(self, images: tf.Tensor, labels: tf.Tensor, draws: tf.Tensor, count: tf.Tensor):  # noqa: ANN202
        cost, errors = tf.constant(0.0), tf.constant(0)
        for index in tf.range(count):
            begin = index * MINIBATCH
            pixels, numbers = (_slice(array, begin) for array in (images, labels))
            if self.net.cropped:
                pixels = crop(pixels, _slice(draws, begin), self.net.side)
            more, wrong = self._step(tf.cast(pixels, tf.float32) - self.mean, numbers)
            cost, errors = cost + more, errors + wrong
        return cost, errors

    def _step(self, x: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            logits = self.forward(self.kernels, x)
            costs = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            cost = tf.reduce_mean(costs)
        gradients = tape.gradient(cost, self.kernels)
        for weight in self.net.weights:
            self._update(weight.name, gradients[weight.name], weight.rate, weight.decay)
        wrong = tf.argmax(logits, 1, tf.int32) != labels
        return cost, tf.reduce_sum(tf.cast(wrong, tf.int32))

    def _update(self, name: str, gradient: tf.Tensor, rate: float, decay: float) -> None:
        kernel, velocity = self.kernels[name], self.velocities[name]
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=kernel.handle,
            accum=velocity.handle,
            lr=rate,
            grad=gradient + decay * kernel if decay else gradient,
            momentum=MOMENTUM,
        )


def _slice(array: tf.Tensor, begin: tf.Tensor) -> tf.Tensor:
    part = array[begin : begin + MINIBATCH]
    part.set_shape((MINIBATCH, *array.shape[1:]))
    return part
