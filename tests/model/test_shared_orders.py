"""A matrix that layers share whose inputs are an image to one, and a vector or another image to another."""

import keras
import numpy as np
import pytest

from convnet_cfg.language import load_network
from convnet_cfg.model import build

LAYERS = """\
[data]
type=data
dataIdx=0
[image]
type=conv
inputs=data
channels=2
filters=2
filterSize=1
stride=1
padding=0
partialSum=1
initW=1
[other]
type=conv
inputs=data
channels=2
filters=8
filterSize=2
stride=2
padding=0
partialSum=1
initW=1
[vector]
type=fc
inputs=data
outputs=32
initW=1
[owner]
type=fc
inputs={owner}
outputs=6
initW=1
[sharer]
type=fc
inputs={sharer}
outputs=6
initW=1
weightSource=owner
"""
RATES = "epsW=0.1\nepsB=0.1\nmomW=0\nmomB=0\nwc=0\n"
NAMES = ("image", "other", "vector", "owner", "sharer")
COSTS = "".join(f"[{name}_cost]\ntype=cost.sum2\ninputs={name}\n" for name in NAMES)
PARAMS = "".join(f"[{name}]\n{RATES}[{name}_cost]\ncoeff=1\n" for name in NAMES)
CASES = 3


def network(tmp_path, owner, sharer):
    """Return a network whose layers `owner` and `sharer` read these layers, with one matrix."""
    paths = tmp_path / "net.cfg", tmp_path / "net.params.cfg"
    for path, text in zip(paths, (LAYERS.format(owner=owner, sharer=sharer) + COSTS, PARAMS), strict=True):
        path.write_text(text)
    return load_network(*paths, data_dims=[32])


def in_original_order(values):
    """Return images as vectors (channel, row, column)."""
    return values.transpose(0, 3, 1, 2).reshape(CASES, -1) if values.ndim == 4 else values


@pytest.mark.parametrize("owner", ["image", "vector"])
@pytest.mark.parametrize("sharer", ["image", "other", "vector"])
def test_a_matrix_is_applied_in_the_originals_order_by_all(tmp_path, owner, sharer):
    rng = np.random.default_rng(0)
    built = build(network(tmp_path, owner, sharer), [(4, 4, 2)])
    for variable in built.variables.values():
        variable.assign(rng.standard_normal(variable.shape))
    kernel = built.variables["owner/kernel"].numpy().astype(float)
    if owner == "image":  # rows are (row, column, channel) there
        kernel = kernel.reshape(4, 4, 2, 6).transpose(2, 0, 1, 3).reshape(32, 6)
    tensors = {name: built.values[name].tensor for name in (owner, sharer, "owner", "sharer")}
    data = rng.standard_normal((CASES, 4, 4, 2)).astype(np.float32)
    found = {
        name: value.numpy().astype(float)
        for name, value in keras.Model(built.model.inputs, tensors)([data]).items()
    }
    for name, read in (("owner", owner), ("sharer", sharer)):
        wanted = in_original_order(found[read]) @ kernel + built.variables[f"{name}/bias"].numpy()
        np.testing.assert_allclose(found[name], wanted, rtol=1e-5, atol=1e-4)
