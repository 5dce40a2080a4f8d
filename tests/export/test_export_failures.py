"""A failed export leaves what was there before, and nothing else."""

from __future__ import annotations

import errno

import keras
import numpy as np
import pytest

from convnet_cfg.data import writing
from convnet_cfg.errors import ExportError
from convnet_cfg.export import targets
from convnet_cfg.export.formats import FORMATS, ConversionError, library, reason
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


def load_itself(inference, path):
    """Run the network in place of what was written."""
    return lambda arrays: inference.model(arrays)


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
        (
            RuntimeError("{{node x}} a/b.data; No space left on device [Op:SaveV2]"),
            ExportError,
            "^cannot write .*net.*: No space left on device$",
        ),
        (MemoryError(), ExportError, "cannot write .*net.*: not enough memory$"),
        (KeyboardInterrupt(), KeyboardInterrupt, None),
    ],
    ids=["converter", "full disk", "full disk in TensorFlow", "memory", "interrupt"],
)
def test_a_failure_while_it_is_written(form, error, raised, message, inference, place):
    def fail(inference, path, about):
        half_written(inference, path, about)
        with library():
            raise error

    path = place(form)
    with pytest.raises(raised, match=message):
        export(form._replace(write=fail), inference, path, {})
    assert_untouched(path)


@each_format
@pytest.mark.parametrize("step", ["write", "load", "run"])
def test_a_fault_of_ours_is_not_taken_for_the_network_s(form, step, inference, place):
    """It comes out as it is, to be shown with its traceback; and nothing is left behind."""

    def fail(*arguments):
        raise KeyError("ours")

    functions = {"write": half_written, "load": lambda inference, path: fail}
    path = place(form)
    with pytest.raises(KeyError, match="ours"):
        export(form._replace(**{**functions, **({step: fail} if step != "run" else {})}), inference, path, {})
    assert_untouched(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no such operation\nat all", "ValueError: no such operation"),
        (
            "Exception encountered when calling f().\n\n\x1b[1mno such shape\x1b[0m\n\nArguments: x",
            "ValueError: no such shape",
        ),
        (
            "<class 'X'> could not be deserialized.\n\nconfig={}.\n\nException encountered: no",
            "ValueError: no",
        ),
        ("", "ValueError"),
    ],
)
def test_what_is_said_of_an_error(text, expected):
    assert reason(ValueError(text)) == expected


@each_format
def test_a_link_stays_and_what_it_points_to_is_replaced(form, inference, tmp_path):
    (tmp_path / "mine").mkdir()
    elsewhere = tmp_path / "mine" / "before"
    elsewhere.mkdir() if form.is_folder else elsewhere.write_text("before")
    path = tmp_path / f"net{form.ending}"
    path.symlink_to(elsewhere)

    for _ in range(2):
        export(form._replace(write=half_written, load=load_itself), inference, path, {})
        assert sorted(tmp_path.iterdir()) == [tmp_path / "mine", path]
        assert [*(tmp_path / "mine").iterdir()] == [elsewhere]
        assert path.is_symlink()
    assert any(elsewhere.iterdir()) if form.is_folder else elsewhere.read_bytes() != b"before"
    path.unlink()
    path.symlink_to("nowhere")
    export(form._replace(write=half_written, load=load_itself), inference, path, {})
    assert path.is_symlink()
    assert (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("form", [form for form in FORMATS.values() if not form.is_folder])
def test_exports_at_the_same_time_do_not_meet(form, inference, tmp_path):
    """One is written while another is checked, in the same folder."""

    def load(inference, path):
        if path.name.endswith(f"first{form.ending}{form.ending}"):
            export(other, inference, tmp_path / f"second{form.ending}", {})
        return load_itself(inference, path)

    def write(inference, path, about):
        path.write_text(path.name)

    other = form._replace(write=write, load=load)
    export(other, inference, tmp_path / f"first{form.ending}", {})
    for name in ("first", "second"):
        assert name in (tmp_path / f"{name}{form.ending}").read_text()
    assert len(list(tmp_path.iterdir())) == 2


@each_format
def test_a_runtime_that_computes_something_else(form, inference, place):
    def load(inference, path):
        return lambda arrays: {"y": np.asarray(inference.model(arrays)["y"]) * np.float32(1.001)}

    path = place(form)
    with pytest.raises(ExportError, match="computes something else than the network: y is off by 1.0e-03"):
        export(form._replace(write=half_written, load=load), inference, path, {})
    assert_untouched(path)


@pytest.mark.slow
@each_format
def test_a_file_with_other_weights(form, inference, place):
    """The file is compared, as its program loads it: one weight of six is a little larger there."""
    kernel = inference.model.get_layer("dense").kernel

    def write(inference, path, about):
        before = kernel.numpy()
        kernel.assign(before + np.array([[0, 0], [0, 0.01], [0, 0]]))
        form.write(inference, path, about)
        kernel.assign(before)

    path = place(form)
    with pytest.raises(ExportError, match="computes something else than the network: y is off by"):
        export(form._replace(write=write), inference, path, {})
    assert_untouched(path)
    assert export(form, inference, path, {}) < 1e-6


@pytest.mark.slow
@each_format
def test_what_a_killed_program_left_behind_is_overwritten(form, inference, tmp_path):
    path = tmp_path / f"net{form.ending}"

    def killed(inference, left, about):
        half_written(inference, left, about)
        left.rename(tmp_path / "left")
        names.append(left.name)
        raise KeyError

    names = []
    with pytest.raises(KeyError):
        export(form._replace(write=killed), inference, path, {})
    (tmp_path / "left").rename(tmp_path / names[0])
    assert export(form, inference, path, {}) < 1e-6
    assert list(tmp_path.iterdir()) == [path]


@each_format
def test_a_disk_that_is_full_in_the_end(form, inference, place, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writing.os, "fsync", full)
    path = place(form)
    with pytest.raises(ExportError, match="cannot write .*: No space left on device"):
        export(form._replace(write=half_written, load=load_itself), inference, path, {})
    assert_untouched(path)


@each_format
def test_no_layer_is_blamed_for_weights_that_are_no_numbers(form, tmp_path):
    """Each alone computes nothing but NaN then too."""
    data = keras.Input((3,), name="x")
    outputs = {"y": keras.layers.Dense(2, bias_initializer=keras.initializers.Constant(np.nan))(data)}
    made = Inference(keras.Model({"x": data}, outputs), ports({"x": data}), ports(outputs), {})

    with pytest.raises(ExportError, match="^the outputs of the network are not finite numbers: its training"):
        export(form._replace(write=half_written, load=load_itself), made, tmp_path / f"net{form.ending}", {})
    assert not list(tmp_path.iterdir())


def test_the_layers_that_fail_are_named_only_if_others_do_not(inference, tmp_path, monkeypatch):
    """Where nothing can be converted it is not the layers' fault."""
    form = FORMATS["keras"]
    tried = []

    def fail(form, single, path, about):
        tried.append(single)
        raise ConversionError("RuntimeError: out of order")

    monkeypatch.setattr(targets, "_written", fail)
    with pytest.raises(ExportError, match="cannot write .*net.keras: RuntimeError: out of order$"):
        export(form, inference, tmp_path / "net.keras", {})
    assert len(tried) == 2
    assert not list(tmp_path.iterdir())
