"""What a training computes, against the same in NumPy: order, short minibatches, costs, decays, freezing."""

from __future__ import annotations

import gc
import resource
import threading
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import (
    FLAT_LAYERS,
    FLAT_PARAMS,
    StopAfter,
    arrays,
    flat_options,
    log,
    options,
    record,
    resume,
    start,
    train,
    write_data,
    write_pair,
)

from convnet_cfg.data import open_provider
from convnet_cfg.language.params import DECAYS
from convnet_cfg.training.observer import Observer

RATE, BIAS_RATE, MOMENTUM, BIAS_MOMENTUM = 0.001, 0.002, 0.9, 0.5
# As strong as each kind of decay needs to show in a few steps.
WC = dict.fromkeys(DECAYS, 0.03) | dict.fromkeys(
    ("cuda-convnet", "l2", "decoupled-lr", "decoupled-matched"), 3.0
)


class Regression:
    """Softmax regression in float64, minibatch by minibatch in file order, as the files of the tests say."""

    def __init__(self, data, decay, minibatch=16):
        self.provider = open_provider("cifar", data)
        self.decay, self.minibatch = decay, minibatch
        self.w, self.b, self.v, self.vb = 0.0, np.zeros(10), 0.0, np.zeros(10)

    def cases(self, number):
        images, labels = self.provider.test_arrays(number)
        # The kernel's rows are in the order row, column, channel.
        return (images - self.provider.mean).reshape(len(images), -1).astype(np.float64), labels

    def sums(self, x, labels):
        """Return the sums of cost and errors, and the gradient of the mean at the outputs."""
        z = x @ self.w + self.b
        p = np.exp(z - z.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        at = np.arange(len(labels)), labels
        cost, errors = -np.log(p[at]).sum(), (p.argmax(axis=1) != labels).sum()
        p[at] -= 1
        penalty = len(labels) * WC[self.decay] / 2 * np.square(self.w).sum() if self.decay == "l2" else 0
        return np.array([cost + penalty, errors]), p / len(labels)

    def train(self, number):
        x, labels = self.cases(number)
        total = 0.0
        for begin in range(0, len(labels), self.minibatch):
            part = slice(begin, begin + self.minibatch)
            sums, at_outputs = self.sums(x[part], labels[part])
            total = total + sums
            self.update(x[part].T @ at_outputs, at_outputs.sum(axis=0))
        return total / len(labels)

    def update(self, gradient, bias_gradient):
        """The table of the weight decays (design, section 4), written out."""
        w, d, e = self.w, WC[self.decay], RATE
        coupled = gradient + d * w if self.decay in ("cuda-convnet", "l2") else gradient
        self.v = MOMENTUM * self.v - e * coupled
        taken = {
            "decoupled": d * w,
            "decoupled-lr": e * d * w,
            "decoupled-schedule": e / RATE * d * w,
            "decoupled-matched": e / (1 - MOMENTUM) * d * w,
            "after-step": d * (w + self.v),
        }
        self.w = w + self.v - taken.get(self.decay, 0)
        self.vb = BIAS_MOMENTUM * self.vb - BIAS_RATE * bias_gradient
        self.b = self.b + self.vb

    def test(self, number):
        x, labels = self.cases(number)
        return self.sums(x, labels)[0] / len(labels)


@pytest.mark.parametrize("decay", DECAYS)
def test_every_number_of_a_training(tmp_path, data, decay):
    """Batches of 40 in minibatches of 16, 16 and 8: logged costs, weights and velocities."""
    write_pair(tmp_path, FLAT_LAYERS, FLAT_PARAMS.replace("wc=0.03", f"wc={WC[decay]}"))
    session = start(tmp_path, flat_options(data, epochs=3, decay=decay, test_freq=4))
    expected = Regression(data, decay)
    expected.w = session.built.variables["fc10/kernel"].numpy().astype(np.float64)
    final = session.train()
    session.close()
    run = session.run_directory.path
    lines = iter(log(run))
    for done in range(9):
        line = next(lines)
        assert (line["kind"], line["epoch"], line["batch"]) == ("train", 1 + done // 3, 1 + done % 3)
        assert line["costs"]["logprob"] == pytest.approx(expected.train(1 + done % 3), rel=2e-4)
        if done in (3, 7):
            line = next(lines)
            number = {3: 4, 7: 5}[done]
            assert (line["kind"], line["test_batches"]) == ("test", [number])
            assert line["costs"]["logprob"] == pytest.approx(expected.test(number), rel=2e-4)
    assert list(lines) == []
    both = (expected.test(4) + expected.test(5)) / 2
    assert final.costs["logprob"] == pytest.approx(both, rel=2e-4)
    assert final.cases == 80
    found = arrays(run)
    for name, value in {
        "fc10/kernel": expected.w,
        "fc10/kernel/velocity": expected.v,
        "fc10/bias": expected.b,
        "fc10/bias/velocity": expected.vb,
    }.items():
        np.testing.assert_allclose(found[name].ravel(), value.ravel(), atol=2e-4 * np.abs(value).max())
    assert record(run)["options"]["decay"] == decay


def test_a_section_names_its_own_decay(tmp_path, data):
    """decay= in the parameter file counts more than --decay."""
    write_pair(tmp_path, FLAT_LAYERS, FLAT_PARAMS.replace("wc=0.03", "wc=0.03\ndecay=after-step"))
    session = start(tmp_path, flat_options(data, epochs=1, decay="none"))
    expected = Regression(data, "after-step")
    expected.w = session.built.variables["fc10/kernel"].numpy().astype(np.float64)
    for number in (1, 2, 3):
        expected.train(number)
    found = arrays(train(session))["fc10/kernel"]
    np.testing.assert_allclose(found.ravel(), expected.w.ravel(), atol=2e-4 * np.abs(expected.w).max())


def test_frozen_weights_stay_to_the_last_bit(pair, data):
    """epsW=0: neither gradient nor decay nor a momentum step; what is above learns."""
    params = pair / "net.params.cfg"
    text = params.read_text()
    first = train(start(pair, options(data, epochs=1)))
    before = arrays(first)
    assert np.abs(before["conv1/kernel/velocity"]).max() > 0
    (first / "params.cfg").write_text(text.replace("epsW=0.001", "epsW=0", 1))
    after = arrays(train(resume(first, epochs=2)))
    for name in ("conv1/kernel", "conv1/kernel/velocity"):
        np.testing.assert_array_equal(after[name], before[name])
    for name in ("conv1/bias", "fc10/kernel", "fc10/bias"):
        assert np.abs(after[name] - before[name]).max() > 0


def test_all_frozen(pair, data):
    params = pair / "net.params.cfg"
    text = params.read_text()
    params.write_text(text.replace("epsW=0.001", "epsW=0").replace("epsB=0.002", "epsB=-1"))
    session = start(pair, options(data, epochs=2))
    before = {name: variable.numpy() for name, variable in session.built.variables.items()}
    after = arrays(train(session))
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)
        assert not after[f"{name}/velocity"].any()


def test_all_of_the_test_range_with_test_one_off(flat_pair, data):
    run = train(start(flat_pair, flat_options(data, epochs=2, test_one=False)))
    tests = [line for line in log(run) if line["kind"] == "test"]
    assert [(line["test_batches"], line["cases"]) for line in tests] == [([4, 5], 80)] * 3


def test_the_observer_hears_of_everything(flat_pair, data):
    heard = []

    class Listener(Observer):
        def batch_started(self, epoch, batch, minibatches):
            heard.append(("batch", epoch, batch, minibatches))

        def batch_done(self, result, seconds, test_follows):
            heard.append(("done", test_follows))

        def tested(self, result, seconds):
            heard.append((result.kind, result.test_batches))

        def saved(self, path):
            heard.append(("saved", path.name))

    train(start(flat_pair, flat_options(data, epochs=1), Listener()))
    assert heard == [
        ("saved", "0.0.safetensors"),
        ("batch", 1, 1, 3),
        ("done", False),
        ("batch", 1, 2, 3),
        ("done", True),
        ("test", (4,)),
        ("saved", "1.2.safetensors"),
        ("batch", 1, 3, 3),
        ("done", False),
        ("saved", "1.3.safetensors"),
        ("final-test", (4, 5)),
    ]


@pytest.mark.parametrize("budget", [0, 1])
def test_how_many_checkpoints_are_kept(flat_pair, data, budget):
    run = train(start(flat_pair, flat_options(data, epochs=1, test_freq=1, max_filesize=budget)))
    kept = sorted(path.name for path in run.glob("*.safetensors"))
    everything = ["0.0.safetensors", "1.1.safetensors", "1.2.safetensors", "1.3.safetensors"]
    assert kept == (everything if budget else everything[-1:])


def test_every_epoch_has_its_own_crops(pair, data):
    def draws(session, epoch, batch):
        return session._make_arrays(epoch, batch)[2].numpy().tolist()

    session, same, other = (start(pair, options(data, seed=seed)) for seed in (7, 7, 8))
    assert draws(session, 1, 1) == draws(same, 1, 1)
    seen = [draws(session, 1, 1), draws(session, 2, 1), draws(session, 1, 2), draws(other, 1, 1)]
    assert all(one != two for one, two in combinations(seen, 2))


def test_a_session_leaves_no_thread(flat_pair, data):
    before = set(threading.enumerate())
    stop = StopAfter()
    train(start(flat_pair, flat_options(data, epochs=1), stop))
    assert set(threading.enumerate()) <= before


def test_multiview_averages_ten_views(pair, data):
    chosen = options(data, epochs=1, test_freq=100, multiview=True)
    chosen.provider_options["test_views"] = 10
    session = start(pair, chosen)
    result = session.train()
    session.close()
    assert result.views == 10
    built, provider = session.built, session.provider
    total = np.zeros(2)
    for number in (4, 5):
        tensors = provider.test_arrays(number)
        views = [provider.prepare_test(tensors, view) for view in range(10)]
        p = np.mean([built.model([v[0], v[1]], training=False)["probs"].numpy() for v in views], axis=0)
        labels = tensors[1]
        total += -np.log(p[np.arange(40), labels]).sum(), (p.argmax(axis=1) != labels).sum()
    assert result.costs["logprob"] == pytest.approx(total / 80, rel=1e-4)


@pytest.mark.slow
def test_memory_does_not_grow_with_epochs(flat_pair):
    """Each epoch reads 3 MB of images; from the tenth to the fortieth, none of them stay."""
    large = write_data(flat_pair / "large", batches=4, cases=300, side=32)
    seen = []

    class Measure(Observer):
        def batch_done(self, result, seconds, test_follows):
            gc.collect()
            seen.append(int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize())

    chosen = flat_options(large, epochs=40, test_range=(4,), minibatch=100, test_freq=20)
    (flat_pair / "net.params.cfg").write_text(FLAT_PARAMS.replace("epsW=0.001", "epsW=0.0001"))
    train(start(flat_pair, chosen, Measure()))
    assert len(seen) == 120
    assert max(seen[-10:]) - max(seen[20:30]) < 16 << 20
