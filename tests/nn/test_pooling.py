import keras
import numpy as np
import pytest
import references
import tensorflow as tf

from convnet_cfg import nn

from .gradients import normal, run, value_and_gradient

# side, size, strides, start, output_side (None: as many as needed)
SPANS = [
    (32, 3, 2, 0, None),
    (8, 2, 2, 0, None),
    (7, 2, 2, 0, None),
    (9, 3, 2, 0, None),
    (8, 3, 3, 0, None),
    (6, 3, 1, 0, None),
    (6, 2, 1, 0, None),
    (6, 5, 1, -2, 6),
    (8, 3, 2, -1, None),
    (7, 5, 3, -2, None),
    (7, 5, 2, -4, None),
    (8, 3, 2, 1, None),
    (8, 3, 2, 3, 2),
    (10, 3, 3, -2, 4),
    (8, 3, 2, 0, 2),
    (8, 3, 2, -1, 3),
    (8, 2, 3, 0, None),
    (9, 4, 2, -1, None),
    (7, 4, 1, -3, 8),
    (5, 5, 5, 0, None),
    (3, 3, 1, -2, 5),
]
IDS = ["-".join(map(str, span)) for span in SPANS]


def span_of(side, size, strides, start, outputs):
    count = outputs or int(np.ceil((side - start - size) / strides)) + 1
    return size, strides, start, count


def image_with_ties(side):
    return np.round(normal(3, side, side, 2))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("span", SPANS, ids=IDS)
def test_max_pool(span, dtype):
    size, strides, start, count = span_of(*span)
    layer = nn.MaxPool2D(size, strides, start, span[4], dtype=dtype)
    image = image_with_ties(span[0]).astype(dtype)
    output, g, (gradient,) = run(layer, image)
    np.testing.assert_array_equal(
        output, references.pool(image, size, strides, start, count, np.max).astype(dtype)
    )
    wanted = references.max_pool_gradient(image, g, size, strides, start)
    np.testing.assert_allclose(gradient, wanted, atol=1e-5 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("span", SPANS, ids=IDS)
def test_max_abs_pool(span, dtype):
    size, strides, start, count = span_of(*span)
    layer = nn.MaxAbsPool2D(size, strides, start, span[4], dtype=dtype)
    image = image_with_ties(span[0]).astype(dtype)
    output, g, (gradient,) = run(layer, image)
    best = references.largest_magnitude
    np.testing.assert_array_equal(output, references.pool(image, size, strides, start, count, best))
    wanted = references.max_pool_gradient(image, g, size, strides, start, best)
    np.testing.assert_allclose(gradient, wanted, atol=1e-5 if dtype == "float32" else 1e-12)


def test_of_equal_magnitudes_the_last_wins():
    x = tf.constant([[[3.0, -1.0], [-3.0, 2.0]], [[-3.0, 2.0], [3.0, 0.0]]])[..., None]
    y, gradient = value_and_gradient(nn.MaxAbsPool2D(2, 2), x)
    np.testing.assert_array_equal(y[:, 0, 0, 0], [-3.0, 3.0])
    np.testing.assert_array_equal(gradient[..., 0], [[[0, 0], [1, 0]], [[0, 0], [1, 0]]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("divisor", ["existing", "nominal", "none"])
@pytest.mark.parametrize("span", SPANS, ids=IDS)
def test_average_pool(span, divisor, dtype):
    size, strides, start, count = span_of(*span)
    layer = nn.AveragePool2D(size, strides, start, span[4], divisor, dtype=dtype)
    image = normal(3, span[0], span[0], 2).astype(dtype)
    output, g, (gradient,) = run(layer, image)
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    wanted = references.average_pool(image, size, strides, start, count, divisor)
    np.testing.assert_allclose(output, wanted, atol=tolerance)
    wanted = references.average_pool_gradient(image, g, size, strides, start, divisor)
    np.testing.assert_allclose(gradient, wanted, atol=tolerance)


# channels, size, strides, start, outputs: with gaps, overlaps, borders, and channels not covered
CHANNEL_SPANS = [
    (16, 2, 2, 0, 8),
    (16, 3, 2, -1, 8),
    (7, 3, 1, 0, 5),
    (7, 3, 1, -2, 9),
    (6, 4, 4, 0, 2),
    (5, 5, 5, 0, 1),
    (9, 5, 2, -3, 6),
    (8, 3, 2, 0, 3),
    (9, 2, 3, 0, 3),
]


@pytest.mark.parametrize("span", CHANNEL_SPANS, ids=lambda span: "-".join(map(str, span)))
@pytest.mark.parametrize("shape", [(3, 2, 2), (4,)])
def test_cross_map_max_pool(span, shape):
    channels, *arguments = span
    layer = nn.CrossMapMaxPool(*arguments, dtype="float64")
    x = np.round(normal(*shape, channels))
    output, g, (gradient,) = run(layer, x)
    np.testing.assert_array_equal(output, references.channel_max_pool(x, *arguments))
    wanted = references.channel_max_pool_gradient(x, g, *arguments[:-1])
    np.testing.assert_allclose(gradient, wanted, atol=1e-12)


@pytest.mark.parametrize("arguments", [(2, 2, -2, 3), (2, 2, 0, 4), (2, 2, 0, 0)])
def test_empty_windows_of_channels_are_refused(arguments):
    with pytest.raises(ValueError, match="a window lies outside the channels"):
        nn.CrossMapMaxPool(*arguments)(np.zeros((1, 6), np.float32))


def test_unknown_divisors_are_refused():
    with pytest.raises(ValueError, match="divisor must be one of existing, nominal, none, got 'all'"):
        nn.AveragePool2D(3, 2, divisor="all")
    with pytest.raises(ValueError, match="divisor must be one of existing, nominal, got 'none'"):
        nn.ContrastNorm2D(3, 0.1, 0.75, divisor="none")


def test_all_pixels_of_a_flat_image_get_the_gradient():
    _, gradient = value_and_gradient(nn.MaxPool2D(2, 2), np.zeros((1, 4, 4, 1), np.float32))
    np.testing.assert_array_equal(gradient, np.ones((1, 4, 4, 1)))


def test_last_window_reaches_beyond_the_border():
    x = tf.reshape(tf.range(16.0), (1, 4, 4, 1))
    np.testing.assert_array_equal(nn.MaxPool2D(3, 2)(x)[0, ..., 0], [[10, 11], [14, 15]])
    np.testing.assert_array_equal(nn.AveragePool2D(3, 2)(x)[0, ..., 0], [[5, 6.5], [11, 12.5]])


@pytest.mark.parametrize("cls", [nn.MaxPool2D, nn.MaxAbsPool2D, nn.AveragePool2D])
@pytest.mark.parametrize(("start", "outputs"), [(-3, None), (0, 5), (8, None)])
def test_empty_windows_are_refused(cls, start, outputs):
    with pytest.raises(ValueError, match="a window lies outside the image"):
        cls(3, 2, start, outputs)(np.zeros((1, 8, 8, 1), np.float32))


@pytest.mark.parametrize("cls", [nn.MaxPool2D, nn.MaxAbsPool2D, nn.AveragePool2D])
def test_inside_a_compiled_loop_with_minibatches_of_any_size(cls):
    layer = cls(3, 2)
    image = image_with_ties(8).astype(np.float32)

    @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 2)), tf.TensorSpec((), tf.int32)])
    def gradients(images, size):
        def step(first, total):
            x = images[first : first + size]
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = tf.reduce_sum(layer(x) ** 2)
            return first + size, tf.concat([total, tape.gradient(y, x)], 0)

        shapes = (tf.TensorShape(()), tf.TensorShape((None, 8, 8, 2)))
        start = (tf.constant(0), tf.zeros((0, 8, 8, 2)))
        return tf.while_loop(lambda first, _: first < tf.shape(images)[0], step, start, shapes)[1]

    _, wanted = value_and_gradient(lambda x: layer(x) ** 2, image)
    for size in (1, 2, 3):
        np.testing.assert_allclose(gradients(image, size), wanted, atol=1e-5)


@pytest.mark.parametrize("cls", [nn.MaxPool2D, nn.MaxAbsPool2D, nn.AveragePool2D])
def test_survives_saving(cls, tmp_path):
    inputs = keras.Input((8, 8, 2))
    options = {"divisor": "none"} if cls is nn.AveragePool2D else {}
    model = keras.Model(inputs, cls(3, 2, -1, 4, **options)(inputs))
    model.save(tmp_path / "model.keras")
    image = normal(2, 8, 8, 2).astype(np.float32)
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(image), model(image))
    assert model.output_shape == (None, 4, 4, 2)


def test_cross_map_configuration():
    layer = nn.CrossMapMaxPool(3, 2, -1, 4)
    x = normal(2, 3, 3, 7).astype(np.float32)
    np.testing.assert_array_equal(nn.CrossMapMaxPool.from_config(layer.get_config())(x), layer(x))
    assert layer(keras.Input((3, 3, 7))).shape == (None, 3, 3, 4)
