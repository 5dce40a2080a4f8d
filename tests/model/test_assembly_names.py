"""Names of layers that Keras and TensorFlow do not take as they are."""

import numpy as np
import pytest

from convnet_cfg.language import load_network
from convnet_cfg.model import build

LAYERS = """\
[data]
type=data
dataIdx=0
[{name}]
type=fc
inputs=data
outputs=3
initW=0.1
[sum]
type=cost.sum2
inputs={name}
"""
PARAMS = "[{name}]\nepsW=0.1\nepsB=0.1\nmomW=0\nmomB=0\nwc=0\n[sum]\ncoeff=1\n"


@pytest.mark.parametrize("name", ["größe/x", "_x", "-", "a b", "ß", ".5"])
def test_any_name_is_built_and_runs_in_a_graph(name, tmp_path):
    import tensorflow as tf

    paths = tmp_path / "net.cfg", tmp_path / "net.params.cfg"
    for path, text in zip(paths, (LAYERS, PARAMS), strict=True):
        path.write_text(text.format(name=name), encoding="utf-8")
    built = build(load_network(*paths, data_dims=[4]), [(4,)])
    data = np.eye(4, dtype=np.float32)[:2]
    made = tf.function(built.model)(data)
    weights = built.variables[f"{name}/kernel"].numpy()
    np.testing.assert_allclose(made[built.costs[0].inputs[0]], weights[:2], rtol=1e-6)
