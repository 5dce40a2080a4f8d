"""The files that a checkpoint's network is written as, against what the original's parser made of its own."""

import json
import math
from dataclasses import replace

import numpy as np
import old_networks
import pytest
from golden_cases import FOLDER as GOLDEN
from golden_cases import entries as golden_entries
from golden_cases import read_arrays
from test_samples import NAMES

from benchmarks.corpus import pairs
from benchmarks.corpus_comparison import differences, read, same
from convnet_cfg.errors import CheckpointError, ConfigError
from convnet_cfg.language import DIALECTS, Reading, load_network
from convnet_cfg.language.describe import describe
from convnet_cfg.language.grammar import read_sections
from convnet_cfg.legacy import load_checkpoint
from convnet_cfg.legacy.cfg_text import number_text
from convnet_cfg.legacy.comparison import differences as unlike
from convnet_cfg.legacy.definition import define

# What stays when a layer is made into another, or says nothing of the network.
FUNCTIONS = {"initWFunc", "initBFunc", "initCFunc"}
STALE = {"weightSource", "weightSourceLayers", "weightSourceLayerIndices", "weightSourceMatrixIndices"}


def network_of(checkpoint, folder, dialect=True):
    """The network that the files of a checkpoint describe, in the dialect of the writer or recognized."""
    found = define(checkpoint)
    (folder / "layers.cfg").write_text(found.layers)
    (folder / "params.cfg").write_text(found.params)
    reading = Reading("lenient", found.dialect.name if dialect else None)
    files = folder / "layers.cfg", folder / "params.cfg"
    return load_network(*files, data_dims=found.dims, reading=reading)


def refused(checkpoint):
    with pytest.raises(CheckpointError) as error:
        define(checkpoint)
    assert error.value.exit_code == 6
    return str(error.value)


# -- files of the original programs


@pytest.mark.parametrize("name", NAMES)
def test_samples_describe_the_network_that_they_hold(checkpoints, name, tmp_path):
    known = json.loads((checkpoints / name / f"{name}.json").read_text())
    (run,) = (path for path in (checkpoints / name).iterdir() if path.is_dir())
    network = network_of(load_checkpoint(run), tmp_path, dialect=False)
    described = {layer["name"]: layer for layer in describe(network)["layers"]}
    assert set(described) == {layer["name"] for layer in known["layers"]}
    names = [layer["name"] for layer in sorted(known["layers"], key=lambda layer: layer["position"])]
    compared = 0
    for layer in known["layers"]:
        ours = described[layer["name"]]
        for key, value in layer["values"].items():
            if key == "inputs":
                value = [names[each] if isinstance(each, int) else each for each in value]
            if key in ours and key not in STALE | {"filterConns", "gradConsumer"}:
                assert same(ours[key], value), (layer["name"], key)
                compared += 1
        shapes = [
            layer["arrays"][f"weights[{index}]"]["shape"] for index in range(len(ours.get("weights", ())))
        ]
        assert ours.get("weights", []) == shapes
    assert compared > 150


def test_sources_that_are_gone_do_not_come_back(checkpoints):
    found = define(load_checkpoint(checkpoints / "v1-mix-tolocal" / "ConvNet__2012-01-02_03.04.05"))
    sections = dict(part.split("]\n", 1) for part in found.layers.split("\n[")[1:])
    assert "weightSource" not in sections["conv3b"]
    assert "partialSum" not in sections["conv2"]
    assert "weightSource=,fcs\n" in sections["fcs"]


@pytest.mark.slow
def test_networks_of_the_corpus_come_back(corpus, tmp_path):
    """From what the original's parser stored to files, and to what ours makes of the original's files."""
    programs = {}
    for pair, oracle in pairs(corpus):
        if oracle["primary"]["status"] != "ok" or oracle["dialect"] == "historic-v1":
            continue
        network = network_of(old_networks.checkpoint_of(oracle["primary"]["layers"]), tmp_path)
        wrong = [each for each in differences(network, oracle) if each[1] not in FUNCTIONS]
        assert wrong == [], pair.name
        first, _ = read(pair, oracle)
        ours, theirs = (
            {layer["name"]: without_functions(layer) for layer in describe(each)["layers"]}
            for each in (network, first)
        )
        assert ours == theirs, pair.name
        programs.setdefault(network.dialect.name, []).append(pair.name)
    assert {name: len(found) for name, found in programs.items() if len(found) > 9} == {
        "v1+dropout": 255,
        "v2": 90,
        "alexnet-2012": 60,
        "civilman628": 11,
        "dropconnect": 10,
    }
    assert set(programs) >= {"nin", "cysu", "elhuhdron", "zhaofang0627"}


def without_functions(layer):
    """A layer as described, without what is a comment in the files now, or tuned the original's kernels."""
    return {key: value for key, value in layer.items() if key not in FUNCTIONS}


@pytest.mark.skipif(not golden_entries(), reason="no golden folder")
def test_networks_of_the_golden_cases_come_back(tmp_path):
    """Types that the corpus lacks: from files to fields as the original stored them, and back."""
    types, count = set(), 0
    for name in golden_entries():
        program = name.partition("_")[0]
        dialect = {"v2": "v2", "dc": "dropconnect", "nin": "nin"}.get(program)
        arrays = read_arrays(name)
        files = GOLDEN / f"{name}.cfg", GOLDEN / f"{name}.params.cfg"
        first = load_network(*files, data_dims=dims_of(files[0], arrays), reading=Reading("lenient", dialect))
        checkpoint = old_networks.checkpoint_of(old_networks.named_layers(first, program == "v2"))
        network = network_of(checkpoint, tmp_path)
        assert describe(network)["layers"] == describe(first)["layers"], name
        assert rules(network) == rules(first), name
        types |= {layer.type for layer in network.layers}
        count += 1
    assert count >= 184
    assert types >= {"sfc", "blur", "nailbed", "resize", "rgb2yuv", "rgb2lab", "crop", "href", "rscale"}
    assert types >= {
        "eltmax",
        "cmpool",
        "pass",
        "concat",
        "dropout2",
        "cost.dce",
        "cost.bce",
        "fcdropc",
        "cccp",
    }


def rules(network):
    """The update rules; a constant schedule is as good as a plain rate."""
    found = describe(network)["groups"]
    constant = [group for group in found if (group.get("schedule") or {}).get("type") == "const"]
    for group in constant:
        group["schedule"] = None
    return found


def dims_of(path, arrays):
    """The sizes of the data matrices, by their numbers."""
    found = {
        int(section.get("dataIdx").text): len(arrays[f"in_{name}"])
        for name, section in read_sections(path).items()
        if section.find("dataIdx")
    }
    return [found[index] for index in sorted(found)]


# -- values


@pytest.mark.parametrize(
    "number",
    [0.1, 1e-5, 5e-324, 1.7976931348623157e308, 1 / 3, -0.0, 0.30000000000000004, 1e16, 123456789, 0],
)
def test_numbers_are_read_as_they_are(number):
    text = number_text(number)
    assert "e" not in text
    assert float(text) == number
    assert math.copysign(1, float(text)) == math.copysign(1, number)


def norm(scale, size, kind):
    data = {"name": "data", "type": "data", "dataIdx": 0, "outputs": 16 * 81}
    fields = {"size": size, "scale": scale, "pow": 0.75, "blocked": False, "channels": 16, "imgSize": 9}
    norm = {"name": "norm", "type": kind, "inputs": ["data"], "outputs": 16 * 81, "neuron": "", **fields}
    cost = {"name": "cost", "type": "cost.sum2", "inputs": ["norm"], "outputs": 0, "coeff": 1.0}
    return old_networks.checkpoint_of([data, norm, cost])


def test_scales_give_the_same_number_when_they_are_divided_again(tmp_path):
    """The original divides in double precision: by size, or by its square."""
    rng = np.random.default_rng(1)
    for kind, power in {"cmrnorm": 1, "rnorm": 2, "cnorm": 2}.items():
        for size in (3, 5, 7, 9):
            for scale in (0.001, 0.00005, 1.0, *(10 ** rng.uniform(-6, 1) for _ in range(5))):
                stored = scale / float(size**power)
                network = network_of(norm(stored, size, kind), tmp_path)
                layer = network["norm"]
                assert layer.spec.effective_scale(layer.params.scale) == stored
    assert "scale=0.001\n" in define(norm(0.001 / 5, 5, "cmrnorm")).params


def test_a_scale_that_was_never_divided():
    """Numbers just below 1/16 are closer together than those from 1 on, divided by 25."""
    numbers = around(0.05)
    lost = next(number for number in numbers if all(each / 25.0 != number for each in around(number * 25)))
    assert "is no number divided by 25" in refused(norm(lost, 5, "rnorm"))


def around(number):
    found = [number]
    for direction in (math.inf, -math.inf):
        each = number
        for _ in range(50):
            each = math.nextafter(each, direction)
            found.append(each)
    return found


# -- order, names, and what is refused


def small(**changes):
    """The layers of the smallest network, `changes` being fields of fc10."""
    weights = {
        "initW": [0.1],
        "initB": 0,
        "epsW": [0.01],
        "epsB": 0.02,
        "momW": [0.9],
        "momB": 0.9,
        "wc": [0.0],
    }
    return [
        {"name": "data", "type": "data", "dataIdx": 0, "outputs": 12},
        {"name": "labels", "type": "data", "dataIdx": 1, "outputs": 1},
        {"name": "fc10", "type": "fc", "inputs": ["data"], "outputs": 10, "neuron": "", **weights, **changes},
        {"name": "probs", "type": "softmax", "inputs": ["fc10"], "outputs": 10, "neuron": ""},
        {"name": "logprob", "type": "cost.logreg", "inputs": ["labels", "probs"], "outputs": 0, "coeff": 1.0},
    ]


def test_layers_stand_behind_what_they_read(tmp_path):
    layers = small()[::-1]
    for number, fields in enumerate(layers):
        fields |= {"id": number, "gpu": [0]}
    network = network_of(old_networks.checkpoint_of(layers), tmp_path)
    assert [layer.name for layer in network.layers] == ["labels", "data", "fc10", "probs", "logprob"]


def test_layers_in_a_circle():
    layers = small(inputs=["probs"])
    assert "need each other in a circle: fc10, probs, logprob" in refused(old_networks.checkpoint_of(layers))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"type": "fcc"}, "layer 'fc10' has the unknown type 'fcc' (did you mean 'fc'?)"),
        ({"type": "treefc", "gpu": 0}, "layer 'fc10' has the unknown type 'treefc'"),
        ({"momW": None, "epsB": None}, "layer 'fc10' has no 'momW'"),
        ({"momW": None, "epsB": None}, "layer 'fc10' has no 'epsB'"),
        ({"wc": [math.nan]}, "layer 'fc10': wc is nan"),
        ({"epsW": [{"type": "exp", "params": {}}]}, "layer 'fc10' has the unknown schedule 'exp'"),
        ({"neuron": "relu\ninitW=7"}, "cannot stand in a configuration file"),
        ({"neuron": "relu ;"}, "cannot stand in a configuration file"),
        ({"weightSourceLayerIndices": [9], "weightSourceMatrixIndices": [0]}, "of a layer that is not there"),
        ({"weightSourceLayerIndices": [0], "weightSourceMatrixIndices": []}, "where its matrices are from"),
        ({"initB": {"type": "relu"}}, "layer 'fc10': initB is no number, text or list of them"),
    ],
)
def test_what_is_refused(changes, message):
    kept = {name: value for name, value in changes.items() if value is not None}
    layers = small(**kept)
    for name in set(changes) - set(kept):
        del layers[2][name]
    assert message in refused(old_networks.checkpoint_of(layers))


@pytest.mark.parametrize(
    "name", ["a]b", "a\nb", "a,b", " a", "DEFAULT", "", "a\n[x]\ntype=data", "\u2028", "a\rb", "a\x1b[2J"]
)
def test_names_that_would_be_something_else_in_a_file(name):
    layers = small()
    layers[2]["name"], layers[3]["inputs"] = name, [name]
    assert "cannot be the name of a layer" in refused(old_networks.checkpoint_of(layers))
    assert "\x1b" not in refused(old_networks.checkpoint_of(layers))


@pytest.mark.parametrize("name", ["50%", "a%(b)s", "a=b", "a;b", "a b", "[a", "rem", "#a", "é", "conv1[0"])
def test_odd_names_that_a_file_can_hold(name, tmp_path):
    layers = small()
    layers[2]["name"], layers[3]["inputs"] = name, [name]
    network = network_of(old_networks.checkpoint_of(layers), tmp_path)
    assert network["probs"].inputs[0].name == name


def test_functions_are_comments(tmp_path):
    text = "os.system(rm)\nx=1"
    layers = small(initWFunc=text, initBFunc="initw.makeb(1)")
    checkpoint = old_networks.checkpoint_of(layers)
    found = define(checkpoint)
    assert "# initWFunc=os.system(rm)\\nx=1 made the first values\n" in found.layers
    assert found.notes == (
        "layer 'fc10': initWFunc=os.system(rm)\\nx=1: the weights are those of the checkpoint",
        "layer 'fc10': initBFunc=initw.makeb(1): the weights are those of the checkpoint",
    )
    assert network_of(checkpoint, tmp_path).functions == {}


def test_every_problem_is_named_up_to_a_number():
    layers = small()
    more = [{**layers[2], "name": f"fc{number}", "type": "nothing"} for number in range(80)]
    lines = refused(old_networks.checkpoint_of([*layers, *more])).splitlines()
    assert len(lines) == 52
    assert lines[-1] == "  and 30 more"


def test_parts_of_a_matrix(tmp_path):
    """Two layers of cuda-convnet2 that read parts of one matrix, the first of which begins at its start."""
    data = [
        {"name": name, "type": "data", "dataIdx": 0, "outputs": 6, "start": start, "end": start + 6}
        for name, start in (("left", 0), ("right", 6))
    ]
    layers = [*data, *small(inputs=["left", "right"])[1:]]
    for field in ("initW", "epsW", "momW", "wc"):
        layers[3][field] = layers[3][field] * 2
    layers[3]["epsW"] = [{"type": "const", "params": {"base": 0.01}}] * 2
    layers[3]["epsB"] = {"type": "const", "params": {"base": 0.02}}
    layers = [{**fields, "id": number, "gpu": [0]} for number, fields in enumerate(layers)]
    network = network_of(old_networks.checkpoint_of(layers), tmp_path)
    assert [(network[name].spec.first, network[name].spec.end) for name in ("left", "right")] == [
        (0, 6),
        (6, 0),
    ]


def test_dropout_behind_an_activation(tmp_path):
    """The fork with dropout reads a section for the activation too."""
    layers = [{**fields, "dropout": 0.0} for fields in small(neuron="relu")]
    relu = {"neuron": {"type": "relu", "params": {}, "usesActs": True, "usesInputs": False}}
    layers.insert(3, {"name": "fc10_neuron", "type": "neuron", "inputs": ["fc10"], "outputs": 10, **relu})
    layers[3]["dropout"], layers[4]["inputs"] = 0.5, ["fc10_neuron"]
    checkpoint = old_networks.checkpoint_of(layers)
    network = network_of(checkpoint, tmp_path)
    assert network["fc10_neuron"].params.dropout == 0.5
    assert network["fc10"].params.dropout == 0.0
    assert list(unlike(checkpoint, network)) == []


def test_text_that_no_file_can_hold():
    assert "cannot stand" in refused(old_networks.checkpoint_of(small(neuron="relu\ud800")))


def test_what_is_not_accepted_by_the_language(tmp_path):
    checkpoint = old_networks.checkpoint_of(small(outputs=0))
    with pytest.raises(ConfigError, match="outputs must be an integer >= 1"):
        network_of(checkpoint, tmp_path)


def test_every_dialect_can_be_chosen():
    """Each is of the first program or of the second, as the original's files tell them apart."""
    checkpoint = old_networks.checkpoint_of(small())
    assert define(checkpoint).dialect is DIALECTS["v1"]
    assert define(replace(checkpoint, program="v1+dropout")).dialect is DIALECTS["v1+dropout"]
