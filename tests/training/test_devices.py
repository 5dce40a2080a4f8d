"""Minibatches spread over several devices: here logical processors, in a process of its own."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import numpy as np
import tensorflow as tf

processors = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(processors[0], [tf.config.LogicalDeviceConfiguration()] * 2)

from contextlib import nullcontext
from convnet_cfg.language import load_network
from convnet_cfg.model import build
from convnet_cfg.training.devices import strategy_for
from convnet_cfg.training.steps import Steps

LAYERS = '''
[data]
type=data
dataIdx=0
[labels]
type=data
dataIdx=1
[conv1]
type=conv
gpu=0,1
inputs=data
channels=2
filters=16
filterSize=3
padding=1
initW=0.3
sumWidth=1
neuron=relu
[pool1]
type=pool
pool=max
inputs=conv1
channels=16
sizeX=2
stride=2
DROPOUT
[fc1]
type=fc
inputs=INPUT
outputs=3
initW=0.2
[probs]
type=softmax
inputs=fc1
[logprob]
type=cost.logreg
gpu=0,1
inputs=labels,probs
'''
PARAMS = '''
[conv1]
epsW=0.2
epsB=0.1
momW=0.9
momB=0.5
wc=0.01
wball=1
[fc1]
epsW=0.2
epsB=0.1
momW=0.9
momB=0.5
updatePeriod=2
[drop]
[logprob]
coeff=1
'''

class Data:
    def prepare_training(self, arrays):
        return tuple(arrays)

def train(spread, dropout):
    layers = LAYERS.replace("DROPOUT", "[drop]\\ntype=dropout2\\ninputs=pool1" if dropout else "")
    layers = layers.replace("INPUT", "drop" if dropout else "pool1")
    open("layers.cfg", "w").write(layers)
    open("params.cfg", "w").write(PARAMS)
    network = load_network("layers.cfg", "params.cfg", data_dims=(32, 1))
    strategy = strategy_for(network, "CPU") if spread else None
    assert (strategy is not None) == spread
    with strategy.scope() if spread else nullcontext():
        built = build(network, [(4, 4, 2), (1,)], seed=3)
    built.strategy = strategy
    rng = np.random.default_rng(0)
    images = rng.standard_normal((21, 4, 4, 2)).astype(np.float32)
    labels = rng.integers(0, 3, (21, 1)).astype(np.float32)
    part = Steps(built, Data(), 8).train([tf.constant(images), tf.constant(labels)], 0, 3, None)
    assert part.finite
    values = {name: variable.numpy() for name, variable in built.variables.items()}
    velocities = {name: built.optimizer.velocity(v).numpy() for name, v in built.variables.items()}
    return part.totals[0], values, velocities, {name: v.numpy() for name, v in built.dropouts.items()}

plain, spread = train(False, False), train(True, False)
np.testing.assert_allclose(spread[0], plain[0], rtol=1e-5)
for name, value in plain[1].items():
    np.testing.assert_allclose(spread[1][name], value, rtol=1e-4, atol=1e-5, err_msg=name)
    np.testing.assert_allclose(spread[2][name], plain[2][name], rtol=1e-4, atol=1e-5, err_msg=name)
with_masks = train(True, True)
assert all(np.isfinite(value).all() for value in with_masks[1].values())
assert with_masks[3]
print("same")
"""


@pytest.mark.slow
def test_two_devices_train_as_one(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.stdout.split() == ["same"], done.stderr[-3000:]
