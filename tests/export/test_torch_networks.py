"""Translations to PyTorch of whole networks: what they compute beside ours, and how they are written."""

import sys
from pathlib import Path

import pytest
from torch_translations import assert_well_written

from benchmarks.corpus_networks import needed_bytes
from benchmarks.translation_cases import make_case
from benchmarks.translations import compare
from convnet_cfg.export.source.shapes import data_shapes
from convnet_cfg.export.source.torch_class import class_name
from convnet_cfg.export.source.torch_source import RESERVED
from convnet_cfg.language import Reading, build_network, guess_dims, read_pair
from convnet_cfg.optim import DECAYS

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(path for path in (ROOT / "layers").glob("*.cfg") if not path.name.endswith(".params.cfg"))
SMALL = 50_000_000  # bytes of values and weights of a network that is run
TOLERANCE = 1e-9  # of the largest value of each array, in double precision

LAYERS = """
[data]
type=data
dataIdx=0

[labels]
type=data
dataIdx=1

[conv1]
type=conv
inputs=data
channels=3
filters=4
filterSize=3
padding=1
neuron=relu
initW=0.1
partialSum=0
sumWidth=1

[{name}]
type=fc
inputs=conv1
outputs=6
neuron=tanh[1.5,0.5]
initW=0.1

[{last}]
type=fc
inputs={name}
outputs=10
initW=0.1

[probs]
type=softmax
inputs={last}

[logprob]
type=cost.logreg
inputs=labels,probs

[size]
type=cost.sum2
inputs=conv1
"""
PARAMS = """
[conv1]
epsW={rate}
epsB=0
momW=0.9
momB=0.9
wc=0.4
{more}

[{name}]
epsW=0.1
epsB=0.2
momW=0.5
momB=0.9
wc=0.3
{more}

[{last}]
epsW=0.1
epsB=0.2
momW=0.9
momB=0.9
wc=0
{more}

[logprob]
coeff=1

[size]
coeff=0.25
"""

ODD_LAYERS = """
[data]
type=data
dataIdx=0

[labels]
type=data
dataIdx=1

[apart]
type=conv
inputs=data
channels=3
filters=4
filterSize=3
padding=1
sharedBiases=0
neuron=relu
initW=0.1
partialSum=0

[sharer]
type=conv
inputs=data
channels=3
filters=4
filterSize=3
padding=1
weightSource=apart
initW=0.1
partialSum=0

[places]
type=local
inputs=apart,sharer
channels=4,4
filters=4,4
filterSize=3,2
padding=0,0
stride=2,3
neuron=abs
initW=0.1,0.1

[both]
type=eltmax
inputs=apart,sharer

[fc5]
type=fc
inputs=places,both
outputs=10
initW=0.1,0.1

[probs]
type=softmax
inputs=fc5

[logprob]
type=cost.logreg
inputs=labels,probs
"""
ODD_PARAMS = """
[apart]
epsW=0.1
epsB=0.1
momW=0.9
momB=0.9
wc=0.4

[sharer]
epsW=0.03
epsB=0.1
momW=0.9
momB=0.9
wc=0

[places]
epsW=0.1,0.2
epsB=0.1
momW=0.9,0.5
momB=0.9
wc=0,0.1

[fc5]
epsW=0.1,0.2
epsB=0.1
momW=0.9,0.5
momB=0.9
wc=0,0.1

[logprob]
coeff=2
"""


@pytest.fixture
def network(tmp_path):
    """Return a function that makes a small network of v2; `more` are further parameters."""

    def make(rate="0.1", more="", name="fc6", last="fc10", layers=LAYERS, dialect="v2"):
        (tmp_path / "net.cfg").write_text(layers.format(name=name, last=last))
        (tmp_path / "net.params.cfg").write_text(PARAMS.format(rate=rate, more=more, name=name, last=last))
        pair = read_pair(tmp_path / "net.cfg", tmp_path / "net.params.cfg", Reading("lenient", dialect))
        return build_network(pair, [108, 1])

    return make


def case(name, network, decay="cuda-convnet"):
    return make_case(name, network, data_shapes(network), decay, to="torch")


def shipped(path):
    """Return the translation of a network that comes along."""
    pair = read_pair(path, path.with_suffix(".params.cfg"), Reading())
    return case(path.stem, build_network(pair, guess_dims(pair, None).dims))


def assert_agreement(cases, folder):
    found = list(compare(cases, folder, "float64"))
    assert len(found) == len(cases)
    for comparison in found:
        assert not comparison.failed, comparison
        assert comparison.errors.keys() > {"cost"}
        assert max(comparison.errors.values()) <= TOLERANCE, comparison


def statements(text):
    """Return the lines of a program without those that are empty."""
    return [line.strip() for line in text.splitlines() if line.strip()]


@pytest.mark.slow
def test_shipped_networks_compute_what_ours_do(tmp_path):
    cases = [each for path in SHIPPED if needed_bytes((each := shipped(path)).network) <= SMALL]
    assert len(cases) >= 10
    assert_agreement(cases, tmp_path)


@pytest.mark.slow
def test_rules_of_update_are_ours(network, tmp_path):
    """Two steps with one gradient, by every kind of decay, schedule and bound."""
    cases = [case(kind, network(), kind) for kind in DECAYS]
    schedules = (
        "linear[base=0.2;tgtFactor=5]",
        "exp[base=0.2;tgtFactor=5]",
        "dexp[base=0.2;tgtFactor=8;numSteps=3]",
    )
    cases += [case(rate, network(rate)) for rate in schedules]
    cases += [case("decoupled schedule", network(schedules[0]), "decoupled-schedule")]
    cases += [case(more, network(more=more)) for more in ("wball=0.5", "decay=after-step")]
    assert_agreement(cases, tmp_path)


@pytest.mark.slow
def test_layers_with_several_inputs_and_shared_weights_compute_what_ours_do(tmp_path):
    (tmp_path / "net.cfg").write_text(ODD_LAYERS)
    (tmp_path / "net.params.cfg").write_text(ODD_PARAMS)
    pair = read_pair(tmp_path / "net.cfg", tmp_path / "net.params.cfg", Reading("default", "v1"))
    odd = case("odd", build_network(pair, [108, 1]))
    assert "LocalProduct(4, 4, size=2, side=3, stride=3)" in odd.source.text
    assert "with_gradient_scale(self.sharer.weight, " in odd.source.text
    assert_agreement([odd], tmp_path)


@pytest.mark.slow
def test_all_shipped_networks_are_translated_and_well_written(tmp_path):
    texts = {path.stem: shipped(path).source.text for path in SHIPPED}
    assert_well_written(texts, tmp_path)
    assert len(texts) == len(SHIPPED) >= 19


def test_a_program_has_what_its_network_needs_and_no_more(network):
    text = case("small-net", network()).source.text
    assert "class SmallNet(nn.Module):" in text
    assert "conv1 = F.relu(self.conv1(data))  # (N, 4, 6, 6)" in statements(text)
    assert "fc6 = 1.5 * torch.tanh(0.5 * self.fc6(conv1.flatten(1)))  # (N, 6)" in statements(text)
    assert "(model.conv1.weight, 0.1, 0.9, 0.4)," in statements(text)
    assert "# learning rate 0, not trained: conv1.bias" in statements(text)
    assert [line for line in statements(text) if line.startswith(("class ", "@"))] == [
        "class SmallNet(nn.Module):"
    ]
    assert "torch" not in sys.modules


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("cifar10-80sec", "Cifar10_80sec"),
        ("nin-cifar10", "NinCifar10"),
        ("2gpu", "Network2gpu"),
        ("none", "NoneNetwork"),
        ("max_pool", "MaxPoolNetwork"),
        ("---", "Network"),
    ],
)
def test_classes_have_the_names_of_networks(title, name):
    assert class_name(title, RESERVED) == name


def test_names_that_pytorch_has_already_are_not_used(network):
    text = case("net", network(name="train")).source.text
    assert "self.train_1 = nn.Linear(144, 6)" in statements(text)


def test_names_of_modules_are_not_those_of_layers(network):
    """`[fc6]` has dropout, whose module is called fc6_dropout, like another layer."""
    made = network(more="dropout=0.5", last="fc6_dropout", dialect="v1+dropout")
    text = case("net", made).source.text
    assert "self.fc6_dropout_1 = MaskDropout(0.5)" in statements(text)
    assert "self.fc6_dropout = nn.Linear(6, 10)" in statements(text)
