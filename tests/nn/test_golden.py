"""Every single-layer case of the original program: output, input gradients, weight gradients."""

import configparser

import numpy as np
import pytest
import references
import tensorflow as tf

from convnet_cfg import nn

from . import golden

NAMES = golden.case_names()
COSTS = [name for name in NAMES if name.startswith(("logreg_", "cost_"))]
DROPOUT = [name for name in NAMES if name.startswith("dropout_")]
PLAIN = [name for name in NAMES if name not in COSTS + DROPOUT]
TOLERANCE = 2e-6

pytestmark = pytest.mark.skipif(not NAMES, reason=f"{golden.FOLDER} is not there (set CONVNET_GOLDEN)")


def softrelu_intended(case):
    """The first program takes the derivative at the output instead of the input."""
    return case.activity("dout_L", "L") * references.softrelu_gradient(case.activity("in_data", "data"))


def two_neurons_intended(case):
    """LA is softrelu (as above), LB tanh."""
    x = case.activity("in_data", "data").astype(np.float64)
    first = case.activity("dout_LA", "LA") * references.softrelu_gradient(x)
    return first + neuron_gradient(case, "LB", x)


def neuron_gradient(case, name, x):
    layer = case.build(name, dtype="float64")
    with tf.GradientTape() as tape:
        x = tf.constant(x)
        tape.watch(x)
        y = layer(x)
    return tape.gradient(y, x, tf.constant(case.activity(f"dout_{name}", name), tf.float64)).numpy()


def both_norms_intended(case):
    """The backward kernel for sizes from 6 on overwrites what the other layer has sent."""
    x = case.activity("in_data", "data").astype(np.float64)
    total = 0.0
    for name in ("LA", "LB"):
        layer = case.parsed(name)
        near = references.over_pixels(references.spatial_neighbours(x.shape[1], layer["size"]))
        g = case.activity(f"dout_{name}", name)
        total = total + references.normalize_gradient(x, x, g, near, layer["scale"], layer["pow"])
    return total


def sum_intended(case):
    """Working in place, the original gives (c0 * c1 + c1) * x instead of (c0 + c1) * x."""
    return sum(case.parsed("L")["coeffs"]) * case.activity("in_data", "data")


# What the original got wrong: (case, array) -> the value that was intended.
INTENDED = {
    ("neuron_softrelu", "din_L_0"): softrelu_intended,
    ("accum_neuron_4", "dout_data"): two_neurons_intended,
    ("accum_rnorm_7_7", "dout_data"): both_norms_intended,
    ("twice_eltsum_over_ident_test", "out_L"): sum_intended,
}


class Results(dict):
    """What our layers compute for a case, under the names of the original's arrays."""

    def __init__(self, case, dtype="float32"):
        super().__init__()
        data = {n[3:]: case.activity(n, n[3:]) for n in case.arrays if n.startswith("in_")}
        self.data = {name: tf.constant(value, dtype) for name, value in data.items()}
        self.layers = {name: case.build(name, dtype=dtype) for name in case.layers}
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(list(self.data.values()))
            outputs = self.forward(case, dict(self.data))
        self.update({f"out_{name}": outputs[name] for name in self.layers})
        targets = [name for name in self.layers if f"dout_{name}" in case.arrays]
        if targets:
            self.backward(case, tape, outputs, targets, dtype)

    def forward(self, case, values):
        for name, layer in self.layers.items():
            inputs = [values[source] for source in case.inputs(name)]
            inputs = inputs if len(inputs) > 1 else inputs[0]
            if f"B_{name}" in case.arrays:
                set_weights(case, name, layer, inputs)
            values[name] = layer(inputs)
        return values

    def backward(self, case, tape, outputs, targets, dtype):
        gradients = [tf.constant(case.activity(f"dout_{name}", name), dtype) for name in targets]
        ends = [outputs[name] for name in targets]
        for name in targets:
            for position, source in enumerate(case.inputs(name)):
                self[f"din_{name}_{position}"] = tape.gradient(ends, outputs[source], gradients)
            if f"B_{name}" in case.arrays:
                layer = self.layers[name]
                for position, kernel in enumerate(layer.kernels):
                    self[f"dW_{name}_{position}"] = tape.gradient(ends, kernel.value, gradients)
                self[f"dB_{name}"] = tape.gradient(ends, layer.bias.value, gradients)
        if "data" in self.data:
            self["dout_data"] = tape.gradient(ends, self.data["data"], gradients)


def set_weights(case, name, layer, inputs):
    shapes = [tuple(x.shape) for x in inputs] if isinstance(inputs, list) else tuple(inputs.shape)
    layer.build(shapes)
    for position, kernel in enumerate(layer.kernels):
        kernel.assign(case.kernel(f"W_{name}_{position}", name, position))
    layer.bias.assign(case.bias(f"B_{name}", name))


def expected(case, array):
    """Return the original's array in our layout."""
    if (case.name, array) in INTENDED:
        return INTENDED[case.name, array](case)
    kind, _, rest = array.partition("_")
    if kind == "dW":
        name, _, position = rest.rpartition("_")
        return case.kernel(array, name, int(position))
    if kind == "dB":
        return case.bias(array, rest)
    if kind == "din":
        name, _, position = rest.rpartition("_")
        return case.activity(array, case.inputs(name)[int(position)])
    return case.activity(array, rest)


def assert_close(actual, wanted, tolerance=TOLERANCE):
    actual, wanted = np.asarray(actual), np.asarray(wanted)
    assert actual.shape == wanted.shape
    largest = max(np.abs(wanted).max(), 1e-30)
    assert np.abs(actual - wanted).max() / largest <= tolerance


def test_all_cases_are_found():
    assert len(PLAIN) == 86
    assert len(COSTS) == 4
    assert len(DROPOUT) == 2


@pytest.mark.parametrize("name", PLAIN)
def test_layers_compute_what_the_original_did(name):
    case = golden.Case(name)
    results = Results(case)
    given = ("in_", "W_", "B_", "dout_L")
    compared = [array for array in case.arrays if not array.startswith(given)]
    assert compared
    for array in compared:
        assert_close(results[array], expected(case, array))


@pytest.mark.parametrize("name", DROPOUT)
def test_dropout(name):
    case = golden.Case(name)
    dropout = nn.MaskDropout(case.parsed("L")["dropout"])
    dense = case.build("L")
    x = tf.constant(case.activity("in_data", "data"))
    set_weights(case, "L", dense, x)
    if "mask_L" not in case.arrays:
        assert_close(dropout(dense(x), training=False), case.activity("out_L", "L"))
        return
    dropout.draw_mask = lambda shape: tf.constant(case.activity("mask_L", "L"))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = dropout(dense(x), training=True)
    sources = [x, dense.kernels[0].value, dense.bias.value]
    gradients = tape.gradient(y, sources, tf.constant(case.activity("dout_L", "L")))
    assert_close(y, case.activity("out_L", "L"))
    for gradient, array in zip(gradients, ("din_L_0", "dW_L_0", "dB_L"), strict=True):
        assert_close(gradient, expected(case, array))


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", [name for name in COSTS if name.startswith("logreg_")])
def test_logreg(name, fused):
    case = golden.Case(name)
    costs = [n for n in case.sections.sections() if n.startswith("logprob")]
    logits = tf.constant(case.activity("in_data", "data"))
    labels = tf.constant(case.arrays["in_labels"].T)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        values = nn.softmax_logreg(labels, logits) if fused else nn.logreg(labels, nn.Softmax()(logits))
        total = sum(case.parsed(cost)["coeff"] for cost in costs) * tf.reduce_sum(values[:, 0])
    for cost in costs:
        assert_close(tf.reduce_sum(values, 0), case.arrays[f"cost_{cost}"])
    assert_close(-tape.gradient(total, logits), case.activity("dout_data", "data"))


def test_sum_of_squares():
    case = golden.Case("cost_sum2")
    x = tf.constant(case.arrays["in_data"].T)
    with tf.GradientTape() as tape:
        tape.watch(x)
        cost = nn.sum_of_squares(x)
    assert_close(tf.reduce_sum(cost, 0), case.arrays["cost_top"], 1e-5)
    gradient = tape.gradient(cost, x)
    scale = configured_coefficient(case)
    assert_close(-scale * gradient, case.arrays["din_top_0"].T)


def configured_coefficient(case):
    params = configparser.ConfigParser()
    params.read(golden.FOLDER / f"{case.name}.params.cfg")
    return params.getfloat("top", "coeff")
