import os

import pytest
import rich.console  # keeps os.environ as it finds it: here, before a test puts another in its place
import tiny_runs

assert rich.console


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Five batches of 40 images, 8 x 8 in colour."""
    return tiny_runs.write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def convnet(runner, tmp_path, monkeypatch):
    """Run `convnet` in an empty folder of its own, in this process."""
    from convnet_cfg.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ.copy())

    def run(*arguments, code=0):
        result = runner.invoke(main, [str(argument) for argument in arguments])
        assert result.exit_code == code, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return run


@pytest.fixture
def train(convnet, data, tmp_path):
    """Train the small network with the given options; return what was printed."""
    tiny_runs.write_pair(tmp_path)

    def run(*arguments, code=0):
        usual = {
            "--data-provider": "cifar-cropped",
            "--data-path": data,
            "--train-range": "1-3",
            "--test-range": "4-5",
            "--crop-border": "1",
            "--epochs": "1",
            "--mini": "16",
            "--seed": "7",
        }
        given = {str(argument).partition("=")[0] for argument in arguments}
        options = [f"{name}={value}" for name, value in usual.items() if name not in given]
        return convnet("train", "net.cfg", "net.params.cfg", *options, *arguments, code=code)

    return run


@pytest.fixture
def the_run(tmp_path):
    """Return the one run directory that there is."""

    def find():
        (path,) = (tmp_path / "runs").iterdir()
        return path

    return find
