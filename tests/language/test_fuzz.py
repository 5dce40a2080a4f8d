"""Whatever the files contain: a network, or an error with at least one problem."""

import random
from dataclasses import replace

import pytest

from convnet_cfg.errors import ConfigError, ConvnetError
from convnet_cfg.language import Reading, build_network, guess_dims, read_pair
from convnet_cfg.language.describe import describe

LAYERS = """[data]
type=data
dataIdx=0

[labels]
type=data
dataIdx=1

[conv1]
type=conv
inputs=data
channels=3
filters=16
padding=2
stride=1
filterSize=5
initW=0.0001
partialSum=4
sharedBiases=1
neuron=relu

[conv2]
type=conv
inputs=conv1
channels=16
filters=8
groups=2
randSparse=1
filterChannels=8
filterSize=3
initW=%(x)s
x=0.1
partialSum=0
neuron=tanh[1.7,0.6]

[pool1]
type=pool
pool=max
inputs=conv2
start=0
sizeX=3
stride=2
outputsX=0
channels=16

[rnorm1]
type=cmrnorm
inputs=pool1
channels=16
size=5

[local3]
type=local
inputs=rnorm1
filters=4
padding=1
stride=1
filterSize=3
channels=16
initW=0.04

[fc10]
type=fc
outputs=10
inputs=local3,rnorm1
initW=0.01,0.01
initWFunc=m.f(1)

[fc11]
type=fc
outputs=10
inputs=fc10,fc10
initW=0.01,0.01
weightSource=,fc11

[sum]
type=eltsum
inputs=fc10,fc11
coeffs=1,-1

[probs]
type=softmax
inputs=sum

[logprob]
type=cost.logreg
inputs=labels,probs
"""
WEIGHTS = "epsW=0.001{0}\nepsB=0.002\nmomW=0.9{1}\nmomB=0.9\nwc=0.004{1}\n"
PARAMS = (
    "".join(f"[{name}]\n{WEIGHTS.format('', '')}\n" for name in ("conv1", "conv2", "local3"))
    + "".join(f"[{name}]\n{WEIGHTS.format(',0.1', ',0')}\n" for name in ("fc10", "fc11"))
    + "[rnorm1]\nscale=0.001\npow=0.75\n\n[logprob]\ncoeff=1\n"
)
WORDS = [
    "",
    "0",
    "-1",
    "1e999",
    "999999999999999999",
    "9" * 400,
    "nan",
    "%",
    "%(x)s",
    "%(x)s" * 50,
    "%(inputs)s",
    "%(__name__)s",
    "a,b",
    ",",
    "conv1[99999999999]",
    "tanh[,]",
    "linear[1e308,-]",
    "m.f(",
    "\x00",
    "é\u00a0\u2028",
    "[",
    "=",
    "\n  x",
    "data,conv1,labels",
    "true",
    "cost.sum2",
    "fc",
    "neuron",
    "eltmax",
    "resize",
    "blur",
    "x" * 5000,
]


def change_value(text, chance):
    lines = text.split("\n")
    at = chance.randrange(len(lines))
    lines[at] = lines[at].split("=")[0] + "=" + chance.choice(WORDS)
    return "\n".join(lines)


def change_line(text, chance):
    lines = text.split("\n")
    at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    action = chance.randrange(4)
    if action == 0:
        del lines[at]
    elif action == 1:
        lines.insert(at, lines[other])
    elif action == 2:
        lines[at], lines[other] = lines[other], lines[at]
    else:
        lines[at] = chance.choice([" ", "", "[", "rem "]) + lines[at]
    return "\n".join(lines)


def change_character(text, chance):
    at = chance.randrange(len(text))
    return text[:at] + chr(chance.choice([0, 9, 13, 37, 44, 59, 91, 93, 133, 255, 0x2028])) + text[at + 1 :]


CHANGES = (change_value, change_value, change_line, change_character)


def accepted(folder, layers, params):
    """Return whether files were accepted for the usual data; otherwise there must be something to say."""
    (folder / "layers.cfg").write_bytes(layers)
    (folder / "params.cfg").write_bytes(params)
    files = folder / "layers.cfg", folder / "params.cfg"
    pair = explained(lambda: read_pair(*files, Reading("lenient")))
    if pair is None:
        return False
    strict = replace(pair, reading=Reading("strict"))
    results = [
        explained(lambda read=read, dims=dims: describe(build_network(read, dims, 10)))
        for dims in ((3072, 1), guess_dims(pair).dims)
        for read in (pair, strict)
    ]
    return results[0] is not None


def explained(action):
    """Return what comes of an action, None if that is a configuration error with words to it."""
    try:
        return action()
    except ConfigError as error:
        if not error.problems:
            pytest.fail("an error without a problem")
        return None


def test_mutated_files(tmp_path):
    chance = random.Random(1)
    count = 0
    for _ in range(150):
        texts = [LAYERS, PARAMS]
        for _ in range(chance.randrange(1, 5)):
            which = chance.randrange(2)
            texts[which] = chance.choice(CHANGES)(texts[which], chance)
        count += accepted(tmp_path, *(text.encode() for text in texts))
    assert 0 < count < 150


def test_binary_junk(tmp_path):
    chance = random.Random(2)
    for _ in range(100):
        assert not accepted(tmp_path, chance.randbytes(300), chance.randbytes(300))


@pytest.mark.parametrize(
    "layers",
    [
        "[a]\n" + "".join(f"k{n}=%(k{n + 1})s%(k{n + 1})s\n" for n in range(5000)) + "type=%(k0)s",
        "[data]\ntype=data\ndataIdx=999999999999999999\n",
        LAYERS.replace("channels=3", "channels=999999999999999999"),
        LAYERS.replace("filters=16", "filters=999999999999999999"),
        LAYERS.replace("padding=2", "padding=999999999999999999"),
        LAYERS.replace("outputs=10", "outputs=999999999999999999"),
        LAYERS.replace("start=0", "start=-999999999999999999"),
        LAYERS.replace("outputsX=0", "outputsX=999999999999999999"),
        LAYERS.replace("inputs=fc10,fc10", "inputs=" + "fc10," * 3000 + "fc10"),
        "".join(f"[fc{n}]\ntype=fc\ninputs=fc{n - 1}\noutputs=1\ninitW=1\n" for n in range(1500)),
        "[" * 100_000,
        "[a]\n" + "x" * 100_000 + "=1",
        "[a]\ntype=" + "x" * 100_000,
        "[a]\ntype=data\n" + "  more\n" * 50_000,
    ],
    ids=lambda text: text[:20].split("\n")[0],
)
def test_extremes(tmp_path, layers):
    try:
        accepted(tmp_path, layers.encode(), PARAMS.encode())
    except ConvnetError as error:
        pytest.fail(f"not a configuration error: {error}")
