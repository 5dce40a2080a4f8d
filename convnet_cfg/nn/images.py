"""Fixed operations on images (batch, rows, columns, channels): sampling, blurring, resizing, colours."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf


class ImageLayer(keras.layers.Layer):
    """Base of the layers that change images in a fixed way; by default the shape stays as it is."""

    def output_side(self, side: int) -> int:
        """Return the side of the output."""
        return side

    def compute_output_shape(self, input_shape):
        """Return (batch, output side, output side, channels)."""
        side = self.output_side(input_shape[1])
        return (input_shape[0], side, side, input_shape[3])


@keras.saving.register_keras_serializable("convnet_cfg")
class Nailbed(ImageLayer):
    """Every `strides`-th pixel, as centred as possible (cuda-convnet: nailbed).

    With count = ceil(side / strides) and start = (side - strides * (count - 1)) // 2:
    y[r, c] = x[start + r * strides, start + c * strides]

    Input shape: (batch, side, side, channels); output shape: (batch, count, count, channels).
    """

    def __init__(self, strides: int, **keras_arguments: Any) -> None:
        super().__init__(**keras_arguments)
        self.strides = strides

    def output_side(self, side: int) -> int:
        """Return the number of samples along one side."""
        return -(-side // self.strides)

    def call(self, inputs):
        """Return the sampled pixels."""
        side = inputs.shape[1]
        start = (side - self.strides * (self.output_side(side) - 1)) // 2
        return inputs[:, start :: self.strides, start :: self.strides]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "strides": self.strides}


@keras.saving.register_keras_serializable("convnet_cfg")
class GaussianBlur(ImageLayer):
    """Gaussian blur of each channel (cuda-convnet: blur).

    The weights exp(-d ** 2 / (2 * stdev ** 2)) of `size` pixels (odd) along each axis sum to 1.
    Outside the image there are zeros, so the border gets darker. The shape stays.
    """

    def __init__(self, size: int, stdev: float, **keras_arguments: Any) -> None:
        super().__init__(**keras_arguments)
        self.size = size
        self.stdev = stdev

    def weights_along_axis(self) -> np.ndarray:
        """Return the weights; shape (size,)."""
        distance = np.arange(self.size) - self.size // 2
        weights = np.exp(-(distance**2) / (2.0 * self.stdev**2))
        return np.asarray(weights / weights.sum())

    def call(self, inputs):
        """Return the blurred image."""
        weights = self.weights_along_axis()
        for shape in ((1, self.size), (self.size, 1)):
            kernel = np.tile(weights.reshape(*shape, 1, 1), (1, 1, inputs.shape[3], 1))
            kernel = tf.constant(kernel, inputs.dtype)
            inputs = tf.nn.depthwise_conv2d(inputs, kernel, (1, 1, 1, 1), "SAME")
        return inputs

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "size": self.size, "stdev": self.stdev}


@keras.saving.register_keras_serializable("convnet_cfg")
class BilinearResize(ImageLayer):
    """Bilinear resizing to floor(side / scale) (cuda-convnet: resize).

    Pixel t of the output lies at r = t * scale + (side - target * scale) / 2 of the input, limited to
    0 ... side - 1.01: there is no half-pixel term, and the last row is never reproduced exactly.
    Input shape: (batch, side, side, channels) with side >= 2.
    """

    def __init__(self, scale: float, **keras_arguments: Any) -> None:
        super().__init__(**keras_arguments)
        self.scale = scale

    def output_side(self, side: int) -> int:
        """Return floor(side / scale)."""
        return int(side / self.scale)

    def call(self, inputs):
        """Return the resized image."""
        side = inputs.shape[1]
        target = self.output_side(side)
        place = np.arange(target) * self.scale + (side - target * self.scale) / 2
        place = np.clip(place, 0, side - 1.01)
        first = place.astype(np.int32)
        for axis, shape in ((1, (-1, 1, 1)), (2, (-1, 1))):
            weight = tf.constant((place - first).reshape(shape), inputs.dtype)
            low, high = tf.gather(inputs, first, axis=axis), tf.gather(inputs, first + 1, axis=axis)
            inputs = low * (1.0 - weight) + high * weight
        return inputs

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "scale": self.scale}


YUV = (
    (0.2126, 0.7152, 0.0722),
    (-0.09991, -0.33609, 0.436),
    (0.615, -0.55861, -0.05639),
)
XYZ = (
    (0.49, 0.31, 0.2),
    (0.17697, 0.8124, 0.01063),
    (0.0, 0.01, 0.99),
)


def mix_colours(image: Any, matrix: tuple[tuple[float, ...], ...]) -> Any:
    """Return matrix @ colour of each pixel."""
    return tf.tensordot(image, tf.constant(np.transpose(matrix), image.dtype), 1)


@keras.saving.register_keras_serializable("convnet_cfg")
class RGBToYUV(ImageLayer):
    """Colours from RGB to YUV (cuda-convnet: rgb2yuv); three channels to three channels."""

    def call(self, inputs):
        """Return the image in YUV."""
        return mix_colours(inputs, YUV)


@keras.saving.register_keras_serializable("convnet_cfg")
class RGBToLAB(ImageLayer):
    """Colours from RGB in 0 ... 1 to L*a*b* (cuda-convnet: rgb2lab); three channels to three channels.

    With X, Y, Z relative to white: L = 116 h(Y) - 16 (with `center` 50 less), a = 500 (h(X) - h(Y)),
    b = 200 (h(Y) - h(Z)), where h(t) = t ** 0.3333, and linear below 0.0088564517.
    """

    def __init__(self, center: bool = False, **keras_arguments: Any) -> None:
        super().__init__(**keras_arguments)
        self.center = center

    def call(self, inputs):
        """Return the image in L*a*b*."""
        x, y, z = tf.unstack(lightness(mix_colours(inputs, XYZ)), axis=-1)
        base = 66.0 if self.center else 16.0
        return tf.stack([116.0 * y - base, 500.0 * (x - y), 200.0 * (y - z)], axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "center": self.center}


def lightness(values: Any) -> Any:
    """Return values ** 0.3333, or their linear continuation where they are small."""
    edge = 0.0088564517
    root = tf.pow(tf.maximum(values, edge), 0.3333)
    return tf.where(values > edge, root, 7.787037 * values + 0.13793103)
