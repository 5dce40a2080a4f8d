"""Whatever the files contain: a network, or an error in words; quickly, and in little room."""

import json
from dataclasses import replace

import pytest

from benchmarks.mutations import FAILED, Case, Seed, judge, run, seeds
from convnet_cfg.errors import Severity
from convnet_cfg.language import Reading, build_network, guess_dims, read_pair
from convnet_cfg.language.describe import describe
from convnet_cfg.language.dialects import DIALECTS
from convnet_cfg.language.neurons import NEURONS
from convnet_cfg.language.schedules import AX_SCHEDULES, EMDRP_SCHEDULES, Schedule
from convnet_cfg.language.spec import key_names

SEEDS = [pytest.param(seed, id=seed.name) for seed in seeds()]


@pytest.fixture
def pair(tmp_path):
    """Reads a good pair of files."""

    def pair(seed: Seed):
        (tmp_path / "net.cfg").write_text("\n".join(seed.layers))
        (tmp_path / "net.params.cfg").write_text("\n".join(seed.params))
        return read_pair(tmp_path / "net.cfg", tmp_path / "net.params.cfg")

    return pair


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_mutated_is_good_at_first(pair, seed):
    read = pair(seed)
    network = build_network(read, guess_dims(read).dims)
    assert not any(problem.severity is Severity.ERROR for problem in network.remarks)
    json.dumps(describe(network), allow_nan=False)
    build_network(replace(read, reading=Reading("lenient")), guess_dims(read).dims)


def test_what_is_mutated_has_everything_in_it(pair):
    types, keys, neurons, schedules, dialects = set(), set(), set(), set(), set()
    for seed in seeds():
        read = pair(seed)
        network = build_network(read, guess_dims(read).dims)
        dialects.add(read.dialect.name)
        types |= {read.dialect.layer_types[layer.type] for layer in read.declarations.values()}
        keys |= {line.partition("=")[0].strip().lower() for line in (*seed.layers, *seed.params)}
        neurons |= {layer.spec.neuron.name for layer in network.layers if layer.spec.neuron}
        for layer in network.layers:
            if isinstance(getattr(layer.params, "bias_rate", None), Schedule):
                rules = [layer.params.weight_schedule(index) for index in range(len(layer.matrices))]
                schedules |= {rule.name for rule in (*rules, layer.params.bias_schedule())}
    assert dialects == set(DIALECTS)
    assert neurons == set(NEURONS)
    assert schedules == {*EMDRP_SCHEDULES, *AX_SCHEDULES}
    for dialect in DIALECTS.values():
        assert set(dialect.layer_types.values()) - types == set()
        for spec in dialect.layer_types.values():
            for declarations in (spec, spec.params):
                assert {name.lower() for name in key_names(declarations, dialect)} - keys == set()


def test_mutated_files():
    summary = run(300)
    assert summary.failures == []
    assert min(summary.results["accepted"], summary.results["refused"]) > 30


@pytest.mark.slow
def test_many_mutated_files():
    summary = run(4000, first=1_000_000)
    assert summary.failures == []
    assert summary.results.total() == 4000


DATA = "[data]\ntype=data\ndataIdx=0\n"
FULL = "type=fc\noutputs=1\ninitW=1\n"
COST = "[cost]\ntype=cost.sum2\ninputs=top\n"


def chain(length, body):
    """Layers each of which reads the one before."""
    names = ["data", *(f"x{number}" for number in range(length - 1)), "top"]
    layers = (f"[{name}]\ninputs={below}\n{body}\n" for below, name in zip(names, names[1:], strict=False))
    return DATA + "".join(layers) + COST


EXTREMES = {
    "branching references": "[a]\n"
    + "".join(f"k{n}=%(k{n + 1})s%(k{n + 1})s\n" for n in range(5000))
    + "type=%(k0)s",
    "references without an end": f"{DATA}[top]\n{FULL}inputs={'%(' * 100_000}\n{COST}",
    "references in references": f"{DATA}[top]\n{FULL}inputs={'%(x' * 50_000})s\n{COST}",
    "a matrix far away": "[data]\ntype=data\ndataIdx=999999999999999999\n",
    "much padding": chain(
        9, "type=conv\nchannels=3\nfilters=3\nfilterSize=1\npadding=999999999999999999\ninitW=1\npartialSum=0"
    ),
    "growing layers": chain(400, "type=cccp\nchannels=1\nin_nodes=1\nout_nodes=999999999999999999\ninitW=1"),
    "growing images": chain(1200, "type=resize\nchannels=3\nscale=0.5"),
    "doubled inputs": chain(400, "type=concat").replace("inputs=x", "gpu=0\ninputs=data,x"),
    "a distant start": chain(
        1, "type=pool\nchannels=3\npool=max\nsizeX=3\nstride=1\nstart=-99999999999999999"
    ),
    "a wide pool": chain(
        1, "type=pool\nchannels=3\npool=max\nsizeX=3\nstride=1\noutputsX=999999999999999999"
    ),
    "many inputs": f"{DATA}[top]\n{FULL}inputs={'data,' * 20_000}data\n{COST}",
    "many wrong inputs": f"{DATA}[top]\ntype=eltmax\ninputs={'daat,' * 20_000}data\n{COST}",
    "many layers": chain(1500, FULL),
    "many pools": chain(400, "type=pool\nchannels=3\npool=max\nsizeX=2\nstride=1"),
    "many names": DATA + "".join(f"[x{n}]\n{FULL}inputs=x{n}x\n" for n in range(400)),
    "many matrices": "".join(f"[x{n}]\ntype=data\ndataIdx={n % 100}\n" for n in range(1000))
    + "[top]\ntype=pool\nchannels=5\npool=max\nsizeX=2\nstride=1\ninputs=x7\n"
    + COST,
    "many keys": DATA + "[top]\ntype=fc\n" + "".join(f"initW{n}=1\n" for n in range(5000)),
    "many brackets": "[" * 100_000,
    "many blanks": f"[a]\ntype{' ' * 100_000}={' ' * 100_000}fc\nb{' ' * 100_000}\n",
    "a long key": "[a]\n" + "x" * 100_000 + "=1",
    "a long value": "[a]\ntype=" + "x" * 100_000,
    "a long number": f"{DATA}[top]\ntype=fc\ninputs=data\noutputs={'9' * 100_000}\ninitW={'9' * 100_000}\n",
    "a long name": f"{DATA}[{'x' * 50_000}]\n{FULL}inputs={'x' * 50_000}\n",
    "many continuation lines": "[a]\ntype=data\n" + "  more\n" * 50_000,
    "control characters": f"{DATA}[\x1b[2J]\n{FULL}inputs=\x1b[2J\nneuron=\x1b[2J\n[a]\ntype=\x1b[2J\n",
}
PARAMS = "[top]\nepsW=1\nepsB=1\nmomW=0\nmomB=0\nwc=0\n[cost]\ncoeff=1\n"
PARAM_EXTREMES = {
    "schedules of values": PARAMS.replace("wc=0", f"schedW=a[{'a=' * 50_000}"),
    "schedules of brackets": PARAMS.replace("epsW=1", f"epsW={'exp[base=1;' * 20_000}"),
    "many strangers": PARAMS + "".join(f"[x{n}]\nepsW=1\n" for n in range(1000)),
}


def outcome(folder, layers, params):
    return judge(Case(0, "", layers.encode(), params.encode()), folder)


@pytest.mark.parametrize("name", EXTREMES)
def test_extremes(tmp_path, name):
    found = outcome(tmp_path, EXTREMES[name], PARAMS)
    assert found.detail == ""


@pytest.mark.parametrize("name", PARAM_EXTREMES)
def test_extremes_of_the_parameter_file(tmp_path, name):
    found = outcome(tmp_path, chain(400, FULL), PARAM_EXTREMES[name])
    assert found.detail == ""


def test_a_failure_is_seen(tmp_path, monkeypatch):
    def fail(*arguments):
        raise RecursionError("too deep")

    monkeypatch.setattr("benchmarks.mutations.guess_dims", fail)
    fail.__name__ = "guess_dims"
    found = outcome(tmp_path, DATA, PARAMS)
    assert (found.result, found.detail) == (FAILED, "RecursionError: too deep")
