"""`convnet show`: what it says of a run is what its files say; TensorFlow is not started."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file


@pytest.fixture
def trained(train, the_run):
    train("--epochs=2")
    return the_run()


def test_costs_and_weights(convnet, trained):
    shown = convnet("show", trained).stdout
    assert "checkpoint 2.3.safetensors: epoch 2, batch 3 done" in shown
    assert "cifar-cropped: trained on 1-3, tested on 4-5" in shown
    lines = [json.loads(text) for text in (trained / "log.jsonl").read_text().splitlines()]
    second = [line["costs"]["logprob"] for line in lines if (line["kind"], line["epoch"]) == ("train", 2)]
    logprob, error = np.mean(second, axis=0)  # its three batches are of one size
    assert re.search(rf"^ +2 +{logprob:.4f}, {error:.4f}", shown, re.MULTILINE)
    arrays = load_file(trained / "2.3.safetensors")
    sizes = (f"{np.abs(arrays[f'fc10/kernel{end}'].astype(float)).mean():.4g}" for end in ("", "/velocity"))
    assert re.search(r"^ +fc10/kernel +\S+ x \S+ +" + " +".join(sizes) + "$", shown, re.MULTILINE)


def test_at_most_so_many_epochs(convnet, trained):
    shown = convnet("show", trained, "--epochs=1").stdout
    assert "1 of 2 epochs" in shown
    assert not re.search(r"^ +1 ", shown, re.MULTILINE)


def test_what_was_changed(convnet, trained):
    params = trained / "params.cfg"
    params.write_text(params.read_text().replace("wc=0.004", "wc=0.002"))
    convnet("train", "-f", trained, "--epochs=3", "--test-freq=1")
    shown = convnet("show", trained).stdout
    assert "changed    at 2.3: epochs from 2 to 3, test_freq from 50 to 1, the parameter file" in shown


def test_an_older_checkpoint_has_no_later_costs(convnet, train, the_run):
    train("--epochs=2", "--test-freq=3", "--max-filesize=9")
    shown = convnet("show", the_run() / "1.3.safetensors").stdout
    assert "checkpoint 1.3.safetensors: epoch 1, batch 3 done" in shown
    assert re.search(r"^ +1 ", shown, re.MULTILINE)
    assert not re.search(r"^ +2 ", shown, re.MULTILINE)


def test_what_is_damaged_is_explained(convnet, trained):
    record = json.loads((trained / "run.json").read_text())
    log = trained / "log.jsonl"
    log.write_text(f"[]\n{log.read_text()}")
    assert "line 1 is no result of a batch" in convnet("show", trained, code=6).stderr
    for change in (3, {}, {"at": "1.1", "options": {"seed": 3}}):
        (trained / "run.json").write_text(json.dumps({**record, "changes": [change]}))
        assert "its changes do not say what was changed" in convnet("show", trained, code=6).stderr


def test_no_run(convnet, tmp_path):
    assert "is not a run directory" in convnet("show", tmp_path, code=6).stderr


def test_tensorflow_is_not_started(trained):
    code = f"""
import sys
from convnet_cfg.cli import main
main(["show", {str(trained)!r}], standalone_mode=False)
assert "tensorflow" not in sys.modules and "keras" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
