"""`convnet train`: what it prints and logs."""

from __future__ import annotations

import contextlib
import io
import json
import re

import pytest
from tiny_runs import PARAMS, PRINTED_COSTS, log, options, write_pair

from convnet_cfg.cli.describe import describe
from convnet_cfg.cli.lines import PlainLines, batch_list, cost_text
from convnet_cfg.language.params import DECAYS
from convnet_cfg.training.observer import Result, costs_of
from convnet_cfg.training.position import Position
from convnet_cfg.training.setup import prepare


def test_plain_lines(train, the_run, data):
    """A line for each batch and each test, and nothing that moves: this is no terminal."""
    lines = train("--epochs=2", "--test-freq=2").output.splitlines()
    seconds = r"\d+\.\d\d s"

    def batch(position):
        return rf" +{position}  {PRINTED_COSTS}  \({seconds}, [\d,]+ cases/s\)"

    def test(number):
        return rf"   test  {PRINTED_COSTS}  \(batch {number}; {seconds}\)"

    expected = [
        r"network    7 layers, [\d,]+ parameters; cuda-convnet with dropout",
        rf"data       cifar-cropped in {re.escape(str(data))}: train on 1-3, test on 4-5",
        r"training   to epoch 2, minibatch 16, seed 7",
        r"decay      cuda-convnet: V = m V - e \(G \+ d W\); W = W \+ V \(e, m, d: eps, mom, wc\)",
        rf"run        runs/{the_run().name}",
        batch(r"1\.1"),
        batch(r"1\.2"),
        test(4),
        batch(r"1\.3"),
        batch(r"2\.1"),
        test(5),
        batch(r"2\.2"),
        batch(r"2\.3"),
        test(4),
        rf"final test  {PRINTED_COSTS}  \(batch 4-5; {seconds}\)",
        r"",
        rf"The run directory is runs/{the_run().name}",
        rf"  test it again:      convnet test runs/{the_run().name}",
        rf"  train it further:   convnet-train -f runs/{the_run().name} --epochs 3",
        rf"  change its rates:   edit runs/{the_run().name}/params.cfg, then train it further",
    ]
    for line, pattern in zip(lines, expected, strict=True):
        assert re.fullmatch(pattern, line), (line, pattern)


def shape(line):
    """Return a line of the original with every number replaced by the number of its decimals."""
    line = re.sub(r"\d\.\d{6}e[-+]\d\d", "E", line.rstrip())
    line = re.sub(r"\d+\.(\d{6}|\d{3})(?!\d)", lambda match: f"F{len(match[1])}", line)
    return re.sub(r"^\d+\.\d+\.\.\.", "N.N...", line)


def blocks(lines):
    """Return the lines of batches and the lines of one test, in the shape of each, from a log."""
    lines = list(lines)
    start = next(index for index, line in enumerate(lines) if line.startswith("=") and "Test output" in line)
    end = next(index for index in range(start, len(lines)) if lines[index].endswith("sec)"))
    test = [shape(line) for line in lines[start : end + 1]]
    # Which layers there are, and where the checkpoint is, is not the same in two runs.
    test = [re.sub(r"Layer '\w+' (weights\[0\]|biases)", "Layer WHAT", line) for line in test]
    test = [re.sub(r"(Saved checkpoint to ).*", r"\1PATH", line) for line in test]
    return {shape(line) for line in lines if re.match(r"\d+\.\d+\.\.\.", line)}, list(dict.fromkeys(test))


def test_lines_of_the_original(train, golden):
    """Line for line of the same shape as what the original printed."""
    printed = train("--test-freq=2", "--log-format=convnet").output.splitlines()
    original = (golden / "e2e_cifar" / "train_epoch1.log").read_text().splitlines()
    assert blocks(printed) == blocks(original)
    assert "N.N... logprob:  F6, F6 (F3 sec)" in blocks(printed)[0]
    assert "N.N... logprob:  F6, F6" in blocks(printed)[0]
    assert sum(line.startswith("Layer ") for line in printed) == 2 * 4  # the test, and the final one


def test_numbers_of_the_original_s_lines(train, the_run):
    printed = train("--log-format=convnet").output
    first, *_ = log(the_run())
    cost, error = first["costs"]["logprob"]
    assert f"1.1... logprob:  {cost:.6f}, {error:.6f} (" in printed


def test_a_progress_bar_on_a_terminal():
    lines = PlainLines(epochs=3, progress=True)
    lines.batch_started(1, 2, 8)
    lines.minibatches_done(5, 8)
    (task,) = lines.bar.tasks
    assert (task.description, task.completed, task.total) == ("epoch 1/3 batch 2", 5, 8)
    lines.batch_started(1, 3, 6)
    (task,) = lines.bar.tasks
    assert (task.description, task.completed, task.total) == ("epoch 1/3 batch 3", 0, 6)
    lines.close()
    assert PlainLines(epochs=3).bar is None


def test_words_for_batches_and_costs():
    assert [batch_list(numbers) for numbers in ((1, 2, 3), (6,))] == ["1-3", "6"]
    costs = {"logprob": (1.5, 0.25), "other": (2.0,)}
    result = Result("train", Position(1, 2), costs, 10, columns={"logprob": ("error",)})
    assert cost_text(result) == "logprob 1.5000, error 25.00%, other 2.0000"


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (("a", "b"), "cost 1.5000, a 25.00%, b inf"),
        (("a", ""), "cost 1.5000, a 25.00%"),
        (("a", "b", "c"), "cost 1.5000, a 25.00%, b inf"),
        (("a",), "cost 1.5000, a 25.00%, inf"),
    ],
)
def test_names_of_the_values_behind_a_cost(names, text):
    result = Result("train", Position(1, 2), {"cost": (1.5, 0.25, float("inf"))}, 10, columns={"cost": names})
    assert cost_text(result) == text
    line = json.dumps(result.to_json(), allow_nan=False)
    assert costs_of(json.loads(line)) == result.costs


FORMULAS = {
    "cuda-convnet": "V = m V - e (G + d W); W = W + V",
    "l2": "V = m V - e (G + d W); W = W + V; d/2 |W|^2 is added to the cost",
    "decoupled": "V = m V - e G; W = W + V - d W",
    "decoupled-lr": "V = m V - e G; W = W + V - e d W",
    "decoupled-schedule": "V = m V - e G; W = W + V - (e/e0) d W",
    "decoupled-matched": "V = m V - e G; W = W + V - e/(1-m) d W",
    "after-step": "V = m V - e G; W = (1 - d) (W + V)",
    "none": "V = m V - e G; W = W + V; d is ignored",
}
assert FORMULAS.keys() == set(DECAYS)


@pytest.mark.parametrize("decay", FORMULAS)
def test_a_run_prints_its_decay(convnet, data, tmp_path, decay):
    """All that is printed before the network is built; the data are missing, so that it never is."""
    layers, params = write_pair(tmp_path, params=PARAMS.replace("wc=0.03", "wc=0.03\ndecay=after-step"))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        describe(prepare(layers, params, options(data, decay=decay)), False)
    meaning = f"{FORMULAS[decay]} (e, m, d: eps, mom, wc)"
    assert f"\ndecay      {decay}: {meaning}; by the parameter file also after-step\n" in printed.getvalue()


def test_every_line_of_the_log_is_json(train, the_run):
    train("--test-freq=1")
    for name in ("log.jsonl", "times.jsonl"):
        lines = (the_run() / name).read_text().splitlines()
        assert [json.loads(line)["kind"] for line in lines] == ["train", "test"] * 3


SEVERAL = """
import numpy as np
from convnet_cfg.data import DataProvider


class Several(DataProvider):
    shapes = ((8,), (3,))
    num_classes = 3
    numbers = (1, 2)

    def test_arrays(self, number):
        rng = np.random.default_rng(number)
        return rng.random((30, 8), np.float32), rng.integers(0, 2, (30, 3)) * np.float32((1, 1, 0))
"""
BINARY = """
[data]
type=data
dataIdx=0
[targets]
type=data
dataIdx=1
[fc]
type=fc
inputs=data
outputs=3
initW=0.1
neuron=logistic
gpu=0
[cost]
type=cost.{0}
inputs=targets,fc
gpu=0
"""
RATES = "".join(f", {rate} of {number} SHARE" for number in range(3) for rate in ("precision", "recall"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("bce", ", wrong outputs SHARE, error SHARE"), ("dce", f", wrong outputs SHARE{RATES}")],
)
def test_all_values_of_binary_cross_entropies(convnet, tmp_path, the_run, name, expected):
    """costs.md sections 4 and 5; the last class of dce has no positives, hence no recall."""
    (tmp_path / f"several_for_{name}.py").write_text(SEVERAL)
    params = "[fc]\nepsW=0.001\nepsB=0.002\nmomW=0.9\nmomB=0.9\nwc=0\n[cost]\ncoeff=1\n"
    write_pair(tmp_path, BINARY.format(name), params)
    provider = f"--data-provider=several_for_{name}.Several"
    options = (provider, "--train-range=1", "--test-range=2", "--epochs=1", "--mini=10")
    printed = convnet("train", "net.cfg", "net.params.cfg", *options).stdout
    pattern = re.escape(expected).replace("SHARE", r"(?:\d+\.\d\d%|inf)")
    (final,) = re.findall(rf"final test  (cost \d\.\d{{4}}{pattern})  \(", printed)
    assert ("recall of 2 inf" in final) is (name == "dce")
    assert f"final test  {final}  (batch 2; as tested before)" in convnet("train", "-f", the_run()).stdout
    for file in ("log.jsonl", "run.json"):
        assert "Infinity" not in (the_run() / file).read_text()
    assert (log(the_run())[0]["costs"]["cost"][-1] is None) is (name == "dce")
