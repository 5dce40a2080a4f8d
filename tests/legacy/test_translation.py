"""Networks of one version in the words of the other: what is the same, and what is refused, by hand."""

import pytest

from convnet_cfg.language import load_network
from convnet_cfg.legacy.layer_fields import layer_fields
from convnet_cfg.legacy.translation import translate

DATA = "[data]\ntype=data\ndataIdx=0\n"
FC = "[{}]\ntype=fc\ninputs={}\noutputs={}\ninitW=0.1\n"
RATES = "epsW=0.1\nepsB=0.1\nmomW=0.9\nmomB=0.9\nwc=0\n"
COST = "[cost]\ntype=cost.sum2\ninputs={}\n"


def network_of(folder, layers, params, dims=(75,)):
    (folder / "layers.cfg").write_text(layers)
    (folder / "params.cfg").write_text(params)
    return load_network(folder / "layers.cfg", folder / "params.cfg", data_dims=dims)


def conv(*keys, inputs="data"):
    fixed = [
        "[conv]",
        "type=conv",
        f"inputs={inputs}",
        "channels=3",
        "filters=4",
        "filterSize=3",
        "initW=0.1",
    ]
    return "\n".join([*fixed, *keys, ""])


def v2(layer):
    return DATA + layer + COST.format("conv" if "[conv]" in layer else "last") + "gpu=0\n"


PARAMS = f"[conv]\n{RATES}[cost]\ncoeff=1\n"
LAST = "[last]\ntype={}\ninputs=data\ngpu=0\n"
IMAGE = "channels=3\n"
ONLY_COST = "[cost]\ncoeff=1\n"

# What v1 has no words for, and what it says of that.
LACKING_IN_V1 = {
    "maxabs": (
        v2(LAST.format("pool") + IMAGE + "pool=maxabs\nsizeX=2\nstride=2\n"),
        ONLY_COST,
        ["[last] pool=maxabs: cuda-convnet has max or avg"],
    ),
    "a sum of windows": (
        v2(LAST.format("pool") + IMAGE + "pool=avg\nsum=1\nsizeX=2\nstride=2\n"),
        ONLY_COST,
        ["[last] sum=True: cuda-convnet has no such key"],
    ),
    "a wider grid": (
        v2(conv("sumWidth=1", "gpu=0", "modulesX=5")),
        PARAMS,
        ["[conv] modulesX=5: cuda-convnet has no such key"],
    ),
    "the usual grid": (v2(conv("sumWidth=1", "gpu=0", "modulesX=3")), PARAMS, []),
    "updates of two minibatches": (
        v2(conv("sumWidth=1", "gpu=0")),
        PARAMS.replace("wc=0", "wc=0\nupdatePeriod=2"),
        ["[conv] updatePeriod=2: cuda-convnet has no such key"],
    ),
    "updates of one minibatch": (
        v2(conv("sumWidth=1", "gpu=0")),
        PARAMS.replace("wc=0", "wc=0\nupdatePeriod=1"),
        [],
    ),
    "a rate that stays": (
        v2(conv("sumWidth=1", "gpu=0")),
        PARAMS.replace("epsW=0.1", "epsW=const[base=0.1]"),
        [],
    ),
    "an activation": (
        v2(LAST.format("neuron") + "neuron=log[1]\n"),
        ONLY_COST,
        ["[last] neuron=log[1]: cuda-convnet has no such activation"],
    ),
    "the activation of a layer": (
        v2(conv("sumWidth=1", "gpu=0", "neuron=drelu[2]")),
        PARAMS,
        ["[conv] neuron=drelu[2]: cuda-convnet has no such activation"],
    ),
    "all of the data": (
        v2(LAST.format("eltsum")).replace("Idx=0", "Idx=0\nend=75"),
        ONLY_COST + "[last]\n",
        [],
    ),
    "a part of the data": (
        v2(LAST.format("eltsum")).replace("Idx=0", "Idx=0\nstart=5\nend=65"),
        ONLY_COST + "[last]\n",
        ["[data] start=5: cuda-convnet has no such key", "[data] end=65: cuda-convnet has no such key"],
    ),
}


@pytest.mark.parametrize("name", LACKING_IN_V1)
def test_what_v1_lacks(name, tmp_path):
    layers, params, expected = LACKING_IN_V1[name]
    network = network_of(tmp_path, layers, params)
    assert network.dialect.name == "v2"
    assert list(translate(network, "v1").problems) == expected
    assert translate(network, "v2").problems == ()


def test_coefficients_stand_in_the_other_file(tmp_path):
    """spec/differences.md section 1: in the definition of v1, in the parameters of v2."""
    layers = DATA + "[last]\ntype=eltsum\ninputs=data,data\n{}" + COST.format("last")
    first = network_of(tmp_path, layers.format("coeffs=1,-1\n"), ONLY_COST)
    second = network_of(
        tmp_path,
        layers.format("gpu=0\n") + "gpu=0\n",
        ONLY_COST + "[last]\ncoeffs=1,-1\n",
    )
    assert (first.dialect.name, second.dialect.name) == ("v1", "v2")
    for source, program in ((first, "v2"), (second, "v1"), (first, "v1"), (second, "v2")):
        translation = translate(source, program)
        fields = layer_fields(translation.network, program)["last"]
        assert translation.problems == ()
        assert fields["coeffs"] == (1.0, -1.0)
        assert fields["requiresParams"] == (program == "v2")


def test_a_network_of_v1_is_the_one_that_v2_would_parse(tmp_path):
    def layers(tuning, gpu):
        return DATA + conv(tuning, "neuron=relu", gpu) + FC.format("fc", "conv", 5) + COST.format("fc") + gpu

    params = PARAMS + f"[fc]\n{RATES}"
    first = network_of(tmp_path, layers("partialSum=3", ""), params)
    second = network_of(tmp_path, layers("sumWidth=1", "gpu=0\n"), params)
    assert layer_fields(translate(first, "v2").network, "v2") == layer_fields(second, "v2")
    expected = layer_fields(first, "v1")
    back = layer_fields(translate(second, "v1").network, "v1")
    assert {
        name: {**values, "partialSum": 3} if name == "conv" else values for name, values in back.items()
    } == expected


def test_averages_of_before_july_2012(tmp_path):
    layers = (
        DATA
        + "[last]\ntype=pool\ninputs=data\nchannels=3\npool=avg\nsubsX=2\nstride=2\n"
        + COST.format("last")
    )
    network = network_of(tmp_path, layers, ONLY_COST)
    assert network.nominal_average
    assert list(translate(network, "v1").problems) == [
        "[last] type=pool of cuda-convnet before June 2012: cuda-convnet has no such layer"
    ]


def test_a_layer_of_a_fork(tmp_path):
    layers = DATA + "[last]\ntype=union\ninputs=data,data\n" + COST.format("last")
    network = network_of(tmp_path, layers, ONLY_COST)
    for program, title in (("v1", "cuda-convnet"), ("v1+dropout", "cuda-convnet with dropout")):
        (problem,) = translate(network, program).problems
        assert problem == f"[last] type=union: {title} has no such layer"


def test_a_cost_whose_report_is_not_known(tmp_path):
    layers = DATA + "[cost]\ntype=cost.dce\ninputs=data,data\ngpu=0\n"
    network = network_of(tmp_path, layers, ONLY_COST)
    expected = "[cost] type=cost.dce: what its program needs to report it is not known"
    assert translate(network, "v2").problems == (expected,)
