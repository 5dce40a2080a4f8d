import keras
import numpy as np
import pytest
import references
import tensorflow as tf

from convnet_cfg import nn

from .gradients import assert_differences_agree, normal, randomize, run

# (window, side of the image): even and odd sizes, overhang, groups, random connections
WINDOWS = [
    (nn.Window(3, 1, 1, 2), 5),
    (nn.Window(5, 1, 2, 3), 6),
    (nn.Window(2, 1, 0, 2), 5),
    (nn.Window(4, 3, 1, 2), 8),
    (nn.Window(3, 2, 0, 2), 6),
    (nn.Window(3, 2, 3, 2), 4),
    (nn.Window(2, 3, 0, 1), 7),
    (nn.Window(3, 9, 0, 2), 6),  # the second window sees nothing
    (nn.Window(1, 1, 0, 4, 2), 3),
    (nn.Window(3, 1, 1, 4, 2), 4),
    (nn.Window(3, 2, 1, 4, 2, 2, (2, 0, 3, 1)), 5),
    (nn.Window(2, 1, 1, 4, 4, 2, (2, 0, 3, 1, 1, 0, 2, 3)), 4),
    (nn.Window(1, 1, 1, 8, 4), 2),
    (nn.Window(1, 1, 0, 4, 4, 2, (2, 0, 3, 1, 1, 0, 2, 3)), 1),
]
IDS = [f"size{w.size}-strides{w.strides}-padding{w.padding}-groups{w.groups}-side{s}" for w, s in WINDOWS]


def output_side(window, side):
    return 1 + -(-(2 * window.padding + side - window.size) // window.strides)


def reference(image, kernel_at, window, count, filters):
    return references.filter_image(
        image,
        kernel_at,
        filters,
        count,
        size=window.size,
        strides=window.strides,
        padding=window.padding,
        groups=window.groups,
        connections=window.connections,
    )


def build(cls, window, side, **options):
    layer = cls(4, [window], output_side(window, side), dtype="float64", **options)
    layer.build((None, side, side, window.channels))
    return layer


@pytest.mark.parametrize(("window", "side"), WINDOWS, ids=IDS)
@pytest.mark.parametrize("shared_bias", [True, False])
def test_conv_is_the_sum_over_the_window(window, side, shared_bias):
    layer = build(nn.Conv2D, window, side, shared_bias=shared_bias)
    kernel, bias = randomize(layer)
    image = normal(2, side, side, window.channels)
    wanted = reference(image, lambda row, column: kernel, window, layer.output_side, 4) + bias
    assert bias.ndim == (1 if shared_bias else 3)
    np.testing.assert_allclose(layer(tf.constant(image)), wanted, atol=1e-12)


@pytest.mark.parametrize(("window", "side"), WINDOWS, ids=IDS)
def test_local_has_other_filters_at_each_position(window, side):
    layer = build(nn.Local2D, window, side)
    kernel, bias = randomize(layer)
    image = normal(2, side, side, window.channels)
    wanted = reference(image, lambda row, column: kernel[row, column], window, layer.output_side, 4) + bias
    np.testing.assert_allclose(layer(tf.constant(image)), wanted, atol=1e-12)


@pytest.mark.parametrize("cls", [nn.Conv2D, nn.Local2D])
@pytest.mark.parametrize(("window", "side"), WINDOWS, ids=IDS)
def test_gradients_are_exact(cls, window, side):
    layer = build(cls, window, side)
    values = randomize(layer)
    layer(tf.zeros((1, side, side, window.channels), tf.float64))

    def output(image, kernel, bias):
        return layer.stateless_call([kernel, bias], [], image)[0]

    assert_differences_agree(output, normal(2, side, side, window.channels), *values)


@pytest.mark.parametrize("cls", [nn.Conv2D, nn.Local2D])
def test_inputs_are_added(cls):
    windows = [nn.Window(3, 1, 1, 2), nn.Window(2, 2, 0, 3)]
    images = [tf.constant(normal(2, 4, 4, 2)), tf.constant(normal(2, 8, 8, 3))]
    both = cls(4, windows, 4, dtype="float64")
    both(images)
    first, second, bias = randomize(both)
    assert [v.name for v in both.variables] == ["kernel_0", "kernel_1", "bias"]
    parts = [cls(4, [window], 4, dtype="float64") for window in windows]
    total = 0
    for part, image, kernel in zip(parts, images, (first, second), strict=True):
        part(image)
        part.kernels[0].assign(kernel)
        total = total + part(image)
    np.testing.assert_allclose(both(images), total + bias, atol=1e-12)


@pytest.mark.parametrize("cls", [nn.Conv2D, nn.Local2D])
def test_one_image_may_be_given_twice(cls):
    layer = cls(4, [nn.Window(3, 1, 1, 2)] * 2, 4, dtype="float64")
    image = normal(2, 4, 4, 2)
    layer([tf.constant(image)] * 2)
    randomize(layer)
    _, _, (gradient,) = run(lambda x: layer([x, x]), image)
    _, _, single = run(lambda x, y: layer([x, y]), image, image)
    np.testing.assert_allclose(gradient, single[0] + single[1], atol=1e-12)


@pytest.mark.parametrize("cls", [nn.Conv2D, nn.Local2D])
def test_survives_saving(cls, tmp_path):
    inputs = keras.Input((5, 5, 4))
    model = keras.Model(inputs, cls(4, [WINDOWS[9][0]], 3)(inputs))
    randomize(model)
    model.save(tmp_path / "model.keras")
    image = normal(2, 5, 5, 4).astype(np.float32)
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(image), model(image))


def test_symbolic_shape_and_actual_shape_agree():
    for cls in (nn.Conv2D, nn.Local2D):
        layer = cls(4, [nn.Window(4, 3, 1, 2)], 3)
        assert layer(keras.Input((8, 8, 2))).shape == (None, 3, 3, 4)
        assert layer(np.zeros((2, 8, 8, 2), np.float32)).shape == (2, 3, 3, 4)
