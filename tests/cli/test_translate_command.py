"""`convnet translate`: what it writes, with and without the weights of a run, and what it refuses."""

import numpy as np
import pytest

from convnet_cfg.training.checkpoints import read_checkpoint
from convnet_cfg.training.run_directory import RunDirectory


def test_a_network_that_came_along_is_written_once(convnet, tmp_path):
    path = tmp_path / "model.py"
    done = convnet("translate", "digits", "-o", path)
    assert done.stdout == f"{path}: 12 layers, 85,066 parameters, in Keras\n"
    text = path.read_text()
    compile(text, str(path), "exec")
    assert text.startswith('"""digits: a network of cuda-convnet with dropout in Keras.\n')
    path.write_text("mine")
    said = convnet("translate", "digits", "-o", path, code=2).stderr
    assert said == f"{path} is there already: give --force to overwrite it\n"
    assert path.read_text() == "mine"
    convnet("translate", "digits", "-o", path, "--force")
    assert path.read_text() == text


def test_the_kind_of_decay_is_that_of_the_option(convnet, tmp_path):
    path = tmp_path / "model.py"
    convnet("translate", "digits", "-o", path, "--decay", "decoupled-lr")
    assert "V = m V - e G; W = W + V - e d W." in path.read_text()
    assert "weight = weight - rate * decay * variable" in path.read_text()


@pytest.fixture
def trained(train, the_run):
    train()
    return the_run()


def test_the_weights_of_a_run_are_written_beside_it(convnet, trained, tmp_path):
    path = tmp_path / "model.py"
    files = trained / "layers.cfg", trained / "params.cfg"
    convnet("translate", *files, "--weights", trained, "-o", path)
    arrays, _ = read_checkpoint(RunDirectory.open(trained).newest_checkpoint())
    with np.load(path.with_suffix(".npz")) as weights:
        assert {"conv1/kernel", "conv1/bias", "fc10/kernel", "fc10/bias"} == set(weights)
        for name in weights:
            assert np.array_equal(weights[name], arrays[name])


def test_nothing_is_written_for_a_run_of_another_network(convnet, trained, tmp_path):
    path, other = tmp_path / "model.py", tmp_path / "other.cfg"
    other.write_text((trained / "layers.cfg").read_text().replace("filters=4", "filters=16"))
    params = trained / "params.cfg"
    said = convnet("translate", other, params, "--weights", trained, "-o", path, code=6).stderr
    assert f"{trained} is a run of another network: conv1/bias (16 x 1 here, 4 x 1 there)" in said
    assert not path.exists()
    assert not path.with_suffix(".npz").exists()


def test_a_network_with_the_same_weights_is_another_one(convnet, trained, tmp_path):
    path, other = tmp_path / "model.py", tmp_path / "other.cfg"
    layers = (trained / "layers.cfg").read_text()
    other.write_text(layers.replace("neuron=relu", "neuron=logistic", 1))
    said = convnet(
        "translate", other, trained / "params.cfg", "--weights", trained, "-o", path, code=6
    ).stderr
    assert f"{trained} is a run of another network: conv1 and conv1_neuron had other keys there" in said
    assert not path.exists()
    other.write_text(layers.replace("initW=", "initW=0", 1))
    convnet("translate", other, trained / "params.cfg", "--weights", trained, "-o", path)


def test_both_files_are_written_or_none(convnet, trained, tmp_path):
    path = tmp_path / "here" / "model.py"
    path.parent.mkdir()
    files = trained / "layers.cfg", trained / "params.cfg"
    (path.parent / ".writing").mkdir()
    (path.parent / ".writing" / "something").touch()  # so that the program cannot be written
    done = convnet("translate", *files, "--weights", trained, "-o", path, code=4)
    assert f"cannot write {path}: " in done.stderr
    assert done.stdout == ""
    assert [each.name for each in path.parent.iterdir()] == [".writing"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model.npz", "model.npz must end with .py, or it will not be loaded"),
        ("model.py", "model.npz is a directory"),
        ("none/model.py", "there is no directory"),
    ],
)
def test_places_where_nothing_can_be_written(convnet, trained, tmp_path, name, message):
    (tmp_path / "weights" / "model.npz").mkdir(parents=True)
    path = tmp_path / "weights" / name
    files = trained / "layers.cfg", trained / "params.cfg"
    assert message in convnet("translate", *files, "--weights", trained, "-o", path, "--force", code=2).stderr
    assert [each.name for each in path.parent.parent.glob("weights/*")] in ([], ["model.npz"])


def test_what_the_run_says_is_not_said_again(convnet, trained, tmp_path):
    said = convnet("translate", "digits", "--weights", trained, "--data-dims", "64,1", code=2).stderr
    assert said == "--data-dims: --weights says that already, as it was in the run\n"


def test_a_layer_that_needs_the_parameter_file_is_named(convnet, tmp_path):
    layers = tmp_path / "net.cfg"
    layers.write_text(
        "[data]\ntype=data\ndataIdx=0\n[norm]\ntype=cmrnorm\ninputs=data\nchannels=3\nsize=3\n"
        "[cost]\ntype=cost.sum2\ninputs=norm\n"
    )
    path = tmp_path / "model.py"
    said = convnet("translate", layers, "-o", path, "--data-dims", "48", code=3).stderr
    assert "[norm] type=cmrnorm needs the parameter file: give it too" in said
    assert not path.exists()
