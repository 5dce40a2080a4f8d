"""Fully connected layers that drop units or weights (the dropconnect branch of cuda-convnet)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from convnet_cfg.nn.dense import Dense
from convnet_cfg.nn.randomness import MaskLayer
from convnet_cfg.nn.weighted import KernelSource


@keras.saving.register_keras_serializable("convnet_cfg")
class DropoutDense(MaskLayer, Dense):
    """Fully connected layer that drops a random part of its outputs in training (fcdropo).

    y = mask * total          in training, mask = 0 with probability `rate`, else 1
    y = (1 - rate) * total    otherwise, with total = bias + sum over the inputs of x_i @ kernel_i

    The mask is drawn for each case; nothing is rescaled. Shapes as in Dense.
    """

    def __init__(
        self,
        units: int,
        rate: float,
        inputs: int = 1,
        kernel_sources: Sequence[KernelSource] | None = None,
        gradient_scales: Sequence[float] | None = None,
        seed: int | None = None,
        **keras_arguments: Any,
    ) -> None:
        own = {"kernel_sources": kernel_sources, "gradient_scales": gradient_scales}
        super().__init__(rate, seed, units=units, inputs=inputs, **own, **keras_arguments)

    def call(self, inputs, training=None):
        """Return the masked or scaled sum."""
        total = super().call(inputs)
        return total * (self.draw_mask(tf.shape(total)) if training else 1.0 - self.rate)


@keras.saving.register_keras_serializable("convnet_cfg")
class DropConnectDense(MaskLayer, Dense):
    """Fully connected layer that drops a random part of its weights in training (fcdropc, fcdropcf).

    y = x @ (kernel_mask * kernel) + bias_mask * bias    in training
    y = (1 - rate) * (x @ kernel + bias)                 otherwise

    The masks are 0 with probability `rate`, else 1; nothing is rescaled. All cases of a minibatch have
    the same masks, kept in the variables `kernel_mask` and `bias_mask` (not trainable, of the shapes of
    kernel and bias), for the update to use; with `per_case` each case has its own, kept nowhere.

    With the attribute `samples` above 0 tests sample: y is the mean of so many draws of max(0, z), z
    normal with the mean (1 - rate) * (x @ kernel + bias) and the variance
    rate * (1 - rate) * (x ** 2 @ kernel ** 2), the same draws at every call (fcdropcf).

    Shapes as in Dense, with one input.
    """

    def __init__(
        self,
        units: int,
        rate: float,
        per_case: bool = False,
        kernel_sources: Sequence[KernelSource] | None = None,
        gradient_scales: Sequence[float] | None = None,
        seed: int | None = None,
        **keras_arguments: Any,
    ) -> None:
        own = {"kernel_sources": kernel_sources, "gradient_scales": gradient_scales}
        super().__init__(rate, seed, units=units, **own, **keras_arguments)
        self.per_case = per_case
        self.samples = 0

    def build(self, input_shape: Any) -> None:
        """Make the variables."""
        super().build(input_shape)
        if not self.per_case:
            self.kernel_mask = self._mask_variable("kernel_mask", self.kernels[0])
            self.bias_mask = self._mask_variable("bias_mask", self.bias)

    def _mask_variable(self, name: str, of: Any) -> keras.Variable:
        return self.add_weight(name=name, shape=of.shape, initializer="ones", trainable=False)

    def call(self, inputs, training=None):
        """Return the sum with or without some weights."""
        if not training:
            mean = super().call(inputs) * (1.0 - self.rate)
            return self._sampled(inputs, mean) if self.samples else mean
        (kernel,) = self.used_kernels()
        if self.per_case:
            cases = tf.shape(inputs)[0]
            products = case_products(inputs, kernel, self.draw_kernel_masks(cases))
            return products + self.draw_mask((cases, self.units)) * self.bias
        masks = self.draw_mask(kernel.shape), self.draw_mask((self.units,))
        for variable, mask in zip((self.kernel_mask, self.bias_mask), masks, strict=True):
            variable.assign(mask)
        return tf.nn.bias_add(tf.matmul(inputs, kernel * masks[0]), self.bias * masks[1])

    def _sampled(self, inputs: Any, mean: Any) -> Any:
        """Return the mean of draws of max(0, z); one after the other, since all would take much memory."""
        squares = tf.matmul(tf.square(inputs), tf.square(self.used_kernels()[0]))
        deviation = tf.sqrt(self.rate * (1.0 - self.rate) * squares)

        def draw(total: Any, number: Any) -> Any:
            seed = tf.stack([0, number])
            noise = tf.random.stateless_normal(tf.shape(mean), seed, dtype=mean.dtype)
            return total + tf.nn.relu(mean + deviation * noise)

        return tf.foldl(draw, tf.range(self.samples), tf.zeros_like(mean)) / self.samples

    def draw_kernel_masks(self, cases: Any) -> Any:
        """Return a new mask of the kernel for each case, as booleans; shape (cases, features, units).

        Drawn one by one: the random numbers take four times the memory of the masks made of them.
        """
        shape = tuple(self.kernels[0].shape)
        seeds = keras.random.randint((cases, 2), 0, 2**31 - 1, seed=self.seed_generator)
        return tf.map_fn(
            lambda seed: tf.random.stateless_uniform(shape, seed) >= self.rate,
            seeds,
            fn_output_signature=tf.TensorSpec(shape, tf.bool),
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        config = super().get_config()
        del config["inputs"]
        return {**config, "per_case": self.per_case}


@tf.custom_gradient
def case_products(x: Any, kernel: Any, masks: Any) -> Any:
    """Return the product of each case with a kernel masked for it: y[n] = x[n] @ (masks[n] * kernel).

    Shapes: (cases, features), (features, units), (cases, features, units) -> (cases, units). The cases
    are taken one by one, forward and backward, so that no array but the masks has three axes.
    """

    def masked(mask, values):
        return tf.where(mask, values, tf.zeros_like(values))

    def gradient(g):
        by_case = tf.map_fn(
            lambda case: tf.linalg.matvec(masked(case[1], kernel), case[0]),
            (g, masks),
            fn_output_signature=g.dtype,
        )
        by_kernel = tf.foldl(
            lambda total, case: total + masked(case[2], case[0][:, None] * case[1]),
            (x, g, masks),
            initializer=tf.zeros_like(kernel),
        )
        return by_case, by_kernel, None

    products = tf.map_fn(
        lambda case: tf.linalg.matvec(masked(case[1], kernel), case[0], transpose_a=True),
        (x, masks),
        fn_output_signature=x.dtype,
    )
    return products, gradient
