"""Training on batches of JPEG strings from the command line."""

from __future__ import annotations

import pickle

import pytest
from jpeg_folders import write_folder
from tiny_runs import LAYERS, assert_same_run, newest, record, write_pair

OPTIONS = ("--data-provider=image", "--train-range=0-2", "--test-range=1000", "--inner-size=12", "--mini=5")
SLOW = "--rate-factor=0.001"


@pytest.fixture
def folder(tmp_path):
    """Four batches of 12 images of three classes, 16 pixels in the shorter direction."""
    return write_folder(tmp_path / "jpegs", (0, 1, 2, 1000))


@pytest.fixture
def train(convnet, folder, tmp_path):
    """Train the small network, for three classes; return what was printed."""
    write_pair(tmp_path, LAYERS.replace("outputs=10", "outputs=3"))

    def run(*arguments, code=0):
        fixed = ("--data-path", folder, *OPTIONS)
        return convnet("train", "net.cfg", "net.params.cfg", *fixed, *arguments, code=code)

    return run


def test_all_options_are_recorded_and_a_test_takes_ten_views(train, convnet, the_run):
    train("--epochs=1", "--color-noise=0.1", "--scalar-mean=120", SLOW)
    expected = {"inner_size": 12, "color_noise": 0.1, "scalar_mean": 120.0}
    assert record(the_run())["options"]["provider_options"] == expected
    assert ", 10 views;" in convnet("test", the_run(), "--multiview").stdout
    centre = convnet("test", the_run(), "--inner-size=12", "--color-noise=0").stdout
    assert "views" not in centre
    assert centre.split("(")[0] == convnet("test", the_run()).stdout.split("(")[0]


def test_a_training_that_was_stopped_ends_in_the_same_bits(train, convnet, the_run, tmp_path):
    train("--epochs=1", "--color-noise=0.1", "--seed=3")
    part = the_run()
    convnet("train", "-f", part, "--epochs=3")
    train("--epochs=3", "--color-noise=0.1", "--seed=3", f"--save-path={tmp_path}/others")
    (whole,) = (tmp_path / "others").iterdir()
    assert_same_run(part, whole)


def spoil(path, **changes):
    path.write_bytes(pickle.dumps({**pickle.loads(path.read_bytes()), **changes}, protocol=2))


def test_a_truncated_image(train, folder, the_run):
    path = folder / "data_batch_1" / "data_batch_1.1"
    jpegs = pickle.loads(path.read_bytes())["data"]
    jpegs[4] = jpegs[4][:-100]
    spoil(path, data=jpegs)
    message = train("--epochs=1", code=4).stderr
    assert f"{path}: image 4 is not a JPEG image, or only a part of one" in message
    assert newest(the_run()).name == "1.0.safetensors"


def test_an_image_without_a_label(train, folder):
    """No cost can be computed for it, so a network that reads the picked label is not trained on it."""
    spoil(folder / "data_batch_0" / "data_batch_0.0", labels=[[1], [2], [], [0], [1], [1]])
    message = train("--epochs=1", code=4).stderr
    assert "batch 0: the label of case 2 is -1, expected a whole number from 0 to 2" in message


def test_a_missing_sub_batch(train, folder):
    (folder / "data_batch_1" / "data_batch_1.0").rename(folder / "data_batch_1" / "data_batch_1.3")
    assert "data_batch_1: sub-batch 2 missing; there are 1 and 3" in train("--epochs=1", code=4).stderr
