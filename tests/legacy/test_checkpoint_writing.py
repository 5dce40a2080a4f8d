"""Checkpoints that are written are those that were read: to us, and object for object in the pickle."""

import json
import pickletools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from raw_pickles import differences, pickled, read_raw

from convnet_cfg.errors import CheckpointError
from convnet_cfg.legacy import Array, load_checkpoint, write_checkpoint

NAMES = (
    *("v1-80sec", "v1-mix", "v1-mix-tolocal", "v1-cropped-zip", "v1-dnouri-dropout"),
    *("v2-mix", "v2-hybrid"),
)
OWN = ("v1", "v2", "zip", "gzip")
SMALL = Path(__file__).parent / "checkpoints"


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def original(name, checkpoints):
    (runs,) = (path for path in (checkpoints / name).iterdir() if path.is_dir())
    return load_checkpoint(runs)


@pytest.fixture
def copy(original, tmp_path):
    write_checkpoint(tmp_path / original.path.name, original)
    return tmp_path / original.path.name


def frozen(value):
    """A frozen value with arrays as their form and bytes, so that two can be compared."""
    if isinstance(value, Array):
        return value.data.dtype.str, value.data.shape, value.order, value.data.tobytes("A")
    if isinstance(value, Mapping):
        return {name: frozen(each) for name, each in value.items()}
    if isinstance(value, tuple):
        return [type(value).__name__, *map(frozen, value)]
    return type(value).__name__, value


def everything(checkpoint):
    shared = {}
    for layer in checkpoint.layers:
        for name, array in layer.arrays.items():
            shared.setdefault(id(array), []).append(f"{layer.name}.{name}")
    fields = {name: getattr(checkpoint, name) for name in ("container", "program", "epoch", "batch")}
    return {
        **fields,
        "layers": [
            (layer.name, layer.type, layer.inputs, frozen(layer.values)) for layer in checkpoint.layers
        ],
        "shared": sorted(shared.values()),
        "options": {name: frozen(vars(option)) for name, option in checkpoint.options.items()},
        "histories": checkpoint.histories,
        "others": frozen(checkpoint.others),
    }


def test_what_is_written_is_read_again(original, copy):
    assert everything(load_checkpoint(copy)) == everything(original)


def test_the_pickle_has_the_same_objects(original, copy):
    assert differences(read_raw(original.path), read_raw(copy)) == []


def test_the_pickle_is_one_of_python_2(copy):
    instructions = [(code.name, argument) for code, argument, _ in pickletools.genops(pickled(copy))]
    assert instructions[0] == ("PROTO", 2)
    names = {name for name, _ in instructions}
    assert not {name for name in names if "UNICODE" in name or "BYTES" in name}
    assert "OBJ" in names
    assert "NEWOBJ" not in names


def test_the_names_in_the_pickle(name, copy, checkpoints):
    known = json.loads((checkpoints / name / f"{name}.json").read_text())
    asked = {argument for code, argument, _ in pickletools.genops(pickled(copy)) if code.name == "GLOBAL"}
    assert asked == set(known["globals"]) - {"numpy.core.multiarray scalar"}  # numbers are those of Python


@pytest.mark.parametrize("folder", OWN)
def test_small_checkpoints(folder, tmp_path):
    original = load_checkpoint(SMALL / folder)
    write_checkpoint(tmp_path / "3.2", original)
    assert everything(load_checkpoint(tmp_path / "3.2")) == everything(original)


def test_text_that_is_not_ascii(tmp_path):
    original = load_checkpoint(SMALL / "v1")
    write_checkpoint(tmp_path / "3.2", replace(original, others={"place": "Zürich"}))
    assert read_raw(tmp_path / "3.2")[b"model_state"][b"place"] == b"Z\xfcrich"
    assert load_checkpoint(tmp_path / "3.2").others == {"place": "Zürich"}


def test_text_that_is_not_latin_1(tmp_path):
    original = load_checkpoint(SMALL / "v1")
    with pytest.raises(CheckpointError, match="'слой' has letters that a checkpoint cannot hold"):
        write_checkpoint(tmp_path / "3.2", replace(original, others={"place": "слой"}))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(CheckpointError, match="cannot write .*No such file"):
        write_checkpoint(tmp_path / "no" / "3.2", load_checkpoint(SMALL / "v1"))
    assert not list(tmp_path.iterdir())


def test_an_array_that_is_too_large(tmp_path):
    original = load_checkpoint(SMALL / "v1")
    huge = np.broadcast_to(np.float32(0), (1 << 15, 1 << 15))
    with pytest.raises(CheckpointError, match="4,294,967,296 bytes"):
        write_checkpoint(tmp_path / "3.2", replace(original, others={"huge": Array(huge)}))
    assert not list(tmp_path.iterdir())
