"""What `convnet_cfg` itself offers."""

from __future__ import annotations

import subprocess
import sys

import pytest

import convnet_cfg
from convnet_cfg import build, find_layers, load_network, load_recipe, open_provider


def test_every_name_is_the_thing_of_that_name():
    assert convnet_cfg.__all__ == sorted(convnet_cfg._HOMES, key=lambda name: (name[0].islower(), name))
    assert [getattr(convnet_cfg, name).__name__ for name in convnet_cfg.__all__] == convnet_cfg.__all__


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'convnet_cfg' has no attribute 'train'"):
        convnet_cfg.train  # noqa: B018


def test_importing_the_package_imports_none_of_its_parts():
    code = "import sys, convnet_cfg; print(*(name for name in sys.modules if name.startswith('convnet_cfg')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["convnet_cfg"]


def test_a_network_from_its_files_to_keras():
    provider = open_provider("digits")
    network = load_network(*find_layers("digits"), data_dims=(64, 1), classes=provider.num_classes)
    built = build(network, provider.shapes)
    assert built.model.count_params() == load_recipe("digits").cost.parameters
