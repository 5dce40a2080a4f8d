import keras
import numpy as np
import pytest
import tensorflow as tf

from convnet_cfg import nn

from .gradients import assert_differences_agree, normal, randomize, run

CASES, FEATURES, UNITS = 5, 6, 4


def zeros_and_ones(*shape, seed=11):
    return (np.random.default_rng(seed).random(shape) < 0.6) * 1.0


def make(cls, *shapes, **options):
    layer = cls(UNITS, 0.3, dtype="float64", seed=5, **options)
    layer.build(list(shapes) if len(shapes) > 1 else (None, FEATURES))
    return layer


def give_masks(layer, kernel_masks, bias_mask):
    """Let a layer find these masks where it would draw new ones."""
    masks = {np.shape(mask): mask for mask in (kernel_masks, bias_mask)}
    layer.draw_mask = lambda shape: tf.constant(masks[tuple(int(side) for side in shape)])
    layer.draw_kernel_masks = lambda cases: tf.constant(kernel_masks, tf.bool)


def set_weights(layer, seed=7):
    """Give the kernels and the bias random values and return these."""
    values = [normal(*v.shape, seed=seed + i) for i, v in enumerate(layer.trainable_variables)]
    for variable, value in zip(layer.trainable_variables, values, strict=True):
        variable.assign(value)
    return values


def gradients(layer, x):
    """Return the output in training, its random gradient, and those of input, kernel and bias."""
    with tf.GradientTape() as tape:
        x = tf.constant(x)
        tape.watch(x)
        y = layer(x, training=True)
    g = normal(*y.shape, seed=99)
    wanted = [x, *(v.value for v in layer.trainable_variables)]
    return y.numpy(), g, [d.numpy() for d in tape.gradient(y, wanted, tf.constant(g))]


def test_dropout_of_the_total_of_all_inputs():
    layer = make(nn.DropoutDense, (None, FEATURES), (None, 3), inputs=2)
    first, second, bias = set_weights(layer)
    x, y = normal(CASES, FEATURES, seed=1), normal(CASES, 3, seed=2)
    mask = zeros_and_ones(CASES, UNITS)
    layer.draw_mask = lambda shape: tf.constant(mask)
    total = x @ first + y @ second + bias
    output, g, (by_x, by_y) = run(lambda x, y: layer([x, y], training=True), x, y)
    np.testing.assert_allclose(output, mask * total)
    np.testing.assert_allclose(by_x, (mask * g) @ first.T)
    np.testing.assert_allclose(by_y, (mask * g) @ second.T)
    np.testing.assert_allclose(layer([x, y]), 0.7 * total)


def test_dropout_of_the_total_has_exact_gradients():
    layer = make(nn.DropoutDense)
    kernel, _ = set_weights(layer)
    x, mask = normal(CASES, FEATURES), zeros_and_ones(CASES, UNITS)
    layer.draw_mask = lambda shape: tf.constant(mask)
    _, g, (_, by_kernel, by_bias) = gradients(layer, x)
    np.testing.assert_allclose(by_kernel, x.T @ (mask * g))
    np.testing.assert_allclose(by_bias, (mask * g).sum(0))


def test_one_mask_of_weights_for_all_cases():
    layer = make(nn.DropConnectDense)
    kernel, bias = set_weights(layer)
    x = normal(CASES, FEATURES)
    kernel_mask, bias_mask = zeros_and_ones(FEATURES, UNITS), zeros_and_ones(UNITS, seed=12)
    give_masks(layer, kernel_mask, bias_mask)
    output, g, (by_x, by_kernel, by_bias) = gradients(layer, x)
    np.testing.assert_allclose(output, x @ (kernel_mask * kernel) + bias_mask * bias)
    np.testing.assert_allclose(by_x, g @ (kernel_mask * kernel).T)
    np.testing.assert_allclose(by_kernel, kernel_mask * (x.T @ g))
    np.testing.assert_allclose(by_bias, bias_mask * g.sum(0))
    np.testing.assert_array_equal(layer.kernel_mask, kernel_mask)
    np.testing.assert_array_equal(layer.bias_mask, bias_mask)
    np.testing.assert_allclose(layer(x), 0.7 * (x @ kernel + bias))


def test_masks_of_weights_for_each_case():
    layer = make(nn.DropConnectDense, per_case=True)
    kernel, bias = set_weights(layer)
    x = normal(CASES, FEATURES)
    masks, bias_masks = zeros_and_ones(CASES, FEATURES, UNITS), zeros_and_ones(CASES, UNITS, seed=12)
    give_masks(layer, masks, bias_masks)
    output, g, (by_x, by_kernel, by_bias) = gradients(layer, x)
    wanted, wanted_by_x, wanted_by_kernel = np.zeros((CASES, UNITS)), np.zeros_like(x), np.zeros_like(kernel)
    for n in range(CASES):
        wanted[n] = x[n] @ (masks[n] * kernel) + bias_masks[n] * bias
        wanted_by_x[n] = (masks[n] * kernel) @ g[n]
        wanted_by_kernel += masks[n] * np.outer(x[n], g[n])
    np.testing.assert_allclose(output, wanted)
    np.testing.assert_allclose(by_x, wanted_by_x)
    np.testing.assert_allclose(by_kernel, wanted_by_kernel)
    np.testing.assert_allclose(by_bias, (bias_masks * g).sum(0))
    np.testing.assert_allclose(layer(x), 0.7 * (x @ kernel + bias))


@pytest.mark.parametrize("per_case", [False, True])
def test_gradients_agree_with_differences(per_case):
    layer = make(nn.DropConnectDense, per_case=per_case)
    weights = set_weights(layer)
    shape = (CASES,) if per_case else ()
    give_masks(layer, zeros_and_ones(*shape, FEATURES, UNITS), zeros_and_ones(*shape, UNITS))

    def output(x, *values):
        state = [v.value for v in layer.non_trainable_variables]
        return layer.stateless_call(list(values), state, x, training=True)[0]

    assert_differences_agree(output, normal(CASES, FEATURES), *weights)


def test_masks_are_drawn_with_the_rate_and_kept():
    layer = nn.DropConnectDense(200, 0.3, seed=1)
    x = np.ones((2, 100), np.float32)
    layer.build((None, 100))
    layer.kernels[0].assign(np.ones((100, 200)))
    layer.bias.assign(np.ones(200))
    drawn = []
    for _ in range(2):
        y = layer(x, training=True)
        mask, bias_mask = layer.kernel_mask.numpy(), layer.bias_mask.numpy()
        np.testing.assert_allclose(y, (mask.sum(0) + bias_mask) * np.ones((2, 1)))
        assert set(np.unique(mask)) == {0.0, 1.0}
        assert abs(mask.mean() - 0.7) < 0.02
        assert abs(bias_mask.mean() - 0.7) < 0.1
        drawn.append(mask)
    assert (drawn[0] != drawn[1]).any()
    layer(x)
    np.testing.assert_array_equal(layer.kernel_mask, drawn[1])
    assert [v.name for v in layer.trainable_variables] == ["kernel", "bias"]
    assert {"kernel_mask", "bias_mask"} <= {v.name for v in layer.non_trainable_variables}


def test_each_case_draws_its_own_masks():
    layer = nn.DropConnectDense(200, 0.3, per_case=True, seed=1)
    layer.build((None, 100))
    first, second = layer.draw_kernel_masks(4).numpy(), layer.draw_kernel_masks(4).numpy()
    assert first.dtype == bool
    assert first.shape == (4, 100, 200)
    assert abs(first.mean() - 0.7) < 0.01
    assert (first != second).any()
    for one in range(4):
        for other in range(one):
            assert abs((first[one] == first[other]).mean() - 0.58) < 0.02
    assert not hasattr(layer, "kernel_mask")


@pytest.mark.parametrize("per_case", [False, True])
def test_draws_anew_inside_a_compiled_loop_with_minibatches_of_any_size(per_case):
    layer = nn.DropConnectDense(8, 0.5, per_case=per_case, seed=3)
    layer.build((None, 64))
    layer.kernels[0].assign(np.ones((64, 8)))

    @tf.function(input_signature=[tf.TensorSpec((None, 64))])
    def outputs(x):
        results = tf.TensorArray(tf.float32, 2)
        for index in tf.range(2):
            with tf.GradientTape() as tape:
                y = layer(x, training=True)
            kernel = tf.reduce_sum(tape.gradient(y, layer.kernels[0].value))
            results = results.write(index, tf.concat([tf.reshape(y, (-1,)), [kernel]], 0))
        return results.stack()

    for cases in (1, 3):
        first, second = outputs(tf.ones((cases, 64))).numpy()
        assert first[-1] == first[:-1].sum()
        assert (first != second).any()


def test_rates_of_nothing_and_everything():
    x = np.ones((2, FEATURES), np.float32)
    for per_case in (False, True):
        for rate, wanted in ((0.0, FEATURES + 1), (1.0, 0)):
            layer = nn.DropConnectDense(3, rate, per_case)
            layer.build((None, FEATURES))
            layer.kernels[0].assign(np.ones((FEATURES, 3)))
            layer.bias.assign(np.ones(3))
            np.testing.assert_array_equal(layer(x, training=True), np.full((2, 3), wanted))


@pytest.mark.parametrize(
    "layer",
    [
        nn.DropoutDense(3, 0.3, gradient_scales=(0.5,), seed=2),
        nn.DropConnectDense(3, 0.3, seed=2),
        nn.DropConnectDense(3, 0.3, True, gradient_scales=(0.5,), seed=2),
    ],
)
def test_survives_saving(layer, tmp_path):
    inputs = keras.Input((5,))
    model = keras.Model(inputs, layer(inputs))
    set_weights(layer)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    x = normal(4, 5).astype(np.float32)
    np.testing.assert_array_equal(again(x), model(x))
    np.testing.assert_array_equal(again(x, training=True), model(x, training=True))
    assert again.layers[-1].get_config() == layer.get_config()
    assert model.output_shape == (None, 3)


@pytest.mark.slow
def test_sampling_converges_to_the_rectified_normal_mean():
    """E max(0, z) = mean * Phi(mean / s) + s * phi(mean / s) for a normal z of deviation s."""
    x, rate = normal(3, 5), 0.3
    layer = nn.DropConnectDense(4, rate, per_case=True, dtype="float64")
    layer.build((None, 5))
    kernel, bias = randomize(layer)[:2]
    layer.samples = 20_000
    mean = (1 - rate) * (x @ kernel + bias)
    deviation = np.sqrt(rate * (1 - rate) * (x**2 @ kernel**2))
    ratio = mean / deviation
    below = 0.5 * (1 + tf.math.erf(ratio / np.sqrt(2)).numpy())
    expected = mean * below + deviation * np.exp(-(ratio**2) / 2) / np.sqrt(2 * np.pi)
    found = layer(tf.constant(x), training=False).numpy()
    assert np.abs(found - expected).max() < 5 * deviation.max() / np.sqrt(layer.samples)
    np.testing.assert_array_equal(found, layer(tf.constant(x), training=False))
