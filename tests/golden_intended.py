"""The golden cases of single layers and costs, and what was intended where the original went wrong."""

import numpy as np
import references
from golden_cases import FOLDER, as_image, as_original, entries

NAMES = [name for name in entries() if "update_" not in name]
COSTS = [name for name in NAMES if any(array.startswith("cost_") for array in entries()[name]["arrays"])]
# Two masks, one after the other, the gradient through the second only: here it is one mask on the sum.
NOT_THE_SAME = ("dc_fcdropo_two_inputs_train", "dc_fcdropo_two_inputs_test")
LAYERS = [name for name in NAMES if name not in (*COSTS, *NOT_THE_SAME)]


def intended_softrelu(case, layer):
    """The first program takes the derivative of softrelu at the output."""
    return case.arrays[f"dout_{layer}"] * references.softrelu_gradient(case.arrays["in_data"].astype(float))


def intended_two_neurons(case):
    x = case.arrays["in_data"]
    return intended_softrelu(case, "LA") + case.arrays["dout_LB"] * (x > 0)  # LB is relu


def intended_two_norms(case):
    """The backward kernel for sizes from 6 on overwrites what the other layer has sent."""
    x = as_image(case.arrays["in_data"], 16).astype(float)
    near = references.over_pixels(references.spatial_neighbours(x.shape[1], 7))
    total = 0.0
    for layer, scale, power in (("LA", 0.5, 0.75), ("LB", 0.9, 0.5)):
        g = as_image(case.arrays[f"dout_{layer}"], 16)
        total = total + references.normalize_gradient(x, x, g, near, scale / 49, power)
    return as_original(total)


def intended_flip(case):
    """The mirror LB overwrites what the other layer, square, has sent."""
    other = 2 * case.arrays["in_data"] * case.arrays["dout_LA"]
    flipped = as_image(case.arrays["dout_LB"], 3)[:, :, ::-1]
    return other + as_original(flipped)


def intended_channel_pool(case):
    """Each channel that equals the maximum of a window gets its gradient; the original left out some."""
    spec = case.network["L"].spec
    x = case.arrays["in_data"].reshape(spec.channels, -1)
    g = case.arrays["dout_L"].reshape(spec.outputs, -1)
    total = np.zeros_like(x)
    for output in range(spec.outputs):
        start = spec.start + output * spec.stride
        window = slice(max(start, 0), start + spec.size)
        total[window] += g[output] * (x[window] == x[window].max(0))
    return total.reshape(case.arrays["in_data"].shape)


def intended_double(case):
    return sum(case.network["L"].spec.coefficients_with(case.network["L"].params)) * case.arrays["in_data"]


def sees_images(name):
    """Whether a layer of the case reads the data as images, which may also come as vectors."""
    text = (FOLDER / f"{name}.cfg").read_text()
    return "channels=" in text or "type=rgb2" in text


# What the original got wrong: (case, array) -> the value that was intended.
INTENDED = {
    ("neuron_softrelu", "din_L_0"): lambda case: intended_softrelu(case, "L"),
    ("accum_neuron_4", "dout_data"): intended_two_neurons,
    ("accum_rnorm_7_7", "dout_data"): intended_two_norms,
    ("v2_accum_rnorm_7_7", "dout_data"): intended_two_norms,
    ("v2_accum_href_second", "dout_data"): intended_flip,
    ("v2_cmpool_2_2", "din_L_0"): intended_channel_pool,
    ("v2_cmpool_3_2_start-1", "din_L_0"): intended_channel_pool,
    # Working in place, the original gives (c0 * c1 + c1) * x instead of (c0 + c1) * x.
    ("twice_eltsum_over_ident_test", "out_L"): lambda case: -1.5 * case.arrays["in_data"],
    ("v2_twice_eltsum_test", "out_L"): intended_double,
}


def wanted(case, array):
    return INTENDED[case.name, array](case) if (case.name, array) in INTENDED else case.arrays[array]
