"""Layers with more and fewer replicas: parts of a minibatch, against a loop written out here.

The reference takes each layer's formula from TensorFlow, and the order of the updates from training.md
section 10: the lower layers make a step after each part, the upper ones one step with what came back.
"""

import numpy as np
import pytest
import tensorflow as tf

from convnet_cfg.language import Reading, load_network
from convnet_cfg.model import build
from convnet_cfg.training.steps import Steps

LAYERS = """
[data]
type=data
dataIdx=0
[labels]
type=data
dataIdx=1
[conv1]
type=conv
gpu={upper}
inputs=data
channels=2
filters=16
filterSize=3
padding=1
initW=0.3
sumWidth=1
neuron=relu
[fc1]
type=fc
gpu={middle}
inputs=conv1
outputs=6
initW=0.2
neuron=tanh[1,1]
[fc2]
type=fc
gpu=0
inputs=fc1
outputs=3
initW=0.5
[probs]
type=softmax
gpu=0
inputs=fc2
[logprob]
type=cost.logreg
gpu=0
inputs=labels,probs
"""
WEIGHTS = "epsW=0.2\nepsB=0.1\nmomW=0.9\nmomB=0.5\nwc=0.01\n"
PARAMS = "[conv1]\n{w}[fc1]\n{w}{fc1}[fc2]\n{w}{fc2}[logprob]\ncoeff=2\n"
CASES = 8


class Data:
    """Hands on what it is given."""

    def prepare_training(self, arrays):
        return tuple(arrays)


def made(tmp_path, upper, middle, fc1="", fc2="", **reading):
    (tmp_path / "layers.cfg").write_text(LAYERS.format(upper=upper, middle=middle))
    (tmp_path / "params.cfg").write_text(PARAMS.format(w=WEIGHTS, fc1=fc1, fc2=fc2))
    files = tmp_path / "layers.cfg", tmp_path / "params.cfg"
    network = load_network(*files, data_dims=(32, 1), reading=Reading(**reading))
    return build(network, [(4, 4, 2), (1,)], seed=3)


def data(cases=3 * CASES):
    rng = np.random.default_rng(0)
    images = rng.standard_normal((cases, 4, 4, 2)).astype(np.float32)
    return images, rng.integers(0, 3, (cases, 1)).astype(np.float32)


def train(built, arrays, minibatch=CASES):
    steps = Steps(built, Data(), minibatch)
    part = steps.train([tf.constant(a) for a in arrays], 0, steps.minibatches(arrays), None)
    assert part.finite
    return part.totals[0], {name: variable.numpy() for name, variable in built.variables.items()}


class Reference:
    """The same network in TensorFlow, its updates in the order that is expected."""

    LEVELS = (("conv1",), ("fc1",), ("fc2",))

    def __init__(self, built):
        self.w = {name: tf.Variable(variable.numpy()) for name, variable in built.variables.items()}
        self.v = {name: tf.Variable(tf.zeros_like(value)) for name, value in self.w.items()}
        self.total = np.zeros(3)

    def conv1(self, x):
        y = tf.nn.conv2d(x, self.w["conv1/kernel"], 1, "SAME") + self.w["conv1/bias"]
        return tf.nn.relu(y)

    def fc1(self, x):
        return tf.tanh(tf.reshape(x, (len(x), -1)) @ self.w["fc1/kernel"] + self.w["fc1/bias"])

    def fc2(self, x):
        return x @ self.w["fc2/kernel"] + self.w["fc2/bias"]

    def update(self, layer, gradients, divisor):
        for what, rate, momentum, decay in (("kernel", 0.2, 0.9, 0.01), ("bias", 0.1, 0.5, 0.0)):
            name = f"{layer}/{what}"
            step = momentum * self.v[name] - rate * (gradients[what] / divisor + decay * self.w[name])
            self.v[name].assign(step)
            self.w[name].assign_add(step)

    def run(self, level, x, labels, parts, divisors):
        """Return the gradient of the cost by x, having made the updates of this level and those below."""
        if level == len(self.LEVELS):
            labels = tf.cast(labels[:, 0], tf.int32)
            with tf.GradientTape() as tape:
                tape.watch(x)
                cost = tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, x))
            errors = np.sum(np.argmax(x.numpy(), 1) != labels.numpy())
            self.total += cost.numpy(), errors, errors  # top-1 counts twice in cuda-convnet2
            return 2.0 * tape.gradient(cost, x)
        (layer,) = self.LEVELS[level]
        weights = [self.w[f"{layer}/kernel"], self.w[f"{layer}/bias"]]
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = getattr(self, layer)(x)
        size = -(-len(x) // parts[level])
        pieces = [slice(at, at + size) for at in range(0, len(x), size)]
        back = tf.concat([self.run(level + 1, y[p], labels[p], parts, divisors) for p in pieces], 0)
        *found, sent = tape.gradient(y, [*weights, x], back)
        self.update(layer, dict(zip(("kernel", "bias"), found, strict=True)), divisors[level])
        return sent

    def train(self, arrays, parts, divisors):
        images, labels = map(tf.constant, arrays)
        for at in range(0, len(images), CASES):
            self.run(0, images[at : at + CASES], labels[at : at + CASES], parts, divisors)
        return self.total, {name: value.numpy() for name, value in self.w.items()}


def compare(found, wanted):
    np.testing.assert_allclose(found[0], wanted[0], rtol=1e-5)
    for name, value in wanted[1].items():
        np.testing.assert_allclose(found[1][name], value, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    ("upper", "middle", "parts", "divisors"),
    [
        ("0,1", "0", (2, 1, 1), (8, 4, 4)),
        ("0,1,2,3", "0", (4, 1, 1), (8, 2, 2)),
        ("0,1,2,3", "0,1", (2, 2, 1), (8, 4, 2)),
    ],
)
def test_layers_with_fewer_replicas_update_after_each_part(tmp_path, upper, middle, parts, divisors):
    built = made(tmp_path, upper, middle)
    reference = Reference(built)
    compare(train(built, data()), reference.train(data(), parts, divisors))


def test_the_last_minibatch_may_be_short(tmp_path):
    built = made(tmp_path, "0,1,2,3", "0")
    reference = Reference(built)
    arrays = data(CASES + 5)  # parts of 2, 2 and 1 cases
    compare(train(built, arrays), reference.train(arrays, (4, 1, 1), (8, 2, 2)))


@pytest.mark.parametrize("options", [{"ignore_devices": True}, {}], ids=["ignored", "period"])
def test_one_update_for_all_parts_is_that_of_the_plain_network(tmp_path, options):
    period = "" if options else "updatePeriod=2\n"
    built = made(tmp_path, "0,1", "0", period, period, **options)
    plain = made(tmp_path, "0", "0")
    compare(train(built, data()), train(plain, data()))


def test_equal_numbers_of_replicas_are_one_level(tmp_path):
    built, plain = made(tmp_path, "0,1", "0,1".replace("0,1", "1,0")), made(tmp_path, "0", "0")
    assert built.network.replica_counts == (2, 1)  # the layers behind are on one
    assert plain.network.replica_counts == (1,)


def test_frozen_layers_stay_as_they_are(tmp_path):
    built = made(tmp_path, "0,1", "0")
    built.optimizer.groups["fc1/kernel"].learning_rate = 0.0
    before = built.variables["fc1/kernel"].numpy()
    _, after = train(built, data())
    assert np.array_equal(before, after["fc1/kernel"])
    assert not np.array_equal(before, after["conv1/kernel"].sum())
