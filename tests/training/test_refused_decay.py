"""A decay that divides by 1 - momentum is refused before anything is built."""

import pytest
from tiny_runs import LAYERS, PARAMS, options, write_data, write_pair

from convnet_cfg.errors import ConfigError
from convnet_cfg.training.setup import prepare


def test_a_run_with_an_impossible_decay_is_not_begun(tmp_path):
    layers, params = write_pair(tmp_path, params=PARAMS.replace("momW=0.9", "momW=1", 1))
    data = write_data(tmp_path / "data")
    assert prepare(layers, params, options(data))
    with pytest.raises(ConfigError) as error:
        prepare(layers, params, options(data, decay="decoupled-matched"))
    line = LAYERS.splitlines().index("[conv1]") + 1
    assert str(error.value) == (
        f"{layers}:{line}:1: [conv1] momW must be < 1, got 1: "
        "decay 'decoupled-matched' divides by 1 - momentum"
    )
