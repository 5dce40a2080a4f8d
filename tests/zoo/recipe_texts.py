"""The least that a recipe says, and what is wrong with others."""

import pytest

from convnet_cfg.errors import ConfigError
from convnet_cfg.zoo import load_recipe

VALID = """\
title: A test
pair: digits
data:
  provider: digits
  train_range: 1-3
  test_range: 4
stages:
  - epochs: 2
final_test:
  test_range: 4
expected:
  source: nobody
"""


def problems(path):
    with pytest.raises(ConfigError) as error:
        load_recipe(path)
    return [str(problem).removeprefix(f"{path}:") for problem in error.value.problems]
