"""Real configurations, against what the original's own parser made of them."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from benchmarks.corpus import ACCEPTED, AGREES, MISSING, REFUSED, WRONG, judge, pairs, report
from benchmarks.corpus_comparison import read
from convnet_cfg.language import Reading, guess_dims, read_pair

ROOT = Path(__file__).parents[2]

# What reading without --lenient refuses beyond that, and why: the pairs that we know; more can come.
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
    "key 'keep' belongs in the other file": {
        "akrizhevsky--cuda-convnet2--layers-223-1gpu-2d0663",
        "akrizhevsky--cuda-convnet2--layers-223-ce2-1gpu-crp-6a400a",
        "quietsmile--cuda-convnet2--alexnet-models-224-b58ac7",
    },
    "key 'coeffs' belongs in the other file": {
        "dicarlolab--archconvnets--layers-even-larger-normals3-74793a",
        "dicarlolab--archconvnets--layers-even-larger-normals4-dd1955",
        "dicarlolab--archconvnets--layers-larger-normals2-342b69",
    },
}

# Beside a missing network there are mistakes, at which the original did not arrive.
MISTAKES_TOO = {"yrmo--alexnet-source-c--layers-135-2009-2012-768a43"}


@pytest.fixture(scope="module")
def found(corpus):
    """Return every pair with its oracle, by name."""
    found = {pair.name: (pair, oracle) for pair, oracle in pairs(corpus)}
    assert len(found) > 600
    return found


@pytest.fixture(scope="module")
def verdicts(found):
    """Return what became of each pair."""
    return [judge(*each) for each in found.values()]


@pytest.fixture(scope="module")
def network_of(found):
    """Read a pair with the data dimensions that the original was given."""
    return cache(lambda name, mode="lenient": read(*found[name], mode))


def test_every_pair_is_as_it_should_be(verdicts):
    assert [verdict for verdict in verdicts if verdict.outcome == WRONG] == []


def test_accepted_pairs_agree(verdicts):
    accepted = [verdict for verdict in verdicts if verdict.expected == "ok"]
    assert len(accepted) >= 480
    assert {verdict.outcome for verdict in accepted} == {AGREES}


def test_refused_pairs_are_refused_but_for_a_reason(verdicts):
    refused = [verdict for verdict in verdicts if verdict.expected == "config"]
    assert len(refused) >= 131
    accepted = {verdict.name for verdict in refused if verdict.outcome == ACCEPTED}
    assert {verdict.outcome for verdict in refused if verdict.name not in accepted} == {REFUSED}
    assert accepted >= {
        "petewarden--cuda-convnet--infinity-layer-6d3a1e",  # filters not a multiple of 16
        "dnouri--cuda-convnet--layers-18pct-d457e2",  # norm keys of before June 2012
        "dnouri--cuda-convnet--layers-example-c3b1c6",
        "dnouri--cuda-convnet--layers-80sec-6a8639",  # numFilters
        "dnouri--cuda-convnet--layers-gc-aa2715",  # abstanh
    }


def test_what_is_missing_is_named(verdicts):
    missing = [verdict for verdict in verdicts if verdict.expected == "environment"]
    assert len(missing) >= 22
    for verdict in missing:
        assert verdict.outcome in (MISSING, REFUSED)
        if verdict.name not in MISTAKES_TOO:
            assert re.search(r"code from outside|not supported", verdict.detail), verdict


def test_dialects(verdicts):
    read_as = defaultdict(set)
    for verdict in verdicts:
        if verdict.expected == "ok":
            read_as[verdict.dialect].add(verdict.ours)
    assert {recorded: found for recorded, found in read_as.items() if found != {recorded}} == {
        "historic-v1": {"historic-v1", "dropconnect"},
        "fork:Cysu/cuda-convnet": {"cysu"},
        "fork:alemagnani/cuda-convnet": {"v1+dropout"},  # plain v1 but for the module of an initWFunc
        "fork:civilman628/pyconvnet": {"civilman628"},
        "fork:dicarlolab/archconvnets": {"dropconnect"},
        "fork:elhuhdron/emdrp": {"elhuhdron"},
        "fork:mavenlin/cuda-convnet": {"nin"},
        "fork:yrmo/AlexNet-Source-Code": {"alexnet-2012"},
        "fork:zhaofang0627/cuda-convnet-for-hashing": {"zhaofang0627"},
    }


def test_the_number_of_classes(found, network_of):
    for name, (_, oracle) in found.items():
        theirs = oracle["primary"].get("num_classes")
        network = network_of(name).network
        if network is not None and network.classes and oracle["primary"]["status"] == "ok":
            assert theirs in (network.classes, *network.classes.values()), name


def test_what_is_refused_without_lenient(found, network_of):
    refused = defaultdict(set)
    for name in found:
        if network_of(name).network is None or network_of(name, "default").network is not None:
            continue
        for line in network_of(name, "default").message.splitlines():
            refused[next((reason for reason in REFUSED_BY_DEFAULT if reason in line), line)].add(name)
    for reason, names in REFUSED_BY_DEFAULT.items():
        assert refused[reason] >= names, reason
    unchanged = sum(network_of(name, "default").network is not None for name in found)
    assert unchanged >= 455


def test_guessed_data_are_accepted(found):
    for name, (pair, oracle) in found.items():
        if oracle["primary"]["status"] == "ok":
            guess = guess_dims(read_pair(pair / "layers.cfg", pair / "params.cfg", Reading("lenient")))
            assert guess.fits, name


def test_the_report_in_the_documents_is_of_today(verdicts, corpus):
    written = (ROOT / "docs" / "compatibility.md").read_text()
    assert re.sub(r"\d+ seconds", "", written) == re.sub(r"\d+ seconds", "", report(verdicts, 0))
