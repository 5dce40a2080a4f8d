"""Checkpoints of the original, imported and trained on: they must come to its later ones.

The traces have no files: those are made of the arrays at a step (old_networks), as the original stored them.
"""

import numpy as np
import old_networks
import pytest
import tensorflow as tf
from golden_cases import FOLDER, MISSING, as_image, close, entries, read_arrays

from convnet_cfg.data import DataProvider
from convnet_cfg.language import Reading, load_network
from convnet_cfg.language.layout import layout_of
from convnet_cfg.language.schedules import Progress
from convnet_cfg.legacy import load_checkpoint
from convnet_cfg.legacy.importing import import_checkpoint
from convnet_cfg.training.observer import Observer
from convnet_cfg.training.rates import set_rates
from convnet_cfg.training.setup import go_on, prepare_again
from convnet_cfg.training.steps import Steps
from convnet_cfg.training.trained import load_trained

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not entries(), reason=MISSING)]
E2E = FOLDER / "e2e_cifar"


class Stored(DataProvider):
    """The minibatches of a trace."""

    def __init__(self, data):
        super().__init__()
        self.arrays = data
        self.shapes = tuple(array.shape[1:] for array in data)


class Vectors(DataProvider):
    """Data of which nothing is known without their path: vectors."""


def as_matrix(built, owned, array):
    """A weight of ours as the original has it."""
    return layout_of(owned.layer, owned.input, built.kernel_images).to_matrix(array)


def variables(built):
    for owned in built.network.owned():
        weight = built.variables[owned.name]
        yield owned, weight.numpy(), built.optimizer.velocity(weight).numpy()


@pytest.mark.parametrize(("start", "end", "tolerance"), [("1.3", "2.3", 1e-5), ("3.3", "4.3", 1e-5)])
def test_an_epoch_from_a_checkpoint_of_the_original_ends_in_its_next(start, end, tolerance, tmp_path):
    given = {"data_path": str(E2E / "data")}
    checkpoint = load_checkpoint(E2E / "checkpoints" / start)
    imported = import_checkpoint(checkpoint, tmp_path / "run", given)
    session = go_on(prepare_again(imported.path, {"epochs": int(end[0])}), Observer())
    try:
        session.train()
        assert str(session.position) == end
        later = {layer.name: layer for layer in load_checkpoint(E2E / "checkpoints" / end).layers}
        found = 0
        for owned, *ours in variables(session.built):
            names = ("biases", "biasesInc") if owned.input is None else ("weights", "weightsInc")
            for array, name in zip(ours, names, strict=True):
                value = later[owned.layer.name].values[name]
                wanted = (value if owned.input is None else value[owned.input]).data
                assert close(as_matrix(session.built, owned, array), wanted) <= tolerance, (owned.name, name)
                found += 1
        assert found == 16
    finally:
        session.close()


CASES = [
    ("update_convnet_a", 2),
    ("update_eps0_velocity", 1),
    ("v2_update_convnet", 2),
    ("v2_update_schedules", 3),
    ("v2_update_sfc_wball", 1),
]


@pytest.mark.parametrize("images", [False, True], ids=["vectors", "images"])
@pytest.mark.parametrize(("name", "step"), CASES)
def test_a_trace_goes_on_from_one_of_its_steps(name, step, images, tmp_path):
    arrays, v2 = read_arrays(name), name.startswith("v2_")
    files = FOLDER / f"{name}.cfg", FOLDER / f"{name}.params.cfg"
    dims = len(arrays["in_data"]), len(arrays["in_labels"])
    network = load_network(*files, data_dims=dims, reading=Reading("lenient", "v2" if v2 else None))

    def stored(layer, number):
        keys = ("B", "Binc") if number is None else (f"W{number}", f"Winc{number}")
        return [arrays[f"step{step}_{layer.name}_{key}"] for key in keys]

    content = old_networks.content(old_networks.layers_of(network, v2, stored), 1, 1)
    checkpoint = load_checkpoint(old_networks.write(tmp_path / "old", content))
    provider = "cifar" if images else "test_going_on_from_golden.Vectors"
    run = import_checkpoint(checkpoint, tmp_path / "run", {"data_provider": provider}).path
    built = load_trained(run).built
    data = as_image(arrays["in_data"], 3) if images else arrays["in_data"].T.copy()
    data = [data, arrays["in_labels"].T.copy()]
    mini, count = entries()[name]["cases"], len(arrays["cost_train"])
    steps = Steps(built, Stored(data), mini)
    for number in range(step, count):
        if "progress" in arrays:
            set_rates(built, Progress(float(arrays["progress"][number])))
        costs = steps.train([tf.constant(each) for each in data], number, number + 1, None).totals[0]
        assert close(costs, arrays["cost_train"][number]) <= 1e-4
    compared = 0
    for owned, weight, velocity in variables(built):
        keys = ("B", "Binc") if owned.input is None else (f"W{owned.input}", f"Winc{owned.input}")
        for ours, key in zip((weight, velocity), keys, strict=True):
            wanted = arrays[f"step{count}_{owned.layer.name}_{key}"]
            assert close(as_matrix(built, owned, ours), wanted) <= 1e-4, (owned.name, key)
            compared += 1
    assert compared >= 4
    assert any(np.abs(velocity).max() > 0 for _, _, velocity in variables(built))
