import keras
import numpy as np
import pytest
import tensorflow as tf

from convnet_cfg import nn
from convnet_cfg.language.neurons import SPIKING_NEURONS
from convnet_cfg.nn.random_activations import APART

from .gradients import normal, value_and_gradient

# amplitude, refractory time, membrane, gain, smoothing
LIF = (0.063, 0.001, 0.05, 0.825, 0.02)
SYNAPSE = 0.005
X = np.array([-50.0, -0.3, -0.02, 0.0, 0.01, 0.02, 0.09, 0.0969, 0.097, 0.5, 3.0, 50.0])


def period(x):
    """Return the time between spikes of softlif neurons."""
    _, refractory, membrane, gain, smoothing = LIF
    z = gain / smoothing * x
    current = smoothing * np.where(z > 4, z, np.log1p(np.exp(np.minimum(z, 4))))
    with np.errstate(divide="ignore"):
        return z, current, refractory + membrane * np.log1p(1 / current)


def slope(x):
    """Return the gradient of all three kinds."""
    amplitude, _, membrane, gain, _ = LIF
    z, current, p = period(x)
    with np.errstate(over="ignore", invalid="ignore"):
        denominator = p**2 * current * (current + 1) * (1 + np.exp(-z))
        return np.where(denominator > 0, amplitude * gain * membrane / denominator, 0)


def evaluate(name, x, parameters, noise, dtype="float64"):
    layer = nn.RandomActivation(name, parameters, dtype=dtype)
    layer.draw_noise = lambda shape: tf.constant(noise, dtype)
    return value_and_gradient(layer, tf.constant(x, dtype))


def test_noisy_relu():
    x, noise = np.array([-2.0, 0.0, 2.0, 3.0, 4.0]), np.array([1.0, 1.0, 0.5, -1.0, -2.0])
    y, gradient = evaluate("nrelu", x, (), noise)
    np.testing.assert_array_equal(y, [0, 0, 3, 0, 0])
    np.testing.assert_array_equal(gradient, [0, 0, 1, 0, 0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_firing_rate(dtype):
    noise = normal(len(X))
    z, _, p = period(X)
    wanted = np.maximum(LIF[0] / p + np.where(z > 0, LIF[0] * 3.0 * noise, 0), 0)
    y, gradient = evaluate("softlif", X, (*LIF, 3.0), noise, dtype)
    tolerance = 2e-6 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(y, wanted, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(gradient, slope(X), rtol=10 * tolerance, atol=tolerance)


def test_firing_rate_worked_by_hand():
    y, gradient = evaluate("softlif", [0.02], (*LIF, 0.0), [1.0])
    np.testing.assert_allclose([y, gradient], [[0.3330786], [2.0756135]], rtol=2e-7)


def test_no_current_is_no_rate_and_no_gradient():
    for name, last in (("softlif", 0.5), ("softlifalpha", SYNAPSE), ("softlifalpharc", SYNAPSE)):
        y, gradient = evaluate(name, [-1e3], (*LIF, last), [0.5])
        assert (y, gradient) == (0.0, 0.0)


def filtered(name, time, p):
    """Return the values of spikes p apart, `time` after the last one, written out spike by spike."""
    membrane, synapse = LIF[2], SYNAPSE
    total = 0.0
    for number in range(4000):
        t = time + number * p
        if name == "softlifalpha":
            total += t / synapse**2 * np.exp(-t / synapse)
        else:
            d = membrane - synapse
            total += membrane / d**2 * (np.exp(-t / membrane) - np.exp(-t / synapse))
            total -= t / (synapse * d) * np.exp(-t / synapse)
    return LIF[0] * total


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["softlifalpha", "softlifalpharc"])
def test_filtered_spikes(name, dtype):
    noise = np.random.default_rng(3).uniform(0.01, 1.0, len(X))
    _, _, p = period(X)
    wanted = [
        filtered(name, u * p, p) if u * p < 100 * SYNAPSE else 0.0 for u, p in zip(noise, p, strict=True)
    ]
    y, gradient = evaluate(name, X, (*LIF, SYNAPSE), noise, dtype)
    tolerance = 2e-5 if dtype == "float32" else 1e-9
    np.testing.assert_allclose(y, wanted, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(gradient, slope(X), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ["softlifalpha", "softlifalpharc"])
def test_the_mean_over_time_is_the_rate(name):
    times = (np.arange(20000) + 0.5) / 20000
    for x in (0.02, 0.5, 3.0):
        y, _ = evaluate(name, np.full(20000, x), (*LIF, SYNAPSE), times)
        np.testing.assert_allclose(y.mean(), LIF[0] / period(np.array(x))[2], rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "parameters"), [("nrelu", ()), ("softlif", (*LIF, 0.5)), ("softlifalpha", (*LIF, SYNAPSE))]
)
def test_draws_in_training_and_in_tests_and_repeats_from_its_state(name, parameters):
    layer = nn.RandomActivation(name, parameters, seed=4)
    x = np.full((3, 50), 0.5, np.float32)
    state = layer.seed_generator.state.numpy()
    first, second = layer(x).numpy(), layer(x).numpy()
    assert len(np.unique(first)) > 70
    assert (first != second).any()
    layer.seed_generator.state.assign(state)
    np.testing.assert_array_equal(layer(x), first)


def test_noise_is_of_the_right_kind():
    noise = nn.RandomActivation("nrelu", seed=1).draw_noise((200, 200)).numpy()
    assert abs(noise.mean()) < 0.02
    assert abs(noise.std() - 1) < 0.02
    noise = nn.RandomActivation("softlifalpha", (*LIF, SYNAPSE), seed=1).draw_noise((200, 200)).numpy()
    assert noise.min() > 0
    assert noise.max() <= 1
    assert abs(noise.mean() - 0.5) < 0.01


def test_files_are_held_to_the_same_distance():
    apart = {name: neuron.apart.least for name, neuron in SPIKING_NEURONS.items() if neuron.apart}
    assert apart == APART


def test_mistakes_are_explained():
    with pytest.raises(ValueError, match="unknown activation 'relu', expected one of nrelu, softlif"):
        nn.RandomActivation("relu")
    with pytest.raises(ValueError, match="softlif takes 6 parameters, got 1"):
        nn.RandomActivation("softlif", (1.0,))
    with pytest.raises(ValueError, match="different time constants, got 0.05 and 0.0501"):
        nn.RandomActivation("softlifalpha", (*LIF, 0.0501))
    with pytest.raises(ValueError, match="different time constants, got 0.05 and 0.05"):
        nn.RandomActivation("softlifalpharc", (*LIF, 0.05))


def test_survives_saving(tmp_path):
    inputs = keras.Input((20,))
    model = keras.Model(inputs, nn.RandomActivation("softlif", (*LIF, 0.5), seed=1)(inputs))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    x = normal(2, 20).astype(np.float32)
    np.testing.assert_array_equal(again(x), model(x))
    assert again.layers[-1].parameters == (*LIF, 0.5)
