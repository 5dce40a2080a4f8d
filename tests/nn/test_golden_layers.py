"""Layers of cuda-convnet2 and of the forks, one by one, against what the original programs computed.

Those of the first program are compared in whole networks: tests/model/test_golden_networks.py.
"""

import json

import numpy as np
import pytest
import tensorflow as tf
from golden_cases import FOLDER, MISSING, as_image, as_original, close, read_arrays

from convnet_cfg import nn

INDEX = FOLDER / "index.json"
ENTRIES = (
    {entry["name"]: entry for entry in json.loads(INDEX.read_text())["cases"]} if INDEX.is_file() else {}
)
TOLERANCE = 2e-6

pytestmark = pytest.mark.skipif(not ENTRIES, reason=MISSING)


def pool(cls, **options):
    return lambda p: cls(p["sizeX"], p["stride"], p["start"], p["outputsX"], **options)


def norm(cls):
    return lambda p: cls(p["size"], p["scale"], p["pow"], p.get("minDiv", 1.0))


def cross_map_norm(key):
    return lambda p: nn.CrossMapNorm(p["size"], p["scale"], p["pow"], p[key], p["blocked"])


def neuron(name, *parameters):
    return lambda p: nn.Activation(name, parameters)


def connections(per_case):
    return lambda p: nn.DropConnectDense(p["outputs"], p["rate"], per_case)


def blocks(p):
    return nn.BlockDense(p["outputs"] // p["parts"], p["parts"], len(p["numInputs"]))


# name of a case -> function from the layer's parameters to ours
LAYERS = {
    "v2_pool_maxabs_3_2": pool(nn.MaxAbsPool2D),
    "v2_pool_maxabs_ties": pool(nn.MaxAbsPool2D),
    "v2_pool_avg_sum_3_2": pool(nn.AveragePool2D, divisor="none"),
    "v2_pool_avg_3_2": pool(nn.AveragePool2D),
    "v2_pool_max_3_2": pool(nn.MaxPool2D),
    "v2_cmrnorm_5_minDiv2": cross_map_norm("minDiv"),
    "v2_cmrnorm_5_default": cross_map_norm("minDiv"),
    "v2_cmrnorm_4_minDiv0.5": cross_map_norm("minDiv"),
    "v2_rnorm_3_minDiv2": norm(nn.ResponseNorm2D),
    "v2_cnorm_3_minDiv2": norm(nn.ContrastNorm2D),
    "v2_neuron_log_1": neuron("log", 1.0),
    "v2_neuron_drelu_1": neuron("drelu", 1.0),
    "v2_neuron_softrelu": neuron("softrelu"),
    "v2_neuron_abs": neuron("abs"),
    "v2_neuron_relu": neuron("relu"),
    "v2_neuron_logistic": neuron("logistic"),
    "v2_crop": lambda p: nn.Crop2D(p["startY"], p["startX"], p["sizeX"]),
    "v2_href": lambda p: nn.HorizontalFlip(),
    "v2_rscale_test": lambda p: nn.RandomScale(p["maxScale"], p["tgtSize"]),
    "v2_dropout_train": lambda p: nn.InvertedDropout(p["keep"]),
    "v2_dropout_test": lambda p: nn.InvertedDropout(p["keep"]),
    "v2_dropout2_train": lambda p: nn.MaskDropout(1 - p["keep"]),
    "v2_dropout2_test": lambda p: nn.MaskDropout(1 - p["keep"]),
    "v2_dropout2_disabled": lambda p: nn.WeightedSum([p["keep"]]),
    "v2_sfc": blocks,
    "v2_sfc_two_inputs": blocks,
    "dc_fcdropo_train": lambda p: nn.DropoutDense(p["outputs"], p["rate"]),
    "dc_fcdropo_test": lambda p: nn.DropoutDense(p["outputs"], p["rate"]),
    "dc_fcdropc_train": connections(False),
    "dc_fcdropc_test": connections(False),
    "dc_fcdropcf_train": connections(True),
    "dc_fcdropcf_test": connections(True),
    "nin_cccp": lambda p: nn.PixelDense(p["out_nodes"], p["channels"]),
    "nin_cccp_groups3": lambda p: nn.PixelDense(p["out_nodes"], p["channels"]),
    "nin_dropout_train": lambda p: nn.MaskDropout(0.5),
    "nin_dropout_test": lambda p: nn.MaskDropout(0.5),
    "nin_rnorm_k2": norm(nn.ResponseNorm2D),  # which reads k and does not use it
    "nin_cmrnorm_k2": cross_map_norm("k"),
    "nin_cmrnorm_k0.5_blocked": cross_map_norm("k"),
}


def channels_of(parameters):
    """Return the channels of the image that a layer reads, None for a vector."""
    return parameters.get("in_nodes", 1) * parameters["channels"] if "channels" in parameters else None


def as_ours(matrix, channels):
    return matrix.T.copy() if channels is None else as_image(matrix, channels)


def prepare(layer, inputs, arrays):
    """Give a layer the weights and masks of the original."""
    layer(inputs[0] if len(inputs) == 1 else inputs)
    for index, kernel in enumerate(getattr(layer, "kernels", ())):
        kernel.assign(arrays[f"W_L_{index}"])
    if "B_L" in arrays:
        layer.bias.assign(arrays["B_L"].ravel())
    if "mask_L" in arrays:
        layer.draw_mask = lambda shape: tf.constant(np.float32(arrays["mask_L"].T != 0))
    if "maskW_L" in arrays:
        masks = [arrays["maskW_L"], np.squeeze(arrays["maskB_L"])]
        by_shape = {mask.shape: tf.constant(mask) for mask in masks}
        layer.draw_mask = lambda shape: by_shape[tuple(map(int, shape))]
        layer.draw_kernel_masks = lambda cases: tf.constant(arrays["maskW_L"], tf.bool)


def outcome(name):
    """Return, by the names of the arrays of a case, what our layer makes of its inputs."""
    arrays, entry = read_arrays(name), ENTRIES[name]
    parameters = entry["layers"]["L"]
    channels = channels_of(parameters)
    inputs = [tf.constant(as_ours(arrays[key], channels)) for key in sorted(arrays) if key.startswith("in_")]
    layer = LAYERS[name](parameters)
    prepare(layer, inputs, arrays)
    options = {"training": "_test" not in name} if hasattr(layer, "seed_generator") else {}
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        output = layer(inputs[0] if len(inputs) == 1 else inputs, **options)
    found = {"out_L": as_original(output)}
    if "dout_L" not in arrays:
        return found, arrays
    g = tf.constant(as_ours(arrays["dout_L"], output.shape[3] if output.shape.rank == 4 else None))
    for index, x in enumerate(inputs):
        found[f"din_L_{index}"] = as_original(tape.gradient(output, x, g))
    for index, kernel in enumerate(getattr(layer, "kernels", ())):
        found[f"dW_L_{index}"] = tape.gradient(output, kernel.value, g).numpy()
    if "dB_L" in arrays:
        cases = entry["cases"] if "dB_L" in entry.get("gradient_scale", {}) else 1
        found["dB_L"] = tape.gradient(output, layer.bias.value, g).numpy()[None] / cases
    return found, arrays


@pytest.mark.parametrize("name", LAYERS)
def test_layer_of_the_original(name):
    found, arrays = outcome(name)
    given = {key for key in arrays if key.startswith(("in_", "W_", "B_", "mask", "dout_"))}
    assert set(found) == set(arrays) - given
    for key, value in found.items():
        assert close(value, arrays[key]) <= TOLERANCE, key


@pytest.mark.parametrize("name", ["v2_cmpool_2_2", "v2_cmpool_3_2_start-1"])
def test_cross_map_pool_of_the_original(name, monkeypatch):
    def make(p):
        return nn.CrossMapMaxPool(p["size"], p["stride"], p["start"], p["outputChannels"])

    monkeypatch.setitem(LAYERS, name, make)
    found, arrays = outcome(name)
    assert close(found["out_L"], arrays["out_L"]) == 0
    # The original loses the gradient from output 0 to channel 1 here; that of the others is right.
    pixels = ENTRIES[name]["layers"]["L"]["imgSize"] ** 2
    right = np.arange(len(arrays["din_L_0"])) // pixels != 1
    assert close(found["din_L_0"][right], arrays["din_L_0"][right]) == 0
    assert close(found["din_L_0"], arrays["din_L_0"]) > 0.1
