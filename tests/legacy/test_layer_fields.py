"""The fields of layers of every type, against what the original parsers made of networks of others."""

import json
from collections.abc import Mapping
from math import exp

import numpy as np
import pytest

from benchmarks.corpus import pairs
from benchmarks.corpus_comparison import read, same
from convnet_cfg.language import Reading, load_network
from convnet_cfg.language.grammar import read_sections
from convnet_cfg.legacy.layer_fields import OUTPUT_FILTER, layer_fields
from convnet_cfg.legacy.translation import translate

PROGRAMS = {"v1": "v1+dropout", "v2": "v2"}  # by the names that the corpus has for them
# Memory and devices, which the descriptions of the corpus leave out.
LEFT_OUT = {
    *("actsTarget", "actsGradTarget", "usesActs", "usesInputs", "forceOwnActs", "requiresParams"),
    *("conserveMem", "inputLayers", "outputFilter", "gpus"),
}
MADE_BY_TRAINING = {"weights", "biases", "filterConns"}
OTHER_PROGRAMS = ("nin_", "dc_", "e2e_")


def plain(value):
    """A frozen value as JSON has it."""
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, tuple) else value


def fields_of(network, program):
    """The fields of every layer as JSON has them, its inputs by name."""
    translation = translate(network, program)
    assert all("type=cost.dce" in problem for problem in translation.problems)
    fields = layer_fields(translation.network, program)
    described = {
        name: {key: plain(value) for key, value in values.items()} for name, values in fields.items()
    }
    for values in described.values():
        values["inputs"] = [
            list(fields)[each] if isinstance(each, int) else each for each in values.get("inputs", [])
        ]
    return described


def differences(ours, theirs):
    if (set(ours) | {"inputs"}) - LEFT_OUT - MADE_BY_TRAINING != (
        set(theirs) | {"inputs"}
    ) - MADE_BY_TRAINING:
        yield "keys", sorted(set(ours) ^ set(theirs))
    for key in (set(ours) & set(theirs)) - MADE_BY_TRAINING:
        expected = theirs[key]
        if key == "id" and "src_layer" in ours:
            continue  # activations are in the order of a Python 2 dictionary there
        if not same(ours[key], expected) or type(ours[key]) is not type(expected):
            yield key, ours[key], expected


@pytest.mark.slow
def test_all_fields_of_real_networks(corpus):
    found, networks = {}, 0
    for pair, oracle in pairs(corpus):
        primary = oracle["primary"]
        if primary["status"] != "ok" or primary["engine"] not in PROGRAMS:
            continue
        networks += 1
        ours = fields_of(read(pair, oracle).network, PROGRAMS[primary["engine"]])
        theirs = {layer["name"]: layer for layer in primary["layers"]}
        assert set(ours) == set(theirs)
        if primary["engine"] == "v1":
            assert list(ours) == list(theirs)
        for name in ours:
            if different := list(differences(ours[name], {"inputs": [], **theirs[name]})):
                found[pair.name, name] = different
    assert networks >= 340
    assert found == {}


def test_fields_of_all_types(golden):
    """The golden networks have types that the corpus lacks; not all fields of theirs are recorded."""
    found, types = {}, set()
    for case in json.loads((golden / "index.json").read_text())["cases"]:
        name = case["name"]
        if "layers" not in case or name.startswith(OTHER_PROGRAMS):
            continue
        sections = read_sections(golden / f"{name}.cfg")
        dims = {
            int(section.get("dataIdx").text): case["arrays"].get(f"in_{key}", [1])[0]
            for key, section in sections.items()
            if section.get("type").text == "data"
        }
        paths = golden / f"{name}.cfg", golden / f"{name}.params.cfg"
        network = load_network(*paths, data_dims=dims.get, reading=Reading("lenient"))
        program = "v2" if name.startswith("v2_") else "v1+dropout"
        ours = fields_of(network, program)
        for layer, theirs in case["layers"].items():
            types.add((program, theirs["type"]))
            expected = {key: value for key, value in theirs.items() if key != "inputs"}
            if "weightSource" in expected:  # matrix 0 need not be named
                expected["weightSource"] = [each.removesuffix("[0]") for each in expected["weightSource"]]
            wrong = {key: value for key, value in expected.items() if not same(ours[layer][key], value)}
            if wrong:
                found[name, layer] = wrong
    assert found == {}
    assert types >= {
        ("v1+dropout", name) for name in ("nailbed", "blur", "resize", "eltmax", "rgb2lab", "cnorm")
    }
    assert types >= {
        ("v2", name) for name in ("sfc", "cmpool", "crop", "href", "rscale", "pass", "cost.crossent")
    }


def network_of(folder, layers, params="", dims=(64, 1)):
    (folder / "layers.cfg").write_text("[data]\ntype=data\ndataIdx=0\n" + layers)
    (folder / "params.cfg").write_text(params)
    return load_network(folder / "layers.cfg", folder / "params.cfg", data_dims=dims)


def layer(name, kind, inputs, *keys):
    return "\n".join([f"\n[{name}]", f"type={kind}", f"inputs={inputs}", *keys, ""])


FC = ("outputs=64", "initW=0.1")
FC_PARAMS = "\n[{}]\nepsW=0.1\nepsB=0.1\nmomW=0.9\nmomB=0.9\nwc=0\n"
COST = layer("cost", "cost.sum2", "last"), "\n[cost]\ncoeff=1\n"
NO_PARAMS = ""

# Which memory a layer shares with its input (actsGradTarget, actsTarget), as spec/layers.md section 8 and the
# sample checkpoints have it: layers above `fc`, of 64 values, and the target of the last one.
SHARING = {
    "a sum": (layer("last", "eltsum", "fc"), (0, 0)),
    "a rectifier": (layer("last", "neuron", "fc", "neuron=relu"), (0, 0)),
    "what needs its input again": (layer("last", "neuron", "fc", "neuron=abs"), (0, -1)),
    "over what needs its output again": (
        layer("low", "neuron", "fc", "neuron=relu") + layer("last", "eltsum", "low"),
        (0, -1),
    ),
    "over a layer with two readers": (
        layer("low", "eltsum", "fc") + layer("last", "eltsum", "low") + layer("more", "cost.sum2", "low"),
        (-1, -1),
    ),
    "the second input": (
        layer("low", "eltsum", "fc") + layer("more", "cost.sum2", "low") + layer("fc2", "fc", "low", *FC)
        + layer("last", "eltsum", "low,fc2"),
        (1, 1),
    ),
    "one input twice": (layer("last", "eltsum", "fc,fc"), (-1, -1)),
    "another size": (layer("last", "fc", "fc", "outputs=10", "initW=0.1"), (-1, -1)),
    "data": (layer("more", "cost.sum2", "fc") + layer("last", "eltsum", "data"), (-1, -1)),
}  # fmt: skip


@pytest.mark.parametrize("name", SHARING)
def test_shared_memory(name, tmp_path):
    text, expected = SHARING[name]
    params = FC_PARAMS.format("fc") + COST[1]
    for added, section in {"more": "\n[more]\ncoeff=1\n", "fc2": FC_PARAMS.format("fc2")}.items():
        params += section if f"[{added}]" in text else ""
    params += FC_PARAMS.format("last") if "type=fc" in text.rpartition("[last]")[2] else ""
    network = network_of(tmp_path, layer("fc", "fc", "data", *FC) + text + COST[0], params)
    last = layer_fields(network, "v1")["last"]
    assert (last["actsGradTarget"], last["actsTarget"]) == expected


def test_the_filter_of_a_blur(tmp_path):
    """spec/layers.md section 12: exp(-(r - i)^2 / (2 stdev^2)), normalized."""
    text = layer("last", "blur", "data", "channels=1", "filterSize=5", "stdev=2") + COST[0]
    made = layer_fields(network_of(tmp_path, text, COST[1]), "v1")["last"]["filter"].data
    weights = [exp(-((2 - i) ** 2) / 8) for i in range(5)]
    assert (made.shape, made.dtype) == ((1, 5), np.float32)
    np.testing.assert_allclose(made[0], np.array(weights) / sum(weights), rtol=1e-6)


def test_costs_of_v2(tmp_path):
    """A parent and its child are aggregated; the filter makes means of sums (spec/checkpoints.md 5.2)."""
    layers = layer("low", "cost.sum2", "data", "gpu=0") + layer(
        "cost", "cost.sum2", "data", "gpu=0", "children=low"
    )
    fields = layer_fields(
        translate(network_of(tmp_path, layers, "[low]\ncoeff=0\n[cost]\ncoeff=1\n"), "v2").network, "v2"
    )
    assert [fields[name]["aggregated"] for name in ("low", "cost")] == [True, True]
    assert [fields[name]["gradConsumer"] for name in ("low", "cost")] == [False, True]
    assert fields["cost"]["children"] == ("low",)
    assert eval(OUTPUT_FILTER)([120.0, 30.0], 60) == [2.0, 0.5]
