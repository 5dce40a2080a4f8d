"""The element-wise functions that draw random numbers, in training and in tests alike.

Their gradients are those of the functions without the noise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from convnet_cfg.nn.activations import check_parameters
from convnet_cfg.nn.randomness import RandomLayer


@tf.custom_gradient
def noisy_relu(x, noise):
    """Return max(0, r + r * noise) with r = max(0, x); the gradient is 1 where that is above 0.

    `noise` is normally distributed.
    """
    rectified = tf.maximum(x, 0.0)
    y = tf.maximum(rectified + rectified * noise, 0.0)
    return y, lambda gradient: (tf.where(y > 0, gradient, tf.zeros_like(gradient)), None)


class Neurons(NamedTuple):
    """What the three kinds of leaky integrate-and-fire neurons compute from x before they spike.

    z = gain / smoothing * x, current = smoothing * (log(1 + exp(z)) up to z = 4, z above),
    period = refractory + membrane * log(1 + 1 / current): the time between two spikes, infinite
    without a current.
    """

    z: Any
    current: Any
    period: Any

    def gradient(self, amplitude, membrane, gain):
        """Return the derivative of amplitude / period by x, 0 where its denominator is not above 0."""
        denominator = tf.square(self.period) * self.current * (self.current + 1.0) * (1.0 + tf.exp(-self.z))
        slope = amplitude * gain * membrane / denominator
        return tf.where(denominator > 0, slope, tf.zeros_like(slope))


def neurons(x, refractory, membrane, gain, smoothing):
    """Return the state of the neurons for the input x."""
    z = gain / smoothing * x
    current = smoothing * tf.where(z > 4, z, tf.nn.softplus(z))
    return Neurons(z, current, refractory + membrane * tf.math.log1p(1.0 / current))


def firing_rate(x, noise, amplitude, refractory, membrane, gain, smoothing, deviation):
    """Return amplitude * (1 / period + deviation * noise where z > 0), at least 0 (softlif).

    `noise` is normally distributed.
    """

    @tf.custom_gradient
    def fire(x):
        state = neurons(x, refractory, membrane, gain, smoothing)
        noisy = tf.where(state.z > 0, amplitude * deviation * noise, tf.zeros_like(x))
        y = tf.maximum(amplitude / state.period + noisy, 0.0)
        return y, lambda gradient: gradient * state.gradient(amplitude, membrane, gain)

    return fire(x)


def filtered_spikes(x, noise, amplitude, refractory, membrane, gain, smoothing, shape):
    """Return amplitude * shape(time since the last spike, period), the time being uniform (softlifalpha...).

    `noise` is uniform in 0 < u <= 1.
    """

    @tf.custom_gradient
    def fire(x):
        state = neurons(x, refractory, membrane, gain, smoothing)
        y = amplitude * shape(noise * state.period, state.period)
        return y, lambda gradient: gradient * state.gradient(amplitude, membrane, gain)

    return fire(x)


def _alpha_sum(time, period, synapse):
    """Return the sum of (t + k * period) * exp(-(t + k * period) / synapse) over k >= 0, times its scale.

    The scale is (1 - exp(-period / synapse)) ** 2. Both terms are cut off where they vanish, which
    also keeps infinite periods out.
    """
    left = tf.exp(-period / synapse)
    later = tf.where(period >= 100.0 * synapse, tf.zeros_like(time), (period - time) * left)
    return tf.exp(-time / synapse) * (time + later)


def alpha(x, noise, amplitude, refractory, membrane, gain, smoothing, synapse):
    """Return spikes filtered by an alpha function of the time constant `synapse` (softlifalpha)."""

    def shape(time, period):
        scale = tf.square(-synapse * tf.math.expm1(-period / synapse))
        y = _alpha_sum(time, period, synapse) / scale
        return tf.where(time >= 100.0 * synapse, tf.zeros_like(y), y)

    return filtered_spikes(x, noise, amplitude, refractory, membrane, gain, smoothing, shape)


def alpha_rc(x, noise, amplitude, refractory, membrane, gain, smoothing, synapse):
    """Return spikes filtered by an alpha function and by the membrane (softlifalpharc)."""
    difference = membrane - synapse

    def shape(time, period):
        slow, fast = (-tf.math.expm1(-period / constant) for constant in (membrane, synapse))
        exponentials = tf.exp(-time / membrane) / slow - tf.exp(-time / synapse) / fast
        y = membrane / difference**2 * exponentials
        y -= _alpha_sum(time, period, synapse) / (synapse * difference * tf.square(fast))
        return tf.where(time >= 100.0 * synapse, tf.zeros_like(y), y)

    return filtered_spikes(x, noise, amplitude, refractory, membrane, gain, smoothing, shape)


class RandomFunction(NamedTuple):
    """A function (x, noise, *parameters), and whether its noise is normal or uniform in 0 < u <= 1."""

    function: Callable[..., Any]
    normal: bool


RANDOM_ACTIVATIONS = {
    "nrelu": RandomFunction(noisy_relu, normal=True),
    "softlif": RandomFunction(firing_rate, normal=True),
    "softlifalpha": RandomFunction(alpha, normal=False),
    "softlifalpharc": RandomFunction(alpha_rc, normal=False),
}
# How far the membrane's and the synapse's time constants must lie apart.
APART = {"softlifalpha": 1e-3, "softlifalpharc": 1e-12}
RANDOM_PARAMETER_COUNTS = {"softlif": 6, "softlifalpha": 6, "softlifalpharc": 6}


def check_time_constants(function: str, parameters: tuple[float, ...]) -> None:
    """Raise ValueError if the two time constants of a filtered neuron are too close to each other."""
    if function in APART and abs(parameters[2] - parameters[5]) < APART[function]:
        raise ValueError(
            f"{function} needs a membrane (third parameter) and a synapse (sixth) of different time "
            f"constants, got {parameters[2]} and {parameters[5]}"
        )


@keras.saving.register_keras_serializable("convnet_cfg")
class RandomActivation(RandomLayer):
    """One of RANDOM_ACTIVATIONS, applied to each value with a random number of its own (neuron).

    Raises ValueError for an unknown function, a wrong number of parameters, or if the two time
    constants of softlifalpha or softlifalpharc are (nearly) equal. Who needs certain numbers replaces
    `draw_noise`. Input and output shape: any.
    """

    def __init__(
        self,
        function: str,
        parameters: tuple[float, ...] = (),
        seed: int | None = None,
        **keras_arguments: Any,
    ) -> None:
        super().__init__(seed, **keras_arguments)
        self.function = function
        self.parameters = check_parameters(function, parameters, RANDOM_ACTIVATIONS, RANDOM_PARAMETER_COUNTS)
        check_time_constants(function, self.parameters)

    def draw_noise(self, shape: Any) -> Any:
        """Return new random numbers of the kind that the function takes."""
        if RANDOM_ACTIVATIONS[self.function].normal:
            return keras.random.normal(shape, dtype=self.compute_dtype, seed=self.seed_generator)
        return 1.0 - self.uniform(shape, self.compute_dtype)

    def call(self, inputs):
        """Return the function of each value."""
        noise = self.draw_noise(tf.shape(inputs))
        return RANDOM_ACTIVATIONS[self.function].function(inputs, noise, *self.parameters)

    def compute_output_shape(self, input_shape):
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "function": self.function, "parameters": self.parameters}
