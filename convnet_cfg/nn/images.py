"""Operations without weights on images: sampling, blurring, resizing, cropping, mirroring, colours."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from convnet_cfg.nn.randomness import RandomLayer


class ImageLayer(keras.layers.Layer):
    """Base of the layers from square images to square images; by default the shape stays as it is."""

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


def resized_places(pixels: Any, side: int, target: Any, scale: Any) -> Any:
    """Return where pixels of an image resized from `side` to `target` lie on the image; float64.

    There is no half-pixel term, and the last pixel of the image is never reached.
    """
    place = tf.cast(pixels, tf.float64) * scale + (side - target * scale) / 2
    return tf.clip_by_value(place, 0.0, side - 1.01)


def interpolate(image: Any, rows: Any, columns: Any) -> Any:
    """Return the image at these rows and columns, which are fractions, linear in between.

    Shapes: (batch, side, side, channels), (height,), (width,) -> (batch, height, width, channels), with
    side >= 2.
    """
    for axis, places in ((1, rows), (2, columns)):
        first = tf.minimum(tf.cast(places, tf.int32), image.shape[axis] - 2)
        weight = tf.cast(places - tf.cast(first, places.dtype), image.dtype)
        weight = tf.reshape(weight, (-1, 1, 1) if axis == 1 else (-1, 1))
        low, high = tf.gather(image, first, axis=axis), tf.gather(image, first + 1, axis=axis)
        image = low * (1.0 - weight) + high * weight
    return image


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
        places = resized_places(np.arange(target), side, target, self.scale)
        return interpolate(inputs, places, places)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "scale": self.scale}


@keras.saving.register_keras_serializable("convnet_cfg")
class RandomScale(RandomLayer, ImageLayer):
    """Random part of the image at a random scale in training, resized as a whole else (rscale).

    In training all images of a minibatch are resized to `target` + s pixels, s = 0 ... side -
    floor(side / max_scale) with a probability proportional to (s + 1) ** 2, and of these `target`
    pixels cut out anywhere. The scale is drawn too, between those of that size and of one pixel more
    but at least 1; at the image's own size nothing is resized. Otherwise the image is resized to
    `target` at `max_scale`; with `crops` its centre is cut out instead (the 2012 AlexNet program). The
    rules of resizing are those of BilinearResize.

    Input shape: (batch, side, side, channels), side >= 2; output: (batch, target, target, channels).
    """

    def __init__(
        self,
        max_scale: float,
        target: int,
        seed: int | None = None,
        crops: bool = False,
        **keras_arguments: Any,
    ) -> None:
        super().__init__(seed, **keras_arguments)
        self.max_scale = max_scale
        self.target = target
        self.crops = crops

    def output_side(self, side: int) -> int:
        """Return `target`."""
        return self.target

    def call(self, inputs, training=None):
        """Return the resized image."""
        side = inputs.shape[1]
        if training:
            numbers = tf.cast(self.uniform((4,)), tf.float64)
            return interpolate(inputs, *random_places(side, self.max_scale, self.target, numbers))
        if self.crops:
            inside = slice((side - self.target) // 2, (side - self.target) // 2 + self.target)
            return inputs[:, inside, inside]
        places = resized_places(np.arange(self.target), side, self.target, self.max_scale)
        return interpolate(inputs, places, places)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        own = {"max_scale": self.max_scale, "target": self.target, "crops": self.crops}
        return {**super().get_config(), **own}


def random_places(side: int, max_scale: float, target: int, numbers: Any) -> tuple[Any, Any]:
    """Return the rows and columns of RandomScale; shapes (target,).

    `numbers`, 0 <= u < 1, choose the size, the scale, the first row and the first column.
    """
    squares = np.arange(1, side - int(side / max_scale) + 2) ** 2.0
    larger = tf.reduce_sum(tf.cast(numbers[0] >= np.cumsum(squares) / squares.sum(), tf.float64))
    size = target + larger
    low = tf.maximum(side / (size + 1), 1.0)
    scale = low + numbers[1] * (side / size - low)

    def places(number: Any) -> Any:
        pixels = tf.floor(number * (larger + 1)) + np.arange(target)
        return tf.where(size == side, pixels, resized_places(pixels, side, size, scale))

    return places(numbers[2]), places(numbers[3])


@keras.saving.register_keras_serializable("convnet_cfg")
class HorizontalFlip(ImageLayer):
    """Mirror image, left and right exchanged, of every image (cuda-convnet2: href). The shape stays."""

    def call(self, inputs):
        """Return the mirrored image."""
        return tf.reverse(inputs, [2])


@keras.saving.register_keras_serializable("convnet_cfg")
class Crop2D(ImageLayer):
    """Square part of each image (cuda-convnet2: crop).

    y[r, c] = x[row + r, column + c] for 0 <= r, c < size

    `call` raises ValueError if the image ends before. Input shape: (batch, side, side, channels);
    output shape: (batch, size, size, channels).
    """

    def __init__(self, row: int, column: int, size: int, **keras_arguments: Any) -> None:
        super().__init__(**keras_arguments)
        self.row = row
        self.column = column
        self.size = size

    def output_side(self, side: int) -> int:
        """Return `size`."""
        return self.size

    def call(self, inputs):
        """Return the part of the image."""
        rows, columns = (slice(start, start + self.size) for start in (self.row, self.column))
        if min(self.row, self.column) < 0 or max(rows.stop, columns.stop) > inputs.shape[1]:
            raise ValueError(f"{self.name}: {rows}, {columns} is not inside {inputs.shape[1]} pixels")
        return inputs[:, rows, columns]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "row": self.row, "column": self.column, "size": self.size}


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
