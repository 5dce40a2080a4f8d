import keras
import numpy as np
import pytest
import references
import tensorflow as tf

from convnet_cfg import nn

from .gradients import assert_exact_gradients, normal, randomize

PARTS = [(1, 3), (2, 4), (4, 1), (3, 2)]


@pytest.mark.parametrize(("parts", "units"), PARTS)
def test_block_dense(parts, units):
    layer = nn.BlockDense(units, parts, inputs=2, dtype="float64")
    inputs = [normal(5, 12, seed=1), normal(5, 24, seed=2)]
    layer([tf.constant(x) for x in inputs])
    *kernels, bias = randomize(layer)
    assert [kernel.shape for kernel in kernels] == [(12, units), (24, units)]
    assert bias.shape == (parts * units,)
    products = [references.block_dense(x, k, parts) for x, k in zip(inputs, kernels, strict=True)]
    np.testing.assert_allclose(layer([tf.constant(x) for x in inputs]), sum(products) + bias, atol=1e-12)
    assert_exact_gradients(layer, *inputs)


@pytest.mark.parametrize(("groups", "units"), PARTS)
@pytest.mark.parametrize("pixels", [(3, 3), (7,), ()])
def test_pixel_dense(pixels, groups, units):
    layer = nn.PixelDense(units, groups, dtype="float64")
    x = normal(2, *pixels, 12)
    layer(tf.constant(x))
    kernel, bias = randomize(layer)
    assert kernel.shape == (12 // groups, groups * units)
    assert bias.shape == (groups * units,)
    np.testing.assert_allclose(layer(tf.constant(x)), references.pixel_dense(x, kernel, groups) + bias)
    assert_exact_gradients(layer, x)


def test_pixel_dense_is_a_convolution_of_size_one():
    x = tf.constant(normal(2, 4, 4, 6))
    pixels, conv = (
        nn.PixelDense(5, 3, dtype="float64"),
        nn.Conv2D(15, [nn.Window(1, 1, 0, 6, 3)], 4, dtype="float64"),
    )
    pixels(x)
    conv(x)
    kernel, bias = randomize(pixels)
    conv.kernels[0].assign(kernel.reshape(1, 1, 2, 15))
    conv.bias.assign(bias)
    np.testing.assert_allclose(pixels(x), conv(x), atol=1e-12)


def test_conditional_probability_has_no_bias():
    layer = nn.ConditionalProbability(3, dtype="float64")
    x = normal(4, 5)
    layer(tf.constant(x))
    (kernel,) = randomize(layer)
    assert layer.bias is None
    np.testing.assert_allclose(layer(tf.constant(x)), x @ kernel)
    assert_exact_gradients(layer, x)


@pytest.mark.parametrize("shape", [(4, 5), (2, 3, 3, 2)])
def test_scaling(shape):
    layer = nn.Scaling(dtype="float64")
    x = normal(*shape)
    layer(tf.constant(x))
    kernel, bias = randomize(layer)
    assert kernel.shape == bias.shape == ()
    np.testing.assert_allclose(layer(tf.constant(x)), kernel * x + bias)
    assert_exact_gradients(layer, x)


@pytest.mark.parametrize("layer", [nn.BlockDense(2, 5), nn.PixelDense(2, 5)])
def test_blocks_must_be_equal(layer):
    with pytest.raises(ValueError, match="12 features cannot be divided into 5 equal blocks"):
        layer.build((None, 12))


@pytest.mark.parametrize(
    "make",
    [
        lambda **sharing: nn.BlockDense(2, 3, **sharing),
        lambda **sharing: nn.PixelDense(2, 3, **sharing),
        lambda **sharing: nn.ConditionalProbability(2, **sharing),
        lambda **sharing: nn.Scaling(**sharing),
    ],
)
def test_kernels_can_be_shared(make):
    owner, x = make(), tf.ones((1, 12))
    owner(x)
    user = make(kernel_sources=[owner.kernels[0]], gradient_scales=[0.5])
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(owner(x))
    whole = tape.gradient(total, owner.kernels[0].value)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(user(x))
    np.testing.assert_allclose(tape.gradient(total, owner.kernels[0].value), 0.5 * whole)


@pytest.mark.parametrize(
    ("layer", "shape", "output"),
    [
        (nn.BlockDense(2, 3), (12,), (6,)),
        (nn.PixelDense(2, 3), (4, 4, 12), (4, 4, 6)),
        (nn.PixelDense(2, 3), (7, 12), (7, 6)),
        (nn.ConditionalProbability(2), (12,), (2,)),
        (nn.Scaling(), (4, 4, 12), (4, 4, 12)),
    ],
)
def test_survives_saving(layer, shape, output, tmp_path):
    inputs = keras.Input(shape)
    model = keras.Model(inputs, layer(inputs))
    randomize(model)
    model.save(tmp_path / "model.keras")
    x = normal(2, *shape).astype(np.float32)
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(x), model(x))
    assert model.output_shape == (None, *output)
