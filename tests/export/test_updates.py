"""What translations do with weights that are frozen, reached by no cost, or have a rate of 0 for a time."""

import numpy as np
import pytest

from benchmarks.translation_cases import make_case
from convnet_cfg.export.source.shapes import data_shapes
from convnet_cfg.language import Reading, build_network, read_pair

# The objective has no part of the cost `other`, and so does not depend on the layer `alone`.
LAYERS = """
[data]
type=data
dataIdx=0

[below]
type=fc
inputs=data
outputs=4
initW=0.1

[top]
type=fc
inputs=below
outputs=3
initW=0.1

[alone]
type=fc
inputs=data
outputs=4
initW=0.1

[size]
type=cost.sum2
inputs=top

[other]
type=cost.sum2
inputs=alone
"""
PARAMS = """
[below]
epsW={below}
epsB=0
momW=0
momB=0
wc=0
{keys}

[top]
epsW={top}
epsB={bias}
momW=0
momB=0
wc=0.1

[alone]
epsW=0.1
epsB=0.1
momW=0
momB=0
wc={alone}

[size]
coeff=1

[other]
coeff=0
"""


@pytest.fixture
def written(tmp_path):
    """Return a function that translates the network with these rates, further keys, and decay of `alone`."""

    def write(to="keras", decay="cuda-convnet", below="0", top="0.1", bias="0.1", keys="", alone="0"):
        files = tmp_path / "net.cfg", tmp_path / "net.params.cfg"
        files[0].write_text(LAYERS)
        files[1].write_text(PARAMS.format(below=below, top=top, bias=bias, keys=keys, alone=alone))
        network = build_network(read_pair(*files, Reading("lenient", "v2")), [3])
        return make_case("net", network, data_shapes(network), decay, to=to).source.text

    return write


def fitted(text, **options):
    """Return the weights before and after two minibatches of a training, by their paths."""
    found = {"__name__": "translated", "__file__": "translated.py"}
    exec(compile(text, "translated.py", "exec"), found)
    model = found["build_model"]()
    model.compile(optimizer=found["make_optimizer"](model, **options))
    before = {variable.path: variable.numpy() for variable in model.trainable_variables}
    shape = (4, *model.input_shape[1:])
    model.fit(np.random.default_rng(0).normal(size=shape), batch_size=2, verbose=0)
    return before, {variable.path: variable.numpy() for variable in model.trainable_variables}


@pytest.mark.slow
def test_what_no_cost_depends_on_decays_in_training_too(written):
    """V = -e d W in the first step, W - e d W; no momentum."""
    before, after = fitted(written(alone="0.5"))
    np.testing.assert_allclose(after["alone/kernel"], before["alone/kernel"] * 0.95**2, rtol=1e-6)
    assert (after["alone/bias"] == before["alone/bias"]).all()
    assert (after["top/kernel"] != before["top/kernel"]).any()


def test_gradients_are_filled_in_only_for_weights_that_change_without(written):
    assert "def apply(" in written(alone="0.5")
    for given in ({}, {"alone": "0.5", "decay": "none"}):
        assert "def apply(" not in written(**given)


@pytest.mark.slow
def test_a_factor_of_0_over_all_rates_breaks_no_weight(written):
    text = written(below="linear[base=0.1;tgtFactor=2]", keys="updatePeriod=2", alone="0.5")
    assert "AT_OWN_RATES" in text
    before, after = fitted(text, total_steps=10, learning_rate=0.0)
    for path, array in before.items():
        np.testing.assert_array_equal(after[path], array)


@pytest.mark.parametrize("to", ["keras", "torch"])
@pytest.mark.parametrize("given", [{"keys": "updatePeriod=4"}, {"below": "linear[base=0;tgtFactor=2]"}])
def test_frozen_weights_ask_for_nothing(written, to, given):
    assert written(to, **given) == written(to)


@pytest.mark.parametrize("to", ["keras", "torch"])
def test_a_rate_of_a_single_step_is_no_matter_to_what_does_not_decay(written, to):
    text = written(to, "decoupled-schedule", bias="dexp[base=0.1;tgtFactor=4;numSteps=1]")
    assert "constant(0.1 / 4.0)" in text or "constant(0.025)" in text
