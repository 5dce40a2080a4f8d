"""Runs that stand where the original checkpoints stand: the same networks, with the same weights."""

import json
from collections.abc import Mapping
from math import isqrt
from pathlib import Path
from typing import NamedTuple

import numpy as np

from convnet_cfg.language.layout import layout_of
from convnet_cfg.legacy import Array, load_checkpoint
from convnet_cfg.legacy.exporting import checkpoint_of, program_of
from convnet_cfg.training.building import build_network, read_network
from convnet_cfg.training.options import Options
from convnet_cfg.training.record import DataForm
from convnet_cfg.training.run_directory import RunDirectory
from convnet_cfg.training.trained import Trained

NETWORKS = Path(__file__).parent / "networks"


class Sample(NamedTuple):
    """The two files of a sample's network, and the options of its run beside those that all have."""

    layers: str
    params: str
    options: dict


SAMPLES = {
    "v1-80sec": Sample("v1-80sec", "v1-80sec", {"minibatch": 32, "test_range": (6,)}),
    "v1-mix": Sample("v1-mix", "v1-mix", {"max_filesize": 100}),
    "v1-mix-tolocal": Sample("v1-mix-tolocal", "v1-mix", {}),
    "v1-cropped-zip": Sample(
        *("v1-mix", "v1-mix"), {"data_provider": "cifar-cropped", "provider_options": {"crop_border": 4}}
    ),
    "v1-dnouri-dropout": Sample("v1-mix", "v1-dropout", {}),
    "v2-mix": Sample("v2-mix", "v2-mix", {"provider_options": {"inner_size": 24}}),
    "v2-hybrid": Sample("v2-hybrid", "v2-hybrid", {"provider_options": {"inner_size": 24}}),
}


def original(checkpoints, name):
    """Return the newest checkpoint of a sample."""
    (runs,) = (path for path in (checkpoints / name).iterdir() if path.is_dir())
    return load_checkpoint(runs)


def value(checkpoint, option):
    return checkpoint.options[option].value


def options_of(checkpoint, **given):
    """Return the options with which the run of a sample was made."""
    usual = {
        "data_provider": value(checkpoint, "dp_type"),
        "data_path": value(checkpoint, "data_path"),
        "train_range": value(checkpoint, "train_batch_range"),
        "test_range": value(checkpoint, "test_batch_range"),
        "epochs": value(checkpoint, "num_epochs"),
        "minibatch": value(checkpoint, "minibatch_size"),
        "test_freq": value(checkpoint, "testing_freq"),
        "test_one": bool(value(checkpoint, "test_one")),
    }
    return Options(**usual | given)


def make_run(folder, checkpoint, sample, options, edit=None):
    """Return a run in a folder whose network has the weights, the costs and the place of a checkpoint.

    `edit` changes the text of the parameter file.
    """
    params = (NETWORKS / f"{sample.params}.params.cfg").read_text()
    (folder / "layers.cfg").write_bytes((NETWORKS / f"{sample.layers}.cfg").read_bytes())
    (folder / "params.cfg").write_text(edit(params) if edit else params)
    (folder / "log.jsonl").write_text("".join(log_lines(checkpoint)))
    run = RunDirectory(folder)
    sizes = [layer.values["outputs"] for layer in checkpoint.layers if layer.type == "data"]
    side = isqrt(sizes[0] // 3)
    form = DataForm(((side, side, 3), (1,)), 10)
    network = read_network(run.layers, run.params, form, options)
    counters = {
        "position": [checkpoint.epoch, checkpoint.batch, None],
        "log_size": (folder / "log.jsonl").stat().st_size,
        "connections": {layer.name: connections(layer) for layer in checkpoint.layers if has_filters(layer)},
    }
    built = build_network(network, form.shapes, options, counters)
    take_weights(built, checkpoint)
    return Trained(run, folder / "4.1.safetensors", {}, options, form, built, counters)


def has_filters(layer):
    return layer.type in ("conv", "local")


def connections(layer):
    chosen = layer.values.get("filterConns", ((),) * len(layer.values["inputs"]))
    return [list(channels) or None for channels in chosen]


def log_lines(checkpoint):
    """The histories as lines of our log, which has means; their places were not recorded."""
    place = {"epoch": checkpoint.epoch, "batch": checkpoint.batch}
    for kind in ("train", "test"):
        for entry in checkpoint.histories[f"{kind}_outputs"]:
            cases = 1 if checkpoint.outputs_are_means else entry.cases
            costs = {name: [each / cases for each in values] for name, values in entry.costs.items()}
            yield json.dumps({"kind": kind, **place, "cases": entry.cases, "costs": costs}) + "\n"


def take_weights(built, checkpoint):
    """Put weights and velocities into the variables."""
    known = {layer.name: layer.values for layer in checkpoint.layers}
    for owned in built.network.owned():
        values, number = known[owned.layer.name], owned.input
        layout = layout_of(owned.layer, number, built.kernel_images)
        if number is None:
            arrays = values["biases"], values["biasesInc"]
        else:
            arrays = values["weights"][number], values["weightsInc"][number]
        variable = built.variables[owned.name]
        for target, array in zip((variable, built.optimizer.velocity(variable)), arrays, strict=True):
            target.assign(layout.to_kernel(np.ascontiguousarray(array.data)))


def exported(trained, path, kept=None, version=None):
    return checkpoint_of(trained, kept, program_of(trained.built.network, kept, version), path)


def same(one, other):
    """Whether two frozen values are the same, to the types of numbers and the order in memory."""
    if isinstance(one, Array):
        forms = [(each.data.dtype, each.data.shape, each.order) for each in (one, other)]
        return forms[0] == forms[1] and one.data.tobytes("A") == other.data.tobytes("A")
    if isinstance(one, Mapping):
        return (
            isinstance(other, Mapping) and set(one) == set(other) and all(same(one[k], other[k]) for k in one)
        )
    if type(one) is tuple:
        return type(other) is tuple and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


def unlike(one, other):
    """The fields of layers in which two checkpoints differ."""
    theirs = {layer.name: layer for layer in other.layers}
    assert {layer.name for layer in one.layers} == set(theirs)
    for layer in one.layers:
        their = theirs[layer.name]
        assert (layer.type, layer.inputs) == (their.type, their.inputs)
        for name in set(layer.values) | set(their.values):
            if not same(layer.values.get(name), their.values.get(name)):
                yield layer.name, name
