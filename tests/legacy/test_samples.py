"""Files that the original programs wrote, against descriptions of them that were made with Python 2."""

import json

import numpy as np
import pytest

from convnet_cfg.legacy import Array, Expression, load_checkpoint
from convnet_cfg.legacy.describe import owners

NAMES = (
    "v1-80sec",
    "v1-mix",
    "v1-mix-tolocal",
    "v1-cropped-zip",
    "v1-dnouri-dropout",
    "v2-mix",
    "v2-hybrid",
)
PROGRAMS = {"v1-dnouri-dropout": "v1+dropout"}


@pytest.fixture(scope="module", params=NAMES)
def sample(request, checkpoints):
    """A checkpoint, and what is known of it."""
    folder = checkpoints / request.param
    (runs,) = (path for path in folder.iterdir() if path.is_dir())
    return load_checkpoint(runs), json.loads((folder / f"{request.param}.json").read_text())


def written(value):
    """A frozen value as the descriptions have it."""
    if isinstance(value, Expression):
        return {"expression": value.text}
    if isinstance(value, tuple):
        return [written(item) for item in value]
    if hasattr(value, "items"):
        return {name: written(item) for name, item in value.items()}
    return value


def test_every_sample_is_known_here(checkpoints):
    assert {path.name for path in checkpoints.glob("v*")} == set(NAMES)


def test_the_state(sample):
    checkpoint, known = sample
    assert checkpoint.path.name == known.get("file", checkpoint.path.name)
    assert (checkpoint.epoch, checkpoint.batch) == (known["epoch"], known["batchnum"])
    assert checkpoint.path.name == f"{checkpoint.epoch}.{checkpoint.batch}"
    assert checkpoint.container == ("zip" if "zip" in known["container"] else "plain")
    kept = {"epoch", "batchnum", "layers", *checkpoint.histories, *checkpoint.others}
    assert kept == set(known["model_state_keys"])


def test_the_program(sample, checkpoints):
    checkpoint, known = sample
    name = checkpoint.path.relative_to(checkpoints).parts[0]
    assert checkpoint.program == PROGRAMS.get(name, name[:2])
    assert checkpoint.outputs_are_means == (known["layers_container"] == "list")


def test_the_histories(sample):
    checkpoint, known = sample
    for name in ("train_outputs", "test_outputs"):
        entries = [[written(entry.costs), entry.cases] for entry in checkpoint.histories[name]]
        assert entries == known[name]


def test_the_options(sample):
    checkpoint, known = sample
    assert set(checkpoint.options) == set(known["options"])
    for name, option in checkpoint.options.items():
        parser = option.parser
        found = {
            "letter": option.letter,
            "value": written(option.value),
            "value_given": option.given,
            "default": written(option.default),
            "set_once": option.set_once,
            "parser": f"instance of {parser.name}" if parser.items else parser.name,
        }
        assert found == known["options"][name], name
        assert option.name == name
        assert option.prefixed_letter == f"--{option.letter}" or len(option.letter) == 1
        assert option.description
        assert not option.others


def test_the_layers(sample):
    checkpoint, known = sample
    described = sorted(known["layers"], key=lambda layer: layer["position"])
    assert [layer.name for layer in checkpoint.layers] == [layer["name"] for layer in described]
    for layer, expected in zip(checkpoint.layers, described, strict=True):
        assert sorted(layer.values) == expected["keys"]
        assert (layer.name, layer.type) == (expected["name"], expected["type"])
        assert layer.values["outputs"] == expected["outputs"]


def test_every_value_of_every_layer(sample):
    checkpoint, known = sample
    described = {layer["name"]: layer["values"] for layer in known["layers"]}
    for layer in checkpoint.layers:
        expected = described[layer.name]
        arrays = {name.partition("[")[0] for name in layer.arrays}
        assert set(expected) == set(layer.values) - arrays
        for name, value in expected.items():
            if name == "inputLayers":
                value = [each.removeprefix("->") for each in value]
            if isinstance(value, str) and value.startswith("<text of an expression"):
                assert isinstance(layer.values[name], str)
                assert layer.values[name].startswith("lambda")
            else:
                assert written(layer.values[name]) == value, (layer.name, name)


def test_the_inputs_are_names(sample):
    checkpoint, known = sample
    described = {layer["name"]: layer["values"] for layer in known["layers"]}
    order = [layer.name for layer in checkpoint.layers]
    for layer in checkpoint.layers:
        raw = described[layer.name].get("inputs", [])
        assert list(layer.inputs) == [order[each] if isinstance(each, int) else each for each in raw]


def test_every_array(sample):
    checkpoint, known = sample
    described = {layer["name"]: layer["arrays"] for layer in known["layers"]}
    for layer in checkpoint.layers:
        assert set(layer.arrays) == set(described[layer.name])
        for name, array in layer.arrays.items():
            expected, data = described[layer.name][name], array.data
            assert list(data.shape) == expected["shape"]
            assert data.dtype.name == expected["dtype"]
            contiguous = (expected["c_contiguous"], expected["f_contiguous"])
            assert (data.flags.c_contiguous, data.flags.f_contiguous) == contiguous
            assert (
                array.order
                == {(True, True): "either", (True, False): "C", (False, True): "Fortran"}[contiguous]
            )
            assert data.sum(dtype=np.float64) == pytest.approx(expected["sum"], rel=1e-9, abs=1e-12)
            assert np.abs(data).sum(dtype=np.float64) == pytest.approx(expected["abs_sum"], rel=1e-9)
            for index, value in expected["elements"]:
                assert data[tuple(index)] == np.float32(value)
            assert type(data) is np.ndarray
            assert not data.flags.writeable


def test_matrices_that_are_one(sample):
    checkpoint, known = sample
    groups = {}
    for layer in checkpoint.layers:
        for name, array in layer.arrays.items():
            assert isinstance(array, Array)
            groups.setdefault(owners(checkpoint.layers)[id(array)], []).append(f"{layer.name}.{name}")
    shared = sorted(sorted(group) for group in groups.values() if len(group) > 1)
    assert shared == sorted(sorted(group) for group in known["arrays_that_are_one_object"])


def test_the_newest_of_three(checkpoints):
    folder = checkpoints / "v1-mix" / "ConvNet__2012-01-02_03.04.05"
    assert len(list(folder.iterdir())) == 3
    older = load_checkpoint(folder / "1.3")
    assert (older.epoch, older.batch) == (1, 3)
    assert load_checkpoint(folder).path.name == "3.1"
