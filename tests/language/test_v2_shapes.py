"""Shapes and rules of the layer types that came after v1, by values worked by hand (spec: layers.md)."""

import pytest

from convnet_cfg.language.params import Limits

NET = """
[data]
type=data
dataIdx=0
{data}
[x]
type={type}
gpu=0
inputs=data
{keys}
[cost]
type=cost.sum2
gpu=0
inputs=x
"""


def net(layer_type, keys="", data=""):
    return NET.format(type=layer_type, keys=keys, data=data)


@pytest.mark.parametrize(
    ("layer_type", "keys", "image"),
    [
        ("conv", "channels=3\nfilters=16\nfilterSize=5\ninitW=1\nsumWidth=2", (16, 28)),
        ("conv", "channels=3\nfilters=16\nfilterSize=5\ninitW=1\nsumWidth=2\nmodulesX=30", (16, 30)),
        ("pool", "channels=3\npool=maxabs\nsizeX=3\nstride=2", (3, 16)),
        ("pool", "channels=3\npool=avg\nsum=1\nsizeX=2\nstride=2", (3, 16)),
        # windows at -1, 1: the second reaches beyond channel 2
        ("cmpool", "channels=3\npool=max\nsize=2\nstride=2\nstart=-1\noutputs=2", (2, 32)),
        ("href", "channels=3", (3, 32)),
        ("crop", "channels=3\nstartX=4\nsizeX=24", (3, 24)),
        ("rscale", "channels=3\nmaxScale=1.5\ntgtSize=24", (3, 24)),  # 32 / 1.5 = 21.3
    ],
)
def test_image(load, layer_type, keys, image):
    assert load(net(layer_type, keys))["x"].output.image == image


def test_one_pixel_has_no_random_scale(problems):
    text = net("rscale", "channels=3072\nmaxScale=1\ntgtSize=1")
    assert problems(text) == ["type=rscale needs an image of at least 2 x 2 pixels, got 1 x 1"]


@pytest.mark.parametrize(
    ("layer_type", "keys", "size", "weights"),
    [
        ("sfc", "outputs=5\nparts=4\ninitW=1", 20, (3072, 5)),
        ("concat", "", 3072, None),
        ("dropout", "", 3072, None),
    ],
)
def test_size(load, layer_type, keys, size, weights):
    layer = load(net(layer_type, keys))["x"]
    assert layer.output.size == size
    assert [matrix.shape for matrix in layer.matrices] == ([weights] if weights else [])


@pytest.mark.parametrize(
    ("keys", "size"), [("start=1024\nend=2048", 1024), ("start=3000", 72), ("end=10", 10)]
)
def test_part_of_the_data(load, keys, size):
    network = load(net("neuron", "neuron=relu", keys))
    assert network["data"].output.size == size
    assert network.data_dims == (3072,)


def test_one_value_stands_for_all_inputs(load):
    text = net("fc", "outputs=4\ninitW=0.5").replace("inputs=data", "inputs=data,data")
    params = "[x]\nepsW=0.1\nepsB=0.2\nmomW=0.9\nmomB=0.8\n[cost]\ncoeff=1\n"
    layer = load(text, params)["x"]
    assert [matrix.deviation for matrix in layer.matrices] == [0.5, 0.5]
    assert [matrix.rule.learning_rate for matrix in layer.matrices] == [0.1, 0.1]
    assert [matrix.rule.weight_decay for matrix in layer.matrices] == [0.0, 0.0]


WEIGHTS = "[x]\nepsW=0.1\nepsB=0.2\nmomW=0.9\nmomB=0.8\n{more}\n[cost]\ncoeff=1\n"
CONV = "channels=3\nfilters=16\nfilterSize=5\ninitW=1\nsumWidth=2"
LOCAL = "channels=3\nfilters=16\nfilterSize=5\ninitW=1"


@pytest.mark.parametrize(
    ("layer_type", "keys", "more", "limits"),
    [
        ("fc", "outputs=4\ninitW=1", "wball=3", Limits(norm=3)),
        ("conv", CONV, "wball=3", Limits(norm=3)),
        ("conv", CONV, "wcNormMin=0.1\nwcNormMax=0.2", Limits(least_spread=0.1, most_spread=0.2)),
        ("local", LOCAL, "wball=3", Limits(norm=3, norm_only_shrinks=True)),
    ],
)
def test_bounds(load, layer_type, keys, more, limits):
    rule = load(net(layer_type, keys), WEIGHTS.format(more=more))["x"].matrices[0].rule
    assert rule.limits == limits
    assert bool(rule.limits)


def test_the_bounds_of_2012_are_for_each_row(load):
    text = net("conv", CONV.replace("sumWidth=2", "partialSum=0"))
    rule = load(text, WEIGHTS.format(more="wball=0.003"))["x"].matrices[0].rule
    assert rule.limits == Limits(norm=0.003, norm_only_shrinks=True, norm_per_row=True)


def test_update_periods(load):
    layer = load(net("fc", "outputs=4\ninitW=1"), WEIGHTS.format(more="updatePeriod=4"))["x"]
    assert layer.matrices[0].rule.period == layer.bias.rule.period == 4


REPLICAS = """
[data]
type=data
dataIdx=0
[a]
type=fc
gpu={a}
inputs=data
outputs=4
initW=1
[b]
type=fc
gpu={b}
inputs=a
outputs=4
initW=1
[cost]
type=cost.sum2
inputs=b
"""


@pytest.mark.parametrize(
    ("a", "b", "counts"),
    [("0", "0", (1,)), ("0,1", "0", (2, 1)), ("0,1,2,3", "1,0", (4, 2)), ("3", "1", (1,))],
)
def test_numbers_of_replicas(load, a, b, counts):
    assert load(REPLICAS.format(a=a, b=b)).replica_counts == counts


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ("0,0", "0", "gpu must be different devices, got 0, 0"),
        ("0,1,2", "0,1", "2 devices must divide the number of those of the inputs: 'a' is on 3"),
        ("0", "0,1", "2 devices must divide the number of those of the inputs: 'a' is on 1"),
    ],
)
def test_replicas_that_cannot_work_together(problems, a, b, message):
    assert message in problems(REPLICAS.format(a=a, b=b))


@pytest.mark.parametrize(
    ("layer_type", "keys"),
    [
        ("cnorm", "channels=3\nsizeX=3\nscale=1"),
        ("rnorm", "channels=3\nsizeX=3\nscale=1\ncrossMap=1\npow=0.5"),
    ],
)
def test_first_norms_are_read_as_what_they_were(load, layer_type, keys):
    text = net(layer_type, keys).replace("gpu=0\n", "")
    layer = load(text)["x"]
    assert layer.type == {"cnorm": "rnorm", "rnorm": "cmrnorm"}[layer_type]
    params = load(text, "[cost]\ncoeff=1\n")["x"].params
    assert (params.scale, params.power) == (1.0, 1.0 if layer_type == "cnorm" else 0.5)


def test_averages_of_the_first_programs_divide_by_the_whole_window(load):
    old = net("cnorm", "channels=3\nsizeX=3\nscale=1").replace("gpu=0\n", "")
    assert load(old).nominal_average
    assert not load(old, average_divisor="existing").nominal_average
    assert not load(net("href", "channels=3")).nominal_average
    assert load(net("href", "channels=3"), average_divisor="nominal").nominal_average
