"""`convnet check`, and what all commands share: help, versions, exit codes."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_runs import INPUTS

import convnet_cfg.cli
from convnet_cfg.cli import COMMANDS, main
from convnet_cfg.zoo import find_config, load_recipe, names

ROOT = Path(__file__).parents[2]
LAYERS = f"""{INPUTS}
[conv1]
type=conv
inputs=data
channels=3
filters=20
filterSize=5
padding=2
partialSum=4
initW=0.1
neuron=relu

[fc10]
type=fc
inputs=conv1
outputs=10
initW=0.1

[again]
type=fc
inputs=conv1
outputs=10
initW=0.1
weightSource=fc10

[sum]
type=eltsum
inputs=fc10,again

[probs]
type=softmax
inputs=sum

[logprob]
type=cost.logreg
inputs=labels,probs
"""
WEIGHTS = "epsW=0.001\nepsB=0.002\nmomW=0.9\nmomB=0.8\nwc=0.004\n"
PARAMS = f"""[conv1]
{WEIGHTS}
[fc10]
{WEIGHTS}dropout=0.5

[again]
{WEIGHTS}
[gone]
{WEIGHTS}
[logprob]
coeff=1
"""


@pytest.fixture
def check(runner, tmp_path, monkeypatch):
    """Run `convnet check` on files of the given content."""
    monkeypatch.chdir(tmp_path)

    def check(*options, layers=LAYERS, params=PARAMS):
        (tmp_path / "net.cfg").write_text(layers)
        (tmp_path / "net.params.cfg").write_text(params)
        return runner.invoke(main, ["check", "net.cfg", "net.params.cfg", *options])

    return check


def test_the_tables(check):
    done = check("--data-dims", "3072,1")
    assert done.exit_code == 0
    assert done.stdout == (
        """\
dialect: v1+dropout (cuda-convnet with dropout): fc10 has dropout (net.params.cfg:14)

Layers
  layer         type         inputs         output        parameters  multiply-adds
  data          data                        3072                   0              0
  labels        data                        1                      0              0
  conv1         conv         data           20 x 32 x 32       1,520      1,536,000
  conv1_neuron  neuron       conv1          20 x 32 x 32           0              0
  fc10          fc           conv1_neuron   10               204,810        204,800
  again         fc           conv1_neuron   10                    10        204,800
  sum           eltsum       fc10, again    10                     0              0
  probs         softmax      sum            10                     0              0
  logprob       cost.logreg  labels, probs                         0              0
  total                                                      206,340      1,945,600

Parameter groups
  layer  matrix      shape       learning rate  momentum  weight decay
  conv1  weights[0]  75 x 20             0.001       0.9         0.004
  conv1  biases      20 x 1              0.002       0.8             0
  fc10   weights[0]  20480 x 10          0.001       0.9         0.004
  fc10   biases      1 x 10              0.002       0.8             0
  again  weights[0]  20480 x 10      = fc10[0]
  again  biases      1 x 10              0.002       0.8             0

"""
    )
    assert done.stderr == "warning: net.params.cfg:23:1: [gone] no such layer in the definition file\n"


def test_frozen_matrices_are_named(check):
    params = PARAMS.replace("epsW=0.001", "epsW=0").replace("epsB=0.002", "epsB=-1")
    lines = check("--data-dims", "3072,1", params=params).stdout.splitlines()
    rows = [line.split() for line in lines if line.split()[1:2] in (["weights[0]"], ["biases"])]
    weights, biases, shared = "0 (frozen) 0.9 0.004", "-1 (frozen) 0.8 0", "= fc10[0]"
    expected = [weights, biases, weights, biases, shared, biases]
    assert [" ".join(row[5:]) for row in rows] == expected


def test_a_matrix_that_another_layer_trains_is_not_frozen(check):
    head, middle, tail = PARAMS.partition("[fc10]")
    done = check("--data-dims", "3072,1", params=head + middle + tail.replace("epsW=0.001", "epsW=0", 1))
    (row,) = (line for line in done.stdout.splitlines() if line.startswith("  fc10   weights"))
    assert row.split()[5:] == ["0", "0.9", "0.004"]


def test_notes_on_request(check):
    note = (
        "note: net.cfg:12:10: [conv1] filters not a multiple of 16 in each group: "
        "the GPU kernels had none for this\n"
    )
    assert note not in check("--data-dims", "3072,1").stderr
    assert note in check("--data-dims", "3072,1", "-v").stderr


def test_guessed_data_are_announced(check):
    assert check().stderr.splitlines()[0] == (
        "--data-dims was not given: assumed 3072,1 (3 channels of 32 x 32)"
    )


@pytest.mark.parametrize("name", names())
def test_a_shipped_network_has_the_data_of_its_recipe(runner, name):
    recipe = load_recipe(find_config(name))
    done = runner.invoke(main, ["check", name, "--json"])
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["data_dims_guessed"] is False
    assert found["totals"]["parameters"] == recipe.cost.parameters
    assert found["totals"]["multiply_adds"] == recipe.cost.multiply_adds
    assert "--data-dims" not in done.stderr


def test_the_recipe_that_the_sizes_are_from_is_named(runner):
    done = runner.invoke(main, ["check", "digits"])
    assert done.stderr.splitlines()[0] == "sizes of the data: 64,1 (recipe digits: provider digits)"
    done = runner.invoke(main, ["check", "digits", "--data-dims", "1024,1"])
    assert "recipe" not in done.stderr
    assert "1,068,106" in done.stdout


def test_a_recipe_without_sizes_leaves_them_to_be_guessed(runner, monkeypatch):
    recipe = load_recipe("digits")
    without = replace(recipe, data=replace(recipe.data, values=None))
    monkeypatch.setattr("convnet_cfg.cli.arguments.load_recipe", lambda path: without)
    assert "--data-dims was not given" in runner.invoke(main, ["check", "digits"]).stderr


def test_without_a_parameter_file(runner, tmp_path):
    (tmp_path / "net.cfg").write_text(LAYERS)
    done = runner.invoke(main, ["check", str(tmp_path / "net.cfg")])
    assert done.exit_code == 0
    assert "dialect: v1 (cuda-convnet): only v1 keys" in done.stdout
    assert "Parameter groups" not in done.stdout


def test_json(check):
    done = check("--json", "--data-dims", "3072,1")
    found = json.loads(done.stdout)
    assert found["status"] == "ok"
    assert found["dialect"] == "v1+dropout"
    assert found["data_dims"] == [3072, 1]
    assert found["data_dims_guessed"] is False
    assert found["num_classes"] == 10
    assert found["totals"] == {"parameters": 206340, "multiply_adds": 1945600}
    layers = {layer["name"]: layer for layer in found["layers"]}
    assert layers["fc10"]["dropout"] == 0.5
    assert layers["again"]["weightSourceLayerIndices"] == [list(layers).index("fc10")]
    assert found["groups"][0] == {
        "layer": "conv1",
        "matrix": "weights[0]",
        "shape": [75, 20],
        "learning_rate": 0.001,
        "momentum": 0.9,
        "weight_decay": 0.004,
        "decay": None,
        "schedule": None,
        "limits": None,
        "update_period": 1,
    }
    assert found["groups"][4]["shared_with"] == "fc10[0]"
    assert {
        "file": "net.params.cfg",
        "line": 23,
        "column": 1,
        "section": "gone",
        "message": "no such layer in the definition file",
    } in found["warnings"]
    assert found["errors"] == []


def test_json_without_parameters_has_no_values_of_them(runner, tmp_path):
    (tmp_path / "net.cfg").write_text(LAYERS)
    found = json.loads(runner.invoke(main, ["check", str(tmp_path / "net.cfg"), "--json"]).stdout)
    assert found["data_dims_guessed"] is True
    assert not any({"epsW", "dropout", "coeff", "gradConsumer"} & set(layer) for layer in found["layers"])


def test_a_rejected_pair(check):
    done = check("--data-dims", "3072,1", layers=LAYERS.replace("filters=", "fliters="))
    assert done.exit_code == 3
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "net.cfg:9:1: [conv1] filters is missing: expected an integer >= 1 (is it meant by 'fliters'?)",
        "net.cfg:13:1: [conv1] unknown key 'fliters' (did you mean 'filters'?) "
        "(the original ignored it: --lenient does the same)",
        "warning: net.params.cfg:23:1: [gone] no such layer in the definition file",
    ]


def test_a_rejected_pair_as_json(check):
    done = check("--json", "--data-dims", "3072,1", layers=LAYERS.replace("padding=2", "padding=-2"))
    assert done.exit_code == 3
    assert json.loads(done.stdout) == {
        "status": "error",
        "errors": [
            {
                "file": "net.cfg",
                "line": 15,
                "column": 9,
                "section": "conv1",
                "message": "padding must be an integer >= 0, got '-2'",
            }
        ],
        "warnings": [
            {
                "file": "net.params.cfg",
                "line": 23,
                "column": 1,
                "section": "gone",
                "message": "no such layer in the definition file",
            }
        ],
        "notes": [],
    }


def test_what_does_not_fit_any_guess(check):
    done = check(layers=LAYERS.replace("filterSize=5", "filterSize=999"))
    assert done.exit_code == 3
    assert done.stderr.splitlines()[:2] == [
        "--data-dims was not given, and no usual size is accepted: "
        "the problems are those with 3072,1 (3 channels of 32 x 32)",
        "net.cfg:14:12: [conv1] filterSize must be at most 36 (the padded side of 'data'), got 999",
    ]


@pytest.mark.parametrize(("option", "exit_code"), [("--lenient", 0), ("", 3), ("--strict", 3)])
def test_suspicious_keys(check, option, exit_code):
    layers = LAYERS.replace("padding=2", "padding=2\npaddin=2")
    assert check(*filter(None, [option]), layers=layers).exit_code == exit_code


@pytest.mark.parametrize(("option", "exit_code"), [("--lenient", 0), ("", 0), ("--strict", 3)])
def test_warnings(check, option, exit_code):
    assert check(*filter(None, [option])).exit_code == exit_code


@pytest.mark.parametrize("command", ["check", "train"])
def test_lenient_and_strict_contradict_each_other(runner, command):
    for both in (["--lenient", "--strict"], ["--strict", "--lenient"]):
        done = runner.invoke(main, [command, "digits", *both])
        assert done.exit_code == 2
        assert "--lenient and --strict contradict each other" in done.stderr


def test_classes(check):
    assert check("--classes", "10").exit_code == 0
    done = check("--classes", "12")
    assert done.exit_code == 3
    assert "this cost is for 10 classes, the data have 12" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nowhere.cfg"],
        ["."],
        ["net.cfg", "nowhere.cfg"],
        ["net.cfg", "--data-dims", "3072,x"],
        ["net.cfg", "--data-dims", "0"],
        ["net.cfg", "--data-dims", ""],
        ["net.cfg", "--classes", "0"],
        ["net.cfg", "--no-such-option"],
    ],
)
def test_wrong_usage(runner, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.cfg").write_text(LAYERS)
    done = runner.invoke(main, ["check", *arguments])
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr


def test_our_own_faults_are_not_hidden(check, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("convnet_cfg.cli.check.read_pair", fail)
    assert isinstance(check().exception, ZeroDivisionError)


def test_a_table_on_a_terminal(check, monkeypatch):
    monkeypatch.setattr("convnet_cfg.cli.output.is_terminal", lambda: True)
    done = check()
    assert done.exit_code == 0
    assert "1,945,600" in done.stdout
    assert "─" in done.stdout


@pytest.mark.parametrize("width", [20, 60, 70, 200])
def test_no_number_is_cut_on_a_narrow_terminal(check, monkeypatch, width):
    """The original program's names are long, and a cut number is a wrong one."""
    monkeypatch.setattr("convnet_cfg.cli.output.is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    printed = check().stdout
    words = {"1,945,600", "206,340", "conv1_neuron", "multiply-adds", "weights[0]", "0.004", "20480"}
    assert words <= set(printed.split())
    assert "…" not in printed
    assert ("─" in printed) is (width >= 70)


def test_help_lists_the_commands(runner):
    done = runner.invoke(main, ["--help"])
    assert done.exit_code == 0
    assert all(entry.help in done.stdout for entry in COMMANDS.values())


def test_version(runner):
    assert runner.invoke(main, ["--version"]).stdout.rstrip().split(" ")[1:2] == ["version"]


@pytest.mark.parametrize(("name", "hint"), [("chek", " (did you mean 'check'?)."), ("teach", "."), ("", ".")])
def test_an_unknown_command(runner, name, hint):
    done = runner.invoke(main, [name, "digits"])
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1] == f"Error: No such command {name!r}{hint}"


def test_every_command_has_its_module():
    folder = Path(convnet_cfg.cli.__file__).parent
    modules = {entry.target.split(":")[0] for entry in COMMANDS.values()}
    assert {module for module in modules if not (folder / f"{module}.py").exists()} == set()


def test_the_shim_in_a_checkout():
    done = subprocess.run(
        [sys.executable, ROOT / "cli.py", "check", "nowhere.cfg"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("there is no file 'nowhere.cfg', and no network of that name comes along;")


def test_the_shim_before_anything_is_installed():
    """-S leaves out where packages are installed."""
    done = subprocess.run(
        [sys.executable, "-S", ROOT / "cli.py", "check", "digits"],
        capture_output=True,
        text=True,
        check=False,
        env={},
    )
    assert done.returncode == 2
    assert done.stderr == "click is not installed: `make demo` or `pip install .` installs what is needed\n"
