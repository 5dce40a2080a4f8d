"""Every case of the original program, from its cfg files through the whole network that we build of them."""

import numpy as np
import pytest
import tensorflow as tf
from golden_cases import MISSING, as_image, as_original, close
from golden_intended import COSTS, LAYERS, NAMES, sees_images, wanted
from golden_networks import GoldenNetwork, Run, array_name, layout_of

TOLERANCE = 2e-6  # of the largest value; float32 has 1.2e-7, and sums of some hundred terms are in it
COST_TOLERANCE = 1e-5  # sums of the costs in float32, as in the original

pytestmark = pytest.mark.skipif(not NAMES, reason=MISSING)


def test_all_cases_are_found():
    assert len(LAYERS) >= 88
    assert len(COSTS) >= 4


def masked(case):
    """Make the layers that drop something use the stored masks."""
    for name, layer in case.built.layers.items():
        owner = name.removesuffix("/dropout")
        if f"mask_{owner}" in case.arrays and hasattr(layer, "draw_mask"):
            mask = tf.constant((case.arrays[f"mask_{owner}"] > 0).astype(np.float32).T)
            layer.draw_mask = lambda shape, mask=mask: tf.reshape(mask, shape)
        if f"maskW_{owner}" in case.arrays:
            drop_connections(layer, case.arrays[f"maskW_{owner}"], case.arrays[f"maskB_{owner}"])


def drop_connections(layer, weights, biases):
    """Make a layer that drops weights use these masks."""
    if layer.per_case:
        layer.draw_kernel_masks = lambda cases: tf.constant(weights > 0)
        layer.draw_mask = lambda shape: tf.constant(biases)
    else:
        masks = {weights.shape: weights, (weights.shape[1],): biases[0]}
        layer.draw_mask = lambda shape: tf.constant(masks[tuple(shape)])


def gradients(case, run):
    """Yield name and value of each gradient that the case has, in the original's layout."""
    targets = [name.removeprefix("dout_") for name in case.arrays if name.startswith("dout_L")]
    if not targets:
        return
    ends = []
    for name in targets:
        given = tf.constant(case.arrays[f"dout_{name}"].T)
        image = case.built.values[name].image
        shaped = as_image(case.arrays[f"dout_{name}"], image.channels) if image else given
        ends.append((run.values[name], tf.constant(shaped)))
    for name in targets:
        for index, source in enumerate(case.network[name].inputs):
            if f"din_{name}_{index}" in case.arrays:
                yield f"din_{name}_{index}", as_original(run.gradient(ends, run.values[source.name]))
    if "dout_data" in case.arrays:
        yield "dout_data", as_original(run.gradient(ends, run.inputs[case.input_number("data")]))
    for owned in case.network.owned():
        gradient = run.gradient(ends, case.built.variables[owned.name].value)
        name = array_name(owned, "dW_{layer}_{index}", "dB_{layer}")
        scale = 1 / case.entry["cases"] if name in case.entry.get("gradient_scale", {}) else 1.0
        yield name, layout_of(case.built, owned).to_matrix(np.asarray(gradient)) * np.float32(scale)


FORMS = [
    (name, form)
    for name in LAYERS
    for form in ("vectors", "images")
    if form == "vectors" or sees_images(name)
]


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_a_network_computes_what_the_original_did(name, form):
    case = GoldenNetwork(name, images=form == "images")
    assert (max(array.ndim for array in case.data) == 4) == (form == "images")
    case.assign(case.arrays)
    masked(case)
    run = Run(case, training="test" not in name)
    found = {f"out_{layer}": as_original(value) for layer, value in run.values.items()}
    found |= dict(gradients(case, run))
    compared = [array for array in case.arrays if not array.startswith(("in_", "W_", "B_", "dout_L", "mask"))]
    assert compared
    worst = {array: close(found[array], wanted(case, array)) for array in compared}
    assert max(worst.values()) <= TOLERANCE, worst


@pytest.mark.parametrize("name", COSTS)
def test_costs_and_the_gradient_they_send_are_the_originals(name):
    case = GoldenNetwork(name)
    run = Run(case, training=True)
    found = {f"out_{layer}": as_original(value) for layer, value in run.values.items()}
    for cost, (rows, test_rows) in run.costs.items():
        found[f"cost_{cost}"] = np.sum(rows, 0)
        assert close(np.sum(test_rows, 0), case.arrays[f"cost_{cost}"]) <= COST_TOLERANCE
    # The original carries the gradient of minus the cost.
    ends = [
        (run.sums[cost.name], tf.constant([-cost.coefficient] + [0.0] * (cost.size - 1)))
        for cost in case.built.costs
    ]
    data = run.inputs[case.input_number("data")]
    for array in ("dout_data", "din_probs_0", "din_top_0", "din_L_0"):
        found[array] = as_original(run.gradient(ends, data))
    for layer in ("probs", "L"):
        if f"dout_{layer}" in case.arrays:  # where two costs share the softmax layer
            found[f"dout_{layer}"] = as_original(run.gradient(ends, run.values[layer]))
    compared = [array for array in case.arrays if not array.startswith(("in_", "out_top", "out_logprob"))]
    worst = {array: close(found[array], wanted(case, array)) for array in compared}
    assert max(worst.values()) <= COST_TOLERANCE, worst
