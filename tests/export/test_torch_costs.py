"""Costs of translations to PyTorch beside their formulas, case by case in NumPy."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
from golden_cases import close
from nn import cost_references as reference
from torch_translations import Job, assert_well_written, run

from convnet_cfg import nn
from convnet_cfg.export.source import keras_costs, keras_emit, keras_weights, torch_costs, torch_steps
from convnet_cfg.export.source.shapes import data_shapes
from convnet_cfg.export.source.torch_source import translate
from convnet_cfg.language import Reading, build_network, read_pair
from convnet_cfg.language.params import DEFAULT_DECAY

TOLERANCE = {"float32": 1e-5, "float64": 1e-7}  # of the largest value; finite differences have no more digits
COEFFICIENT = 0.5
STEP = 1e-5


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def softmax(x):
    return np.exp(x) / np.exp(x).sum(1, keepdims=True)


def logistic(x):
    return 1 / (1 + np.exp(-x))


class CostCase(NamedTuple):
    """A cost of the data layer x and others, by their names; `total` is its sum over the cases in NumPy.

    `gradient` is that of the total by x where it is not the derivative. `layers` are between x and the cost.
    """

    dialect: str
    cost: str
    x: np.ndarray
    others: dict[str, np.ndarray]
    total: Callable[..., float]
    gradient: Callable[..., np.ndarray] | None = None
    layers: str = ""
    params: str = ""


LABELS = np.array([0, 3, 2, 4, 1, 1])
SOME = np.array([0, -1, 2, -1, 1, 1])
TASKS = np.array([2, 1, 2, 2, 0, 1])
CODES = [logistic(5 * normal(6, 80, seed=seed)) for seed in (0, 1, 2)]
BITS = np.where(normal(6, 5, seed=3) > 0.8, -1.0, normal(6, 5, seed=4) > 0)
SQUARE, LINE = normal(6, 32), normal(6, 24)
SQUARE[0] = SQUARE[:, ::5] = 0
CHANNELS = 2


def as_image(x):
    """Return one case as (rows, columns, channels)."""
    return x.reshape(CHANNELS, 4, 4).transpose(1, 2, 0)


def as_pixels(x):
    """Return cases as (cases, pixels, channels)."""
    return x.reshape(len(x), CHANNELS, -1).swapaxes(1, 2)


def log_loss(x, labels, counted=None):
    chosen = range(len(x)) if counted is None else np.flatnonzero(counted)
    return sum(reference.logreg(labels[n], x[n])[0] for n in chosen)


def topography(x, size):
    return sum(root for each in x for root, _ in reference.window_energies(as_image(each), size))


def topography_gradient(x, size):
    gradients = [reference.topographic_gradient(as_image(each), size) for each in x]
    return np.stack([gradient.transpose(2, 0, 1).ravel() for gradient in gradients])


def ranked(x, second, third, weights):
    return sum(map(sum, map(reference.ranking, x, second, third, weights[:, 0])))


def ranking_gradient(x, second, third, weights):
    """Return the derivative, and what no coefficient multiplies."""
    costs = [reference.ranking(*case) for case in zip(x, second, third, weights[:, 0], strict=True)]
    active = weights * (np.array(costs) > 0)
    further = weights * 2 * (2 * x - 1).mean(0) / len(x)
    return active * (2 * third - 2 * second) + further / COEFFICIENT


def tied(x, labels):
    """Return the gradient of cost.hingeloss: the first of equal values has it."""
    gradient = np.zeros_like(x)
    for n, label in enumerate(labels):
        rival = max((k for k in range(x.shape[1]) if k != label), key=lambda k: (x[n, k], -k))
        if 1 + x[n, rival] > x[n, label]:
            gradient[n, [rival, label]] = 1, -1
    return gradient


def subsets(x, labels):
    return -sum(reference.subset_log_probability(label, e, 3) for label, e in zip(labels, x, strict=True))


TWICE = "[probs]\ntype=softmax\ninputs=x\n[twice]\ntype=cost.sum2\ninputs=probs\n"
IDENTITY = "[remixed]\ntype=condprob\ninputs=x\noutputs=5\ninitW=identity\n"
RATES = "[remixed]\nepsW=0\nmomW=0\nwc=0\n"
LOGISTIC = "[y]\ntype=neuron\ninputs=x\nneuron=logistic\n"
SOFTMAX = "[probs]\ntype=softmax\ninputs=x\n"
PROBABILITIES = softmax(normal(6, 5))
ONE_HOT = np.eye(5)[LABELS]
RIGHT = 2000 * np.eye(5)[LABELS]  # of which the probabilities are 0 and 1
OUTSIDE = np.array([[-2.0, 0.0, 1.0, 1.5, 0.25]])
CASES = {
    "probabilities of 0": CostCase(
        "v1",
        "cost.logreg\ninputs=labels,probs",
        RIGHT,
        {"labels": LABELS},
        lambda x, labels: 4.0 * len(x),
        lambda x, labels: np.zeros_like(x),
        TWICE,
        "[twice]\ncoeff=2\n",
    ),
    "predictions that are no probabilities": CostCase(
        "cysu",
        "cost.binxent\ninputs=targets,x",
        np.concatenate([OUTSIDE, OUTSIDE]),
        {"targets": np.array([[1.0] * 5, [0.0] * 5])},
        lambda x, targets: 50 + 50 - np.log(1.5) - np.log(0.25) - np.log(3) + 50 + 50 - np.log(0.75),
        lambda x, targets: np.array([[0.5, 0, -1, -1 / 1.5, -4], [1 / 3, 1, 0, -2, 1 / 0.75]]),
    ),
    "known labels, certain probabilities": CostCase(
        "cysu",
        "cost.logreg\ninputs=labels,remixed",
        np.eye(5)[[0, 1, 2, 3, 1, 1]],
        {"labels": SOME},
        lambda x, labels: log_loss(x, labels, labels != -1),
        lambda x, labels: -(np.eye(5)[labels] * (labels != -1)[:, None]),
        IDENTITY,
        RATES,
    ),
    "known labels": CostCase(
        "cysu",
        "cost.logreg\ninputs=labels,probs",
        normal(6, 5),
        {"labels": SOME},
        lambda x, labels: log_loss(softmax(x), labels, labels != -1),
        layers=SOFTMAX,
    ),
    "known targets": CostCase(
        "cysu",
        "cost.binxent\ninputs=targets,x",
        logistic(normal(6, 5)),
        {"targets": BITS},
        lambda x, targets: reference.masked_binary(targets, x)[0],
    ),
    "known targets of logits": CostCase(
        "cysu",
        "cost.binxent\ninputs=targets,y",
        normal(6, 5),
        {"targets": BITS},
        lambda x, targets: reference.masked_binary(targets, logistic(x))[0],
        layers=LOGISTIC,
    ),
    "task": CostCase(
        "s9xie",
        "cost.tasklogreg\ntaskId=2\ninputs=labels,tasks,probs",
        normal(6, 5),
        {"labels": LABELS, "tasks": TASKS},
        lambda x, labels, tasks: log_loss(softmax(x), labels, tasks == 2),
        layers=SOFTMAX,
        params="topk=1\n",
    ),
    "task without cases": CostCase(
        "s9xie",
        "cost.tasklogreg\ntaskId=7\ninputs=labels,tasks,probs",
        normal(6, 5),
        {"labels": LABELS, "tasks": TASKS},
        lambda x, labels, tasks: 0.0,
        layers=SOFTMAX,
        params="topk=1\n",
    ),
    "task of probabilities": CostCase(
        "s9xie",
        "cost.tasklogreg\ntaskId=2\ninputs=labels,tasks,probs",
        normal(6, 5),
        {"labels": LABELS, "tasks": TASKS},
        lambda x, labels, tasks: log_loss(softmax(x), labels, tasks == 2) + 4 * (softmax(x) ** 2).sum(),
        layers=TWICE,
        params="topk=1\n[twice]\ncoeff=2\n",
    ),
    "hinge": CostCase(
        "hunse",
        "cost.hingeloss\ninputs=labels,x",
        np.round(normal(6, 5, seed=1)),
        {"labels": LABELS},
        lambda x, labels: sum(reference.hinge(label, v)[0] for label, v in zip(labels, x, strict=True)),
        tied,
    ),
    "gated squares": CostCase(
        "alexnet-2012",
        "cost.gsum2\ninputs=gate,x",
        normal(6, 5),
        {"gate": normal(6, 1, seed=1)},
        lambda x, gate: (gate * x**2).sum(),
    ),
    **{
        f"topography of {size}": CostCase(
            "alexnet-2012",
            f"cost.tica\nchannels=2\nsizeX={size}\ninputs=x",
            SQUARE,
            {},
            partial(topography, size=size),
            partial(topography_gradient, size=size),
        )
        for size in (2, 3)
    },
    "two topographies": CostCase(
        "alexnet-2012",
        "cost.tica\nchannels=2\nsizeX=2\ninputs=x",
        SQUARE,
        {},
        lambda x: topography(x, 2) + 3 * topography(x, 3),
        lambda x: topography_gradient(x, 2) + 3 * topography_gradient(x, 3),
        "[other]\ntype=cost.tica\nchannels=2\nsizeX=3\ninputs=x\n",
        "[other]\ncoeff=1.5\n",
    ),
    "subsets": CostCase(
        "alexnet-2012",
        "cost.msm\ninputs=labels,x",
        3 * normal(6, 5),
        {"labels": LABELS},
        subsets,
        params="setSize=3\n",
    ),
    **{
        f"sparsity of {values.shape[1]}": CostCase(
            "nin",
            "cost.gsinlabel\nchannels=2\ninputs=labels,x",
            values,
            {"labels": LABELS},
            lambda x, labels: sum(root for _, _, root in reference.group_roots(labels, as_pixels(x))),
            lambda x, labels: (
                reference.group_gradient(labels, as_pixels(x)).swapaxes(1, 2).reshape(len(x), -1)
            ),
        )
        for values in (SQUARE, LINE)
    },
    "pairs": CostCase(
        "zbhzxyld",
        "cost.l2-sn\nm=2.5\ninputs=labels,x",
        normal(8, 3),
        {"labels": np.array([1, 0, 2, 0, 1, 0, 1, 2])},
        lambda x, labels: sum(reference.contrastive(labels, x, 2.5)),
    ),
    "pairs of an odd number": CostCase(
        "zbhzxyld",
        "cost.l2-sn\nm=2.5\ninputs=labels,x",
        normal(7, 3),
        {"labels": np.array([1, 0, 2, 1, 1, 0, 1])},
        lambda x, labels: sum(reference.contrastive(labels, x, 2.5)),
    ),
    "pairs of equals": CostCase(
        "zbhzxyld",
        "cost.l2-sn\nm=2\ninputs=labels,x",
        np.ones((4, 2)),
        {"labels": np.array([0, 1, 0, 2])},
        lambda x, labels: 2.0,  # that of the pair with different labels: 2 ** 2 / 2
        lambda x, labels: np.zeros_like(x),
    ),
    "ranking": CostCase(
        "zhaofang0627",
        "cost.locrank\ninputs=x,second,third,weights",
        CODES[0],
        {
            "second": CODES[1],
            "third": CODES[2],
            "weights": np.array([[1.0], [0.5], [2.0], [0.0], [1.5], [3.0]]),
        },
        ranked,
        ranking_gradient,
    ),
}


def network_of(case, folder):
    """Return the network of a cost; x comes through an identity, as what layers make."""
    data = [f"[{name}]\ntype=data\ndataIdx={n}\n" for n, name in enumerate(["given", *case.others])]
    passed = "[x]\ntype=neuron\ninputs=given\nneuron=ident\n"
    cost = f"[cost]\ntype={case.cost}\n"
    (folder / "layers.cfg").write_text("".join(data) + passed + case.layers + cost)
    own, others = case.params.partition("[")[::2]
    rest = f"[{others}" if others else ""
    (folder / "params.cfg").write_text(f"[cost]\ncoeff={COEFFICIENT}\n{own}{rest}")
    reading = Reading("lenient", case.dialect)
    dims = [array[0].size for array in (case.x, *case.others.values())]
    return build_network(read_pair(folder / "layers.cfg", folder / "params.cfg", reading), dims)


def text_of(name, folder):
    network = network_of(CASES[name], folder)
    given = {"title": "net", "files": "net.cfg", "decay": DEFAULT_DECAY}
    return translate(network, data_shapes(network), **given).text


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return {name: text_of(name, tmp_path_factory.mktemp("net")) for name in CASES}


def job(name, text, dtype):
    case = CASES[name]
    arrays = {"input/0": case.x if "(N, 2, 4, 4)" not in text else case.x.reshape(-1, 2, 4, 4)}
    for number, (target, array) in enumerate(case.others.items()):
        arrays[f"target/{number}"] = array if array.ndim == 2 or target == "labels" else array[:, None] * 1.0
    if case.layers == IDENTITY:
        arrays["weight/remixed.weight"] = np.eye(5)
    return Job(f"{name}-{dtype}".replace(" ", "_"), text, arrays, objective=True, dtype=dtype)


def wanted(case):
    """Return the objective, and its gradient by x."""
    scale = COEFFICIENT / len(case.x)
    others = case.others.values()
    if case.gradient is not None:
        return scale * case.total(case.x, *others), scale * case.gradient(case.x, *others)
    gradient = np.zeros_like(case.x)
    for place in np.ndindex(case.x.shape):
        moved = [case.x.copy(), case.x.copy()]
        for sign, x in zip((1, -1), moved, strict=True):
            x[place] += sign * STEP
        above, below = (case.total(x, *others) for x in moved)
        gradient[place] = (above - below) / (2 * STEP)
    return scale * case.total(case.x, *others), scale * gradient


@pytest.mark.slow
def test_costs_and_their_gradients_are_those_of_the_formulas(texts, tmp_path):
    jobs = {(name, dtype): job(name, text, dtype) for name, text in texts.items() for dtype in TOLERANCE}
    results = run(list(jobs.values()), tmp_path)
    for name, case in CASES.items():
        cost, gradient = wanted(case)
        for dtype, tolerance in TOLERANCE.items():
            found = results[jobs[name, dtype].name]
            assert found["objective"].dtype == dtype
            assert close(found["objective"], np.array(cost)) <= tolerance, (name, dtype)
            assert close(found["input_gradient/0"].reshape(gradient.shape), gradient) <= tolerance, (
                name,
                dtype,
            )


@pytest.mark.slow
def test_costs_are_well_written(texts, tmp_path):
    assert_well_written(texts, tmp_path)


def test_all_that_keras_has_words_for_has_some_in_pytorch():
    assert torch_costs.COSTS.keys() == keras_costs.COSTS.keys()
    in_keras = {*keras_emit.EMITTERS, *keras_weights.ONE} - {type(None)}
    assert torch_steps.EMITTERS.keys() == in_keras
    assert nn.Conv2D in in_keras
