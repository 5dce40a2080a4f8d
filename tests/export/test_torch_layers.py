"""Layers of translations to PyTorch beside ours: random ones, remixed probabilities, shared weights."""

import re

import numpy as np
import pytest
from torch_translations import Job, assert_well_written, run

from benchmarks.translation_cases import make_case
from benchmarks.translations import compare
from convnet_cfg.errors import ConfigError
from convnet_cfg.export.source.shapes import data_shapes
from convnet_cfg.language import Reading, build_network, read_pair

TOLERANCE = {"float32": 1e-5, "float64": 1e-9}  # of the largest value of each array
DIMS = [192, 1]  # images of 8 x 8 x 3, and labels

DATA = "[data]\ntype=data\ndataIdx=0\n"
LABELS = "[labels]\ntype=data\ndataIdx=1\n"
COST = "[cost]\ntype=cost.logreg\ninputs=labels,{}\n"
FILTERS = "filterSize=3\npadding=1\nstride=1\npartialSum=1\nsumWidth=1"
LIF = "0.063,0.001,0.05,0.825,0.02"


def section(name, kind, inputs, *keys):
    return f"[{name}]\ntype={kind}\ninputs={inputs}\n" + "".join(f"{key}\n" for key in keys)


def weighted(name, kind, inputs, *keys):
    """Return a layer with weights, a matrix for each input."""
    return section(name, kind, inputs, *keys, f"initW={','.join(['0.1'] * (inputs.count(',') + 1))}")


def classified(inputs):
    """Return probabilities of what a layer makes."""
    return weighted("top", "fc", inputs, "outputs=4") + section("probs", "softmax", "top")


def neuron(text):
    """Return a network with a neuron of a layer, and one that is a layer itself."""
    below = weighted("fc", "fc", "data", "outputs=12", f"neuron={text}")
    return (
        below + section("also", "neuron", "fc", f"neuron={text}") + classified("also") + COST.format("probs")
    )


def at_random_scale():
    part = section("part", "rscale", "data", "channels=3", "maxScale=1.4", "tgtSize=6")
    conv = weighted("conv", "conv", "part", "channels=3", "filters=16", FILTERS)
    return part + conv + classified("conv") + COST.format("probs")


def full(kind, *keys):
    layer = weighted("fc", kind, "data", "outputs=12", *keys, "neuron=tanh[1,1]")
    return layer + classified("fc") + COST.format("probs")


def remixed(initial):
    """Return a network with two remixes of probabilities by one matrix."""
    keys = ("outputs=4", f"initW={initial}")
    layers = section("remixed", "condprob", "probs", *keys)
    layers += section("again", "condprob", "remixed", *keys, "weightSource=remixed")
    return full("fc").replace(COST.format("probs"), layers + COST.format("again"))


def shared(kind, *keys, below="", inputs="data"):
    """Return a network of two layers with one matrix."""
    layers = weighted("a", kind, inputs, *keys) + weighted("b", kind, "a", *keys, "weightSource=a")
    return below + layers + classified("b") + COST.format("probs")


def with_cost_of_images(kind, inputs, *keys):
    cost = section("energy", kind, inputs, "channels=16", *keys)
    return CONV + classified("conv") + COST.format("probs") + cost


def autoencoder():
    """Return a network that is to make the image again, beside the labels."""
    image = weighted("made", "conv", "conv", "channels=16", "filters=3", FILTERS)
    difference = section("difference", "cost.l2-reg", "data,made")
    return CONV + image + classified("conv") + COST.format("probs") + difference


def shared_in_another_form():
    """Return a network of layers with one matrix, whose input is an image to the first one, then a vector."""
    layers = weighted("image", "conv", "data", "channels=3", "filters=3", FILTERS)
    for name, inputs, source in (("a", "image", ""), ("b", "a", "a"), ("c", "b", ""), ("d", "image", "c")):
        keys = [f"weightSource={source}"] if source else []
        layers += weighted(name, "fc", inputs, "outputs=192", *keys)
    return layers + classified("c,d") + COST.format("probs")


CONV = weighted("conv", "conv", "data", "channels=3", "filters=16", FILTERS)
LOCAL = (FILTERS, "channels=16", "filters=16")
GROUPS = (FILTERS, "channels=16", "filters=8", "groups=2")
MATRIX = "0.9 0.1 0 0; 0.1 0.9 0.2 0; 0 0 0.8 0; 0 0 0 1"
TWICE = weighted("twice", "sfc", "a,b", "outputs=3", "parts=4", "weightSource=,twice")
BLOCKS = shared("sfc", "outputs=48", "parts=4")
# the dialect and the layers above the data
NETWORKS = {
    "nrelu": ("alexnet-2012", neuron("nrelu")),
    "softlif": ("hunse", neuron(f"softlif[{LIF},0.5]")),
    "softlifalpha": ("hunse", neuron(f"softlifalpha[{LIF},0.005]")),
    "softlifalpharc": ("hunse", neuron(f"softlifalpharc[{LIF},0.005]")),
    "brelu of 0": ("v2", neuron("brelu[0]")),
    "brelu below 0": ("v2", neuron("brelu[-0.5]")),
    "rscale": ("v2", at_random_scale()),
    "rscale of 2012": ("alexnet-2012", at_random_scale()),
    "dropout of a number": ("stephenyan1231", full("fc", "dropout=0.25")),
    "fcdropcf": ("dropconnect", full("fcdropcf", "rate=0.25")),
    "distributions": ("cysu", remixed("random")),
    "identity": ("cysu", remixed("identity")),
    "matrix": ("cysu", remixed(MATRIX)),
    "shared blocks": ("v2", BLOCKS.replace("[top]", f"{TWICE}[top]").replace("inputs=b\n", "inputs=twice\n")),
    "shared image and vector": ("v1", shared_in_another_form()),
    "shared local": ("v1", shared("local", *LOCAL, below=CONV, inputs="conv")),
    "shared groups": ("v1", shared("local", *GROUPS, below=CONV, inputs="conv")),
    "shared pixels": ("nin", shared("cccp", "channels=1", "in_nodes=3", "out_nodes=3")),
    "shared line": ("nin", shared("cccp", "channels=1", "in_nodes=6", "out_nodes=6")),
    "shared fcdropc": ("dropconnect", shared("fcdropc", "rate=0.25", "outputs=192")),
    "shared fcdropcf": ("dropconnect", shared("fcdropcf", "rate=0.25", "outputs=192")),
    "shared bias": ("zhaofang0627", shared("fc", "outputs=192")),
    "cost of an image": ("alexnet-2012", with_cost_of_images("cost.tica", "conv", "sizeX=3")),
    "cost of pixels": ("nin", with_cost_of_images("cost.gsinlabel", "labels,conv")),
    "images as targets": ("zbhzxyld", autoencoder()),
}
COST_NAME = re.compile(r"^\[(\w+)\]\ntype=cost\.", re.MULTILINE)
RATES = {"b": 0.03, "again": 0.03}  # of the other layers it is 0.1


def params_of(layers):
    """Return the parameters of all layers with weights, and of the costs."""
    text = "".join(f"[{cost}]\ncoeff=0.5\ntopk=1\n" for cost in COST_NAME.findall(layers))
    for name, body in re.findall(r"^\[(\w+)\]\n((?:\w.*\n)*)", layers, re.MULTILINE):
        if "initW=" in body:
            count = body.split("inputs=")[1].split("\n")[0].count(",") + 1
            rates = {"epsW": RATES.get(name, 0.1), "momW": 0.9, "wc": 0.01}
            lists = "".join(f"{key}={','.join([str(value)] * count)}\n" for key, value in rates.items())
            text += f"[{name}]\n{lists}" + ("" if "condprob" in body else "epsB=0.1\nmomB=0.5\n")
    return text


def network_of(described, folder):
    dialect, layers = described
    (folder / "layers.cfg").write_text(DATA + (LABELS if "inputs=labels" in layers else "") + layers)
    (folder / "params.cfg").write_text(params_of(layers))
    pair = read_pair(folder / "layers.cfg", folder / "params.cfg", Reading("lenient", dialect))
    return build_network(pair, DIMS)


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nets")
    networks = {name: network_of(described, folder) for name, described in NETWORKS.items()}
    return {
        name: make_case(name, network, data_shapes(network), to="torch") for name, network in networks.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_they_compute_what_ours_do(cases, dtype, tmp_path):
    chosen = [case for name, case in cases.items() if dtype == "float64" or not name.startswith("shared")]
    found = {each.name: each for each in compare(chosen, tmp_path, dtype)}
    assert len(found) == len(chosen) > 10
    for name, each in found.items():
        assert not each.failed, (name, each.failed)
        assert {key.partition("/")[0] for key in each.errors} == {"output", "cost", "gradient", "stepped"}
        assert max(each.errors.values()) <= TOLERANCE[dtype], each


LARGER = ("outputs=48", "parts=2", "weightSource=a")
FORMS = weighted("a", "sfc", "data", "outputs=48", "parts=4")
FORMS += weighted("b", "sfc", "a", *LARGER) + weighted("c", "sfc", "data", *LARGER)
FORMS += classified("b,c") + COST.format("probs")


def test_what_is_shared_in_another_form_is_refused(tmp_path):
    """Two layers have half as many blocks, of twice the size."""
    network = network_of(("v2", FORMS), tmp_path)
    with pytest.raises(ConfigError) as error:
        make_case("blocks", network, data_shapes(network), to="torch")
    message = "it has a/kernel in another form, which cannot be shared in PyTorch"
    assert [(problem.section, problem.message) for problem in error.value.problems] == [
        ("b", message),
        ("c", message),
    ]


def test_only_weights_that_all_cases_drop_together_lose_their_velocity(cases):
    hooks = {name: cases[name].source.text.count("forgetting_dropped(model.") for name in cases}
    assert {name: count for name, count in hooks.items() if count} == {"shared fcdropc": 1}
    assert "register_step_pre_hook(forgetting_dropped(model.a))" in cases["shared fcdropc"].source.text


def test_weights_begin_with_the_numbers_of_the_file(cases):
    begins = {
        "identity": "nn.init.eye_(self.remixed.weight)",
        "distributions": "draw_distributions(self.remixed.weight)",
        "matrix": "[[0.9, 0.1, 0.0, 0.0], [0.1, 0.9, 0.0, 0.0], [0.0, 0.2, 0.8, 0.0], [0.0, 0.0, 0.0, 1.0]],",
    }
    for name, line in begins.items():
        assert line in map(str.strip, cases[name].source.text.splitlines())


# -- random numbers as they are


RANDOM = {
    "nrelu": ("alexnet-2012", section("x", "neuron", "data", "neuron=nrelu")),
    "softlif": ("hunse", section("x", "neuron", "data", f"neuron=softlif[{LIF},0.5]")),
    "softlifalpha": ("hunse", section("x", "neuron", "data", f"neuron=softlifalpha[{LIF},0.005]")),
    "softlifalpharc": ("hunse", section("x", "neuron", "data", f"neuron=softlifalpharc[{LIF},0.005]")),
    "number": ("stephenyan1231", weighted("x", "fc", "data", "outputs=192", "dropout=0.25")),
    "fcdropcf": ("dropconnect", weighted("x", "fcdropcf", "data", "outputs=4", "rate=0.25")),
    "rscale": ("v2", section("x", "rscale", "data", "channels=3", "maxScale=1.4", "tgtSize=5")),
    "distributions": ("cysu", section("x", "condprob", "data", "outputs=4", "initW=random")),
}
CASES = 4000


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Return what layers make in training of cases of ones, or of images that rise to the right."""
    folder, jobs = tmp_path_factory.mktemp("random"), []
    for name, (dialect, layers) in RANDOM.items():
        network = network_of((dialect, layers + "[cost]\ntype=cost.sum2\ninputs=x\n"), folder)
        text = make_case(name, network, data_shapes(network), to="torch").source.text
        given = np.ones((CASES, 192), np.float32)
        if name == "rscale":
            given = np.tile(np.arange(8, dtype=np.float32), (CASES, 3, 8, 1))
        if name == "number":
            text = text.replace("nn.init.normal_(self.x.weight, std=0.1)", "nn.init.eye_(self.x.weight)")
        jobs.append(Job(name, text, {"input/0": given}))
    return {name: found["output/output"] for name, found in run(jobs, folder).items()}


@pytest.mark.slow
def test_noise_is_of_the_right_kind(drawn):
    """max(0, 1 + n), n normal, has the mean 0.8413 + 0.2420; neurons fire at their rate on the average."""
    assert abs(drawn["nrelu"].mean() - 1.0833) < 0.01
    amplitude, refractory, membrane, gain, _ = map(float, LIF.split(","))
    rate = amplitude / (refractory + membrane * np.log1p(1 / gain))
    noisy = drawn["softlif"]
    assert abs(noisy.mean() - rate) < 1e-3
    assert abs(noisy.std() - amplitude * 0.5) < 1e-3
    for name in ("softlifalpha", "softlifalpharc"):
        assert abs(drawn[name].mean() - rate) < 0.01 * rate
        assert drawn[name].std() > 0.1 * rate


@pytest.mark.slow
def test_dropout_of_a_number_drops_the_same_ones_of_all_cases(drawn):
    """Of 192 values 144 are kept as they are."""
    (kept,) = np.unique(drawn["number"], axis=0)
    assert sorted(kept) == [0.0] * 48 + [1.0] * 144


@pytest.mark.slow
def test_each_case_drops_weights_of_its_own(drawn):
    """A sum of 192 weights, of which each is kept with a probability of 3/4."""
    assert len(np.unique(drawn["fcdropcf"], axis=0)) > 0.99 * CASES
    assert (drawn["fcdropcf"].std(axis=0) > 0.1).all()


@pytest.mark.slow
def test_images_are_scaled_once_a_minibatch(drawn):
    """The image is the number of the column: what it is scaled to tells the scale, and the place."""
    (image,) = np.unique(drawn["rscale"], axis=0)
    (row,) = np.unique(image.reshape(-1, 5), axis=0)
    steps = np.diff(row[1:-1])
    np.testing.assert_allclose(steps, steps[0], rtol=1e-5)
    assert 1 <= steps[0] <= 8 / 5
    assert 0 <= row[0] < row[-1] <= 7


@pytest.mark.slow
def test_random_distributions_sum_to_one(drawn):
    """The values are sums of the weights of an output."""
    np.testing.assert_allclose(drawn["distributions"], 1, rtol=1e-5)


@pytest.mark.slow
def test_they_are_well_written(cases, tmp_path):
    assert_well_written({name: case.source.text for name, case in cases.items()}, tmp_path)
