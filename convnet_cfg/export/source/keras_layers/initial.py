"""First values of kernels."""

import keras
from keras import ops


def normal(deviation):
    """Return an initializer of normal numbers around 0."""
    return keras.initializers.RandomNormal(stddev=deviation)


def rows(*numbers):
    """Return an initializer of a matrix with these rows."""
    return keras.initializers.Constant(numbers)


def random_distributions(shape, dtype=None):
    """Return columns of random numbers that sum to 1."""
    drawn = keras.random.uniform(shape, dtype=dtype)
    return drawn / ops.sum(drawn, axis=0)
