"""Translations to Keras of networks that share weights, decay in several ways, or have rates in epochs."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from torch_translations import assert_well_written

from benchmarks.translation_cases import make_case
from benchmarks.translations import PRECISE, compare
from convnet_cfg.errors import ConfigError
from convnet_cfg.export.source.keras_layers.schedules import smoothed_steps, step_of
from convnet_cfg.export.source.keras_source import scope_of
from convnet_cfg.export.source.shapes import data_shapes
from convnet_cfg.language import Reading, build_network, read_pair
from convnet_cfg.optim import DECAYS
from convnet_cfg.training.trained import load_trained

SAMPLES = Path(__file__).parents[1] / "legacy" / "networks"
BELOW = """
data data dataIdx=0
labels data dataIdx=1
"""
ABOVE = """
top fc inputs=c outputs=2 epsW=0.1
probs softmax inputs=top
cost cost.logreg inputs=labels,probs
"""
ONE = "filterSize=3 padding=1 stride=1"
SQUARE = f"channels=3 filters=3 {ONE}"
PAIRED = "channels=3,3 filters=3,3 filterSize=3,3 padding=1,1 stride=1,1"
GROUPED = f"channels=6 filters=3 groups=2 {ONE}"
SPARSE = f"channels=6 filters=2 groups=3 {ONE} randSparse=1 filterChannels=2"

# By the program that had it: a line is a layer, with its name, its type, and its keys in both files.
SHARING = {
    "fc": (
        "v1",
        """
        a fc inputs=data outputs=48 epsW=0.1
        b fc inputs=a outputs=48 weightSource=a epsW=0.1
        c fc inputs=b,a outputs=48 weightSource=a,a epsW=0.05,0
        """,
    ),
    "images and vectors": (
        "v1",
        f"""
        a conv inputs=data {SQUARE} partialSum=1 epsW=0.1
        d conv inputs=a channels=3 filters=12 filterSize=2 stride=2 partialSum=1 epsW=0.1
        w fc inputs=a outputs=48 epsW=0.1
        v fc inputs=w outputs=48 weightSource=w epsW=0.1
        e fc inputs=d outputs=48 weightSource=w epsW=0.1
        x fc inputs=e outputs=48 epsW=0.1
        c fc inputs=a,v,x outputs=48 weightSource=x,, epsW=0.1,0.1,0.1
        """,
    ),
    "conv": (
        "v1",
        f"""
        a conv inputs=data {SQUARE} partialSum=1 epsW=0.1
        b conv inputs=a {SQUARE} partialSum=1 weightSource=a epsW=0.1
        c conv inputs=a,b {PAIRED} partialSum=1 weightSource=a,a epsW=0.3,0.05
        """,
    ),
    "local": (
        "v1",
        f"""
        a local inputs=data {SQUARE} epsW=0.1
        b local inputs=a {SQUARE} weightSource=a epsW=0.1
        c local inputs=a,b {PAIRED} weightSource=a,a epsW=0.05,0.1
        """,
    ),
    "within a local layer": (
        "v1",
        f"""
        a local inputs=data {SQUARE} epsW=0.1
        c local inputs=data,a {PAIRED} weightSource=,c epsW=0.1,0.05
        """,
    ),
    **{
        f"{name} {kind}": (
            "v1",
            f"""
            w {kind} inputs=data channels=3 filters=6 filterSize=1 stride=1 {keys} epsW=0.1
            a {kind} inputs=w {how} {keys} epsW=0.1
            b {kind} inputs=a {how} {keys} weightSource=a epsW=0.1
            c {kind} inputs=b {how} {keys} weightSource=a epsW=0.05
            """,
        )
        for kind, keys in (("conv", "partialSum=1"), ("local", ""))
        for name, how in (("grouped", GROUPED), ("sparse", SPARSE))
    },
    **{
        kind: (
            "dropconnect",
            f"""
            a {kind} inputs=data outputs=48 rate=0.5 epsW=0.1
            b {kind} inputs=a outputs=48 rate=0.5 weightSource=a epsW=0.1
            c {kind} inputs=b outputs=48 rate=0.5 weightSource=a epsW=0.05
            """,
        )
        for kind in ("fcdropo", "fcdropc", "fcdropcf")
    },
    "blocks": (
        "v2",
        """
        a sfc inputs=data outputs=16 parts=3 epsW=0.1
        b sfc inputs=a outputs=16 parts=3 weightSource=a epsW=0.1
        c sfc inputs=b,a outputs=16 parts=3 weightSource=a,a epsW=0.05,0.1
        """,
    ),
    "pixels": (
        "nin",
        """
        a cccp inputs=data channels=1 in_nodes=3 out_nodes=3 epsW=0.1
        b cccp inputs=a channels=1 in_nodes=3 out_nodes=3 weightSource=a epsW=0.1
        d cccp inputs=b channels=3 in_nodes=1 out_nodes=1 epsW=0.1
        e cccp inputs=d channels=3 in_nodes=1 out_nodes=1 weightSource=d epsW=0.1
        f cccp inputs=e channels=3 in_nodes=1 out_nodes=1 weightSource=d epsW=0.05
        c cccp inputs=f channels=1 in_nodes=3 out_nodes=3 weightSource=a epsW=0.05
        """,
    ),
    "probabilities": (
        "cysu",
        """
        a condprob inputs=data outputs=48 initW=identity epsW=0.1
        b condprob inputs=a outputs=48 weightSource=a initW=identity epsW=0.1
        c condprob inputs=b outputs=48 weightSource=a initW=identity epsW=0.05
        """,
    ),
    "biases": (
        "zhaofang0627",
        f"""
        w fc inputs=data outputs=48 epsW=0.1
        a conv inputs=w {SQUARE} sumWidth=1 epsW=0.1
        b conv inputs=a {SQUARE} sumWidth=1 weightSource=a epsW=0.1
        d conv inputs=b {SQUARE} sumWidth=1 sharedBiases=0 epsW=0.1
        e conv inputs=d {SQUARE} sumWidth=1 sharedBiases=0 weightSource=d epsW=0.1
        f local inputs=d,e {PAIRED} epsW=0.1,0.1
        g local inputs=f {SQUARE} weightSource=f[1] epsW=0.05
        h fc inputs=g outputs=48 epsW=0.1
        c fc inputs=h outputs=48 weightSource=w epsW=0.05
        """,
    ),
}
IN_PARAMS = ("epsW", "epsB", "momW", "momB", "wc", "decay", "wball", "updatePeriod")


def files(lines):
    """Return the two files of a network."""
    layers, params = [], []
    for name, kind, *words in map(str.split, filter(str.strip, lines.splitlines())):
        keys = dict(word.replace("~", " ").split("=", 1) for word in words)
        if "epsW" in keys:
            usual = {"initW": "0.1", "momW": "0.5", "wc": "0.01"}
            matrices = keys["epsW"].count(",") + 1
            bias = {"epsB": "0.02", "momB": "0.5"} if kind != "condprob" else {}
            keys = {key: ",".join([value] * matrices) for key, value in usual.items()} | bias | keys
        rules = [f"{key}={keys.pop(key)}" for key in IN_PARAMS if key in keys]
        params += [f"[{name}]", *rules] if rules else []
        layers += [f"[{name}]", f"type={kind}", *(f"{key}={value}" for key, value in keys.items())]
    return "\n".join(layers), "\n".join([*params, "[cost]", "coeff=1"])


def translated(folder, name, dialect, lines):
    """Return the case of a network between data and cost."""
    paths = folder / "layers.cfg", folder / "params.cfg"
    for path, text in zip(paths, files(f"{BELOW}{lines}{ABOVE}"), strict=True):
        path.write_text(text)
    network = build_network(read_pair(*paths, Reading(dialect=dialect)), (48, 1))
    return make_case(name, network, data_shapes(network))


def assert_agreement(cases, folder, tolerance=PRECISE):
    """Check what translations compute, in double precision, and how they are written."""
    assert_well_written({case.name: case.source.text for case in cases}, folder)
    found = list(compare(cases, folder, "float64"))
    assert len(found) == len(cases)
    for each in found:
        assert not each.failed, (each.name, each.failed)
        assert {key.partition("/")[0] for key in each.errors} == {"output", "cost", "gradient", "stepped"}
        assert max(each.errors.values()) <= tolerance, each


@pytest.mark.slow
def test_layers_that_share_weights_compute_what_ours_do(tmp_path):
    cases = [translated(tmp_path, name, *network) for name, network in SHARING.items()]
    pair = read_pair(SAMPLES / "v1-mix.cfg", SAMPLES / "v1-mix.params.cfg", Reading(dialect="v1"))
    network = build_network(pair, (3072, 1))
    cases.append(make_case("v1-mix", network, data_shapes(network)))
    assert "gradient_scale=0.5" in cases[-1].source.text
    assert_agreement(cases, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["v1-mix", "v1-dnouri-dropout"])
def test_checkpoints_whose_layers_share_at_other_rates_go_to_keras(name, checkpoints, runner, tmp_path):
    from convnet_cfg.cli import main

    (run,) = (path for path in (checkpoints / name).iterdir() if path.is_dir())
    made, path = tmp_path / "run", tmp_path / "model.py"
    files = made / "layers.cfg", made / "params.cfg"
    for command in (["import", run, "-o", made], ["translate", *files, "--weights", made, "-o", path]):
        done = runner.invoke(main, list(map(str, command)))
        assert done.exit_code == 0, done.output
    found = imported(path.read_text(), str(path))
    model = found["build_model"]()
    found["load_weights"](model)
    data = np.random.default_rng(2).normal(0, 40, (4, 32, 32, 3)).astype("float32")
    built = load_trained(made).built
    ours = built.model([data if index == 0 else np.zeros((4, 1)) for index in built.data_indices])
    theirs = {"probs/logits" if key == "out" else key: value for key, value in model(data).items()}
    assert set(theirs) == set(ours) - {"labels"}
    for key, value in theirs.items():
        np.testing.assert_allclose(value, ours[key], rtol=1e-5, atol=1e-6 * np.abs(ours[key]).max())


def imported(text, path="translated.py"):
    """Return the definitions of a file."""
    found = {"__name__": "translated", "__file__": path}
    exec(compile(text, path, "exec"), found)
    return found


def of_every_decay(keys, more=""):
    """Return lines with a layer for each kind of decay; `more` are keys of every second one."""
    lines = [
        f"d{number} fc inputs=d{number - 1} outputs=8 decay={decay} {keys} {more if number % 2 else ''}"
        for number, decay in enumerate(DECAYS)
    ]
    return "\n".join([*lines, f"c fc inputs=d{len(lines) - 1} outputs=8 {keys}"]).replace("d-1", "data")


RATE = "epsW=texp[base=0.1;tau=5;stepsPerEpoch={}]"
LONG = "layer-whose-row-in-the-table-is-too-long-for-a-line"
BY_EPOCHS = f"""
a fc inputs=data outputs=8 {RATE.format(0)}
{LONG} fc inputs=a outputs=8 epsW=dexp[base=0.1;tgtFactor=10;numSteps=3]
c fc inputs={LONG} outputs=8 {RATE.format(3)} decay=decoupled-schedule
"""
DROPPING = """
a fcdropc inputs=data outputs=8 rate=0.5 epsW=0.1 decay=decoupled-lr
c fc inputs=a outputs=8 epsW=0.1
"""


@pytest.mark.slow
def test_several_kinds_of_decay_and_rates_in_epochs_compute_what_ours_do(tmp_path):
    scheduled = of_every_decay("epsW=linear[base=0.2;tgtFactor=4]", "wball=0.5 updatePeriod=2")
    networks = {
        "decays": ("v1", of_every_decay("epsW=0.1")),
        "decays by schedules": ("v2", scheduled),
        "decay of dropped weights": ("dropconnect", DROPPING),
        "epochs": ("elhuhdron", BY_EPOCHS),
        "epochs, one decay": ("elhuhdron", BY_EPOCHS.replace("decay=decoupled-schedule", "")),
    }
    cases = [translated(tmp_path, name, *each) for name, each in networks.items()]
    assert_agreement(cases, tmp_path, 1e-7)  # rates that change are computed in single precision


def test_a_shared_matrix_at_another_rate_is_said_where_it_is_used(tmp_path):
    text = translated(tmp_path, "fc", *SHARING["fc"]).source.text
    assert '    b = SharedDense(a_layer.kernel, name="b")(a)  # 48\n' in text
    assert 'SharedDenseAtOwnRate(a_layer.kernel, gradient_scale=0.5, name="c_from_b")(b),' in text
    assert 'SharedProductAtOwnRate(a_layer.kernel, gradient_scale=0.0, name="c_from_a")(a),' in text
    at_one_rate = SHARING["fc"][1].replace("0.05,0", "0.1,0.1")
    assert "ScaledGradient" not in translated(tmp_path, "fc", "v1", at_one_rate).source.text


def test_the_mask_of_a_shared_kernel_is_that_of_its_owner(tmp_path):
    text = translated(tmp_path, "fcdropc", *SHARING["fcdropc"]).source.text
    assert "dropping = [layer for layer in model.layers if type(layer) is DropConnectDense]" in text
    assert 'b = SharedDropConnectDense(a_layer.kernel, 48, rate=0.5, name="b")(a)  # 48' in text


def test_the_step_of_a_weight_is_named_where_there_are_several_kinds_of_decay(tmp_path):
    lines = """
    a fc inputs=data outputs=8 epsW=0.1 decay=decoupled-lr
    b fc inputs=a outputs=8 epsW=0.1 decay=none
    c fc inputs=b outputs=8 epsW=0.1
    """
    text = translated(tmp_path, "decays", "v1", lines).source.text
    assert "# learning rate, momentum, weight decay, step\n" in text
    for row in (
        '"a/kernel": (0.1, 0.5, 0.01, decoupled_lr),',
        '"a/bias": (0.02, 0.5, 0.0, no_decay),',
        '"b/kernel": (0.1, 0.5, 0.0, no_decay),',
        '"c/kernel": (0.1, 0.5, 0.01, coupled),',
    ):
        assert f"    {row}\n" in text
    assert re.findall(r"^def (\w+)\(weight,", text, re.MULTILINE) == ["decoupled_lr", "no_decay", "coupled"]


def test_decays_of_one_meaning_are_one_kind(tmp_path):
    """Of l2 the cost has a part more that is reported, and without decay nothing is to be told apart."""
    lines = """
    a fc inputs=data outputs=8 epsW=0.1 decay=l2
    b fc inputs=a outputs=8 epsW=0.1 decay=none
    c fc inputs=b outputs=8 epsW=0.1
    """
    text = translated(tmp_path, "decays", "v1", lines).source.text
    assert "V = m V - e (G + d W); W = W + V." in text
    assert '"b/kernel": (0.1, 0.5, 0.0),' in text


def test_rates_in_epochs_are_a_function_of_the_epochs(tmp_path):
    text = translated(tmp_path, "epochs", "elhuhdron", BY_EPOCHS).source.text
    assert "    model.compile(optimizer=make_optimizer(model, total_steps=100_000, epochs=100))\n" in text
    found = imported(text)
    rates = {path: row[0] for path, row in found["hyperparameters"](600).items()}
    # After a quarter of 601 steps, one an epoch, 150 are done; of 1801, three an epoch, it is 450.
    for path in ("a/kernel", "c/kernel"):
        np.testing.assert_allclose(rates[path](np.float32(0.25)), 0.1 * math.exp(-150 / 5), rtol=1e-5)
    optimizer = found["TableSGD"](total_steps=8, epochs=2)
    config = found["TableSGD"].from_config(optimizer.get_config()).get_config()
    assert (config["total_steps"], config["epochs"]) == (8, 2)


@pytest.mark.slow
def test_gradients_of_matrices_count_at_the_rates_of_their_own_minibatches(tmp_path):
    """But not those of convolutions and biases, nor where the rate does not change."""
    rate = "linear[base=0.1;tgtFactor=4]"
    lines = f"""
    a conv inputs=data {SQUARE} sumWidth=1 epsW={rate} updatePeriod=2
    b fc inputs=a outputs=8 epsW={rate} epsB={rate} updatePeriod=2
    c fc inputs=b outputs=8 epsW=0.1 updatePeriod=2
    """
    case = translated(tmp_path, "periods", "v2", lines)
    assert 'AT_OWN_RATES = {\n    "b/kernel",\n}\n' in case.source.text
    assert_agreement([case], tmp_path, 1e-7)  # rates are single precision


def test_a_matrix_begins_with_the_numbers_of_the_file(tmp_path):
    matrix = np.diag([0.8, 0.7, 0.9, 1.0]) + np.outer([0.125, 0.0625, 0.0, 0.03125], [1, 0, 1, 0])
    lines = f"""
    a fc inputs=data outputs=4 epsW=0.1
    c condprob inputs=a outputs=4 epsW=0.1 initW={";".join("~".join(map(str, row)) for row in matrix)}
    """
    case = translated(tmp_path, "matrix", "cysu", lines)
    assert_well_written({"matrix": case.source.text}, tmp_path)
    (kernel,) = (v for v in imported(case.source.text)["build_model"]().weights if v.path == "c/kernel")
    np.testing.assert_allclose(kernel, matrix, rtol=1e-6)


@pytest.mark.slow
def test_a_bound_below_zero_leaves_zeros_below_zero(tmp_path):
    """brelu[a] is 0 below 0 and then a where x is above a (spec: neurons.md)."""
    lines = """
    a fc inputs=data outputs=8 neuron=brelu[-0.5] epsW=0.1
    c fc inputs=a outputs=8 epsW=0.1
    """
    assert_agreement([translated(tmp_path, "brelu", "v1", lines)], tmp_path)


@pytest.mark.parametrize(
    ("title", "name"), [("a b", "a_b"), ("größe", "gr__e"), ("_x", "net_x"), ("18pct-v2.1", "18pct-v2.1")]
)
def test_a_model_has_a_name_of_which_tensorflow_makes_a_scope(title, name):
    assert scope_of(title) == name
    with tf.name_scope(scope_of(title)):
        pass


def test_a_decay_that_divides_by_a_rate_that_never_is_is_refused(tmp_path):
    lines = "c fc inputs=data outputs=8 epsW=dexp[base=0.1;tgtFactor=4;numSteps=1] decay=decoupled-schedule\n"
    with pytest.raises(ConfigError, match="c.*divides by the base rate"):
        translated(tmp_path, "steps", "v2", lines)


@pytest.mark.parametrize(
    ("progress", "rate"), [(0.3, 1), (0.4, 1 / 4), (0.55, 1 / 2), (0.9, 1 / 8), (0.9000001, 1 / 16)]
)
def test_half_a_step_back_ends_where_single_precision_is_above_nine_tenths(progress, rate):
    """Three steps, each a quarter of the one before; the nearest number of single precision is below 0.9."""
    assert float(smoothed_steps(1.0, 16.0, 3)(np.float32(progress))) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("progress", "count", "step"),
    [(0.0, 5, 0), (0.2, 5, 1), (0.25, 4, 0), (0.7, 10, 6), (0.7000001, 10, 7), (1.0, 5, 4), (1.0, 1, 0)],
)
def test_a_step_begins_where_single_precision_is_above_its_end(progress, count, step):
    """The nearest number of single precision is above 0.2 and below 0.7."""
    assert float(step_of(np.float32(progress), count)) == step
