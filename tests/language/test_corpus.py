"""Real configurations, against what the original's own parser made of them."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from functools import cache

import pytest

from convnet_cfg.errors import ConfigError
from convnet_cfg.language import build_network, guess_dims, read_pair
from convnet_cfg.language.describe import describe

OURS = {"v1", "v1+dropout"}

# The tables name what is special among the pairs that we know; more pairs can come, for which rules must do.

# The original refused these, we do not.
ACCEPTED = {
    "petewarden--cuda-convnet--infinity-layer-6d3a1e": "filters not a multiple of 16: only its GPU kernels",
    "dnouri--cuda-convnet--layers-18pct-d457e2": "norm keys of before June 2012: read as archaic-v1",
    "dnouri--cuda-convnet--layers-example-c3b1c6": "norm keys of before June 2012: read as archaic-v1",
}
GPU_ONLY = re.compile(r"must be divisible by (4|16)\b")  # the end of the sentence in the original's messages

# Pairs of other dialects that have nothing in them but what v1 knows.
ARCHAIC = {
    "dnouri--cuda-convnet--layers-18pct-0d0a5e",
    "dnouri--cuda-convnet--layers-18pct-7d312b",
    "dnouri--cuda-convnet--layers-conv-local-11pct-19df99",
    "dnouri--cuda-convnet--layers-example-86157c",
    "dnouri--cuda-convnet--layers-example-8baa43",
}
MODULE_MISSING = {  # v1 itself only missed the module of an initWFunc, which we leave for later
    "alemagnani--cuda-convnet--layers-multi-perceptron-3ee0f4",
    "dicarlolab--archconvnets--imagenet-reference-0-1b57a2",
    "dicarlolab--archconvnets--imagenet-reference-0-and-neurons-ecbf2d",
}

# What reading without --lenient refuses beyond that, and why.
REFUSED_BY_DEFAULT = {
    "unknown key 'shareBiases' (did you mean 'sharedBiases'?)": {"mavenlin--cuda-convnet--imagenet-68ec7f"},
    "key 'dropout' belongs in the other file": {
        "olivernina--idropout--layers-80sec-fae298",
        "petewarden--cuda-convnet--cuda-layer-1a55df",
        "petewarden--cuda-convnet--cuda-layer-366358",
        "petewarden--cuda-convnet--cuda-layer-4723fb",
        "petewarden--cuda-convnet--cuda-layer-4a363b",
        "petewarden--cuda-convnet--cuda-layer-694e1d",
        "petewarden--cuda-convnet--cuda-layer-f23c5f",
        "petewarden--cuda-convnet--test-layer-009649",
        "petewarden--cuda-convnet--test-layer-2908df",
        "petewarden--cuda-convnet--test-layer-65cdda",
        "spmohanty--cuda-convnet--cuda-layer-1f0aec",
    },
    "some windows lie wholly outside the image": {
        "petewarden--cuda-convnet--test-cifar-0f56eb",
        "petewarden--cuda-convnet--test-cifar-5c9557",
        "petewarden--cuda-convnet--test-cifar-87e635",
        "petewarden--cuda-convnet--test-cifar-ca77bb",
        "petewarden--cuda-convnet--test-cifar-d1cb8e",
        "petewarden--cuda-convnet--test-layer-512c11",
        "petewarden--cuda-convnet--test-layer-8cf23e",
        "spmohanty--cuda-convnet--cuda-layer-1f0aec",
    },
    "unknown key 'schedW': it belongs to the 2012 AlexNet program": {
        "yrmo--alexnet-source-c--layers-18pct-c49f15",
        "yrmo--alexnet-source-c--layers-conv-local-13pct-0e8083",
    },
    "unknown key 'gpu': it belongs to cuda-convnet2": {
        "yrmo--alexnet-source-c--layers-18pct-c49f15",
        "yrmo--alexnet-source-c--layers-conv-local-13pct-0e8083",
    },
}

# The classes of its data, which have no labels and no softmax to show for it.
NO_CLASSES_TO_SEE = {"dicarlolab--archconvnets--just-neurons-e92eb1"}


@pytest.fixture(scope="module")
def oracles(corpus):
    """Return what the original made of each pair, by the pair's name."""
    found = {path.parent.name: json.loads(path.read_text()) for path in corpus.glob("pairs/*/oracle.json")}
    assert len(found) > 600
    return found


@pytest.fixture(scope="module")
def ours(oracles):
    """Return the pairs that are in our dialects."""
    return {name: oracle for name, oracle in oracles.items() if oracle["dialect"] in OURS}


@pytest.fixture(scope="module")
def pair_of(corpus):
    """Read the two files of a pair, once."""
    folder = corpus / "pairs"
    return cache(lambda name: read_pair(folder / name / "layers.cfg", folder / name / "params.cfg"))


@pytest.fixture(scope="module")
def read(pair_of, oracles):
    """Read a pair with the data dimensions that the original was given."""

    def read(name, mode="lenient"):
        dims = oracles[name]["primary"]["data_dims"]
        return build_network(pair_of(name), lambda index: dims[min(index, len(dims) - 1)], mode=mode)

    return read


@pytest.fixture(scope="module")
def outcome(read):
    """Return "ok", or the message of the error."""

    def outcome(name, mode="lenient"):
        try:
            read(name, mode)
        except ConfigError as error:
            return str(error)
        return "ok"

    return outcome


def same(our, their):
    """Compare strictly, but for the last bits of floating-point numbers."""
    if isinstance(their, bool) or isinstance(our, bool):
        return our is their
    if isinstance(their, float):
        return isinstance(our, int | float) and math.isclose(our, their, rel_tol=1e-12)
    if isinstance(their, list):
        return isinstance(our, list) and len(our) == len(their) and all(map(same, our, their))
    if isinstance(their, dict):
        return (
            isinstance(our, dict) and our.keys() == their.keys() and all(same(our[k], their[k]) for k in our)
        )
    return our == their


def test_accepted_pairs_are_the_same_in_every_field_of_every_layer(ours, read):
    differences = {}
    accepted = {name: oracle for name, oracle in ours.items() if oracle["primary"]["status"] == "ok"}
    assert len(accepted) >= 254
    for name, oracle in accepted.items():
        network = read(name)
        described = describe(network)
        assert json.loads(json.dumps(described)) == described
        theirs = oracle["primary"]
        assert network.dialect.name == oracle["dialect"], name
        assert [layer["name"] for layer in described["layers"]] == [
            layer["name"] for layer in theirs["layers"]
        ]
        for our, their in zip(described["layers"], theirs["layers"], strict=True):
            for key, value in their.items():
                if not same(our.get(key), value):
                    differences[name, their["name"], key] = our.get(key), value
        if name not in NO_CLASSES_TO_SEE:
            assert described["num_classes"] == theirs["num_classes"], name
    assert differences == {}


def test_refused_pairs_are_refused(ours, outcome, read):
    refused = {
        name
        for name, oracle in ours.items()
        if oracle["primary"]["status"] == "error" and oracle["primary"]["error_kind"] == "config"
    }
    assert len(refused) >= 83
    accepted = {name for name in refused if outcome(name) == "ok"}
    assert accepted >= set(ACCEPTED)
    for name in accepted - set(ACCEPTED):
        archaic = read(name).dialect.name == "archaic-v1"
        assert archaic or GPU_ONLY.search(ours[name]["primary"]["error"]), name


def test_other_dialects_are_named_as_not_supported_yet(oracles, outcome):
    unnamed = set()
    for name, oracle in oracles.items():
        if oracle["dialect"] in OURS:
            continue
        found = outcome(name)
        if re.search(r"not supported yet: (type|key|\w+) '[^']+' \(.+\)", found):
            continue
        unnamed.add(name)
        if name in ARCHAIC | MODULE_MISSING:
            assert found == "ok", name
        else:
            v1 = oracle["others"]["v1"]
            assert v1["status"] == oracle["primary"]["status"] == "error", name
            assert found != "ok", name
    assert unnamed >= ARCHAIC | MODULE_MISSING


@pytest.mark.parametrize("name", sorted(ARCHAIC))
def test_archaic_pairs_have_the_layers_that_their_own_program_made(oracles, read, name):
    network = read(name)
    assert network.dialect.name == "archaic-v1"
    # That program kept activations as part of their layer.
    theirs = {layer["name"]: layer for layer in oracles[name]["primary"]["layers"]}
    ours = {layer["name"]: layer for layer in describe(network)["layers"]}
    explicit = [layer.name for layer in network.layers if not layer.implicit]
    assert explicit == [layer for layer in theirs if layer in explicit]
    for layer in explicit:
        for key in ("type", "outputs", "weights", "biases", "scale", "pow"):
            if key in theirs[layer]:
                our, their = ours[layer].get(key), theirs[layer][key]
                assert same(our, their) or same(our, [their]), (layer, key)  # one input was no list


def test_what_is_refused_without_lenient(ours, outcome):
    refused = defaultdict(set)
    unchanged = {name for name in ours if outcome(name) == outcome(name, "default") == "ok"}
    for name in ours.keys() - unchanged:
        for line in outcome(name, "default").splitlines() if outcome(name) == "ok" else ():
            reason = next((reason for reason in REFUSED_BY_DEFAULT if reason in line), line)
            refused[reason].add(name)
    for reason, names in REFUSED_BY_DEFAULT.items():
        assert refused[reason] >= names, reason
    known = 254 + len(ACCEPTED)
    assert len(unchanged) >= known - len(set().union(*REFUSED_BY_DEFAULT.values()))


def test_guessed_data_are_accepted(ours, pair_of):
    accepted = [name for name, oracle in ours.items() if oracle["primary"]["status"] == "ok"]
    for name in accepted:
        assert guess_dims(pair_of(name), mode="lenient").fits, name
