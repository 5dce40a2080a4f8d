"""The optimizer under MirroredStrategy, on two logical processors in a process of its own."""

import subprocess
import sys

import pytest

REPLICAS = """
import keras, numpy as np, tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
from convnet_cfg.optim import Group, GroupedOptimizer

def train(strategy, **options):
    with strategy.scope():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "tanh", name="a"),
                                  keras.layers.Dense(1, name="b")])
        groups = [
            Group("a/kernel", learning_rate=0.05, momentum=0.9, weight_decay=0.01),
            Group("b/kernel", learning_rate=0.01, rule="adam", decay="decoupled-lr", weight_decay=0.1),
            Group("bias", learning_rate=0.1, momentum=0.5, rule="nesterov", rate_position="outside"),
        ]
        model.set_weights(START)
        model.compile(GroupedOptimizer(groups, **options), "mse")
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    model.fit(x, x[:, :1], batch_size=16, epochs=3, shuffle=False, verbose=0)
    return [v.numpy() for v in model.trainable_variables + model.optimizer.variables]

rng = np.random.default_rng(1)
START = [rng.normal(size=shape).astype("float32") for shape in ((4, 8), (8,), (8, 1), (1,))]

for options in ({}, {"use_ema": True}):
    alone = train(tf.distribute.get_strategy(), **options)
    both = train(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), **options)
    assert len(alone) == len(both)
    for a, b in zip(alone, both):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)
print("same")
"""


@pytest.mark.slow
def test_two_mirrored_replicas_are_one_program():
    done = subprocess.run(
        [sys.executable, "-c", REPLICAS], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.stdout.strip().endswith("same"), done.stderr[-3000:]
