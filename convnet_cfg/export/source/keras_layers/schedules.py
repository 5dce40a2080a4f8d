"""Learning rates as functions of the progress of a training, from 0 to 1."""

import numpy as np
from keras import ops


def constant(base):
    """Return the rate `base` at all times."""
    return lambda progress: base


def linear(base, factor):
    """Return rates that fall from `base` to base / factor in a straight line."""
    return lambda progress: base * (1 - progress) + base / factor * progress


def exponential(base, factor):
    """Return rates that fall from `base` to base / factor by the same share in equal times."""
    return lambda progress: base * factor**-progress


def steps(base, factor, count):
    """Return rates that fall from `base` to base / factor in `count` equal steps."""
    return lambda progress: base * factor ** (-step_of(progress, count) / (count - 1))


def exponential_steps(base, tau, count):
    """Return rates that fall from `base` in `count` equal steps, each e^(1/tau) times lower than the last."""
    return lambda progress: base * ops.exp(-step_of(progress, count) / tau)


def smoothed_steps(base, factor, count):
    """Return `steps` with half a step back in the second half of each step, from 0.2 to 0.9 of all."""

    def rate(progress):
        step = step_of(progress, count)
        middles = ops.convert_to_tensor([rounded_down((i + 0.5) / count) for i in range(count)], "float32")
        within = (progress > rounded_down(0.2)) & (progress <= rounded_down(0.9))
        late = (progress > ops.take(middles, ops.cast(step, "int32"))) & (step > 0) & within
        return base * factor ** (-(step - 0.5 * ops.cast(late, step.dtype)) / (count - 1))

    return rate


def step_of(progress, count):
    """Return the smallest i with progress <= (i + 1) / count."""
    # As in cuda-convnet2, single precision is compared with double here.
    ends = ops.convert_to_tensor([rounded_down((i + 1) / count) for i in range(count - 1)], "float32")
    return ops.sum(ops.cast(progress > ends, "float32"))


def rounded_down(value):
    """Return the largest number of single precision that is not above a value."""
    nearest = np.float32(value)
    return nearest if float(nearest) <= value else np.nextafter(nearest, np.float32(0))
