"""A failed export leaves what was there before, and nothing else."""

from __future__ import annotations

import errno

import keras
import numpy as np
import pytest

from convnet_cfg.data import writing
from convnet_cfg.errors import ExportError
from convnet_cfg.export import targets
from convnet_cfg.export.formats import FORMATS
from convnet_cfg.export.inference import Inference, ports
from convnet_cfg.export.targets import export

each_format = pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)


@pytest.fixture(scope="module")
def inference():
    inputs = {"x": keras.Input((3,), name="x")}
    outputs = {"y": keras.layers.Dense(2, name="dense")(inputs["x"])}
    return Inference(keras.Model(inputs, outputs), ports(inputs), ports(outputs), {"dense": "[fc] (type=fc)"})


@pytest.fixture
def place(tmp_path):
    """Where something is already."""

    def before(form):
        path = tmp_path / f"net{form.ending}"
        if form.is_folder:
            path.mkdir()
            (path / "saved_model.pb").write_text("before")
        else:
            path.write_text("before")
        return path

    return before


def assert_untouched(path):
    assert list(path.parent.iterdir()) == [path]
    assert (path / "saved_model.pb" if path.is_dir() else path).read_text() == "before"


def half_written(inference, path, about):
    """Write some of it."""
    if path.is_dir():
        (path / "saved_model.pb").write_text("half")
    else:
        path.write_text("half")


@each_format
@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (
            ValueError("no such operation\nat all"),
            ExportError,
            "cannot write .*: ValueError: no such operation$",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), ExportError, "net.*: No space left on device$"),
        (KeyboardInterrupt(), KeyboardInterrupt, None),
    ],
    ids=["converter", "full disk", "interrupt"],
)
def test_a_failure_while_it_is_written(form, error, raised, message, inference, place):
    def fail(inference, path, about):
        half_written(inference, path, about)
        raise error

    path = place(form)
    with pytest.raises(raised, match=message):
        export(form._replace(write=fail), inference, path, {})
    assert_untouched(path)


@each_format
def test_a_runtime_that_computes_something_else(form, inference, place):
    def load(inference, path):
        return lambda arrays: {"y": np.asarray(inference.model(arrays)["y"]) * np.float32(1.001)}

    path = place(form)
    with pytest.raises(ExportError, match="computes something else than the network: y is off by 1.0e-03"):
        export(form._replace(write=half_written, load=load), inference, path, {})
    assert_untouched(path)


@each_format
def test_a_disk_that_is_full_in_the_end(form, inference, place, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    def load(inference, path):
        return lambda arrays: inference.model(arrays)

    monkeypatch.setattr(writing.os, "fsync", full)
    path = place(form)
    with pytest.raises(ExportError, match="cannot write .*: No space left on device"):
        export(form._replace(write=half_written, load=load), inference, path, {})
    assert_untouched(path)


def test_the_layers_that_fail_are_named_only_if_others_do_not(inference, tmp_path, monkeypatch):
    """Where nothing can be converted it is not the layers' fault."""
    form = FORMATS["keras"]
    tried = []

    def fail(form, single, path, about):
        tried.append(single)
        raise RuntimeError("out of order")

    monkeypatch.setattr(targets, "_written", fail)
    with pytest.raises(ExportError, match="cannot write .*net.keras: RuntimeError: out of order$"):
        export(form, inference, tmp_path / "net.keras", {})
    assert len(tried) == 2
    assert not list(tmp_path.iterdir())
