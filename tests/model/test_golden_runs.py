"""Trainings and tests of the original program on files: its own checkpoints, logs and feature files.

The data are golden/e2e_cifar; a checkpoint 2.3 was written after batch 3 of epoch 2. From 2.3 to 3.3 the
original met a near-tie in a max pooling layer, on which everything after it depends (golden/README.md), so
only the ways 1.3 -> 2.3 and 3.3 -> 4.3 are compared strictly.
"""

import ast
import re

import keras
import numpy as np
import pytest
from golden_cases import FOLDER, MISSING, as_original, close
from golden_networks import layout_of

from convnet_cfg.data import load_pickle, open_provider
from convnet_cfg.language import load_network
from convnet_cfg.model import build
from convnet_cfg.training.steps import Steps

PLAIN, CROPPED = FOLDER / "e2e_cifar", FOLDER / "e2e_cifar_cropped"
MINI = 64
TRAINING = (1, 2, 3)
KINDS = ("Integer", "Boolean", "String", "List", "Range")
OPTIONS = ["Option", "OptionExpression", "OptionsParser", *(f"{kind}OptionParser" for kind in KINDS)]

pytestmark = pytest.mark.skipif(not PLAIN.is_dir(), reason=MISSING)


class Inert:
    """Stands for the classes of the original's options, which the checkpoints hold too."""

    def __new__(cls, *arguments):
        return super().__new__(cls)


def read_layers(path):
    """Return the layers of a checkpoint of the original, by name."""
    saved = load_pickle(path, {f"options {name}": Inert for name in OPTIONS})
    return {layer["name"]: layer for layer in saved["model_state"]["layers"]}


class Original:
    """A network of the golden folder in the state of a checkpoint, with its data."""

    def __init__(self, folder, checkpoint, provider="cifar", **options):
        self.provider = open_provider(provider, PLAIN / "data", **options)
        shapes = self.provider.shapes
        dims = [int(np.prod(shape)) for shape in shapes]
        files = folder / "layers.cfg", folder / "params.cfg"
        self.network = load_network(*files, data_dims=dims, classes=10)
        self.built = build(self.network, shapes)
        self.steps = Steps(self.built, self.provider, MINI)
        for variable, value in self.pairs(read_layers(folder / "checkpoints" / checkpoint)):
            variable.assign(value)

    def pairs(self, layers):
        """Yield each weight, bias and velocity of ours with the value of a checkpoint in our layout."""
        for owned in self.network.owned():
            layout, variable = layout_of(self.built, owned), self.built.variables[owned.name]
            names = ("biases", "biasesInc") if owned.input is None else ("weights", "weightsInc")
            saved = layers[owned.layer.name]
            values = [saved[name] if owned.input is None else saved[name][owned.input] for name in names]
            for ours, value in zip((variable, self.built.optimizer.velocity(variable)), values, strict=True):
                yield ours, layout.to_kernel(np.asarray(value))

    def train_epoch(self):
        """Train on the batches of the training range, and return the mean costs of each."""
        means = []
        for batch in TRAINING:
            arrays = self.provider.training_arrays(batch, np.random.default_rng(0))
            part = self.steps.train(arrays, 0, self.steps.minibatches(arrays), None)
            means.append(part.totals[0] / len(arrays[0]))
        return means

    def test(self, batch, views=1):
        return self.steps.test(self.provider.test_arrays(batch), views)[0]


def logged_tests(path):
    """Return the sums that a log has for each test batch."""
    found = re.findall(r"^batch (\d+): \((\{.*\}), (\d+)\)$", path.read_text(), re.MULTILINE)
    return {int(batch): ast.literal_eval(sums)["logprob"] for batch, sums, _ in found}


def logged_epoch(epoch):
    """Return the printed mean costs of the training batches of an epoch."""
    text = (PLAIN / "train_resumed.log").read_text()
    lines = re.findall(rf"^{epoch}\.\d\.\.\. logprob:  ([\d.]+), ([\d.]+)", text, re.MULTILINE)
    return [[float(value) for value in line] for line in lines]


@pytest.mark.parametrize(
    ("start", "end", "tolerance", "printed"),
    [("1.3", "2.3", 1e-5, 1e-6), ("2.3", "3.3", 1e-2, 1e-3), ("3.3", "4.3", 1e-5, 1e-6)],
)
def test_an_epoch_of_training_ends_in_the_originals_checkpoint(start, end, tolerance, printed):
    original = Original(PLAIN, start)
    means = original.train_epoch()
    assert np.abs(np.array(means) - logged_epoch(end[0])).max() <= printed
    found = [close(ours, value) for ours, value in original.pairs(read_layers(PLAIN / "checkpoints" / end))]
    assert len(found) == 16
    assert max(found) <= tolerance


def test_the_test_costs_are_those_that_the_original_logged():
    original = Original(PLAIN, "4.3")
    logged = logged_tests(PLAIN / "test_all_batches.log")
    assert set(logged) == {1, 2, 3, 4}
    for batch, (cost, errors) in logged.items():
        sums = original.test(batch)
        assert sums[0] == pytest.approx(cost, rel=1e-6)
        assert sums[1] == errors


@pytest.mark.parametrize("layer", ["probs", "pool2"])
def test_features_are_those_that_the_original_wrote(layer):
    """In float32 both add up some hundred products in different orders: some 1e-7 of the largest value."""
    original = Original(PLAIN, "4.3")
    built = original.built
    probe = keras.Model(built.model.inputs, built.values[layer].tensor)
    matrices = original.provider.prepare_test(original.provider.test_arrays(4))
    features = as_original(probe([matrices[index] for index in built.data_indices], training=False)).T
    written = np.asarray(load_pickle(PLAIN / f"features_{layer}" / "data_batch_4")["data"])
    assert features.shape == written.shape
    assert close(features, written) <= 1e-6


@pytest.mark.parametrize(("views", "log"), [(1, "test_single_view.log"), (10, "test_multiview.log")])
def test_cropped_images_are_tested_as_the_original_did(views, log):
    original = Original(CROPPED, "4.3", "cifar-cropped", crop_border=4, test_views=views)
    ((batch, (cost, errors)),) = logged_tests(CROPPED / log).items()
    sums = original.test(batch, views)
    assert sums[0] == pytest.approx(cost, rel=1e-6)
    assert sums[1] == errors
