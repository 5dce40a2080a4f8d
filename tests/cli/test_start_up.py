"""Whatever can be answered without TensorFlow is answered without it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from tiny_runs import PARAMS, write_pair

TELL = """
import sys
from convnet_cfg.cli import main
try:
    main({arguments})
except SystemExit as leaving:
    print("left with", leaving.code or 0, *sorted({{"tensorflow", "keras"}} & set(sys.modules)))
"""
USUAL = ["--data-provider=cifar-cropped", "--crop-border=1", "--train-range=1-3", "--test-range=4"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["train", "--help"], 0),
        (["test", "--help"], 0),
        (["reproduce", "--help"], 0),
        (["list"], 0),
        (["train", "net.cfg", "net.params.cfg", "--epochs=x"], 2),
        (["train", "nowhere.cfg", "net.params.cfg"], 2),
        (["train", "net.cfg", "bad.params.cfg", "--data-path=DATA", *USUAL], 3),
        (["train", "net.cfg", "net.params.cfg", "--data-path=nowhere", *USUAL], 4),
        (["train", "net.cfg", "net.params.cfg", "--data-path=DATA", *USUAL, "--test-range=9"], 4),
        (["reproduce", "cifar10-80sec", "--data=nowhere"], 4),
        (["test", "nowhere"], 6),
        (["train", "-f", "nowhere"], 6),
        (["export", "--help"], 0),
        (["export", "nowhere", "--to=onnx"], 6),
        (["export", "nowhere", "--to=keras", "--output=net.h5"], 2),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, list) else str(value),
)
def test_no_tensorflow(tmp_path, data, arguments, code):
    write_pair(tmp_path)
    (tmp_path / "bad.params.cfg").write_text(PARAMS.replace("coeff", "coef"))
    given = [argument.replace("DATA", str(data)) for argument in arguments]
    done = subprocess.run(
        [sys.executable, "-c", TELL.format(arguments=given)], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == f"left with {code}", done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_another_backend_of_keras_does_not_matter(tmp_path, data):
    """Neither what the environment names nor what keras.json names has to be installed."""
    write_pair(tmp_path)
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text('{"backend": "jax", "floatx": "float32"}')
    arguments = ["net.cfg", "net.params.cfg", f"--data-path={data}", *USUAL, "--epochs=1"]
    program = [sys.executable, "-c", "from convnet_cfg.cli import train_main; train_main()", *arguments]
    for backend in ({"KERAS_BACKEND": "jax"}, {}):
        environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"} | {
            "KERAS_HOME": str(tmp_path / ".keras"),
            **backend,
        }
        done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        assert "final test" in done.stdout
