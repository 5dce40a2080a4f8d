"""`convnet inspect` on checkpoints of our own making; `tests/legacy` has the original's."""

import json
import subprocess
import sys

import numpy as np
import pytest
from old_pickles import FOLDER as STORED
from old_pickles import content, dumps, layers

ROOT = STORED.parents[2]


def test_what_is_printed(convnet):
    lines = convnet("inspect", STORED / "v1").stdout.splitlines()
    assert lines[:3] == [
        f"checkpoint  {STORED / 'v1' / '3.2'} (pickle)",
        "program     v1 (cuda-convnet)",
        "saved       after batch 2 of epoch 3",
    ]
    assert "Options given (of 4)" in lines
    assert "  --train-range  [1, 2, 3]" in lines
    assert "  logprob       cost.logreg  labels, probs" in lines
    assert "  conv1         conv         data                32  biases 2 x 1, weights[0] 9 x 2" in lines
    assert "  train_outputs        8  logprob  2, 0.75   1, 0.375" in lines


@pytest.mark.parametrize(
    ("name", "container", "program"),
    [
        ("v2", "pickle", "v2 (cuda-convnet2)"),
        ("zip", "pickle in a zip archive", "v1 (cuda-convnet)"),
        ("gzip", "pickle, compressed with gzip", "v1 (cuda-convnet)"),
    ],
)
def test_containers_and_programs(convnet, name, container, program):
    printed = convnet("inspect", STORED / name / "3.2").stdout
    assert f"3.2 ({container})\nprogram     {program}\n" in printed


def test_sums_of_v2_are_shown_for_each_case(convnet):
    """64 and 32 cases with a sum of cost 64 and 32."""
    printed = convnet("inspect", STORED / "v2").stdout
    assert "train_outputs        8  logprob  2, 1.5, 0.5    1, 0.75, 0.25" in printed


def test_json_has_everything_but_the_values_of_arrays(convnet):
    found = json.loads(convnet("inspect", STORED / "v1", "--json").stdout)
    assert (found["program"], found["container"], found["epoch"], found["batch"]) == ("v1", "plain", 3, 2)
    assert found["options"]["gpu"]["default"] == {"expression": "[-1] * num_gpus"}
    assert found["histories"]["test_outputs"] == [{"costs": {"logprob": [1.0, 0.375]}, "cases": 32}]
    (conv,) = (layer for layer in found["layers"] if layer["name"] == "conv1")
    assert conv["inputs"] == ["data"]
    assert conv["values"]["padding"] == [-1]
    weights = layers(v2=False)[2]["weights"][0].astype(np.float64)
    known = conv["arrays"]["weights[0]"]
    assert (known["shape"], known["dtype"], known["order"]) == ([9, 2], "float32", "C")
    numbers = [known[name] for name in ("minimum", "maximum", "mean", "deviation")]
    assert numbers == pytest.approx([weights.min(), weights.max(), weights.mean(), weights.std()])
    assert known["not_finite"] == 0


def test_values_that_are_not_finite(convnet, tmp_path):
    net = layers(v2=False)
    net[2]["biases"] = np.array([[np.nan], [2.0]], np.float32)
    net[4]["biases"] = np.full((1, 10), np.inf, np.float32)
    outputs = [({"logprob": [float("nan"), 1.0]}, 32)]
    (tmp_path / "1.1").write_bytes(
        dumps(content(layers=net, train_outputs=outputs, best_test_error=float("inf")))
    )
    printed = convnet("inspect", "1.1").stdout
    rows = [line.split()[-5:] for line in printed.splitlines() if " biases  " in line]
    assert rows == [["2", "2", "2", "0", "1"], ["x", "10", "float32", "either", "10"]]
    assert "train_outputs        1  logprob  nan, 1" in printed
    found = json.loads(convnet("inspect", "1.1", "--json").stdout, parse_constant=pytest.fail)
    assert found["others"] == {"best_test_error": "inf"}
    assert found["layers"][4]["arrays"]["biases"]["mean"] is None


def test_a_shared_matrix_is_named_by_its_owner(convnet, tmp_path):
    net = layers(v2=False)
    net[4]["weights"] = net[4]["weights"] * 2
    (tmp_path / "1.1").write_bytes(dumps(content(layers=net)))
    assert "fc10   weights[1]     32 x 10  = fc10.weights[0]" in convnet("inspect", "1.1").stdout
    found = json.loads(convnet("inspect", "1.1", "--json").stdout)
    assert found["layers"][4]["arrays"]["weights[1]"]["shared_with"] == "fc10.weights[0]"


def test_names_do_nothing_to_a_terminal(convnet, tmp_path):
    net = layers(v2=False)
    net[0]["name"] = "data\x1b[31m\n"
    state = content(layers=net, best="\x1b]0;title\x07")
    state["op"].attributes["options"]["mini"].attributes["value"] = "a\rb"
    (tmp_path / "1.1").write_bytes(dumps(state))
    printed = convnet("inspect", "1.1").stdout
    assert "data\\x1b[31m\\n" in printed
    assert all(line.isprintable() for line in printed.splitlines())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x80\x02cposix\nsystem\nU\x02ls\x85R.", "refused: it asks for posix.system; only arrays, "),
        (b"hello", "is not a pickle, or damaged ("),
        (dumps({"data": 1}), "is not a checkpoint of cuda-convnet: it has no 'model_state'"),
        (dumps(content())[:500], "ends too early, after 500 bytes: copy or make it again"),
    ],
)
def test_what_is_refused(convnet, tmp_path, data, reason):
    (tmp_path / "1.1").write_bytes(data)
    assert convnet("inspect", "1.1", code=6).stderr.startswith(f"1.1: {reason}")


def test_nothing_heavy_is_imported():
    code = (
        "import sys; from convnet_cfg.cli import main;"
        f"main(['inspect', {str(STORED / 'v1')!r}], standalone_mode=False);"
        "print('heavy:', *sorted({'tensorflow', 'keras', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].strip() == "heavy:"


def test_the_page_shows_what_is_printed(convnet, monkeypatch):
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs" / "checkpoints.md").read_text()
    _, shown = page.split("$ convnet inspect tests/legacy/checkpoints/v1\n")
    assert shown.split("```")[0].rstrip() == convnet("inspect", "tests/legacy/checkpoints/v1").stdout.rstrip()
