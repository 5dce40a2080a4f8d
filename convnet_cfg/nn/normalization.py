"""Response normalization within and across channels (cuda-convnet: rnorm, cnorm, cmrnorm).

All three divide x by a power of the energy d of a neighbourhood, d = constant + scale * sum of z ** 2:

    y = x * d ** -power
    dx = g * d ** -power - 2 * scale * power * z * sum over the mirrored neighbourhood of g * y / d

A neighbourhood of size n around i is i - n // 2 ... i - n // 2 + n - 1, as far as it exists: an even
one has one more element on the low side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from convnet_cfg.nn.pooling import average_pool, check_divisor
from convnet_cfg.nn.windows import Span, fit


def negative_power(base: Any, power: float) -> Any:
    """Return base ** -power; for 0.5 and 0.75, the usual ones, by square roots (8 times as fast)."""
    if power == 0.5:
        return tf.math.rsqrt(base)
    if power == 0.75:
        inverse = tf.math.rsqrt(base)
        return inverse * tf.sqrt(inverse)
    return base**-power


def normalize(
    x: Any,
    centred: Any,
    energy: Callable[[Any, float], Any],
    mirrored: Callable[[Any, float], Any],
    *,
    scale: float,
    power: float,
    constant: float,
) -> Any:
    """Return x * (constant + scale * sum of centred ** 2) ** -power.

    `energy` and `mirrored` are functions (values, weight) -> weighted sum over the neighbourhood and
    over the mirrored one. `centred` is x, or x minus constants.
    """

    @tf.custom_gradient
    def respond(x):
        divisor = constant + energy(tf.square(centred), scale)
        factor = negative_power(divisor, power)
        y = x * factor

        def gradient(g):
            return g * factor - centred * mirrored(g * y / divisor, 2.0 * scale * power)

        return y, gradient

    return respond(x)


def window_sum(image: Any, span: Span, weight: float) -> Any:
    """Return `weight` times the sum of each window; shapes as in pooling.

    A depthwise convolution is the fastest native operation for that.
    """
    ones = np.full((span.size, span.size, image.shape[3], 1), weight, image.dtype.as_numpy_dtype)
    padded = image if span.mode else fit(image, span)
    return tf.nn.depthwise_conv2d(padded, ones, (1, 1, 1, 1), span.mode or "VALID")


def around(side: int, size: int) -> Span:
    """Return the neighbourhoods of `size` around each of `side` pixels."""
    return Span(side, size, 1, -(size // 2), side)


def around_mirrored(side: int, size: int) -> Span:
    """Return, for each pixel, the pixels whose neighbourhood it is in."""
    return Span(side, size, 1, size // 2 + 1 - size, side)


class Norm(keras.layers.Layer):
    """Base of the normalization layers; `scale` is used as it is, not divided by the window's size."""

    def __init__(
        self, size: int, scale: float, power: float, constant: float = 1.0, **keras_arguments: Any
    ) -> None:
        super().__init__(**keras_arguments)
        self.size = size
        self.scale = scale
        self.power = power
        self.constant = constant

    @property
    def constants(self) -> dict[str, float]:
        """The numbers of the formula."""
        return {"scale": self.scale, "power": self.power, "constant": self.constant}

    def compute_output_shape(self, input_shape):
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "size": self.size, **self.constants}


@keras.saving.register_keras_serializable("convnet_cfg")
class ResponseNorm2D(Norm):
    """Divide each pixel by the energy of its neighbourhood in its channel (cuda-convnet: rnorm).

    y[p] = x[p] * (constant + scale * sum of x[q] ** 2 over the size x size window around p) ** -power

    Input and output shape: (batch, side, side, channels).
    """

    def call(self, inputs):
        """Return the normalized image."""
        return self.normalized(inputs, inputs)

    def normalized(self, image, centred):
        """Return the image divided by the energy of `centred`."""
        near, far = (form(image.shape[1], self.size) for form in (around, around_mirrored))
        return normalize(
            image,
            centred,
            lambda values, weight: window_sum(values, near, weight),
            lambda values, weight: window_sum(values, far, weight),
            **self.constants,
        )


@keras.saving.register_keras_serializable("convnet_cfg")
class ContrastNorm2D(ResponseNorm2D):
    """Divide each pixel by the contrast of its neighbourhood (cuda-convnet: cnorm).

    z[q] = x[q] - mean of the existing pixels of the window around q
    y[p] = x[p] * (constant + scale * sum of z[q] ** 2 over the size x size window around p) ** -power

    The numerator is not centred, and the means count as constants in the gradient, as in the
    original. With `divisor` "nominal" the means are sums divided by size ** 2 at the border as well,
    as until July 2012. Input and output shape: (batch, side, side, channels).
    """

    def __init__(
        self,
        size: int,
        scale: float,
        power: float,
        constant: float = 1.0,
        divisor: str = "existing",
        **keras_arguments: Any,
    ) -> None:
        super().__init__(size, scale, power, constant, **keras_arguments)
        self.divisor = check_divisor(divisor, ("existing", "nominal"))

    def call(self, inputs):
        """Return the normalized image."""
        return self.normalized(inputs, tf.stop_gradient(inputs - self.means(inputs)))

    def means(self, image):
        """Return the mean of the window around each pixel."""
        return average_pool(image, around(image.shape[1], self.size), self.divisor)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "divisor": self.divisor}


@keras.saving.register_keras_serializable("convnet_cfg")
class CrossMapNorm(Norm):
    """Divide each value by the energy of neighbouring channels at the same pixel (cuda-convnet: cmrnorm).

    y[c] = x[c] * (constant + scale * sum of x[c'] ** 2 over the `size` channels around c) ** -power

    With `blocked`, the neighbours are those of the same block of `size` channels. Input and output
    shape: (..., channels). The sum is a product with a matrix of zeros and ones: three times as fast
    as tf.nn.local_response_normalization, and any neighbourhood will do.
    """

    def __init__(
        self,
        size: int,
        scale: float,
        power: float,
        constant: float = 1.0,
        blocked: bool = False,
        **keras_arguments: Any,
    ) -> None:
        super().__init__(size, scale, power, constant, **keras_arguments)
        self.blocked = blocked

    def neighbours(self, channels: int) -> np.ndarray:
        """Return the matrix with 1 at [a, b] if channel a is a neighbour of channel b, else 0."""
        numbers = np.arange(channels)
        if self.blocked:
            blocks = numbers // self.size
            return np.equal(blocks[:, None], blocks).astype(np.float64)
        distance = numbers[:, None] - numbers + self.size // 2
        return ((distance >= 0) & (distance < self.size)).astype(np.float64)

    def call(self, inputs):
        """Return the normalized values."""
        near = self.neighbours(inputs.shape[-1])
        return normalize(
            inputs,
            inputs,
            lambda values, weight: _mix(values, weight * near),
            lambda values, weight: _mix(values, weight * near.T),
            **self.constants,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "blocked": self.blocked}


def _mix(values: Any, matrix: np.ndarray) -> Any:
    """Return values @ matrix over the last axis."""
    flat = tf.matmul(tf.reshape(values, (-1, matrix.shape[0])), tf.constant(matrix, values.dtype))
    return tf.reshape(flat, tf.shape(values))
