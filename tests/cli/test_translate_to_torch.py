"""`convnet translate --to torch`."""

import ast
import sys

import numpy as np
import pytest
from torch_translations import Job, run

from convnet_cfg.training.trained import load_trained

REFUSED = """
[data]
type=data
dataIdx=0

[once]
type=cmrnorm
inputs=data
channels=3
size=3

[twice]
type=rnorm
inputs=once
channels=3
size=3

[size]
type=cost.sum2
inputs=twice
"""


def test_the_file_is_a_program_for_pytorch_alone(convnet, tmp_path):
    result = convnet("translate", "digits", "--to", "torch", "-o", "model.py")
    assert "model.py: " in result.output
    assert "in PyTorch" in result.output
    tree = ast.parse((tmp_path / "model.py").read_text())
    imports = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    assert {"torch"} < imports <= {"torch", "math", "itertools", "numpy", "pathlib"}
    assert "torch" not in sys.modules


def test_what_cannot_be_translated_is_refused_and_nothing_is_written(convnet, tmp_path):
    (tmp_path / "net.cfg").write_text(REFUSED)
    options = ("--to", "torch", "--dialect", "v2", "--data-dims", "192", "--lenient")
    result = convnet("translate", "net.cfg", *options, code=3)
    assert "[once] type=cmrnorm needs the parameter file: give it too" in result.output
    assert "[twice] type=rnorm needs the parameter file: give it too" in result.output
    assert not (tmp_path / "net.py").exists()


@pytest.mark.slow
def test_a_trained_network_is_carried_over_with_its_weights(convnet, train, the_run, tmp_path):
    train()
    convnet("translate", "net.cfg", "net.params.cfg", "--to", "torch", "--weights", the_run())
    assert (tmp_path / "net.npz").exists()
    model = load_trained(the_run()).built.model
    images = np.random.default_rng(3).standard_normal((5, 6, 6, 3)).astype("float32")
    labels = np.zeros((5, 1), "float32")
    ours = model([images, labels], training=False)
    text, arrays = (tmp_path / "net.py").read_text(), {"input/0": images.transpose(0, 3, 1, 2)}
    job = Job("net", text, arrays, training=False)
    theirs = run([job], tmp_path)["net"]["output/output"]
    wanted = np.asarray(ours["probs/logits"])
    assert np.abs(theirs - wanted).max() <= 1e-6 * np.abs(wanted).max()
