"""Keras as its guides show it: stock layers where there are any, `fit` at its default settings.

Keras has one learning rate for all; and its images here are float32 and, for 11pct, central crops made
before: `fit` has less to do than the other sides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from benchmarks.data import centre, read_batch
from benchmarks.nets import MINIBATCH, MOMENTUM, RATE, Net


def regularizer(decay: float) -> keras.Regularizer:
    """Return the loss whose gradient is decay * W."""
    return keras.regularizers.L2(decay / 2)


def conv(name: str, filters: int, decay: float, activation: str | None = "relu") -> layers.Layer:
    return layers.Conv2D(
        filters, 5, padding="same", activation=activation, kernel_regularizer=regularizer(decay), name=name
    )


def dense(name: str, units: int, decay: float, activation: str | None = None) -> layers.Layer:
    return layers.Dense(units, activation=activation, kernel_regularizer=regularizer(decay), name=name)


def max_pool() -> layers.Layer:
    return layers.MaxPooling2D(3, 2, padding="same")


def avg_pool() -> layers.Layer:
    return layers.AveragePooling2D(3, 2, padding="same")


class SpatialNorm(layers.Layer):
    """Divide by the energy of 3 x 3 pixels of the same channel; outside the image there are zeros."""

    def call(self, inputs):  # noqa: ANN001, ANN201
        squares = keras.ops.pad(keras.ops.square(inputs), ((0, 0), (1, 1), (1, 1), (0, 0)))
        energy = keras.ops.average_pool(squares, 3, 1, "valid")
        return inputs * (1.0 + 5e-5 * energy) ** -0.75


class ChannelNorm(layers.Layer):
    """Divide by the energy of 9 channels."""

    def call(self, inputs):  # noqa: ANN001, ANN201
        return tf.nn.local_response_normalization(inputs, 4, 1.0, 0.001 / 9, 0.75)


class Local(layers.Layer):
    """A convolution of 3 x 3 with other filters at each place, and relu."""

    def __init__(self, name: str, filters: int, decay: float) -> None:
        super().__init__(name=name)
        self.filters, self.decay = filters, decay

    def build(self, input_shape):  # noqa: ANN001, ANN201
        _, rows, columns, channels = input_shape
        self.kernel = self.add_weight(
            name="kernel",
            shape=(rows, columns, 9 * channels, self.filters),
            regularizer=regularizer(self.decay),
        )
        self.bias = self.add_weight(name="bias", shape=(rows, columns, self.filters))

    def call(self, inputs):  # noqa: ANN001, ANN201
        patches = keras.ops.image.extract_patches(inputs, 3, 1, padding="same")
        return keras.ops.relu(keras.ops.einsum("nrck,rckf->nrcf", patches, self.kernel) + self.bias)


def net_80sec() -> list[layers.Layer]:
    return [
        conv("conv1", 32, 0.004, None),
        max_pool(),
        layers.ReLU(),
        conv("conv2", 32, 0.004),
        avg_pool(),
        conv("conv3", 64, 0.004),
        avg_pool(),
        layers.Flatten(),
        dense("fc64", 64, 0.03, "relu"),
        dense("fc10", 10, 0.03),
    ]


def net_18pct() -> list[layers.Layer]:
    return [
        conv("conv1", 32, 0.004, None),
        max_pool(),
        layers.ReLU(),
        SpatialNorm(),
        conv("conv2", 32, 0.004),
        avg_pool(),
        SpatialNorm(),
        conv("conv3", 64, 0.004),
        avg_pool(),
        layers.Flatten(),
        dense("fc10", 10, 1.0),
    ]


def net_11pct() -> list[layers.Layer]:
    return [
        conv("conv1", 64, 0.0),
        max_pool(),
        ChannelNorm(),
        conv("conv2", 64, 0.0),
        ChannelNorm(),
        max_pool(),
        Local("local3", 64, 0.004),
        Local("local4", 32, 0.004),
        layers.Flatten(),
        dense("fc10", 10, 0.01),
    ]


LAYERS: dict[str, Callable[[], list[layers.Layer]]] = {
    "80sec": net_80sec,
    "18pct": net_18pct,
    "conv-local-11pct": net_11pct,
}


class KerasFit:
    """The three networks as Sequential models, trained by `fit`."""

    def __init__(self, net: Net, folder: Path, random_crops: bool) -> None:
        data = read_batch(folder)
        images = centre(data.images) if net.cropped else data.images
        mean = data.central_mean if net.cropped else data.mean
        self.net = net
        self.x, self.y = images.astype(np.float32) - mean, data.labels
        self.model = keras.Sequential([keras.Input((net.side, net.side, 3)), *LAYERS[net.name]()])
        self.model.compile(
            optimizer=keras.optimizers.SGD(RATE, momentum=MOMENTUM),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )

    def set_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        variables = self._variables()
        for name, value in weights.items():
            variables[name].assign(value.reshape(variables[name].shape))

    def weights(self) -> dict[str, np.ndarray]:
        return {name: variable.numpy() for name, variable in self._variables().items()}

    def _variables(self) -> dict[str, keras.Variable]:
        return {"/".join(variable.path.split("/")[-2:]): variable for variable in self.model.weights}

    def train(self, count: int) -> float:
        """As for every side; the cost leaves out the decay's penalty only where `count` is 1."""
        penalty = float(sum(self.model.losses)) if count == 1 else 0.0
        cases = count * MINIBATCH
        history = self.model.fit(self.x[:cases], self.y[:cases], batch_size=MINIBATCH)
        return float(history.history["loss"][0]) - penalty
