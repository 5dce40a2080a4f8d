"""A probability that rounds to zero: its cost is what the logarithm of the exact one would be."""

import numpy as np
from tiny_runs import FLAT_LAYERS, FLAT_PARAMS, flat_options, log, start, train, write_pair

from convnet_cfg.data import open_provider
from convnet_cfg.training.checkpoints import read_checkpoint

FROZEN = FLAT_PARAMS.replace("epsW=0.001", "epsW=0").replace("epsB=0.002", "epsB=0")


def cost(data, weights, number):
    """Return the mean of minus log p in float64, from the logits."""
    provider = open_provider("cifar", data)
    images, labels = provider.test_arrays(number)
    z = (images - provider.mean).reshape(len(images), -1).astype(np.float64) @ weights
    top = z.max(axis=1)
    log_sum = top + np.log(np.exp(z - top[:, None]).sum(axis=1))
    return (log_sum - z[np.arange(len(labels)), labels]).mean()


def test_training_and_test_stay_finite(data, tmp_path):
    write_pair(tmp_path, FLAT_LAYERS.replace("initW=0.01", "initW=100"), FROZEN)
    chosen = flat_options(data, train_range=(1,), test_range=(4,), epochs=1, test_freq=1)
    run = train(start(tmp_path, chosen))
    weights = read_checkpoint(run / "1.1.safetensors")[0]["fc10/kernel"]
    trained, tested = (line["costs"]["logprob"][0] for line in log(run))
    assert trained > 200  # exp(-200) is zero in float32
    np.testing.assert_allclose(trained, cost(data, weights, 1), rtol=1e-5)
    np.testing.assert_allclose(tested, cost(data, weights, 4), rtol=1e-5)
