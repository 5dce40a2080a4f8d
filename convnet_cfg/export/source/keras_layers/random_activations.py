"""Activations with noise, in training and in tests alike. Their gradients are those without the noise."""

import keras
from keras import layers, ops


class NoisyReLU(layers.Layer):
    """max(0, r + r * noise) with r = max(0, x) and normal noise; the gradient is 1 where that is above 0."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed = keras.random.SeedGenerator()

    def call(self, x):
        """Return the function of each value."""
        rectified = ops.relu(x)
        noise = keras.random.normal(ops.shape(x), seed=self.seed, dtype=self.compute_dtype)
        y = ops.stop_gradient(ops.relu(rectified + rectified * noise))
        return y + ops.where(y > 0, x - ops.stop_gradient(x), 0.0)


def with_gradient(y, x, slope):
    """Return y, with a gradient of x that is `slope` and no other."""
    return ops.stop_gradient(y) + ops.stop_gradient(slope) * (x - ops.stop_gradient(x))


def firing(x, refractory, membrane, gain, smoothing):
    """Return z, the time between two spikes, and the derivative of the rate of spikes, of neurons.

    z = gain / smoothing * x, current = smoothing * (log(1 + exp(z)) up to z = 4, z above),
    period = refractory + membrane * log(1 + 1 / current)
    """
    z = gain / smoothing * x
    current = smoothing * ops.where(z > 4, z, ops.softplus(z))
    period = refractory + membrane * ops.log1p(1.0 / current)
    divisor = ops.square(period) * current * (current + 1.0) * (1.0 + ops.exp(-z))
    slope = ops.where(divisor > 0, gain * membrane / divisor, 0.0)
    return z, period, slope


class FiringRate(layers.Layer):
    """amplitude * (1 / period + deviation * noise where x > 0), at least 0: integrate-and-fire neurons."""

    def __init__(self, amplitude, refractory, membrane, gain, smoothing, deviation, **kwargs):
        super().__init__(**kwargs)
        self.amplitude = amplitude
        self.constants = (refractory, membrane, gain, smoothing)
        self.deviation = deviation
        self.seed = keras.random.SeedGenerator()

    def call(self, x):
        """Return the noisy rate of spikes."""
        z, period, slope = firing(x, *self.constants)
        noise = keras.random.normal(ops.shape(x), seed=self.seed, dtype=self.compute_dtype)
        noisy = ops.where(z > 0, self.amplitude * self.deviation * noise, 0.0)
        return with_gradient(ops.relu(self.amplitude / period + noisy), x, self.amplitude * slope)


def alpha_sum(time, period, synapse):
    """Return the sum of (t + k * period) * exp(-(t + k * period) / synapse) over k >= 0, times its scale.

    The scale is (1 - exp(-period / synapse)) ** 2. Both terms are cut off where they vanish.
    """
    left = ops.exp(-period / synapse)
    later = ops.where(period >= 100.0 * synapse, 0.0, (period - time) * left)
    return ops.exp(-time / synapse) * (time + later)


class AlphaSpikes(layers.Layer):
    """amplitude times spikes at a random time, through a synapse of an alpha function."""

    def __init__(self, amplitude, refractory, membrane, gain, smoothing, synapse, **kwargs):
        super().__init__(**kwargs)
        self.amplitude = amplitude
        self.constants = (refractory, membrane, gain, smoothing)
        self.synapse = synapse
        self.seed = keras.random.SeedGenerator()

    def call(self, x):
        """Return the filtered spikes."""
        _, period, slope = firing(x, *self.constants)
        time = period * (1.0 - keras.random.uniform(ops.shape(x), seed=self.seed, dtype=self.compute_dtype))
        scale = ops.square(-self.synapse * ops.expm1(-period / self.synapse))
        y = alpha_sum(time, period, self.synapse) / scale
        y = ops.where(time >= 100.0 * self.synapse, 0.0, y)
        return with_gradient(self.amplitude * y, x, self.amplitude * slope)


class MembraneAlphaSpikes(layers.Layer):
    """amplitude times spikes at a random time, through a synapse of an alpha function and the membrane."""

    def __init__(self, amplitude, refractory, membrane, gain, smoothing, synapse, **kwargs):
        super().__init__(**kwargs)
        self.amplitude = amplitude
        self.constants = (refractory, membrane, gain, smoothing)
        self.membrane = membrane
        self.synapse = synapse
        self.seed = keras.random.SeedGenerator()

    def call(self, x):
        """Return the filtered spikes."""
        _, period, slope = firing(x, *self.constants)
        time = period * (1.0 - keras.random.uniform(ops.shape(x), seed=self.seed, dtype=self.compute_dtype))
        difference = self.membrane - self.synapse
        slow, fast = (-ops.expm1(-period / constant) for constant in (self.membrane, self.synapse))
        exponentials = ops.exp(-time / self.membrane) / slow - ops.exp(-time / self.synapse) / fast
        y = self.membrane / difference**2 * exponentials
        y = y - alpha_sum(time, period, self.synapse) / (self.synapse * difference * ops.square(fast))
        y = ops.where(time >= 100.0 * self.synapse, 0.0, y)
        return with_gradient(self.amplitude * y, x, self.amplitude * slope)
