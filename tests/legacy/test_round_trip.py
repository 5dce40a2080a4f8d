"""Files of the original programs, imported and written back: nothing in them may be another."""

from dataclasses import replace

import pytest
from test_importing import sample, typed
from test_samples import NAMES

from convnet_cfg.legacy import load_checkpoint
from convnet_cfg.legacy.exporting import export
from convnet_cfg.legacy.importing import import_checkpoint
from convnet_cfg.training.trained import load_trained

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_was_not_trained_is_written_back_as_it_came(checkpoints, name, tmp_path):
    """Every value with its type, every array with its order, and the container."""
    checkpoint = sample(checkpoints, name)
    run = import_checkpoint(checkpoint, tmp_path / "run").path
    export(load_trained(run), tmp_path / "back")
    back = load_checkpoint(tmp_path / "back")
    assert back.path.name == checkpoint.path.name
    assert typed(replace(back, path=checkpoint.path)) == typed(checkpoint)
