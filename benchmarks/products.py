"""The convolutions and matrix products of a network, measured alone.

Forward, and the gradients of kernel and input (of the first layer's input nobody wants one), with the
shapes that training has; nothing around them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import tensorflow as tf

from benchmarks.nets import MINIBATCH
from convnet_cfg import nn
from convnet_cfg.nn.conv import Windowed

Products = Callable[[], list[tf.Tensor]]


def time_products(ours: Any, minibatches: int) -> dict[str, float]:
    """Return seconds of a minibatch for each layer with weights."""
    return {name: _timed(loop, minibatches) for name, loop in _loops(ours).items()}


@cache
def _loops(ours: Any) -> dict[str, Callable[[tf.Tensor], tf.Tensor]]:
    built = ours.session.built
    kinds = Windowed | nn.Dense
    layers = {name: layer for name, layer in built.layers.items() if isinstance(layer, kinds)}
    first = next(iter(layers))
    return {name: _looped(_products(layer, with_input=name != first)) for name, layer in layers.items()}


def _timed(loop: Callable[[tf.Tensor], tf.Tensor], minibatches: int) -> float:
    started = time.perf_counter()
    loop(tf.constant(minibatches)).numpy()
    return (time.perf_counter() - started) / minibatches


def _looped(products: Products) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return a function that repeats the products, and uses one number of each so that none is left out."""

    @tf.function(autograph=False)
    def loop(count: tf.Tensor) -> tf.Tensor:
        def body(index: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return index + 1, total + tf.add_n([tf.reshape(product, [-1])[0] for product in products()])

        start = (tf.constant(0), tf.constant(0.0))
        return tf.while_loop(lambda index, _: index < count, body, start, parallel_iterations=1)[1]

    return loop


def _values(*shape: int) -> tf.Variable:
    """Return numbers in a variable: a constant's products would be reckoned only once."""
    return tf.Variable(tf.random.stateless_normal(shape, (1, len(shape))))


def _products(layer: Any, with_input: bool) -> Products:
    makers = {nn.Conv2D: _convolution, nn.Local2D: _local, nn.Dense: _dense}
    return makers[type(layer)](layer, with_input)


def _convolution(layer: Any, with_input: bool) -> Products:
    (window,) = layer.windows
    side = layer.input.shape[1]
    padding = layer.span(window, side).mode
    assert padding, "the networks of the benchmark need no explicit padding"
    x = _values(MINIBATCH, side, side, window.channels)
    kernel = _values(*layer.kernels[0].shape)
    y = _values(MINIBATCH, layer.output_side, layer.output_side, layer.filters)
    strides = [1, window.strides, window.strides, 1]

    def products() -> list[tf.Tensor]:
        results = [
            tf.raw_ops.Conv2D(input=x, filter=kernel, strides=strides, padding=padding),
            tf.raw_ops.Conv2DBackpropFilter(
                input=x, filter_sizes=kernel.shape, out_backprop=y, strides=strides, padding=padding
            ),
        ]
        if with_input:
            results.append(
                tf.raw_ops.Conv2DBackpropInput(
                    input_sizes=x.shape, filter=kernel, out_backprop=y, strides=strides, padding=padding
                )
            )
        return results

    return products


def _local(layer: Any, with_input: bool) -> Products:
    shape = layer.kernels[0].shape
    places, values, filters = shape[0] * shape[1], shape[2] * shape[3] * shape[4], shape[5]
    return _matrix_products((places,), values, filters, with_input)


def _dense(layer: Any, with_input: bool) -> Products:
    return _matrix_products((), *layer.kernels[0].shape, with_input)


def _matrix_products(places: tuple[int, ...], values: int, filters: int, with_input: bool) -> Products:
    x, kernel = _values(*places, MINIBATCH, values), _values(*places, values, filters)
    y = _values(*places, MINIBATCH, filters)

    def products() -> list[tf.Tensor]:
        results = [tf.matmul(x, kernel), tf.matmul(x, y, transpose_a=True)]
        return [*results, tf.matmul(y, kernel, transpose_b=True)] if with_input else results

    return products
