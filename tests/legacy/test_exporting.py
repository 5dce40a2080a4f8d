"""Checkpoints made of trained networks: what the original programs would have kept at that place."""

import json
from dataclasses import fields, replace
from types import MappingProxyType

import numpy as np
import pytest
from raw_pickles import differences, read_raw
from sample_runs import SAMPLES, exported, original, same, unlike

from convnet_cfg.errors import UsageError
from convnet_cfg.legacy import Array, Outputs, load_checkpoint, write_checkpoint

pytestmark = pytest.mark.slow

# What cannot be known without the original file, and why.
OF_ITS_MACHINE = {"layer_def", "layer_params", "layer_path", "save_path", "save_file_override", "load_file"}
UNKNOWN_OPTIONS = {
    "v1-mix-tolocal": {"max_filesize_mb"},  # given as 0, which it is without being given
    "v1-cropped-zip": {"zip_save"},  # how the file is stored
    "v2-hybrid": {"force_save"},  # when it was saved
}
UNKNOWN_FIELDS = {
    # Left over from before --conv-to-local and --unshare-weights.
    "v1-mix-tolocal": {("conv2", "partialSum"), ("conv2", "sharedBiases"), ("conv3b", "weightSource")},
    # The order of activations came from a Python 2 dictionary; the text of the filter is the program's own.
    "v2-mix": {
        *(("conv1_neuron", "id"), ("sum34_neuron", "id")),
        *(("logprob", "outputFilter"), ("sqcost", "outputFilter")),
    },
    "v2-hybrid": {("fc32a_neuron", "id"), ("fc32b_neuron", "id"), ("logprob", "outputFilter")},
}


@pytest.fixture(scope="module", params=SAMPLES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def sample(name, checkpoints):
    return original(checkpoints, name)


@pytest.fixture(scope="module")
def trained(name, run_of):
    return run_of(name)


def shared(checkpoint):
    found = {}
    for layer in checkpoint.layers:
        for name, array in layer.arrays.items():
            found.setdefault(id(array), []).append(f"{layer.name}.{name}")
    return sorted(names for names in found.values() if len(names) > 1)


def test_every_field_is_what_the_original_kept(trained, sample, name, tmp_path):
    made, _ = exported(trained, tmp_path / "4.1")
    assert set(unlike(made, sample)) == UNKNOWN_FIELDS.get(name, set())
    assert shared(made) == shared(sample)
    for key in ("program", "epoch", "batch", "histories", "others"):
        assert getattr(made, key) == getattr(sample, key), key


def test_every_option_is_what_the_original_kept(trained, sample, name, tmp_path):
    made = exported(trained, tmp_path / "4.1").checkpoint.options
    assert set(made) == set(sample.options)
    for option in made.values():
        theirs = sample.options[option.name]
        unknown = {"description"}  # in our own words
        if option.name in OF_ITS_MACHINE | UNKNOWN_OPTIONS.get(name, set()):
            unknown |= {"value", "given"}
        for field in fields(option):
            if field.name not in unknown:
                assert same(getattr(option, field.name), getattr(theirs, field.name)), (
                    option.name,
                    field.name,
                )
        assert option.description


def without_arrays(checkpoint):
    """What an imported run keeps of its original."""

    def emptied(value):
        if isinstance(value, Array):
            return None
        return tuple(map(emptied, value)) if isinstance(value, tuple) else value

    layers = (
        replace(layer, values={name: emptied(value) for name, value in layer.values.items()})
        for layer in checkpoint.layers
    )
    return replace(checkpoint, layers=tuple(layers))


def test_an_untouched_import_is_the_original_again(trained, sample, tmp_path):
    path = tmp_path / sample.path.name
    made, notes = exported(trained, path, without_arrays(sample))
    assert not set(unlike(made, sample))
    assert [layer.name for layer in made.layers] == [layer.name for layer in sample.layers]
    assert made == replace(sample, path=path, layers=made.layers)
    assert notes == ()
    write_checkpoint(path, made)
    assert differences(read_raw(sample.path), read_raw(path)) == []


def append(trained, line, to_checkpoint=True):
    """Add a line to the log, before the checkpoint or behind it."""
    path = trained.run.path / "log.jsonl"
    with path.open("a") as log:
        log.write(json.dumps(line) + "\n")
    if to_checkpoint:
        trained.counters["log_size"] = path.stat().st_size


def test_what_training_changed_of_an_import_is_ours(run_of, checkpoints, tmp_path):
    kept = without_arrays(original(checkpoints, "v1-mix"))
    trained = run_of("v1-mix", epochs=7, minibatch=64)
    trained.counters["position"] = [4, 2, None]
    append(trained, {"kind": "train", "epoch": 3, "batch": 2, "cases": 60, "costs": {"logprob": [1.0, 0.5]}})
    append(trained, {"kind": "test", "epoch": 3, "batch": 2, "cases": 60, "costs": {"logprob": [2.0, 0.6]}})
    made, _ = exported(trained, tmp_path / "4.2", kept)
    assert (made.epoch, made.batch) == (4, 2)
    added = {"train_outputs": (1.0, 0.5), "test_outputs": (2.0, 0.6)}
    assert made.histories == {
        name: (*entries, Outputs({"logprob": added[name]}, 60)) for name, entries in kept.histories.items()
    }
    changed = {
        name: (option.value, option.given)
        for name, option in made.options.items()
        if option != kept.options[name]
    }
    assert changed == {"num_epochs": (7, True), "minibatch_size": (64, True)}


def test_other_colours_of_an_import_are_ours(run_of, checkpoints, tmp_path):
    kept = without_arrays(original(checkpoints, "v2-mix"))
    options = {"inner_size": 24, "scalar_mean": 0.5}
    made, _ = exported(run_of("v2-mix", provider_options=options), tmp_path / "3.4", kept)
    changed = {name: option.value for name, option in made.options.items() if option != kept.options[name]}
    assert changed == {"scalar_mean": 0.5}


def test_an_import_with_other_rates(run_of, checkpoints, tmp_path):
    kept = without_arrays(original(checkpoints, "v1-mix"))
    _, notes = exported(run_of("v1-mix", rate_factor=0.5), tmp_path / "4.2", kept)
    assert notes[0] == (
        "cfg/mix-params.cfg has other values than were trained with: "
        "for conv1, conv2, conv3, conv3b, conv4, local5, fc10, fcs"
    )


def test_matrices_are_in_the_original_order(run_of, checkpoints, tmp_path):
    """The formulas are those of spec/layers.md section 0.3."""
    trained = run_of("v1-80sec")
    made = {layer.name: layer for layer in exported(trained, tmp_path / "4.1").checkpoint.layers}
    variables = {name: variable.numpy() for name, variable in trained.built.variables.items()}
    conv = made["conv2"].arrays["weights[0]"].data
    np.testing.assert_array_equal(variables["conv2/kernel"], conv.reshape(32, 5, 5, 32).transpose(1, 2, 0, 3))
    dense = made["fc64"].arrays["weights[0]"].data
    image_first = dense.reshape(64, 4, 4, 64).transpose(1, 2, 0, 3).reshape(1024, 64)
    np.testing.assert_array_equal(variables["fc64/kernel"], image_first)
    assert not np.array_equal(image_first, dense)
    np.testing.assert_array_equal(variables["fc10/kernel"], made["fc10"].arrays["weights[0]"].data)


def test_a_local_layer_is_in_the_original_order(run_of, tmp_path):
    trained = run_of("v1-mix")
    made = {layer.name: layer for layer in exported(trained, tmp_path / "4.1").checkpoint.layers}
    local = made["local5"].arrays
    kernel = trained.built.variables["local5/kernel"].numpy()
    bias = trained.built.variables["local5/bias"].numpy()
    expected = local["weights[0]"].data.reshape(2, 2, 8, 3, 3, 32).transpose(0, 1, 3, 4, 2, 5)
    np.testing.assert_array_equal(kernel, expected)
    np.testing.assert_array_equal(bias, local["biases"].data.reshape(32, 2, 2).transpose(1, 2, 0))


def test_learning_rates_are_multiplied_by_the_factor(run_of, tmp_path):
    for name, read in (("v1-80sec", lambda rate: rate), ("v2-mix", lambda rate: rate["params"]["base"])):
        trained = run_of(name)
        plain, _ = exported(trained, tmp_path / "4.1")
        options = replace(trained.options, rate_factor=0.5)
        made, notes = exported(replace(trained, options=options), tmp_path / "4.1")
        assert set(unlike(made, plain)) == {
            (layer.name, field)
            for layer in made.layers
            for field in ("epsW", "epsB")
            if field in layer.values
        } - {("fcs", "epsB")}  # which is 0
        conv = {layer.name: layer for layer in made.layers}["conv1"].values
        known = {layer.name: layer for layer in plain.layers}["conv1"].values
        assert read(conv["epsW"][0]) == read(known["epsW"][0]) / 2
        assert read(conv["epsB"]) == read(known["epsB"]) / 2
        assert any(note.startswith("rate_factor=0.5 is in the learning rates") for note in notes)


# -- states that a checkpoint cannot have


def test_states_that_a_checkpoint_cannot_have(run_of, tmp_path):
    trained = run_of("v1-80sec", decay="decoupled")
    trained.counters["position"] = [0, 0, 96]
    with pytest.raises(UsageError) as error:
        exported(trained, tmp_path / "0.0")
    assert [line.strip() for line in str(error.value).splitlines()[1:]] == [
        "nothing is trained yet: a checkpoint is of a moment after a batch",
        "it stands at 0.0+96, in the middle of a batch: a checkpoint is of a moment after one",
        *(
            f"[{layer}] decay=decoupled: the program has no weight decay but cuda-convnet"
            for layer in ("conv1", "conv2", "conv3", "fc64", "fc10")
        ),
    ]


def test_gradients_gathered_for_an_update(run_of, tmp_path):
    """The original begins to gather anew (spec/params.md section 5)."""
    trained = run_of("v2-mix", lambda text: text.replace("updatePeriod=1", "updatePeriod=3"))
    assert exported(trained, tmp_path / "3.4").notes == ()
    variable = trained.built.variables["conv1/kernel"]
    trained.built.optimizer.gathering(variable).count.assign(2)
    assert exported(trained, tmp_path / "3.4").notes == (
        "conv1/kernel: 2 minibatches gathered for its next update are left out",
    )


def test_lines_behind_the_checkpoint_are_left_out(run_of, checkpoints, tmp_path):
    trained = run_of("v1-80sec")
    line = {"kind": "train", "epoch": 4, "batch": 2, "cases": 60, "costs": {"logprob": [1.0, 0.5]}}
    append(trained, line, to_checkpoint=False)
    made, _ = exported(trained, tmp_path / "4.1")
    assert made.histories == original(checkpoints, "v1-80sec").histories


def test_infinite_costs(run_of, tmp_path):
    trained = run_of("v2-hybrid")
    line = {"kind": "train", "epoch": 1, "batch": 1, "cases": 60, "costs": {"logprob": [None, 0.9, 0.35]}}
    (trained.run.path / "log.jsonl").write_text(json.dumps(line) + "\n")
    made, _ = exported(trained, tmp_path / "4.1")
    assert made.histories["train_outputs"] == (Outputs({"logprob": (np.inf, 54.0, 21.0)}, 60),)


def test_what_the_options_cannot_say_is_noted(run_of, tmp_path):
    trained = run_of(
        "v1-80sec", data_provider="digits", seed=5, provider_options={"inner_size": 24, "crop_border": 2}
    )
    made, notes = exported(trained, tmp_path / "4.1")
    assert notes == (
        "data provider 'digits': the program has none of that name unless you add one",
        "inner_size=24: the program has no such option",
        "seed=5: the program has none",
    )
    assert made.options["crop_border"].value == 2


def test_a_multiview_test_names_its_cost(run_of, tmp_path):
    trained = run_of("v1-80sec", multiview=True, provider_options={"test_views": 10})
    made, notes = exported(trained, tmp_path / "4.1")
    assert notes == ()
    options = {name: made.options[name].value for name in ("multiview_test", "logreg_name")}
    assert options == {"multiview_test": 1, "logreg_name": "logprob"}


def test_paths_are_bytes_of_python_2(run_of, tmp_path):
    made, _ = exported(run_of("v1-80sec", data_path="/Zürich"), tmp_path / "4.1")
    write_checkpoint(tmp_path / "4.1", made)
    options = read_raw(tmp_path / "4.1")[b"op"].attributes[b"options"]
    assert options[b"data_path"].attributes[b"value"] == "/Zürich".encode()
    assert load_checkpoint(tmp_path / "4.1").options == made.options


def test_the_frozen_values_cannot_be_changed(trained, tmp_path):
    made, _ = exported(trained, tmp_path / "4.1")
    for layer in made.layers:
        assert isinstance(layer.values, MappingProxyType)
        for array in layer.arrays.values():
            assert not array.data.flags.writeable
