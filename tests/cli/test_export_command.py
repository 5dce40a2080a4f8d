"""`convnet export`: a trained network in four formats, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from convnet_cfg.cli import export as command
from convnet_cfg.export.formats import ABOUT

TARGETS = {"keras": "net.keras", "savedmodel": "net", "onnx": "net.onnx", "litert": "net.tflite"}


@pytest.fixture
def trained(train, the_run):
    train()
    return the_run()


@pytest.mark.slow
def test_the_digits_in_four_formats_are_recognized_as_by_the_run(convnet, tmp_path, the_run):
    """All programs name the same class for every test case, and make the error that the run makes."""
    convnet("train", "digits", "--epochs=1", "--seed=1")
    run = the_run()
    tested = convnet("test", run).stdout
    for target, name in TARGETS.items():
        printed = convnet("export", run, "--to", target, "-o", name).stdout
        assert "input data: float32 (cases, 8, 8, 1): rows, columns, channels\n" in printed
        assert "output probs: float32 (cases, 10)\n" in printed
        assert "minus the mean image of batches 1 to 3 (data provider 'digits')" in printed
        assert "(limit 0.0001)" in printed
    images, labels = digits()
    predicted = {target: PREDICT[target](images) for target in TARGETS}
    for target, classes in predicted.items():
        np.testing.assert_array_equal(classes, predicted["keras"], err_msg=target)
    error = 100 * float(np.mean(predicted["keras"] != labels))
    assert f"error {error:.2f}%" in tested
    assert 0 < error < 50


def digits():
    """Return the test cases as the page on exporting says that they are to be prepared."""
    from convnet_cfg.data.samples import Digits

    source = Digits()
    images, labels = source.batch(4)
    return images.astype(np.float32) - source.mean, labels


def predict_with_keras(images):
    import keras

    return np.argmax(keras.saving.load_model("net.keras").predict(images, verbose=0), 1)


def predict_with_tensorflow(images):
    import tensorflow as tf

    loaded = tf.saved_model.load("net")
    return np.argmax(loaded.serve({"data": images})["probs"], 1)


def predict_with_onnxruntime(images):
    import onnxruntime

    (found,) = onnxruntime.InferenceSession("net.onnx").run(["probs"], {"data": images})
    return np.argmax(found, 1)


def predict_with_litert(images):
    from ai_edge_litert.interpreter import Interpreter

    return np.argmax(Interpreter("net.tflite").get_signature_runner()(data=images)["probs"], 1)


PREDICT = {
    "keras": predict_with_keras,
    "savedmodel": predict_with_tensorflow,
    "onnx": predict_with_onnxruntime,
    "litert": predict_with_litert,
}


def test_what_is_said_and_kept_of_a_run(convnet, trained, tmp_path):
    printed = convnet("export", trained, "--to", "keras").stdout
    (written,) = tmp_path.glob("*.keras")
    assert written.name == f"{trained.name}.keras"
    lines = printed.splitlines()
    assert lines[0] == f"wrote {written.name}: Keras, net at 1.3"
    crop = "the 6 x 6 pixels at the centre of each image (crop border 1)"
    less = "values 0 to 255 minus the centre of the mean image (data_mean in batches.meta)"
    prepared = f"{crop}, {less} (data provider 'cifar-cropped')"
    assert f"prepare inputs as the tests of the run do: {prepared}" in lines
    assert "to be loaded by keras.saving.load_model after import convnet_cfg" in lines
    with zipfile.ZipFile(written) as members:
        about = json.loads(members.read(ABOUT))
    record = json.loads((trained / "run.json").read_text())
    assert about["sha256"] == {name: file["sha256"] for name, file in record["files"].items()}
    assert about["network"] == "net"
    assert about["dialect"] == record["dialect"]
    assert about["position"] == "1.3"
    assert about["provider_options"] == {"crop_border": 1}
    assert about["inputs"] == {"data": "float32 (cases, 6, 6, 3): rows, columns, channels"}


def test_the_data_are_not_needed_and_the_run_is_left_alone(convnet, trained, tmp_path):
    record = json.loads((trained / "run.json").read_text())
    record["options"]["data_path"] = str(tmp_path / "gone")
    (trained / "run.json").write_text(json.dumps(record))
    before = {path.name: path.read_bytes() for path in trained.iterdir()}
    convnet("export", next(trained.glob("*.safetensors")), "--to=keras", "-o", "net.keras")
    assert {path.name: path.read_bytes() for path in trained.iterdir()} == before


def test_what_is_there_is_overwritten_only_by_force(convnet, trained, tmp_path):
    path = tmp_path / "net.keras"
    path.write_text("mine")
    refused = convnet("export", trained, "--to=keras", "-o", "net.keras", code=2)
    assert refused.stderr == "net.keras is there already: give --force to overwrite it\n"
    assert path.read_text() == "mine"
    convnet("export", trained, "--to=keras", "-o", "net.keras", "--force")
    assert zipfile.is_zipfile(path)


@pytest.mark.parametrize(
    ("target", "output", "message"),
    [
        ("keras", "net.h5", "net.h5 must end with .keras, or it will not be loaded"),
        ("onnx", "nowhere/net.onnx", "there is no directory nowhere"),
        ("onnx", "folder", "folder is a directory"),
        ("savedmodel", "folder", "folder is there already, and has no saved_model.pb: it is not overwritten"),
        ("savedmodel", ".", ". is there already, and has no saved_model.pb: it is not overwritten"),
        ("savedmodel", "file", "file is there already, and has no saved_model.pb: it is not overwritten"),
    ],
)
def test_places_where_nothing_is_written(convnet, tmp_path, target, output, message):
    """Nothing of that is asked of the run, which need not be there."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine").write_text("mine")
    (tmp_path / "file").write_text("mine")
    refused = convnet("export", "no-run", "--to", target, "-o", output, "--force", code=2)
    assert refused.stderr == f"{message}\n"
    assert (tmp_path / "folder" / "mine").read_text() == (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("target", ["keras", "savedmodel", "onnx", "litert"])
def test_a_link_to_nowhere_is_something_that_is_there(convnet, tmp_path, target):
    link = tmp_path / "net.keras"
    link.symlink_to("nowhere")
    refused = convnet("export", "no-run", "--to", target, "-o", "net.keras", code=2)
    assert refused.stderr.startswith("net.keras is there already")
    assert link.is_symlink()


def test_the_folder_that_one_is_in_and_what_is_no_file(convnet, tmp_path):
    (tmp_path / "saved_model.pb").touch()
    refused = convnet("export", "no-run", "--to=savedmodel", "-o", ".", "--force", code=2)
    assert refused.stderr == ". cannot be overwritten from inside: go elsewhere and give its name\n"
    refused = convnet("export", "no-run", "--to=onnx", "-o", "/dev/null", "--force", code=2)
    assert refused.stderr == "/dev/null is a device, not a file\n"


def test_names_that_are_too_long(convnet, trained, tmp_path):
    long = "n" * 300
    before = sorted(tmp_path.iterdir())
    refused = convnet("export", long, "--to=keras", "-o", "net.keras", code=6)
    assert refused.stderr == f"{long} is not a run directory: there is no such directory\n"
    refused = convnet("export", trained, "--to=keras", "-o", f"{long}.keras", code=6)
    assert refused.stderr == f"cannot write {long}.keras: File name too long\n"
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("target", "missing", "message"),
    [
        (
            "onnx",
            ["onnxruntime", "tf2onnx"],
            "--to onnx needs onnxruntime and tf2onnx: pip install 'convnet-cfg[onnx]'",
        ),
        ("litert", ["ai_edge_litert"], "--to litert needs ai-edge-litert: pip install 'convnet-cfg[litert]'"),
    ],
)
def test_packages_that_are_missing(convnet, monkeypatch, tmp_path, target, missing, message):
    monkeypatch.setattr(command, "find_spec", lambda name: None if name in missing else object())
    refused = convnet("export", "no-run", "--to", target, code=2)
    assert refused.stderr == f"{message}\n"
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_not_there(convnet, tmp_path):
    assert "no-run" in convnet("export", "no-run", "--to=keras", code=6).stderr
    assert not list(tmp_path.iterdir())


def test_the_extras_are_those_of_the_project():
    import tomllib
    from pathlib import Path

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    for extra, modules in command.EXTRAS.items():
        wanted = {requirement.partition(">")[0] for requirement in project["optional-dependencies"][extra]}
        assert wanted == set(modules.values())


@pytest.mark.slow
def test_nothing_is_imported_for_help_and_nothing_else_is_printed(trained, tmp_path):
    """A terminal sees what the command says, and none of what the converters say."""
    program = [sys.executable, "-c", "from convnet_cfg.cli import main; main()", "export"]
    done = subprocess.run(
        [*program, str(trained), "--to=litert", "-o", "net.tflite"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 5


def test_a_checkpoint_of_a_run_has_a_name_of_its_own(tmp_path):
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "1.3.safetensors").touch()
    found = {
        (target, path.name): str(command.default_path(path, command.TARGETS[target]))
        for target in ("cuda-convnet", "keras")
        for path in (tmp_path / "net", tmp_path / "net" / "1.3.safetensors")
    }
    assert found == {
        ("cuda-convnet", "net"): "net.cuda-convnet",
        ("cuda-convnet", "1.3.safetensors"): "net.cuda-convnet",  # in which it is the file 1.3
        ("keras", "net"): "net.keras",
        ("keras", "1.3.safetensors"): "net-1.3.keras",
    }
