"""Shared by the tests: run a layer with its gradient, and check gradients by finite differences."""

import numpy as np
import tensorflow as tf


def normal(*shape, seed=0):
    """Return normally distributed float64 numbers."""
    return np.random.default_rng(seed).standard_normal(shape)


def run(function, *inputs, seed=99):
    """Return the output, a random gradient of it, and the gradients of the inputs (arrays)."""
    inputs = [tf.constant(x) for x in inputs]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        output = function(*inputs)
    g = normal(*output.shape, seed=seed).astype(output.dtype.as_numpy_dtype)
    gradients = tape.gradient(output, inputs, tf.constant(g))
    return output.numpy(), g, [None if d is None else d.numpy() for d in gradients]


def value_and_gradient(function, x):
    """Return the output, and the gradient of its sum (arrays)."""
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        output = function(x)
    return output.numpy(), tape.gradient(output, x).numpy()


def assert_differences_agree(function, *inputs, step=1e-6, tolerance=1e-7):
    """Compare the gradients with central differences along random directions, in float64."""
    _, g, gradients = run(function, *inputs)
    for position, gradient in enumerate(gradients):
        for seed in range(3):
            direction = normal(*inputs[position].shape, seed=seed)
            moved = [list(inputs), list(inputs)]
            moved[0][position] = inputs[position] + step * direction
            moved[1][position] = inputs[position] - step * direction
            plus, minus = (function(*map(tf.constant, values)).numpy() for values in moved)
            numeric = ((plus - minus) * g).sum() / (2 * step)
            scale = np.abs(gradient * direction).sum() + 1e-12
            assert abs(numeric - (gradient * direction).sum()) <= tolerance * scale


def randomize(layer, seed=7):
    """Give all variables of a layer random values and return their values as arrays."""
    values = [normal(*v.shape, seed=seed + i) for i, v in enumerate(layer.variables)]
    for variable, value in zip(layer.variables, values, strict=True):
        variable.assign(value)
    return values


def assert_exact_gradients(layer, *inputs):
    """Compare the gradients of a built layer's inputs, kernels and bias with differences, in float64."""
    weights = randomize(layer)

    def output(*values):
        xs = list(values[: len(inputs)])
        return layer.stateless_call(list(values[len(inputs) :]), [], xs if len(xs) > 1 else xs[0])[0]

    assert_differences_agree(output, *inputs, *weights)
