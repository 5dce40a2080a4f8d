"""Checkpoints to import: samples of the originals, and files of the smallest network."""

import old_networks
import pytest
import tiny_runs

from convnet_cfg.errors import CheckpointError
from convnet_cfg.language import load_network
from convnet_cfg.legacy import load_checkpoint
from convnet_cfg.legacy.importing import import_checkpoint


def sample(checkpoints, name):
    (run,) = (path for path in (checkpoints / name).iterdir() if path.is_dir())
    return load_checkpoint(run)


def network_of(tmp_path, layers=tiny_runs.FLAT_LAYERS, params=tiny_runs.FLAT_PARAMS, dims=(192, 1)):
    return load_network(*tiny_runs.write_pair(tmp_path, layers, params), data_dims=dims)


def stored(tmp_path, v2=False, module="numpy.core", **changes):
    """A checkpoint file of the smallest network, read again."""
    network = network_of(tmp_path)
    layers = old_networks.layers_of(network, v2, old_networks.random_arrays())
    changes.pop("edit", lambda layers: None)(layers)
    found = old_networks.content(layers, **changes)
    return load_checkpoint(old_networks.write(tmp_path / "ConvNet__2012-01-02_03.04.05", found, module))


def refused(checkpoint, tmp_path, given=None):
    with pytest.raises(CheckpointError) as error:
        import_checkpoint(checkpoint, tmp_path / "runs" / "run", given)
    assert not (tmp_path / "runs").exists()
    return str(error.value)
