"""Finding the shipped files: in a checkout, in a wheel, and not at all."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import convnet_cfg.zoo.files as files
from convnet_cfg.errors import UsageError
from convnet_cfg.zoo import find_config, find_layers, find_params, load_recipe, names

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("given", ["cifar10-80sec", "cifar10-80sec.cfg", "cifar10-80sec.params.cfg"])
def test_a_network_is_found_with_or_without_an_ending(given):
    layers, params = find_layers(given)
    assert layers == ROOT / "layers" / "cifar10-80sec.cfg"
    assert params == ROOT / "layers" / "cifar10-80sec.params.cfg"


@pytest.mark.parametrize("given", ["digits", "digits.yaml"])
def test_a_recipe_is_found_with_or_without_its_ending(given):
    assert find_config(given) == ROOT / "configs" / "digits.yaml"


def test_each_network_has_both_files_and_a_recipe():
    assert all(path.is_file() for name in names() for path in (*find_layers(name), find_config(name)))
    assert {path.stem for path in (ROOT / "configs").iterdir()} == set(names())


def test_what_else_is_in_layers_are_parameter_files_of_later_stages():
    used = {path for name in names() for path in find_layers(name)}
    used |= {
        find_params(stage.params) for name in names() for stage in load_recipe(name).stages if stage.params
    }
    assert set((ROOT / "layers").iterdir()) == used


@pytest.mark.parametrize("given", ["nin-cifar10.stage2", "nin-cifar10.stage2.params.cfg"])
def test_a_parameter_file_is_found_with_or_without_its_ending(given):
    assert find_params(given) == ROOT / "layers" / "nin-cifar10.stage2.params.cfg"


def test_an_unknown_network_gets_a_suggestion_and_the_list():
    with pytest.raises(UsageError) as error:
        find_layers("cifar10-80secs")
    assert str(error.value) == (
        "there is no file 'cifar10-80secs', and no network of that name comes along "
        f"(did you mean 'cifar10-80sec'?); there are {', '.join(names())}"
    )


@pytest.mark.parametrize("find", [find_layers, find_params, find_config])
@pytest.mark.parametrize(
    "given", ["", "../layers/digits", "layers/digits.cfg", "digit*", ".", "cifar10", "\0"]
)
def test_only_whole_names_are_found(find, given):
    with pytest.raises(UsageError):
        find(given)


def test_an_installation_without_the_files_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PACKAGE", tmp_path)
    monkeypatch.setattr(files, "CHECKOUT", tmp_path)
    with pytest.raises(UsageError, match="this installation of convnet-cfg lacks its layers/"):
        names()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_a_wheel_has_every_shipped_file(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    shipped = [path for kind in ("layers", "configs") for path in (ROOT / kind).iterdir()]
    assert shipped
    assert {f"convnet_cfg/zoo/{path.parent.name}/{path.name}" for path in shipped} <= inside


def test_a_wheel_installs_one_top_level_name(wheel):
    top = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == {"convnet_cfg"}


@pytest.fixture(scope="module")
def from_wheel(wheel, tmp_path_factory):
    """Run Python code outside the repository, the unpacked wheel before the packages of the environment."""
    site = tmp_path_factory.mktemp("site")
    zipfile.ZipFile(wheel).extractall(site)

    def run(folder, code, *arguments):
        done = subprocess.run(
            [sys.executable, "-c", f"import convnet_cfg; print(convnet_cfg.__file__)\n{code}", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(site)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        found, *lines = done.stdout.splitlines()
        assert Path(found) == site / "convnet_cfg" / "__init__.py"
        return site, lines

    return run


def test_a_wheel_finds_its_own_files(from_wheel, tmp_path):
    code = (
        "from convnet_cfg.zoo import find_layers, load_recipe, names\n"
        "print(*names()); print(*find_layers('digits'), load_recipe('digits').path, sep='\\n')"
    )
    site, (listed, *paths) = from_wheel(tmp_path, code)
    zoo = site / "convnet_cfg" / "zoo"
    assert listed.split() == list(names())
    assert [Path(path) for path in paths] == [
        zoo / "layers" / "digits.cfg",
        zoo / "layers" / "digits.params.cfg",
        zoo / "configs" / "digits.yaml",
    ]


BY_PATH = ("net.cfg", "net.params.cfg", "--data-provider=digits", "--train-range=1-3", "--test-range=4")


@pytest.mark.slow
@pytest.mark.parametrize("files", [("digits",), BY_PATH], ids=["by name", "by path"])
def test_a_wheel_trains(from_wheel, tmp_path, files):
    for path, name in zip(find_layers("digits"), BY_PATH[:2], strict=True):
        (tmp_path / name).write_bytes(path.read_bytes())
    code = "from convnet_cfg.cli import train_main; train_main()"
    _, lines = from_wheel(tmp_path, code, *files, "--epochs=1")
    assert any(line.startswith("final test  logprob ") for line in lines)
    (run,) = (tmp_path / "runs").iterdir()
    assert (run / "1.3.safetensors").is_file()


def test_the_zoo_imports_neither_keras_nor_tensorflow():
    code = "import sys, convnet_cfg.zoo; sys.exit(any(m in sys.modules for m in ('keras', 'tensorflow')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
