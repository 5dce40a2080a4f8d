"""Which layers are inputs and outputs of what is exported, and that it computes what the network does."""

from __future__ import annotations

import numpy as np

from convnet_cfg.export.inference import make_inference
from convnet_cfg.language import load_network
from convnet_cfg.model import build

DATA = "[{name}]\ntype=data\ndataIdx={index}\n"
FC = "[{name}]\ntype=fc\ninputs={inputs}\noutputs={outputs}\ninitW=0.5\n"
RATES = "[{name}]\nepsW=0.1\nepsB=0.1\nmomW=0\nmomB=0\nwc=0\n"


def made(tmp_path, layers, params, shapes=((4, 4, 3), (1,))):
    """Return what is exported of a network, and the network, its weights random."""
    (tmp_path / "net.cfg").write_text(layers)
    (tmp_path / "net.params.cfg").write_text(params)
    dims = [int(np.prod(shape)) for shape in shapes]
    files = tmp_path / "net.cfg", tmp_path / "net.params.cfg"
    network = load_network(*files, data_dims=dims, classes=5)
    built = build(network, shapes)
    return make_inference(built, "a net"), built


TWO_DATA = DATA.format(name="data", index=0) + DATA.format(name="labels", index=1)
LOGREG = "[probs]\ntype=softmax\ninputs=fc5\n[cost]\ntype=cost.logreg\ninputs=labels,probs\n"
SOFTMAX = TWO_DATA + FC.format(name="fc5", inputs="data", outputs=5) + LOGREG
COEFFICIENT = "[{name}]\ncoeff=1\n"


def test_probabilities_are_the_output_and_labels_no_input(tmp_path):
    inference, built = made(tmp_path, SOFTMAX, RATES.format(name="fc5") + COEFFICIENT.format(name="cost"))
    assert [(port.name, port.shape) for port in inference.inputs] == [("data", (4, 4, 3))]
    assert [(port.name, port.shape) for port in inference.outputs] == [("probs", (5,))]
    assert inference.inputs[0].form == "float32 (cases, 4, 4, 3): rows, columns, channels"
    images = np.random.default_rng(0).normal(size=(7, 4, 4, 3)).astype(np.float32)
    found = np.asarray(inference.plain_model(images, training=False))
    # by hand: the softmax of x @ W + b
    kernel, bias = (np.asarray(built.variables[f"fc5/{name}"], np.float64) for name in ("kernel", "bias"))
    powers = np.exp(images.reshape(7, -1).astype(np.float64) @ kernel + bias)
    np.testing.assert_allclose(found, powers / powers.sum(1, keepdims=True), rtol=1e-5)


def test_costs_of_several_layers_and_data_of_costs_only(tmp_path):
    """A target that only a cost reads is neither an input nor an output; each layer is an output once."""
    layers = (
        TWO_DATA
        + DATA.format(name="target", index=2)
        + FC.format(name="fc5", inputs="data", outputs=5)
        + LOGREG
        + "[difference]\ntype=eltsum\ninputs=fc5,target\ncoeffs=1,-1\n"
        + "[far]\ntype=cost.sum2\ninputs=difference\n"
        + "[large]\ntype=cost.sum2\ninputs=fc5\n"
        + "[small]\ntype=cost.sum2\ninputs=target\n"
    )
    costs = "".join(COEFFICIENT.format(name=name) for name in ("cost", "far", "large", "small"))
    inference, _ = made(tmp_path, layers, RATES.format(name="fc5") + costs, ((4, 4, 3), (1,), (5,)))
    assert [port.name for port in inference.outputs] == ["fc5", "probs", "difference"]
    assert [port.name for port in inference.inputs] == ["data", "target"]


def test_shared_weights_become_copies(tmp_path):
    layers = (
        TWO_DATA
        + FC.format(name="fc48", inputs="data", outputs=48)
        + FC.format(name="again", inputs="fc48", outputs=48)
        + "weightSource=fc48\n"
        + FC.format(name="fc5", inputs="again", outputs=5)
        + LOGREG
    )
    rates = "".join(RATES.format(name=name) for name in ("fc48", "again", "fc5"))
    inference, built = made(tmp_path, layers, rates + COEFFICIENT.format(name="cost"))
    assert inference.copied == ("[again] (type=fc)",)
    kernels = [layer.kernels[0] for layer in inference.model.layers if layer.name in ("fc48", "again")]
    assert kernels[0] is not kernels[1]
    np.testing.assert_array_equal(*kernels)
    assert inference.plain_model.get_config()
    images = np.random.default_rng(0).normal(size=(3, 4, 4, 3)).astype(np.float32)
    kernel, last = (np.asarray(built.variables[f"{name}/kernel"], np.float64) for name in ("fc48", "fc5"))
    # rows of the matrix are (channel, row, column), also where it reads a vector
    matrix = kernel.reshape(4, 4, 3, 48).transpose(2, 0, 1, 3).reshape(48, 48)
    x = images.transpose(0, 3, 1, 2).reshape(3, -1).astype(np.float64) @ matrix @ matrix @ last
    powers = np.exp(x - x.max(1, keepdims=True))  # all biases are 0
    found = np.asarray(inference.plain_model(images, training=False))
    np.testing.assert_allclose(found, powers / powers.sum(1, keepdims=True), rtol=1e-4, atol=1e-6)
