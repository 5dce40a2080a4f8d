"""Activations with noise, in training and in tests alike. Their derivatives are those without the noise."""

import torch
import torch.nn.functional as F


def with_slope(y, x, slope):
    """Return y, whose derivative by x is `slope` and nothing else."""
    return y.detach() + slope.detach() * (x - x.detach())


def noisy_relu(x):
    """Return max(0, r + r * noise) with r = max(0, x) and normal noise; the derivative is 1 above 0."""
    rectified = F.relu(x)
    y = F.relu(rectified + rectified * torch.randn_like(x))
    return with_slope(y, x, (y > 0).to(x))


def spiking(x, refractory, membrane, gain, smoothing):
    """Return the time between two spikes of neurons, and the derivative of its inverse.

    z = gain / smoothing * x, current = smoothing * (log(1 + exp(z)) up to z = 4, z above),
    period = refractory + membrane * log(1 + 1 / current)
    """
    z = gain / smoothing * x
    current = smoothing * torch.where(z > 4, z, F.softplus(z))
    period = refractory + membrane * torch.log1p(1 / current)
    divisor = period.square() * current * (current + 1) * (1 + torch.exp(-z))
    return period, torch.where(divisor > 0, gain * membrane / divisor, 0)


def firing_rate(x, amplitude, refractory, membrane, gain, smoothing, deviation):
    """Return amplitude * (1 / period + deviation * noise where gain * x > 0), but at least 0.

    These are leaky integrate-and-fire neurons with normal noise.
    """
    period, slope = spiking(x, refractory, membrane, gain, smoothing)
    noise = torch.where(gain / smoothing * x > 0, deviation * torch.randn_like(x), 0)
    return with_slope(F.relu(amplitude / period + amplitude * noise), x, amplitude * slope)


def alpha_sum(time, period, synapse):
    """Return the sum of (t + k * period) * exp(-(t + k * period) / synapse) over k >= 0, times its scale.

    The scale is (1 - exp(-period / synapse)) ** 2. The later terms are cut off where they vanish.
    """
    later = torch.where(period >= 100 * synapse, 0, (period - time) * torch.exp(-period / synapse))
    return torch.exp(-time / synapse) * (time + later)


def alpha_spikes(x, amplitude, refractory, membrane, gain, smoothing, synapse):
    """Return amplitude times spikes at a random time, through a synapse of an alpha function."""
    period, slope = spiking(x, refractory, membrane, gain, smoothing)
    time = period * (1 - torch.rand_like(x))
    scale = (synapse * torch.expm1(-period / synapse)).square()
    y = torch.where(time >= 100 * synapse, 0, alpha_sum(time, period, synapse) / scale)
    return with_slope(amplitude * y, x, amplitude * slope)


def membrane_alpha_spikes(x, amplitude, refractory, membrane, gain, smoothing, synapse):
    """Return amplitude times spikes at a random time, through an alpha function and the membrane."""
    period, slope = spiking(x, refractory, membrane, gain, smoothing)
    time = period * (1 - torch.rand_like(x))
    difference = membrane - synapse
    slow, fast = (-torch.expm1(-period / constant) for constant in (membrane, synapse))
    y = membrane / difference**2 * (torch.exp(-time / membrane) / slow - torch.exp(-time / synapse) / fast)
    y = y - alpha_sum(time, period, synapse) / (synapse * difference * fast.square())
    return with_slope(amplitude * y.where(time < 100 * synapse, 0), x, amplitude * slope)
