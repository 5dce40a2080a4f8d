"""The grammar of activations (spec: neurons.md section 1)."""

import pytest

from convnet_cfg.language.kinds import ExplainedError
from convnet_cfg.language.neurons import NIN_NEURONS, SPIKING_NEURONS, V1_NEURONS, V2_SYNTAX, neuron_kind

KIND = neuron_kind(V1_NEURONS)


@pytest.mark.parametrize(
    ("text", "name", "parameters"),
    [
        ("relu", "relu", ()),
        ("ident", "ident", ()),
        ("tanh[1.7159,0.6667]", "tanh", (1.7159, 0.6667)),
        ("tanh [ 1 , -2. ]  ", "tanh", (1.0, -2.0)),
        ("brelu[.5]", "brelu", (0.5,)),
        ("linear[1e-3,0]", "linear", (0.001, 0.0)),
    ],
)
def test_neuron(text, name, parameters):
    assert KIND.convert(text)[:2] == (name, parameters)


def test_no_text_is_no_neuron_but_where_one_is_required():
    assert KIND.convert("") is None
    with pytest.raises(ExplainedError):
        neuron_kind(V1_NEURONS, required=True).convert("")


@pytest.mark.parametrize(
    "text",
    [
        "Relu",
        "relu[]",
        "relu[1]",
        "tanh",
        "tanh[1]",
        "tanh[1,2,3]",
        "tanh[,]",
        "tanh[1,]",
        "tanh[1e+3,1]",
        "tanh[+1,1]",
        "tanh[1e999,1]",
        "tanh[1 2,1]",
        "tanh(1,2)",
        "abstanh[1,2]",
        "log[1]",
        "drelu[1]",
        "nrelu",
        "brelu[1] x",
    ],
)
def test_wrong_neuron(text):
    with pytest.raises(ExplainedError):
        KIND.convert(text)


@pytest.mark.parametrize(
    ("name", "synapse", "fits"),
    [
        ("softlifalpha", "0.05", False),
        ("softlifalpha", "0.0509", False),  # forks.md section 5.1: it refuses |r - s| < 1e-3
        ("softlifalpha", "0.0491", False),
        ("softlifalpha", "0.0511", True),
        ("softlifalpharc", "0.05", False),  # it divides by r - s
        ("softlifalpharc", "0.0509", True),
        ("softlif", "0.05", True),
    ],
)
def test_time_constants_that_are_too_near(name, synapse, fits):
    kind = neuron_kind(SPIKING_NEURONS, V2_SYNTAX)
    text = f"{name}[0.063,0.001,0.05,0.825,0.02,{synapse}]"
    if fits:
        assert kind.convert(text).name == name
        return
    with pytest.raises(ExplainedError) as error:
        kind.convert(text)
    assert str(error.value).startswith(f"neuron {name}'s r and s must be at least ")
    assert str(error.value).endswith(f" apart, got 0.05 and {synapse}")


@pytest.mark.parametrize(("text", "fits"), [("0", False), ("0.01", True), ("0.99", True), ("1", False)])
def test_the_probability_of_network_in_network(text, fits):
    """forks.md section 4: 0 < p < 1."""
    kind = neuron_kind(NIN_NEURONS)
    if fits:
        assert kind.convert(f"dropout[{text}]").parameters == (float(text),)
        return
    with pytest.raises(ExplainedError, match=f"dropout's prob must be a number > 0 and < 1, got {text}"):
        kind.convert(f"dropout[{text}]")


def test_every_neuron_of_the_specification_is_there():
    names = "ident, logistic, tanh, relu, brelu, abs, softrelu, square, sqrt, linear"
    assert ", ".join(V1_NEURONS) == names
