"""Shapes and rules of the layer types that came after v1, by values worked by hand (spec: layers.md)."""

import pytest

from convnet_cfg.language.describe import describe
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
    ("keys", "size", "end"),
    [("start=1024\nend=2048", 1024, 2048), ("start=3000", 72, 3072), ("end=10", 10, 10)],
)
def test_part_of_the_data(load, keys, size, end):
    """Without `end` the original kept the size of the matrix (golden: v2_data_start_end)."""
    network = load(net("neuron", "neuron=relu", keys))
    assert network["data"].output.size == size
    assert describe(network)["layers"][0]["end"] == end
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


RULE = "epsW=0.1\nepsB=0.2\nmomW=0.9\nmomB=0.8\n"


@pytest.mark.parametrize(("period", "of_a", "of_b"), [(0, 1, 1), (3, 1, 3), (4, 1, 4), (8, 2, 8)])
def test_periods_count_what_the_fewest_replicas_get(load, period, of_a, of_b):
    """params.md section 5: max(updatePeriod, pass period); 4 parts of b are what a gets at once."""
    params = f"[DEFAULT]\nupdatePeriod={period}\n[a]\n{RULE}[b]\n{RULE}[cost]\ncoeff=1\n"
    network = load(REPLICAS.format(a="0,1,2,3", b="0"), params)
    assert [network.period(network[name], network[name].bias.rule) for name in "ab"] == [of_a, of_b]


def test_a_period_is_a_multiple_of_what_a_layer_gets_at_once(load, problems):
    text = REPLICAS.format(a="0,1,2,3", b="0")
    params = f"[a]\n{RULE}updatePeriod=6\n[b]\n{RULE}updatePeriod=6\n[cost]\ncoeff=1\n"
    assert problems(text, params) == [
        "updatePeriod must be a multiple of 4, the parts of a minibatch that this layer gets at once, got 6"
    ]
    network = load(text, params, ignore_devices=True)
    assert network.period(network["a"], network["a"].bias.rule) == 6


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


@pytest.mark.parametrize(
    ("params", "expected", "power"),
    [
        (None, "rnorm", None),
        ("", "rnorm", 1.0),
        ("[x]\nscale=0.5\n", "rnorm", 1.0),
        ("[x]\npow=0.75\n", "cnorm", 0.75),
        ("[x]\n[DEFAULT]\npow=0.75\n", "cnorm", 0.75),
        ("[x]\nscale=0.5\npow=0.75\n", "cnorm", 0.75),
    ],
)
def test_a_first_cnorm_has_no_power_in_either_file(load, params, expected, power):
    """forks.md section 2: without `pow` it was what is called rnorm today, with it a cnorm."""
    text = net("cnorm", "channels=3\nsizeX=3\nscale=1").replace("gpu=0\n", "")
    network = load(text, None if params is None else params + "[cost]\ncoeff=1\n")
    layer = network["x"]
    assert layer.type == expected
    assert (layer.params.power if layer.params else None) == power
    assert [problem.line for problem in network.remarks] == [
        "note: net.cfg:7:6: [x] cnorm with scale and without pow: the layer is a rnorm, as in July 2011"
    ] * (expected == "rnorm")


def test_averages_of_the_first_programs_divide_by_the_whole_window(load):
    old = net("cnorm", "channels=3\nsizeX=3\nscale=1").replace("gpu=0\n", "")
    assert load(old).nominal_average
    assert not load(old, average_divisor="existing").nominal_average
    assert not load(net("href", "channels=3")).nominal_average
    assert load(net("href", "channels=3"), average_divisor="nominal").nominal_average


@pytest.mark.parametrize(
    ("layer_type", "keys"),
    [
        ("fc", "numOutputs=4\ninitW=1"),
        ("conv", "channels=3\nnumFilters=16\nfilterSize=5\ninitW=1"),
        ("local", "channels=3\nnumFilters=16\nfilterSize=5\ninitW=1"),
    ],
)
def test_functions_under_the_name_that_they_had_for_a_day(load, layer_type, keys):
    """forks.md section 2: `initFunc` is `initWFunc`, of all layers with weights."""
    network = load(net(layer_type, f"{keys}\ninitFunc=m.f").replace("gpu=0\n", ""))
    assert list(network.functions) == ["m.f"]


TEN = """
[data]
type=data
dataIdx=0
[x]
type=conv
inputs=data
channels=3
filters=10
filterSize=5
partialSum=0
initW=1
[y]
type=pool
inputs=x
channels=10
pool=max
sizeX=2
stride=2
[cost]
type=cost.sum2
inputs=y
"""


@pytest.mark.parametrize(("dialect", "notes"), [("v1", 2), ("dropconnect", 2), ("nin", 0)])
def test_network_in_network_takes_any_number_of_channels(load, dialect, notes):
    """forks.md section 4: in conv and pool, the checks for multiples of 16 are gone."""
    assert len([note for note in load(TEN, dialect=dialect).remarks if "16" in note.message]) == notes
