"""Translated networks that came along: what they compute, how they read, and what is refused."""

import pytest

from benchmarks.corpus_networks import needed_bytes
from benchmarks.translation_cases import make_case
from benchmarks.translations import LIMIT, TOLERANCE, compare
from convnet_cfg.export.source.shapes import data_shapes
from convnet_cfg.language import Reading, build_network, guess_dims, read_pair
from convnet_cfg.zoo import find_config, find_layers, load_recipe
from convnet_cfg.zoo.files import names

FAST = ("digits", "cifar10-80sec", "dropconnect-mnist")


def shipped(name):
    """Return a shipped network for the data of its recipe."""
    pair = read_pair(*find_layers(name), Reading())
    values = load_recipe(find_config(name)).data.values
    return build_network(pair, (values, 1) if values else guess_dims(pair).dims)


def assert_agree(names, folder):
    cases = [make_case(name, network, data_shapes(network)) for name in names for network in [shipped(name)]]
    found = {each.name: each for each in compare(cases, folder)}
    assert set(found) == set(names)
    for case in cases:
        each = found[case.name]
        assert not each.failed, each.failed
        kinds = {"output", "cost", "gradient", "stepped"}
        assert {key.partition("/")[0] for key in each.errors} == kinds
        compared = {key.partition("/")[2] for key in each.errors if key.startswith("stepped/")}
        assert compared == set(case.source.paths.values())
        assert max(each.errors.values()) <= TOLERANCE, each


@pytest.mark.slow
def test_some_shipped_networks_compute_the_same(tmp_path):
    assert_agree(FAST, tmp_path)


@pytest.mark.slow
def test_all_other_shipped_networks_that_fit_compute_the_same(tmp_path):
    small = [name for name in names() if name not in FAST and needed_bytes(shipped(name)) < LIMIT]
    assert len(small) >= 10
    assert_agree(small, tmp_path)
