"""Networks of the corpus, built and trained for a minibatch: the smallest of each kind.

All of them take half an hour: `make corpus-networks`, docs/corpus-networks.md.
"""

import pytest

from benchmarks.corpus import folder
from benchmarks.corpus_networks import LIMIT, distinct, needed_bytes, trial

SMALL = 20_000_000


def smallest_of_each_kind():
    """Return a name and network for each dialect and set of layer types, as long as it is small."""
    found = {}
    for network, names in sorted(distinct(folder()).values(), key=lambda each: needed_bytes(each[0])):
        kind = network.dialect.name, frozenset(layer.type for layer in network.layers)
        if needed_bytes(network) < SMALL:
            found.setdefault(kind, (names[0], network))
    return found


@pytest.fixture(scope="module")
def networks(corpus):
    return smallest_of_each_kind()


def as_it_should_be(result):
    return (result.ran and not result.problems) or "wholly outside" in result.refused


@pytest.mark.slow
def test_a_network_of_each_dialect_trains(networks):
    dialects = {}
    for (dialect, _), each in networks.items():
        dialects.setdefault(dialect, each)
    assert len(dialects) >= 7
    for name, network in dialects.values():
        assert as_it_should_be(trial(name, network)), name


@pytest.mark.slow
def test_a_network_of_each_kind_trains(networks):
    assert len(networks) >= 30, "fewer kinds than there were"
    for name, network in networks.values():
        result = trial(name, network)
        assert as_it_should_be(result), result


@pytest.mark.slow
def test_a_large_network_is_put_together_without_its_weights(corpus):
    large = [each for each in distinct(corpus).values() if needed_bytes(each[0]) > LIMIT]
    network, names = max(large, key=lambda each: needed_bytes(each[0]))
    assert needed_bytes(network) > 10 * LIMIT
    result = trial(names[0], network)
    assert (result.ran, result.refused, result.problems) == (False, "", ())
