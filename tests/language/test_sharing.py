"""Weight sharing, implicit activations and the layers that read them (spec: grammar.md section 6)."""

import pytest

from convnet_cfg.errors import Severity
from convnet_cfg.language.describe import parameter_groups
from convnet_cfg.language.kinds import BIAS, SourceRef
from convnet_cfg.language.wiring import MAX_HINTS

CHAIN = """
[data]
type=data
dataIdx=0
[a]
type=fc
inputs=data
outputs=8
initW=0.1
neuron=relu
[b]
type=fc
inputs=a
outputs=8
initW=0.1
[c]
type=fc
inputs=b,a,c0
outputs=8
initW=0.1,0.1,0.1
weightSource=,b,c[1]
[d]
type=fc
inputs=c
outputs=8
initW=0.1
weightSource=c[2]
[cost]
type=cost.sum2
inputs=d
""".replace("b,a,c0", "b,a,b")


def test_a_shared_matrix_belongs_to_the_first_of_the_chain(load):
    network = load(CHAIN)
    assert [matrix.source for matrix in network["c"].matrices] == [
        None,
        SourceRef("b", 0),
        SourceRef("b", 0),
    ]
    assert network["d"].matrices[0].source == SourceRef("b", 0)
    assert network["c"].parameters == 8 * 8 + 8
    assert network["d"].parameters == 8


def test_what_a_data_layer_gives_as_its_inputs_reads_nothing(problems):
    text = CHAIN.replace("dataIdx=0\n", "dataIdx=0\ninputs=e\n")
    text += "[e]\ntype=fc\ninputs=data\noutputs=8\ninitW=0.1\n"
    assert problems(text) == ["key 'inputs' means nothing here", "no layer reads this layer"]


RANKED = """
[data]
type=data
dataIdx=0
[z]
type=fc
inputs=data
outputs=8
initW=0.1
[a]
type=fc
inputs=data,z
outputs=8
initW=0.1,0.1
weightSource={of_a}
[b]
type=fc
inputs=z
outputs=8
initW=0.1
weightSource={of_b}
[cost]
type=cost.sum2
inputs=a
[last]
type=cost.sum2
inputs=b
"""


@pytest.mark.parametrize(
    ("of_a", "of_b", "bias_of_a", "bias_of_b"),
    [
        ("z,", "a[1]", "z", "z"),
        (",", "a[1]", None, "a"),
        (",", "", None, None),
    ],
)
def test_biases_are_shared_with_the_first_matrix(load, of_a, of_b, bias_of_a, bias_of_b):
    """forks.md section 5: whenever weightSource of the first input is set; the owner is the first of all."""
    network = load(RANKED.format(of_a=of_a, of_b=of_b), dialect="zhaofang0627")
    sources = {name: network[name].bias.source for name in "ab"}
    assert sources["a"] == (bias_of_a and SourceRef(bias_of_a, BIAS))
    assert sources["b"] == (bias_of_b and SourceRef(bias_of_b, BIAS))
    assert network["b"].parameters == 64 * (not of_b) + 8 * (bias_of_b is None)
    shared = {(group["layer"], group.get("shared_with")) for group in parameter_groups(network)}
    assert (("b", f"bias of {bias_of_b}") in shared) == (bias_of_b is not None)


SPARSE = """
[data]
type=data
dataIdx=0
[a]
type=conv
inputs=data
channels=12
filters=4
filterSize=3
padding=1
groups=4
partialSum=0
initW=0.1
randSparse={first}
filterChannels={channels}
[b]
type=conv
inputs=data
channels=12
filters=4
filterSize=3
padding=1
groups=4
partialSum=0
initW=0.1
randSparse=1
filterChannels=3
weightSource=a
[sum]
type=cost.sum2
inputs=a
[cost]
type=cost.sum2
inputs=b
"""
MISFIT = "weightSource a[0] must have randSparse, and the same groups, channels and filterChannels"


def test_random_sparsity_is_shared_with_the_weights(load, problems):
    same = {"first": 1, "channels": 3}
    assert load(SPARSE.format(**same))["b"].matrices[0].source == SourceRef("a", 0)
    assert problems(SPARSE.format(**{**same, "first": 0})) == [MISFIT]


def chain(*layers):
    text = "[data]\ntype=data\ndataIdx=0\n"
    for name, inputs, neuron in layers:
        text += f"[{name}]\ntype=fc\ninputs={inputs}\noutputs=4\ninitW=0.1\nneuron={neuron}\n"
    return text + f"[cost]\ntype=cost.sum2\ninputs={layers[-1][0]}\n"


def graph(network):
    return {layer.name: [source.name for source in layer.inputs] for layer in network.layers}


def test_an_activation_stands_behind_its_layer_and_is_read_in_its_place(load):
    network = load(chain(("a", "data", "relu"), ("b", "a", ""), ("c", "b", "tanh[1,2]")))
    assert graph(network) == {
        "data": [],
        "a": ["data"],
        "a_neuron": ["a"],
        "b": ["a_neuron"],
        "c": ["b"],
        "c_neuron": ["c"],
        "cost": ["c_neuron"],
    }
    assert [layer.name for layer in network.layers if layer.implicit] == ["a_neuron", "c_neuron"]
    assert network["c_neuron"].spec.neuron.parameters == (1.0, 2.0)


def test_a_layer_that_has_the_name_of_an_activation_reads_the_activation(load):
    text = chain(("a", "data", "relu"), ("a_neuron", "a", "relu"))
    assert graph(load(text)) == {
        "data": [],
        "a": ["data"],
        "a_neuron.1": ["a"],
        "a_neuron": ["a_neuron.1"],
        "a_neuron_neuron": ["a_neuron"],
        "cost": ["a_neuron_neuron"],
    }


def test_the_sections_of_activations_are_read_under_the_names_they_got(load):
    text = chain(("a", "data", "relu"), ("a_neuron", "a", ""))
    section = "epsW=1\nepsB=1\nmomW=0\nmomB=0\nwc=0\n"
    params = f"[a]\n{section}[a_neuron]\n{section}[a_neuron.1]\ndropout=0.5\n[cost]\ncoeff=1\n"
    network = load(text, params)
    assert network["a_neuron.1"].params.dropout == 0.5
    assert network["a_neuron"].params.dropout == 0
    assert [problem.message for problem in network.remarks] == []


@pytest.mark.parametrize(("clashes", "fits"), [(99, True), (100, False)])
def test_ninety_nine_clashes_are_the_limit(load, problems, clashes, fits):
    names = ["a_neuron", *(f"a_neuron.{number}" for number in range(1, clashes))]
    text = chain(("a", "data", "relu"), *((name, "a", "") for name in names))
    text += "".join(f"[cost{name}]\ntype=cost.sum2\ninputs={name}\n" for name in names)
    if fits:
        assert load(text)["a_neuron.99"].implicit
    else:
        assert problems(text) == [
            "every name from 'a_neuron' to 'a_neuron.99' is taken: the activation needs one"
        ]


DEVICES = """
[data]
type=data
dataIdx=0
[a]
type=fc
inputs=data
outputs=8
initW=0.1
{}
[b]
type=fc
inputs=data
outputs=8
initW=0.1
weightSource=a
{}
[other]
type={}
inputs=a
[cost]
type=cost.sum2
inputs=b
[last]
type=cost.sum2
inputs=other
"""


@pytest.mark.parametrize(
    ("theirs", "ours", "type", "noted"),
    [
        ("gpu=0", "gpu=0", "concat", False),
        ("gpu=0,1", "gpu=2,3", "concat", True),
        ("gpu=0", "gpu=1", "hs\nkeep=0.5", True),
        ("gpu=0", "", "hs\nkeep=0.5", True),
    ],
)
def test_sharing_between_as_many_devices(load, theirs, ours, type, noted):
    remarks = load(DEVICES.format(theirs, ours, type)).remarks
    notes = [problem.message for problem in remarks if problem.severity is Severity.NOTE]
    assert notes == ["weightSource is on another device: the GPU program refused to share"] * noted


def test_only_the_first_wrong_names_are_compared_with_the_others(problems):
    layers = "".join(f"[b{n}]\ntype=cost.sum2\ninputs=daat\n" for n in range(MAX_HINTS + 5))
    found = problems("[data]\ntype=data\ndataIdx=0\n[cost]\ntype=cost.sum2\ninputs=data\n" + layers)
    hint = " (did you mean 'data'?)"
    assert (
        found
        == ["input 'daat' is not defined above" + hint] * MAX_HINTS
        + ["input 'daat' is not defined above"] * 5
    )
