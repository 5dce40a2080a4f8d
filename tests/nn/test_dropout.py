import keras
import numpy as np
import pytest
import tensorflow as tf

from convnet_cfg import nn

from .gradients import normal, run

ALL = [nn.MaskDropout(0.5, seed=3), nn.InvertedDropout(0.5, seed=3), nn.FixedCountDropout(0.5, seed=3)]
IDS = [type(layer).__name__ for layer in ALL]


def test_dropout_masks_in_training():
    layer = nn.MaskDropout(0.3, seed=1, dtype="float64")
    x = np.ones((100, 100))
    output, g, (gradient,) = run(lambda x: layer(x, training=True), x)
    assert set(np.unique(output)) == {0.0, 1.0}
    assert abs(output.mean() - 0.7) < 0.02
    np.testing.assert_array_equal(gradient, g * output)
    assert (layer(x, training=True).numpy() != output).any()


def test_dropout_scales_in_tests():
    x = normal(4, 3)
    for options in ({"training": False}, {}):
        np.testing.assert_allclose(nn.MaskDropout(0.3, dtype="float64")(x, **options), 0.7 * x)


@pytest.mark.parametrize("layer", ALL, ids=IDS)
def test_dropout_repeats_from_its_state(layer):
    x = np.ones((5, 50), np.float32)
    state = layer.seed_generator.state
    saved = state.numpy()
    first = layer(x, training=True).numpy()
    second = layer(x, training=True).numpy()
    state.assign(saved)
    np.testing.assert_array_equal(layer(x, training=True), first)
    np.testing.assert_array_equal(layer(x, training=True), second)
    assert layer.non_trainable_variables == [state]


@pytest.mark.parametrize(("rate", "wanted"), [(0.0, 1.0), (1.0, 0.0)])
def test_dropout_of_nothing_and_of_everything(rate, wanted):
    output = nn.MaskDropout(rate, seed=1)(np.ones((50, 50), np.float32), training=True)
    np.testing.assert_array_equal(output, np.full((50, 50), wanted))


@pytest.mark.parametrize("layer", ALL, ids=IDS)
def test_dropout_draws_anew_inside_a_compiled_loop(layer):
    layer.build((None, 64))

    @tf.function
    def masks(x):
        results = tf.TensorArray(tf.float32, 2)
        for index in tf.range(2):
            results = results.write(index, layer(x, training=True))
        return results.stack()

    first, second = masks(tf.ones((1, 64))).numpy()
    assert (first != second).any()


def test_dropout_rate_is_checked():
    with pytest.raises(ValueError, match="rate must be between 0 and 1, got 1.5"):
        nn.MaskDropout(1.5)


@pytest.mark.parametrize(("keep", "large"), [(0.25, 4.0), (1.0, 1.0)])
def test_inverted_dropout(keep, large):
    layer = nn.InvertedDropout(keep, seed=1, dtype="float64")
    x = normal(100, 100)
    output, g, (gradient,) = run(lambda x: layer(x, training=True), x)
    mask = output / x
    np.testing.assert_allclose(mask, large * (mask != 0))
    assert abs((mask != 0).mean() - keep) < 0.02
    np.testing.assert_allclose(gradient, g * mask)
    for options in ({"training": False}, {}):
        np.testing.assert_array_equal(layer(x, **options), x)


@pytest.mark.parametrize("keep", [0.0, -0.1, 1.5])
def test_keep_is_checked(keep):
    with pytest.raises(ValueError, match="keep must be above 0 and at most 1"):
        nn.InvertedDropout(keep)


@pytest.mark.parametrize(
    ("units", "rate", "kept"), [(10, 0.5, 5), (7, 0.5, 3), (9, 0.3, 6), (5, 0.0, 5), (5, 1.0, 0)]
)
def test_fixed_count_dropout_keeps_the_same_units_of_all_cases(units, rate, kept):
    layer = nn.FixedCountDropout(rate, seed=1, dtype="float64")
    x = normal(6, units)
    seen = np.zeros(units)
    for _ in range(200):
        output, g, (gradient,) = run(lambda x: layer(x, training=True), x)
        mask = (output[0] != 0) * 1.0
        assert mask.sum() == kept
        np.testing.assert_array_equal(output, x * mask)
        np.testing.assert_array_equal(gradient, g * mask)
        seen += mask
    assert abs(seen / 200 - kept / units).max() < 0.15
    np.testing.assert_allclose(layer(x), (1 - rate) * x)


@pytest.mark.parametrize(("units", "rate", "kept"), [(10, 0.9, 1), (100, 0.9, 10), (1000, 0.9, 100)])
def test_a_fixed_count_is_that_of_the_decimal_number(units, rate, kept):
    """1 - 0.9 in double precision is less than 0.1; single precision gives these numbers too."""
    assert nn.FixedCountDropout(rate).kept(units) == int(np.float32(units) * np.float32(1 - rate)) == kept


@pytest.mark.parametrize("units", [7, 30, 4096])
def test_fixed_counts_of_all_percentages(units):
    counts = [nn.FixedCountDropout(percent / 100).kept(units) for percent in range(101)]
    assert counts == [units * (100 - percent) // 100 for percent in range(101)]


@pytest.mark.parametrize("layer", ALL, ids=IDS)
def test_survives_saving(layer, tmp_path):
    inputs = keras.Input((20,))
    model = keras.Model(inputs, type(layer).from_config(layer.get_config())(inputs))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    x = normal(2, 20).astype(np.float32)
    np.testing.assert_array_equal(again(x), model(x))
    np.testing.assert_array_equal(again(x, training=True), model(x, training=True))


@pytest.mark.parametrize("layer", ALL, ids=IDS)
def test_tests_may_give_the_masks(layer):
    layer = type(layer).from_config(layer.get_config())
    mask = np.float32([1, 0, 0, 1])
    layer.draw_mask = lambda shape: mask
    factor = 2 if isinstance(layer, nn.InvertedDropout) else 1
    np.testing.assert_array_equal(layer(np.ones((3, 4), "float32"), training=True)[0], factor * mask)
