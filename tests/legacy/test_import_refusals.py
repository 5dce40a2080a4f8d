"""Checkpoints that cannot be runs: every reason is said at once, and nothing is left behind."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import old_networks
import pytest
import tiny_runs
from import_cases import network_of, refused, sample, stored

from convnet_cfg.errors import CheckpointError, UsageError
from convnet_cfg.legacy import Array, Expression, load_checkpoint
from convnet_cfg.legacy.importing import import_checkpoint, prepare_import, write_import


def test_wrong_matrices_are_named_together(tmp_path):
    def edit(layers):
        fc10 = layers[2]
        fc10["weights"] = [fc10["weights"][0][:, :9]]
        fc10["weightsInc"] = []
        fc10["biases"] = fc10["biases"].astype(np.float64)
        fc10["biasesInc"] = fc10["biasesInc"] * np.float32(np.nan)

    assert refused(stored(tmp_path, edit=edit), tmp_path).splitlines() == [
        "the weights do not fit the network of the checkpoint:",
        "  fc10.weights[0] is 192 x 9: expected 192 x 10",
        "  fc10.weightsInc[0] is not there",
        "  fc10.biases is of float64: expected float32",
        "  fc10.biasesInc has 10 numbers that are not finite",
    ]


SHARED = tiny_runs.FLAT_LAYERS.replace(
    "inputs=data\noutputs=10\ninitW=0.01", "inputs=data,data\noutputs=10\ninitW=0.01,0.01\nweightSource=,fc10"
)
SHARED_PARAMS = tiny_runs.FLAT_PARAMS.replace("=0.001", "=0.001,0.001").replace("momW=0.9", "momW=0.9,0.9")
SHARED_PARAMS = SHARED_PARAMS.replace("wc=0.03", "wc=0.03,0.03")


def test_a_shared_matrix_must_be_one(tmp_path):
    network = network_of(tmp_path, SHARED, SHARED_PARAMS)
    layers = old_networks.layers_of(network, False, old_networks.random_arrays())
    layers[2]["weights"][1] = layers[2]["weights"][1] + np.float32(1)
    checkpoint = load_checkpoint(old_networks.write(tmp_path, old_networks.content(layers)))
    assert "fc10.weights[1] is shared with fc10.weights[0], but differs from it" in refused(
        checkpoint, tmp_path
    )


def test_equal_matrices_that_are_two_objects_will_do(tmp_path):
    network = network_of(tmp_path, SHARED, SHARED_PARAMS)
    layers = old_networks.layers_of(network, False, old_networks.random_arrays())
    layers[2]["weights"][1] = layers[2]["weights"][1].copy()
    checkpoint = load_checkpoint(old_networks.write(tmp_path, old_networks.content(layers)))
    assert prepare_import(checkpoint, tmp_path / "run").network["fc10"].matrices[1].source.layer == "fc10"


def test_connections_must_be_permutations(checkpoints, tmp_path):
    checkpoint = sample(checkpoints, "v1-mix")
    layers = []
    for layer in checkpoint.layers:
        values = dict(layer.values)
        if any(values.get("randSparse", ())):
            values["filterConns"] = ((0,) * 32,)
        layers.append(replace(layer, values=values))
    message = refused(replace(checkpoint, layers=tuple(layers)), tmp_path)
    assert "filterConns[0] must be 32 channel numbers, every 16 of them a permutation of 0 to 15" in message


def test_other_fields_must_fit_what_the_network_has(tmp_path):
    def edit(layers):
        layers[3]["outputs"] = 11

    assert "layer 'probs' has outputs=11, here it would be 10" in refused(
        stored(tmp_path, edit=edit), tmp_path
    )


def test_networks_that_the_language_refuses(tmp_path):
    def edit(layers):
        layers[2]["momB"] = 3.0

    message = refused(stored(tmp_path, edit=edit), tmp_path)
    assert "[fc10] momB must be from -1 to 1, got 3" in message
    assert "/tmp" not in message.replace(str(tmp_path), "")


@pytest.mark.parametrize("position", [{"epoch": 0}, {"batch": -1}])
def test_positions_that_are_none(tmp_path, position):
    checkpoint = stored(tmp_path)
    assert "there is no batch" in refused(replace(checkpoint, **position), tmp_path)


def test_the_target_is_not_overwritten_by_chance(tmp_path):
    checkpoint, target = stored(tmp_path), tmp_path / "precious"
    target.mkdir()
    (target / "thesis.txt").write_text("all of it")
    with pytest.raises(UsageError, match="is there already: give --force"):
        import_checkpoint(checkpoint, target)
    with pytest.raises(CheckpointError, match="is not a run directory"):
        import_checkpoint(checkpoint, target, force=True)
    assert [path.name for path in target.iterdir()] == ["thesis.txt"]


def test_what_is_at_work_in_a_run_stays(tmp_path, monkeypatch):
    checkpoint, target = stored(tmp_path), tmp_path / "run"
    import_checkpoint(checkpoint, target)
    inside = target / "2.1"
    inside.write_bytes(checkpoint.path.read_bytes())
    with pytest.raises(UsageError, match="cannot be replaced: the checkpoint is in it"):
        import_checkpoint(load_checkpoint(inside), target, force=True)
    monkeypatch.chdir(target)
    with pytest.raises(UsageError, match="cannot be replaced: the current directory is in it"):
        import_checkpoint(checkpoint, Path(), force=True)
    with pytest.raises(CheckpointError, match="File name too long"):
        import_checkpoint(checkpoint, tmp_path / ("n" * 300))
    assert inside.exists()


def test_a_run_that_came_while_the_network_was_built_stays(tmp_path):
    checkpoint, target = stored(tmp_path), tmp_path / "run"
    prepared = prepare_import(checkpoint, target)
    (target / "of another").mkdir(parents=True)
    with pytest.raises(UsageError, match="is there already"):
        write_import(prepared)
    assert [path.name for path in target.iterdir()] == ["of another"]


# -- damaged files

ODD = [None, True, -1, 0, 2**62, -1.5, float("nan"), float("inf"), "", "x", "a\nb", "\ud800", "relu", "conv1"]
ODD += [(), ((),), ("a",), (1,), (1, 2, 3), (-1,), (None,), (2**62,), {}, {"type": 1}, ({},)]
ODD += [{"type": "relu", "params": {"a": 1}}, {"type": "const", "params": {"base": "x"}}, Expression("1/0")]
ODD += [Array(np.zeros((2, 2), np.float32)), (Array(np.zeros(0)),)]
TYPES = ("fc", "conv", "pool", "data", "neuron", "softmax", "local", "cost.logreg", "eltsum", "xx")


def damaged(checkpoint, rng):
    """The checkpoint with some fields, types, inputs and options that cannot be."""
    layers, options = list(checkpoint.layers), dict(checkpoint.options)
    for _ in range(rng.integers(1, 4)):
        number = rng.integers(len(layers))
        values, changes = dict(layers[number].values), {}
        values[rng.choice(sorted(values))] = ODD[rng.integers(len(ODD))]
        if rng.random() < 0.1:
            changes["type"] = str(rng.choice(TYPES))
        if rng.random() < 0.1:
            changes["inputs"] = (layers[rng.integers(len(layers))].name,) * int(rng.integers(3))
        layers[number] = replace(layers[number], values=values, **changes)
    if rng.random() < 0.3:
        name = rng.choice(sorted(options))
        options[name] = replace(options[name], value=ODD[rng.integers(len(ODD))])
    return replace(checkpoint, layers=tuple(layers), options=options)


@pytest.mark.parametrize("name", ["v1-mix", "v1-dnouri-dropout", "v2-mix"])
def test_whatever_is_wrong_is_explained(checkpoints, name, tmp_path):
    rng, checkpoint = np.random.default_rng(4), sample(checkpoints, name)
    messages = []
    for _ in range(60):
        try:
            prepare_import(damaged(checkpoint, rng), tmp_path / "run")
        except (CheckpointError, UsageError) as error:
            messages.append(str(error))
    assert 20 < len(messages) < 60
    assert all(messages)
