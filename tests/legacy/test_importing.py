"""Checkpoints as runs: what is in the run directory, against the files of the original programs."""

import json
from dataclasses import replace
from math import isqrt

import numpy as np
import old_networks
import pytest
import tiny_runs
from golden_cases import close
from import_cases import refused, sample, stored
from test_samples import NAMES

from convnet_cfg.errors import CheckpointError
from convnet_cfg.language import load_network
from convnet_cfg.legacy import load_checkpoint
from convnet_cfg.legacy.importing import import_checkpoint, prepare_import
from convnet_cfg.legacy.kept import WEIGHTS, read_kept, write_kept
from convnet_cfg.legacy.run_options import carry_options
from convnet_cfg.training.checkpoints import read_checkpoint
from convnet_cfg.training.trained import load_trained

# -- weights and velocities of the samples


def theirs_of(checkpoint, owned):
    """The matrix of a variable and its velocity in the file."""
    layer = next(layer for layer in checkpoint.layers if layer.name == owned.layer.name)
    if owned.input is None:
        return [layer.values[name].data for name in ("biases", "biasesInc")]
    return [layer.values[name][owned.input].data for name in ("weights", "weightsInc")]


def element(theirs, owned, place, image):
    """The number of the file that belongs at a place of our kernel (spec/checkpoints.md section 5.3)."""
    spec, kind = owned.layer.spec, owned.layer.type
    if owned.input is None and kind in ("conv", "local") and len(place) == 3:
        row, column, filter = place
        side = owned.layer.output.image.side
        return theirs[(filter * side + row) * side + column, 0]
    if owned.input is None:
        return theirs.ravel()[place[0]]
    if kind in ("conv", "local"):
        *module, y, x, channel, filter = place
        size, depth = spec.sizes[owned.input], spec.filter_channels(owned.input)
        block = module[0] * owned.layer.output.image.side + module[1] if module else 0
        return theirs[((block * depth + channel) * size + y) * size + x, filter]
    row, column = place
    if image is not None:
        pixel, channel = divmod(row, image.channels)
        row = channel * image.side**2 + pixel
    return theirs[row, column]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_weights_and_velocities_are_those_of_the_file(checkpoints, name, tmp_path):
    checkpoint = sample(checkpoints, name)
    imported = import_checkpoint(checkpoint, tmp_path / "run")
    trained = load_trained(imported.path)
    assert trained.position == (checkpoint.epoch, checkpoint.batch, None)
    arrays, _ = read_checkpoint(trained.checkpoint)
    rng = np.random.default_rng(0)
    seen = 0
    for owned in trained.built.network.owned():
        image = trained.built.kernel_images.get((owned.layer.name, owned.input))
        theirs = theirs_of(checkpoint, owned)
        for array, matrix in zip((owned.name, f"{owned.name}/velocity"), theirs, strict=True):
            ours = arrays[array]
            assert ours.size == matrix.size
            assert ours.sum(dtype=float) == pytest.approx(matrix.sum(dtype=float), rel=1e-6, abs=1e-9)
            for _ in range(60):
                place = tuple(int(rng.integers(size)) for size in ours.shape)
                assert ours[place] == element(matrix, owned, place, image), (array, place)
            seen += 1
    assert seen >= 12
    sparse = [layer for layer in checkpoint.layers if any(layer.values.get("randSparse", ()))]
    for layer in sparse:
        assert trained.built.connections[layer.name] == layer.values["filterConns"]
    assert bool(sparse) == (name.startswith("v1-") and name != "v1-80sec")


@pytest.mark.slow
def test_what_else_a_run_has(checkpoints, tmp_path):
    """Counters, log and record, by the numbers in the description of the sample."""
    checkpoint = sample(checkpoints, "v1-80sec")
    known = json.loads((checkpoints / "v1-80sec" / "v1-80sec.json").read_text())
    run = import_checkpoint(checkpoint, tmp_path / "run", command=["convnet", "import"]).path
    assert tiny_runs.newest(run).name == "4.1.safetensors"
    _, counters = read_checkpoint(tiny_runs.newest(run))
    assert (counters["position"], counters["tests"], counters["test_is_due"]) == ([4, 1, None], 4, False)
    assert counters["log_size"] == (run / "log.jsonl").stat().st_size
    assert counters["base_rates"]["conv1/kernel"] == 0.001
    lines = tiny_runs.log(run)
    assert [line["costs"]["logprob"] for line in lines if line["kind"] == "train"] == [
        entry[0]["logprob"] for entry in known["train_outputs"]
    ]
    tests = [line for line in lines if line["kind"] == "test"]
    assert [line["costs"]["logprob"] for line in tests] == [
        entry[0]["logprob"] for entry in known["test_outputs"]
    ]
    assert [(line["epoch"], line["batch"]) for line in tests] == [(1, 4), (2, 3), (3, 2), (4, 1)]
    assert lines[-2] == {
        "kind": "train",
        "epoch": 4,
        "batch": 1,
        "cases": 60,
        "costs": {"logprob": known["train_outputs"][-1][0]["logprob"]},
    }
    found = tiny_runs.record(run)
    options = found["options"]
    expected = {"data_provider": "cifar", "data_path": "cifar-10-py-colmajor", "provider_options": {}}
    expected |= {"train_range": [1, 2, 3, 4, 5], "test_range": [6], "epochs": 3, "minibatch": 32}
    expected |= {"test_freq": 4, "test_one": True, "multiview": False, "max_filesize": 0, "dialect": "v1"}
    assert {name: options[name] for name in expected} == expected
    assert found["data"] == {"shapes": [[32, 32, 3], [1]], "classes": 10}
    assert found["imported"]["program"] == "v1"
    assert found["imported"]["not_carried_over"] == []
    assert len(found["imported"]["sha256"]) == 64
    assert found["command"] == ["convnet", "import"]


@pytest.mark.slow
def test_costs_of_cuda_convnet2_become_means(checkpoints, tmp_path):
    checkpoint = sample(checkpoints, "v2-mix")
    imported = import_checkpoint(checkpoint, tmp_path / "run")
    assert imported.notes == ("the last of 13 training costs: its batch came after the weights were saved",)
    lines = tiny_runs.log(imported.path)
    assert len(lines) == 12 + 4
    assert list(lines[0]["costs"]) == ["logprob", "sqcost"]
    assert lines[0]["costs"]["logprob"] == [155.87717540430916 / 60, 0.9, 0.45]
    assert imported.prepared.options.provider_options == {"inner_size": 24, "scalar_mean": -1}


# -- kept for writing back


@pytest.mark.parametrize("name", NAMES)
def test_everything_but_the_weights_is_kept(checkpoints, name, tmp_path):
    checkpoint = sample(checkpoints, name)
    write_kept(tmp_path, checkpoint)
    assert not (tmp_path / "imported.safetensors").exists()
    kept = read_kept(tmp_path)
    layers = tuple(replace(layer, values=without_weights(layer.values)) for layer in checkpoint.layers)
    assert typed(kept) == typed(replace(checkpoint, layers=layers))


def without_weights(values):
    return {
        name: ((None,) * len(value) if isinstance(value, tuple) else None) if name in WEIGHTS else value
        for name, value in values.items()
    }


def typed(value):
    """A value with the type of each of its parts: 1, 1.0 and True are equal."""
    if isinstance(value, tuple):
        return tuple, tuple(map(typed, value))
    if hasattr(value, "items") and not hasattr(value, "separator"):
        return "mapping", {name: typed(each) for name, each in value.items()}
    if hasattr(value, "data") and hasattr(value, "order"):
        return "array", value.order, value.data.dtype, value.data.shape, value.data.tobytes()
    if hasattr(value, "__dataclass_fields__"):
        return type(value), {name: typed(getattr(value, name)) for name in value.__dataclass_fields__}
    return type(value), repr(value)


def test_odd_values_are_kept(tmp_path):
    fortran = np.asfortranarray(np.arange(6.0).reshape(2, 3))

    def edit(layers):
        layers[0]["odd"] = [1, 1.0, True, None, float("nan"), -float("inf"), "é\n", [], {"a": {}}, 2**62]
        layers[0]["filter"] = fortran
        layers[1]["filter"] = fortran
        layers[1]["tiny"] = np.array([[1, 2]], np.int8)

    checkpoint = stored(tmp_path, edit=edit, best_test_error=0.5)
    write_kept(tmp_path, checkpoint)
    kept = read_kept(tmp_path)
    layers = tuple(replace(layer, values=without_weights(layer.values)) for layer in checkpoint.layers)
    assert typed(kept) == typed(replace(checkpoint, layers=layers))
    data, labels = kept.layers[:2]
    assert data.values["filter"] is labels.values["filter"]
    assert data.values["filter"].order == "Fortran"
    assert not data.values["filter"].data.flags.writeable
    assert kept.others == {"best_test_error": 0.5}


def test_a_run_of_our_own_keeps_nothing(tmp_path):
    assert read_kept(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{}", '{"format": 2}', "[1]", '{"format": 1, "layers": 3}'])
def test_damaged_keepings(tmp_path, text):
    (tmp_path / "imported.json").write_text(text)
    with pytest.raises(CheckpointError, match="imported.json is"):
        read_kept(tmp_path)


@pytest.mark.parametrize("change", [{"container": "tar"}, {"program": "v9"}, {"epoch": "3"}, {"batch": None}])
def test_keepings_of_no_program(tmp_path, change):
    write_kept(tmp_path, stored(tmp_path))
    path = tmp_path / "imported.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError, match="imported.json is damaged"):
        read_kept(tmp_path)


# -- options


def test_options_that_are_wrong_or_lack_are_named_together(tmp_path):
    changes = {"train_batch_range": None, "num_epochs": "many", "minibatch_size": 0, "dp_type": "os.path"}
    assert refused(stored(tmp_path, **changes), tmp_path).splitlines() == [
        "the options of the checkpoint cannot be those of a run:",
        "  the file has no option train_batch_range: give --train-range",
        "  option num_epochs must be an integer >= 1, got many",
        "  option minibatch_size must be an integer >= 1, got 0",
        "  the data provider 'os.path' does not come along: give --data-provider",
    ]


def test_a_file_without_options(tmp_path):
    checkpoint = replace(stored(tmp_path), options={})
    assert "the file does not name its data provider" in refused(checkpoint, tmp_path)
    given = {"data_provider": "dummy-cn-192", "train_range": (1,), "test_range": (1,)}
    options, notes = carry_options(checkpoint, given, "v1")
    assert (options.data_provider, options.epochs, options.minibatch, notes) == (
        "dummy-cn-192",
        50000,
        128,
        [],
    )


def test_what_has_no_option_here_is_said(tmp_path):
    checkpoint = stored(tmp_path, patch_size=24, multiview_test=1)
    options, notes = carry_options(checkpoint, {}, "v1")
    assert notes == [
        "--multiview-test: data provider 'cifar' has one view of each case",
        "--patch-size=24: no such option here",
    ]
    assert not options.multiview
    cropped, _ = carry_options(checkpoint, {"data_provider": "cifar-cropped"}, "v1")
    assert cropped.provider_options == {"crop_border": 4, "test_views": 10}
    assert cropped.multiview


# -- forms of data, histories, other writers


@pytest.mark.parametrize(
    ("given", "shape"),
    [({}, (8, 8, 3)), ({"data_provider": "dummy-cn-192"}, (192,)), ({"data_provider": "image"}, (8, 8, 3))],
)
def test_the_form_of_the_data_is_that_of_their_provider(tmp_path, given, shape):
    form = prepare_import(stored(tmp_path), tmp_path / "run", given).form
    assert (form.shapes[0], form.classes) == (shape, 10)


def test_histories_that_do_not_fit_the_position_are_not_in_the_log(tmp_path):
    entries = [({"logprob": [2.0, 0.5]}, 32)]
    checkpoint = stored(tmp_path, train_outputs=entries * 3, valid_outputs=entries)
    imported = import_checkpoint(checkpoint, tmp_path / "run")
    assert imported.notes == (
        "3 training costs: 4 batches were done by then",
        "2 test costs: no telling when they were made",
        "valid_outputs: a log here has no such costs",
    )
    assert not (imported.path / "log.jsonl").exists()
    assert len(read_kept(imported.path).histories["train_outputs"]) == 3
    _, counters = read_checkpoint(tiny_runs.newest(imported.path))
    assert (counters["log_size"], counters["tests"]) == (0, 2)


@pytest.mark.parametrize("module", ["numpy.core", "numpy._core"])
def test_files_of_numpy_1_and_2_with_fields_of_forks(tmp_path, module):
    def edit(layers):
        layers[2]["flipWeights"] = np.int64(1)

    checkpoint = stored(tmp_path, module=module, edit=edit, best_test_error=0.25, best_test_info="3.4: 1%")
    imported = prepare_import(checkpoint, tmp_path / "run")
    assert imported.notes == (
        "fc10.flipWeights: no layer here has such a field",
        "best_test_error=0.25: it has no meaning here",
        "best_test_info=3.4: 1%: it has no meaning here",
    )


def test_kernels_that_read_data_as_they_are(tmp_path):
    """Rows follow (row, column, channel) where the data are images to us; vectors are refused then."""
    checkpoint = stored(tmp_path)
    matrix = checkpoint.layers[2].values["weights"][0].data
    image = import_checkpoint(checkpoint, tmp_path / "image").path
    vector = import_checkpoint(checkpoint, tmp_path / "vector", {"data_provider": "dummy-cn-192"}).path
    side = isqrt(192 // 3)
    moved = matrix.reshape(3, side, side, 10).transpose(1, 2, 0, 3).reshape(192, 10)
    assert np.array_equal(tiny_runs.arrays(image)["fc10/kernel"], moved)
    assert np.array_equal(tiny_runs.arrays(vector)["fc10/kernel"], matrix)
    with pytest.raises(CheckpointError, match="layer 'fc10' reads data as they are"):
        tiny_runs.prepare_again(image, {"data_provider": "dummy-cn-192", "data_path": None})


def test_a_branch_keeps_what_was_kept(tmp_path):
    data = tiny_runs.write_data(tmp_path / "data")
    checkpoint = stored(tmp_path)
    given = {"data_path": str(data)}
    run = import_checkpoint(checkpoint, tmp_path / "runs" / "ConvNet__1", given).path
    first = tiny_runs.newest(run)
    tiny_runs.train(tiny_runs.resume(run, max_filesize=100))
    branch = tiny_runs.train(tiny_runs.resume(first))
    assert branch != run
    assert (branch / "imported.json").read_bytes() == (run / "imported.json").read_bytes()
    assert read_kept(branch).epoch == 2


# -- training goes on


def test_training_goes_on_as_if_it_had_never_stopped(tmp_path):
    """Nothing random: an epoch, written as the original would have, imported, and another one."""
    data = tiny_runs.write_data(tmp_path / "data")
    tiny_runs.write_pair(tmp_path, tiny_runs.FLAT_LAYERS, tiny_runs.FLAT_PARAMS)
    chosen = tiny_runs.flat_options(data, epochs=2, max_filesize=100, test_freq=3)
    whole = tiny_runs.train(tiny_runs.start(tmp_path, chosen))
    middle, _ = read_checkpoint(whole / "1.3.safetensors")
    network = load_network(whole / "layers.cfg", whole / "params.cfg", data_dims=(192, 1))

    def arrays(layer, number):
        name = f"{layer.name}/{'bias' if number is None else 'kernel'}"
        pair = middle[name], middle[f"{name}/velocity"]
        if number is None:
            return [each.reshape(1, 10) for each in pair]
        return [each.reshape(8, 8, 3, 10).transpose(2, 0, 1, 3).reshape(192, 10) for each in pair]

    layers = old_networks.layers_of(network, False, arrays)
    found = old_networks.content(layers, 1, 3, num_epochs=2, minibatch_size=16, test_batch_range=[4, 5])
    checkpoint = load_checkpoint(old_networks.write(tmp_path / "old", found))
    run = import_checkpoint(checkpoint, tmp_path / "new" / "run", {"data_path": str(data)}).path
    tiny_runs.train(tiny_runs.resume(run))
    for name, array in tiny_runs.arrays(run).items():
        assert close(array, read_checkpoint(whole / "2.3.safetensors")[0][name]) <= 1e-6, name
