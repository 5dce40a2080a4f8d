"""Checkpoints of networks as cuda-convnet wrote them, made of a network and its arrays.

Run as a program it writes the file of the folder `legacy/checkpoints/digits`.

The fields are those of `convnet check --json`, which the corpus holds to what the original's parser stored.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

import numpy as np
import old_pickles
import tiny_runs
from old_pickles import option

from convnet_cfg.language.describe import describe
from convnet_cfg.language.layout import layout_of
from convnet_cfg.language.weight_types import FullSpec
from convnet_cfg.legacy import Checkpoint, Layer
from convnet_cfg.training.options import Options
from convnet_cfg.training.trained import load_trained

OURS = ("implicit", "parameters", "multiply_adds", "weights", "biases", "decay")
HINTS = {
    "requiresParams": True,
    "usesActs": True,
    "usesInputs": False,
    "forceOwnActs": True,
    "actsTarget": -1,
}


def layers_of(network, v2, arrays=None, connections=None):
    """The layers of a network as a pickle has them.

    `arrays(layer, number)` returns the weights and the velocity of a matrix, or of the bias (None).
    """
    found = describe(network)["layers"]
    order = [fields["name"] for fields in found]
    made = {fields["name"]: _layer(network, fields, v2) for fields in found}
    for layer in network.layers if arrays else ():
        _add_arrays(made, layer, arrays)
    for name, chosen in (connections or {}).items():
        made[name]["filterConns"] = [list(each) if each else [] for each in chosen]
    for number, name in enumerate(order):
        made[name] |= {"id": number} if v2 else {}
        inputs = made[name].get("inputs")
        if inputs:
            made[name]["inputLayers"] = [made[each] for each in inputs]
            made[name]["inputs"] = inputs if v2 else [order.index(each) for each in inputs]
    return made if v2 else list(made.values())


def named_layers(network, v2):
    """The layers of a network in their order, inputs named, as the oracles of the corpus have them."""
    layers = layers_of(network, v2)
    listed = list(layers.values()) if v2 else layers
    order = [fields["name"] for fields in listed]
    return [
        {
            **fields,
            "inputs": [order[each] if isinstance(each, int) else each for each in fields.get("inputs", ())],
        }
        for fields in listed
    ]


def _layer(network, fields, v2):
    layer = network[fields["name"]]
    kept = {name: value for name, value in fields.items() if name not in OURS} | HINTS
    for name in ("weightSourceLayerIndices",) if v2 else ("weightSourceLayers", "gpu", "numReplicas"):
        kept.pop(name, None)
    if network.dialect.name == "v1" or "dropout" in network.dialect.ignored:
        kept.pop("dropout", None)
    if v2:
        kept |= {"src_layer": layer.inputs[0].name} if layer.implicit else {}
    elif not layer.inputs:
        kept.pop("inputs", None)
    return kept


def _add_arrays(made, layer, arrays):
    fields = made[layer.name]
    for number, matrix in enumerate(layer.matrices):
        if matrix.source is None:
            pair = arrays(layer, number)
            order = np.asfortranarray if isinstance(layer.spec, FullSpec) else np.ascontiguousarray
            pair = [order(np.asarray(each, np.float32)) for each in pair]
        else:
            owner = made[matrix.source.layer]
            pair = [owner[name][matrix.source.number] for name in ("weights", "weightsInc")]
        for name, array in zip(("weights", "weightsInc"), pair, strict=True):
            fields.setdefault(name, []).append(array)
    if layer.bias is not None:
        pair = [np.asarray(each, np.float32) for each in arrays(layer, None)]
        fields |= dict(zip(("biases", "biasesInc"), pair, strict=True))


def random_arrays(seed=5):
    """Arrays of small random numbers for each matrix of a network."""
    rng = np.random.default_rng(seed)

    def arrays(layer, number):
        shape = tuple((layer.bias if number is None else layer.matrices[number]).shape)
        return [scale * rng.standard_normal(shape) for scale in (0.1, 0.01)]

    return arrays


def options(v2, **changes):
    """The options of a run as a pickle has them; None leaves one out."""
    module = "python_util.options" if v2 else "options"
    usual = {
        "dp_type": "cifar",
        "data_path": "cifar-10",
        "train_batch_range": [1, 2, 3],
        "test_batch_range": [4],
        "testing_freq": 2,
        "num_epochs": 3,
        "minibatch_size": 32,
        "test_one": 1,
        "multiview_test": 0,
        "layer_def": "net.cfg",
        **({"inner_size": 0, "scalar_mean": -1, "color_noise": 0.0} if v2 else {"crop_border": 4}),
    }
    found = {name: value for name, value in {**usual, **changes}.items() if value is not None}
    parser = {int: "Integer", list: "Range", str: "String", float: "Float"}
    made = {name: option(module, name, value, parser[type(value)]) for name, value in found.items()}
    return old_pickles.Old(module, "OptionsParser", options=made)


def content(layers, epoch=2, batch=1, cost="logprob", **changes):
    """A checkpoint after a batch of an epoch, with the costs of the batches before."""
    v2 = isinstance(layers, dict)
    one = [64.0, 48.0, 16.0] if v2 else [2.0, 1.5]
    done = 3 * (epoch - 1) + batch
    state = {
        "epoch": epoch,
        "batchnum": batch,
        "layers": layers,
        "train_outputs": [({cost: [value / (number + 1) for value in one]}, 32) for number in range(done)],
        "test_outputs": [({cost: [value / 2 for value in one]}, 32) for _ in range(done // 2)],
    }
    chosen = {name: changes.pop(name) for name in list(changes) if name in STATE or name not in OPTIONS}
    return {"model_state": state | chosen, "op": options(v2, **changes)}


STATE = ("epoch", "batchnum", "layers", "train_outputs", "test_outputs")
OPTIONS = tuple(options(True).attributes["options"]) + ("crop_border", "max_filesize_mb", "patch_size")


def write(folder, found, module="numpy.core"):
    """Write a checkpoint under its name, and return its path."""
    state = found["model_state"]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{state['epoch']}.{state['batchnum']}"
    path.write_bytes(old_pickles.dumps(found, module))
    return path


def frozen(value):
    """A value of a JSON file as a checkpoint has it."""
    if isinstance(value, list | tuple):
        return tuple(map(frozen, value))
    if isinstance(value, dict):
        return MappingProxyType({name: frozen(each) for name, each in value.items()})
    return value


def checkpoint_of(layers, program=None):
    """A checkpoint of layers as the oracles of the corpus have them: without arrays, inputs named."""
    program = program or ("v2" if any("id" in fields for fields in layers) else "v1")
    layers = sorted(layers, key=lambda fields: fields.get("id", 0))
    if program == "v1" and any("dropout" in fields for fields in layers):
        program = "v1+dropout"
    unwritten = ("weights", "biases", "filter")
    made = tuple(
        Layer(
            fields["name"],
            fields["type"],
            tuple(fields.get("inputs", ())),
            frozen({name: value for name, value in fields.items() if name not in unwritten}),
        )
        for fields in layers
    )
    return Checkpoint(Path("1.1"), "plain", program, 1, 1, made, {}, {}, {})


# -- a small trained network, to try things with

DIGITS = f"""{tiny_runs.INPUTS}
[conv1]
type=conv
inputs=data
channels=1
filters=8
filterSize=3
padding=1
neuron=relu
initW=0.05
partialSum=0

[pool1]
type=pool
inputs=conv1
pool=max
channels=8
sizeX=3
stride=2

[fc10]
type=fc
inputs=pool1
outputs=10
initW=0.05
{tiny_runs.COST}"""
DIGITS_PARAMS = """
[conv1]
epsW=0.001
epsB=0.002
momW=0.9
momB=0.9
wc=0.004

[fc10]
epsW=0.001
epsB=0.002
momW=0.9
momB=0.9
wc=0.03

[logprob]
coeff=1
"""


def write_digits(folder):
    """Train the network on the digits for six epochs, and write its checkpoint into a folder."""
    chosen = Options(
        data_provider="digits",
        train_range=(1, 2, 3),
        test_range=(4,),
        epochs=6,
        minibatch=50,
        test_freq=3,
        seed=1,
    )
    with TemporaryDirectory() as work:
        tiny_runs.write_pair(Path(work), DIGITS, DIGITS_PARAMS)
        run = tiny_runs.train(tiny_runs.start(Path(work), chosen))
        built, lines = load_trained(run).built, tiny_runs.log(run)

    def arrays(layer, number):
        owned = next(each for each in built.network.owned() if (each.layer, each.input) == (layer, number))
        layout = layout_of(layer, number, built.kernel_images)
        weight = built.variables[owned.name]
        return [layout.to_matrix(each.numpy()) for each in (weight, built.optimizer.velocity(weight))]

    histories = {
        f"{kind}_outputs": [
            ({name: list(values) for name, values in line["costs"].items()}, line["cases"])
            for line in lines
            if line["kind"] == kind
        ]
        for kind in ("train", "test")
    }
    given = {"dp_type": "digits", "data_path": "", "num_epochs": 6, "minibatch_size": 50, "testing_freq": 3}
    layers = layers_of(built.network, False, arrays)
    return write(folder, content(layers, 6, 3, **histories, **given))


if __name__ == "__main__":
    print(write_digits(old_pickles.FOLDER / "digits"))
