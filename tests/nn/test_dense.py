import keras
import numpy as np
import pytest
import tensorflow as tf

from convnet_cfg import nn

from .gradients import normal, randomize, run


def built(layer, *shapes):
    layer.build(list(shapes) if len(shapes) > 1 else shapes[0])
    return layer


def test_one_input():
    layer = built(nn.Dense(3, dtype="float64"), (None, 5))
    kernel, bias = randomize(layer)
    x = normal(4, 5)
    np.testing.assert_allclose(layer(tf.constant(x)), x @ kernel + bias)
    assert [v.name for v in layer.variables] == ["kernel", "bias"]


def test_two_inputs():
    layer = built(nn.Dense(3, inputs=2, dtype="float64"), (None, 5), (None, 2))
    first, second, bias = randomize(layer)
    x, y = normal(4, 5), normal(4, 2)
    np.testing.assert_allclose(layer([tf.constant(x), tf.constant(y)]), x @ first + y @ second + bias)


def test_weights_start_at_zero():
    layer = built(nn.Dense(3), (None, 5))
    assert not layer.kernels[0].numpy().any()
    assert not layer.bias.numpy().any()


def test_kernel_of_another_layer_is_shared():
    owner = built(nn.Dense(3, dtype="float64"), (None, 5))
    user = built(nn.Dense(3, kernel_sources=[owner.kernels[0]], dtype="float64"), (None, 5))
    assert user.kernels[0] is owner.kernels[0]
    assert user.bias is not owner.bias
    assert [v.name for v in user.trainable_variables] == ["kernel", "bias"]


def test_a_layer_may_use_its_own_kernel_again():
    layer = built(nn.Dense(3, inputs=2, kernel_sources=[None, 0], dtype="float64"), (None, 5), (None, 5))
    kernel, bias = randomize(layer)
    x, y = normal(4, 5, seed=1), normal(4, 5, seed=2)
    np.testing.assert_allclose(layer([tf.constant(x), tf.constant(y)]), (x + y) @ kernel + bias)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer([tf.constant(x), tf.constant(y)]))
    gradient = tape.gradient(total, layer.trainable_variables)[0]
    np.testing.assert_allclose(gradient, np.tile((x + y).sum(0)[:, None], 3))


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0])
def test_gradient_of_one_use_is_scaled(scale):
    options = {"kernel_sources": [None, 0], "gradient_scales": [1.0, scale]}
    layer = built(nn.Dense(3, inputs=2, dtype="float64", **options), (None, 5), (None, 5))
    kernel, _ = randomize(layer)
    x, y = normal(4, 5, seed=1), normal(4, 5, seed=2)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer([tf.constant(x), tf.constant(y)]))
    gradient = tape.gradient(total, layer.kernels[0].value)
    np.testing.assert_allclose(gradient, np.tile((x + scale * y).sum(0)[:, None], 3))
    _, g, gradients = run(lambda x, y: layer([x, y]), x, y)
    np.testing.assert_allclose(gradients[1], g @ kernel.T)


def test_scale_of_the_only_use():
    layer = built(nn.Dense(3, gradient_scales=[0.25], dtype="float64"), (None, 5))
    x = tf.constant(normal(4, 5))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(x))
    gradient = tape.gradient(total, layer.kernels[0].value)
    np.testing.assert_allclose(gradient, 0.25 * np.tile(x.numpy().sum(0)[:, None], 3))


def test_mistakes_are_explained():
    with pytest.raises(ValueError, match="2 inputs need as many kernel_sources"):
        nn.Dense(3, inputs=2, kernel_sources=[None])
    with pytest.raises(ValueError, match="expected 1 inputs, got 2"):
        built(nn.Dense(3), (None, 5), (None, 5))
    owner = built(nn.Dense(3), (None, 5))
    with pytest.raises(ValueError, match=r"kernel 0 has shape \(4, 3\), its source \(5, 3\)"):
        built(nn.Dense(3, kernel_sources=[owner.kernels[0]]), (None, 4))
    with pytest.raises(NotImplementedError, match="shared kernels"):
        nn.Dense(3, kernel_sources=[owner.kernels[0]]).get_config()


def test_survives_saving(tmp_path):
    one, two = keras.Input((5,)), keras.Input((2,))
    model = keras.Model([one, two], nn.Dense(3, inputs=2, gradient_scales=(1.0, 0.5))([one, two]))
    randomize(model)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    inputs = [normal(4, 5).astype(np.float32), normal(4, 2).astype(np.float32)]
    np.testing.assert_array_equal(again(inputs), model(inputs))
    assert again.layers[-1].gradient_scales == (1.0, 0.5)
