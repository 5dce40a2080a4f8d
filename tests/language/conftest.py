"""Configurations written in a test."""

import textwrap

import pytest

from convnet_cfg.errors import ConfigError
from convnet_cfg.language import Reading, load_network


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Read a network from texts; the data have 3 channels of 32 x 32, and labels."""
    monkeypatch.chdir(tmp_path)

    def load(layers, params=None, data_dims=(3072, 1), classes=None, **reading):
        for name, text in (("net.cfg", layers), ("net.params.cfg", params)):
            if text is not None:
                (tmp_path / name).write_text(textwrap.dedent(text))
        files = ("net.cfg", "net.params.cfg" if params is not None else None)
        return load_network(*files, data_dims=data_dims, classes=classes, reading=Reading(**reading))

    return load


@pytest.fixture
def problems(load):
    """Return the messages of the error that reading a network leads to."""

    def problems(*arguments, **options):
        with pytest.raises(ConfigError) as error:
            load(*arguments, **options)
        return [problem.message for problem in error.value.problems]

    return problems
