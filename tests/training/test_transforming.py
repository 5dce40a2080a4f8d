"""Convolutions that become local layers, shared matrices that become copies (spec/training.md section 7).

References: the sample that the original wrote when it did both, and NumPy's repeat and tile.
"""

import json

import numpy as np
import pytest
import tiny_runs
from tiny_runs import COST, INPUTS

from convnet_cfg.errors import UsageError
from convnet_cfg.legacy import load_checkpoint
from convnet_cfg.legacy.exporting import export
from convnet_cfg.legacy.importing import import_checkpoint
from convnet_cfg.legacy.kept import WEIGHTS
from convnet_cfg.training.checkpoints import read_checkpoint
from convnet_cfg.training.setup import prepare_again, reopen
from convnet_cfg.training.trained import load_trained
from convnet_cfg.training.transforming import Wishes, transform

CONV = """
[{name}]
type=conv
inputs={inputs}
channels={channels}
filters=4
filterSize=3
padding=1
neuron=relu
initW=0.1
partialSum=0
{more}
"""
RATES = "epsW=0.001\nepsB=0.002\nmomW=0.9\nmomB=0.9\nwc=0.004\n"
LAYERS = f"""# mine
{INPUTS}
{CONV.format(name="conv1", inputs="data", channels=3, more="sharedBiases=0")}
{CONV.format(name="conv2", inputs="conv1", channels=4, more="")}
{CONV.format(name="conv3", inputs="conv2", channels=4, more="weightSource=conv2")}
{CONV.format(name="conv4", inputs="conv3", channels=4, more="weightSource=conv3 ; the same again")}
[fc10]
type=fc
inputs=conv4,conv3
outputs=10
initW=0.1,0.1
weightSource=,fc10[0]
{COST}"""
PARAMS = (
    "\n".join(f"[{name}]\n{RATES}" for name in ("conv1", "conv2", "conv3", "conv4"))
    + "[fc10]\nepsW=0.001,0.002\nepsB=0.002\nmomW=0.9,0.9\nmomB=0.9\nwc=0.03,0.03\n[logprob]\ncoeff=1\n"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of an epoch; `conv4` takes the matrix of conv2 by way of conv3."""
    folder = tmp_path_factory.mktemp("run")
    data = tiny_runs.write_data(folder / "data")
    tiny_runs.write_pair(folder, LAYERS, PARAMS)
    return tiny_runs.train(tiny_runs.start(folder, tiny_runs.flat_options(data, epochs=1, seed=3)))


def made(run, to_local=(), unshared=()):
    """A run that was transformed, and that it is another one."""
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    found = transform(run, Wishes(tuple(to_local), tuple(unshared)))
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    assert found.path.parent == run.parent
    return found


def costs_of(run):
    """The costs of a test."""
    session = reopen(prepare_again(run, {}, training=False), tiny_runs.Observer())
    try:
        return session.test((4, 5)).costs
    finally:
        session.close()


def test_a_convolution_becomes_local(run):
    found = made(run, ["conv1"])
    assert found.done == ("layer 'conv1' is local now",)
    before, after = tiny_runs.arrays(run), tiny_runs.arrays(found.path)
    kernel = after["conv1/kernel"]
    assert kernel.shape == (8, 8, 3, 3, 3, 4)
    assert np.array_equal(kernel, np.tile(before["conv1/kernel"], (8, 8, 1, 1, 1, 1)))
    assert not after["conv1/kernel/velocity"].any()
    # Its biases were of one place each before.
    assert before["conv1/bias"].shape == (8, 8, 4)
    rest = set(before) - {"conv1/kernel", "conv1/kernel/velocity"}
    assert rest == set(after) - {"conv1/kernel", "conv1/kernel/velocity"}
    for name in rest:
        assert np.array_equal(before[name], after[name]), name
    assert before["conv1/bias/velocity"].any()


def test_all_that_share_a_matrix_become_local(run):
    found = made(run, ["conv3"])
    assert found.done == tuple(f"layer 'conv{number}' is local now" for number in (2, 3, 4))
    before, after = tiny_runs.arrays(run), tiny_runs.arrays(found.path)
    assert set(before) == set(after)
    assert after["conv2/kernel"].shape == (8, 8, 3, 3, 4, 4)
    for name in ("conv2", "conv3", "conv4"):
        biases = np.repeat(before[f"{name}/bias"], 64).reshape(4, 8, 8).transpose(1, 2, 0)
        assert np.array_equal(after[f"{name}/bias"], biases)
        assert not after[f"{name}/bias/velocity"].any()
    network = load_trained(found.path).built.network
    assert network["conv4"].matrices[0].source.layer == "conv2"


@pytest.mark.parametrize(
    ("to_local", "unshared"),
    [(["conv1"], []), (["conv3"], []), ([], ["conv4", "fc10"]), (["conv1", "conv2"], ["conv3", "fc10[1]"])],
)
def test_what_is_computed_stays(run, to_local, unshared):
    changed = costs_of(made(run, to_local, unshared).path)
    for name, values in costs_of(run).items():
        assert changed[name] == pytest.approx(values, rel=1e-5)


def test_matrices_of_their_own(run):
    found = made(run, unshared=["conv3", "fc10[1]"])
    assert found.done == (
        "matrix 0 of layer 'conv3' is its own now",
        "matrix 1 of layer 'fc10' is its own now",
    )
    before, after = tiny_runs.arrays(run), tiny_runs.arrays(found.path)
    assert set(after) - set(before) == {
        f"{name}{end}" for name in ("conv3/kernel", "fc10/kernel_1") for end in ("", "/velocity")
    }
    assert np.array_equal(after["conv3/kernel"], before["conv2/kernel"])
    assert np.array_equal(after["fc10/kernel_1"], before["fc10/kernel_0"])
    assert not after["conv3/kernel/velocity"].any()
    assert np.array_equal(after["conv2/kernel/velocity"], before["conv2/kernel/velocity"])
    network = load_trained(found.path).built.network
    assert network["conv4"].matrices[0].source.layer == "conv3"
    assert network["fc10"].matrices[1].rule.learning_rate == 0.002


FULL = "[{name}]\ntype=fc\ninputs={inputs}\noutputs={outputs}\ninitW=0.05\n{more}\n"
IN_TWO_FORMS = f"""{INPUTS}
{CONV.format(name="conv1", inputs="data", channels=3, more="")}
{FULL.format(name="image", inputs="conv1", outputs=256, more="")}
{FULL.format(name="vector", inputs="image", outputs=256, more="weightSource=image")}
{FULL.format(name="fc10", inputs="vector", outputs=10, more="")}
{COST}"""


def test_a_matrix_of_its_own_has_the_order_of_its_input(tmp_path):
    """Its owner reads an image: rows are (row, column, channel) there, (channel, row, column) here."""
    rates = "".join(f"[{name}]\n{RATES}" for name in ("conv1", "image", "vector", "fc10"))
    tiny_runs.write_pair(tmp_path, IN_TWO_FORMS, f"{rates}[logprob]\ncoeff=1\n")
    data = tiny_runs.write_data(tmp_path / "data")
    run = tiny_runs.train(tiny_runs.start(tmp_path, tiny_runs.flat_options(data, epochs=1, seed=3)))
    found = made(run, unshared=["vector"])
    kernel = tiny_runs.arrays(run)["image/kernel"].reshape(8, 8, 4, 256)
    wanted = kernel.transpose(2, 0, 1, 3).reshape(256, 256)
    assert np.array_equal(tiny_runs.arrays(found.path)["vector/kernel"], wanted)
    for name, values in costs_of(run).items():
        assert costs_of(found.path)[name] == pytest.approx(values, rel=1e-5)


def test_the_files_change_no_more_than_they_must(run):
    found = made(run, ["conv1"], ["conv4"])
    expected = LAYERS.replace("type=conv\ninputs=data", "type=local\ninputs=data")
    expected = expected.replace("partialSum=0\nsharedBiases=0\n", "", 1)
    expected = expected.replace("weightSource=conv3 ; the same again\n", "")
    assert (found.path / "layers.cfg").read_text() == expected
    assert (found.path / "params.cfg").read_text() == PARAMS


def test_what_is_recorded(run):
    found = made(run, ["conv1"], ["conv4"])
    record = tiny_runs.record(found.path)
    assert record["branched_from"] == str(tiny_runs.newest(run).resolve())
    (change,) = record["changes"]
    assert (change["at"], change["conv_to_local"], change["unshare_weights"]) == ("1.3", ["conv1"], ["conv4"])
    assert record["final_tests"] == []
    assert tiny_runs.log(found.path) == tiny_runs.log(run)
    _, counters = read_checkpoint(tiny_runs.newest(found.path))
    assert counters["position"] == [1, 3, None]


def test_lines_behind_the_checkpoint_are_left_out(run):
    before = tiny_runs.log(run)
    with (run / "log.jsonl").open("a") as log:
        log.write('{"kind": "train", "epoch": 2')
    try:
        assert tiny_runs.log(made(run, ["conv1"]).path) == before
    finally:
        (run / "log.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in before))


def test_training_goes_on(run):
    path = made(run, ["conv3"], ["fc10"]).path
    first = tiny_runs.arrays(path)
    assert tiny_runs.train(tiny_runs.resume(path, epochs=2)) == path
    after = tiny_runs.arrays(path)
    filters = after["conv2/kernel"] - first["conv2/kernel"]
    assert np.ptp(filters, axis=(0, 1)).max() > 0
    assert not np.array_equal(after["fc10/kernel_0"], after["fc10/kernel_1"])


def test_every_mistake_is_named_and_nothing_made(run):
    before = sorted(run.parent.iterdir())
    with pytest.raises(UsageError) as error:
        transform(run, Wishes(("conv9", "fc10", "conv1"), ("conv2", "fc10[0]", "fc10[2]", "nothing[1]")))
    assert str(error.value).splitlines() == [
        "--conv-to-local: there is no layer 'conv9' (did you mean 'conv4'?)",
        "--conv-to-local: 'fc10' is fc, not conv",
        "--unshare-weights: 'conv2' takes no matrix from another layer",
        "--unshare-weights: 'fc10[0]' takes no matrix from another layer",
        "--unshare-weights: 'fc10' has 2 matrices, numbered from 0",
        "--unshare-weights: there is no layer 'nothing'",
    ]
    assert sorted(run.parent.iterdir()) == before


def test_a_key_that_all_layers_have_stays(tmp_path):
    data = tiny_runs.write_data(tmp_path / "data")
    layers = "[DEFAULT]\npartialSum=0\n" + tiny_runs.LAYERS.replace("partialSum=0\n", "")
    tiny_runs.write_pair(tmp_path, layers)
    path = tiny_runs.train(tiny_runs.start(tmp_path, tiny_runs.options(data, epochs=1)))
    found = made(path, ["conv1"]).path
    assert (found / "layers.cfg").read_text() == layers.replace("type=conv", "type=local")


def fields_of(layer):
    """The fields of a layer in a checkpoint, of matrices the shape and the order in memory."""
    matrices = {name: (array.data.shape, array.order) for name, array in layer.arrays.items()}
    kept = {name: value for name, value in layer.values.items() if name not in WEIGHTS}
    return {**kept, **matrices}


@pytest.mark.slow
def test_the_original_made_the_same_of_its_sample(checkpoints, tmp_path):
    """v1-mix-tolocal is v1-mix, resumed with both options: shapes, types, sources, rules, all fields."""
    (old,) = (path for path in (checkpoints / "v1-mix").iterdir() if path.is_dir())
    (new,) = (path for path in (checkpoints / "v1-mix-tolocal").iterdir() if path.is_dir())
    mix = import_checkpoint(load_checkpoint(old), tmp_path / "runs" / "mix").path
    theirs = load_trained(import_checkpoint(load_checkpoint(new), tmp_path / "runs" / "tolocal").path)
    ours = load_trained(made(mix, ["conv2"], ["conv3b"]).path)
    assert {name: value.shape for name, value in ours.built.variables.items()} == {
        name: value.shape for name, value in theirs.built.variables.items()
    }
    assert [(layer.type, layer.matrices, layer.bias) for layer in ours.built.network.layers] == [
        (layer.type, layer.matrices, layer.bias) for layer in theirs.built.network.layers
    ]
    export(ours, tmp_path / "back")
    back = load_checkpoint(tmp_path / "back")
    assert [fields_of(layer) for layer in back.layers] == [
        fields_of(layer) for layer in load_checkpoint(new).layers
    ]
    assert json.loads((ours.run.path / "run.json").read_text())["imported"]["program"] == "v1"
