"""The shape that each layer type makes, by values worked by hand (spec: layers.md)."""

import pytest

from convnet_cfg.language.dialects import V1

KEYS = {
    "conv": "initW=0.1\npartialSum=0",
    "local": "initW=0.1",
    "fc": "initW=0.1",
}


def net(layer_type, keys, inputs="data", between=""):
    return f"""
[data]
type=data
dataIdx=0
[labels]
type=data
dataIdx=1
{between}
[x]
type={layer_type}
inputs={inputs}
{KEYS.get(layer_type, "")}
{keys}
[cost]
type=cost.sum2
inputs=x
[other]
type=cost.sum2
inputs=labels
"""


@pytest.mark.parametrize(
    ("layer_type", "keys", "image"),
    [
        # 32 + 2 * 2 - 5 = 31 steps of 1 behind the first window
        ("conv", "channels=3\nfilters=16\nfilterSize=5\npadding=2", (16, 32)),
        ("conv", "channels=3\nfilters=16\nfilterSize=5", (16, 28)),
        # 27 / 4 = 6.75: the eighth window hangs over the border
        ("conv", "channels=3\nfilters=16\nfilterSize=5\nstride=4", (16, 8)),
        ("conv", "channels=3\nfilters=16\nfilterSize=32", (16, 1)),
        # 12 channels of 16 x 16; 16 filters in each group
        ("conv", "channels=12\nfilters=16\nfilterSize=3\npadding=1\ngroups=3", (48, 16)),
        ("local", "channels=3\nfilters=16\nfilterSize=5\npadding=2", (16, 32)),
        ("pool", "channels=3\npool=max\nsizeX=3\nstride=2", (3, 16)),  # 29 / 2 = 14.5
        ("pool", "channels=3\npool=avg\nsizeX=2\nstride=2", (3, 16)),
        ("pool", "channels=3\npool=max\nsizeX=3\nstride=2\nstart=-1", (3, 16)),
        ("pool", "channels=3\npool=max\nsizeX=3\nstride=2\noutputsX=5", (3, 5)),
        ("pool", "channels=3\npool=avg\nsizeX=32\nstride=1", (3, 1)),
        ("pool", "channels=3\npool=avg\nsizeX=3\nstride=3\nstart=31", (3, 1)),
        ("rnorm", "channels=3\nsize=32", (3, 32)),
        ("cnorm", "channels=3\nsize=1", (3, 32)),
        ("cmrnorm", "channels=3\nsize=3\nblocked=1", (3, 32)),
        ("nailbed", "channels=3\nstride=2", (3, 16)),
        ("nailbed", "channels=3\nstride=3", (3, 11)),  # 32 / 3 = 10.67
        ("blur", "channels=3\nfilterSize=9\nstdev=2", (3, 32)),
        ("resize", "channels=3\nscale=1.5", (3, 21)),  # 21.33
        ("resize", "channels=3\nscale=0.7", (3, 45)),  # 45.71
        ("resize", "channels=3\nscale=2", (3, 16)),
        ("rgb2yuv", "", (3, 32)),
        ("rgb2lab", "center=yes", (3, 32)),
    ],
)
def test_image(load, layer_type, keys, image):
    layer = load(net(layer_type, keys), mode="lenient")["x"]
    assert layer.output.image == image
    assert layer.output.size == image[0] * image[1] ** 2


@pytest.mark.parametrize(
    ("layer_type", "keys", "inputs", "size"),
    [
        ("fc", "outputs=10", "data", 10),
        ("fc", "outputs=7\ninitW=1,1", "data,labels", 7),
        ("softmax", "", "data", 3072),
        ("neuron", "neuron=relu", "data", 3072),
        ("eltsum", "coeffs=1,-1", "data,data", 3072),
        ("eltmax", "", "data,data,data", 3072),
    ],
)
def test_size(load, layer_type, keys, inputs, size):
    layer = load(net(layer_type, keys, inputs))["x"]
    assert (layer.output.size, layer.output.image) == (size, None)


@pytest.mark.parametrize(
    ("layer_type", "keys", "weights", "biases", "multiply_adds"),
    [
        ("fc", "outputs=10", (3072, 10), (1, 10), 30720),
        # 3 * 25 numbers a filter, at 1024 positions
        ("conv", "channels=3\nfilters=16\nfilterSize=5\npadding=2", (75, 16), (16, 1), 75 * 16 * 1024),
        (
            "conv",
            "channels=3\nfilters=16\nfilterSize=5\npadding=2\nsharedBiases=0",
            (75, 16),
            (16 * 1024, 1),
            75 * 16 * 1024,
        ),
        # each of 4 groups sees 3 of 12 channels
        ("conv", "channels=12\nfilters=4\nfilterSize=3\ngroups=4", (27, 16), (16, 1), 27 * 16 * 14**2),
        (
            "conv",
            "channels=12\nfilters=4\nfilterSize=3\ngroups=4\nrandSparse=1\nfilterChannels=6",
            (54, 16),
            (16, 1),
            54 * 16 * 14**2,
        ),
        ("local", "channels=3\nfilters=4\nfilterSize=5", (28**2 * 75, 4), (4 * 28**2, 1), 75 * 4 * 28**2),
    ],
)
def test_weights(load, layer_type, keys, weights, biases, multiply_adds):
    layer = load(net(layer_type, keys))["x"]
    assert [matrix.shape for matrix in layer.matrices] == [weights]
    assert layer.bias.shape == biases
    assert layer.parameters == weights[0] * weights[1] + biases[0] * biases[1]
    assert layer.multiply_adds == multiply_adds


def test_a_norm_divides_its_scale_by_the_size_of_the_window(load):
    text = net("cmrnorm", "channels=3\nsize=3") + "[n]\ntype=rnorm\ninputs=data\nchannels=3\nsize=3\n"
    network = load(text + "[c]\ntype=cost.sum2\ninputs=n\n")
    assert network["x"].spec.effective_scale(0.9) == pytest.approx(0.3)
    assert network["n"].spec.effective_scale(0.9) == pytest.approx(0.1)


@pytest.mark.parametrize("channels", ["x", "0", "1,2", ""])
def test_filter_channels_are_read_only_with_random_sparsity(load, problems, channels):
    keys = f"channels=12\nfilters=4\nfilterSize=3\ngroups=4\nfilterChannels={channels}\n"
    assert load(net("conv", keys))["x"].spec.filter_channels(0) == 3
    assert [message[:14] for message in problems(net("conv", keys + "randSparse=1"))] == ["filterChannels"]


def test_data_without_values_cannot_be_read(problems):
    text = net("neuron", "neuron=relu")
    assert problems(text, data_dims=(0, 1)) == ["input 'data' has no output: its size is 0"]


@pytest.mark.parametrize("scale", [0.5, 1, 2])
def test_one_pixel_cannot_be_resized(problems, scale):
    text = net("resize", f"channels=3072\nscale={scale}")
    assert problems(text) == ["type=resize needs an image of at least 2 x 2 pixels, got 1 x 1"]


def test_what_only_gpus_needed_is_accepted_with_a_note(load):
    keys = "channels=6\nfilters=3\nfilterSize=2\nstride=3"
    network = load(net("conv", keys), data_dims=(6 * 16, 1), mode="strict")
    notes = {problem.message.split(":")[0] for problem in network.remarks}
    assert notes == {
        "channels > 3 and not a multiple of 4",
        "filters not a multiple of 16 in each group",
        "stride > filterSize",
    }


def test_the_number_of_classes(load, problems):
    text = """
        [data]
        type=data
        dataIdx=0
        [labels]
        type=data
        dataIdx=1
        [probs]
        type=softmax
        inputs=data
        [cost]
        type=cost.logreg
        inputs=labels,probs
    """
    assert load(text, data_dims=(10, 1), classes=10).classes == {"cost": 10}
    assert problems(text, data_dims=(10, 1), classes=12) == ["this cost is for 10 classes, the data have 12"]
    assert problems(text, data_dims=(10,)) == ["the data have no matrix 1, only 0"]


def test_every_layer_type_is_tried_here_or_in_the_messages():
    tried = {
        mark.values[0] if hasattr(mark, "values") else mark[0]
        for test in (test_image, test_size, test_weights)
        for mark in test.pytestmark[0].args[1]
    }
    assert set(V1.layer_types) - tried == {"data", "cost.logreg", "cost.sum2"}
