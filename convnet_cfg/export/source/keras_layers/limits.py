"""What weights are held to after each update; the last axis of a kernel counts its columns."""

from math import prod

from keras import ops


def column_lengths(kernel):
    """Return the L2 norm of each column."""
    axes = tuple(range(len(kernel.shape) - 1))
    return ops.sqrt(ops.sum(ops.square(kernel), axis=axes, keepdims=True))


def scaled(kernel, found, wanted):
    """Return the kernel times wanted / found, columns of zeros as they are."""
    return kernel * ops.where(found > 0, wanted / ops.where(found > 0, found, 1.0), 1.0)


def set_column_norm(kernel, norm):
    """Return the kernel with columns of this L2 norm."""
    return scaled(kernel, column_lengths(kernel), norm)


def limit_column_norm(kernel, norm):
    """Return the kernel with columns of at most this L2 norm."""
    found = column_lengths(kernel)
    return scaled(kernel, found, ops.minimum(found, norm))


def limit_norm_at_each_place(kernel, norm):
    """Return the kernel of a locally connected layer, its filters at each place of at most this L2 norm."""
    found = ops.sqrt(ops.sum(ops.square(kernel), axis=(2, 3, 4), keepdims=True))
    return scaled(kernel, found, ops.minimum(found, norm))


def limit_column_spread(kernel, least, most):
    """Return the kernel, the deviations of columns from their means of a length / size in these bounds."""
    axes = tuple(range(len(kernel.shape) - 1))
    deviations = kernel - ops.mean(kernel, axis=axes, keepdims=True)
    spread = column_lengths(deviations) / prod(kernel.shape[:-1])
    return scaled(kernel, spread, ops.clip(spread, least, most))


def make_distributions(kernel):
    """Return the kernel without negative numbers, its columns divided by their sums."""
    kernel = ops.maximum(kernel, 0.0)
    return scaled(kernel, ops.sum(kernel, axis=0, keepdims=True), 1.0)
