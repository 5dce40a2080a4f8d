"""docs/weight-decay.md: its code runs and prints what it says, its tables hold, its example trains."""

import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from convnet_cfg.optim import DECAYS, Group, GroupedOptimizer

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "weight-decay.md").read_text()
EXAMPLE = DOCS / "examples" / "grouped_optimizer_digits.py"
BLOCK = re.compile(r"```python\n(?P<code>.*?)```\n(?:\n```text\n(?P<output>.*?)```\n)?", re.DOTALL)


def test_the_code_prints_what_the_page_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(1)
    namespace = {"__name__": "page"}
    blocks = list(BLOCK.finditer(PAGE))
    assert len(blocks) == PAGE.count("```python")
    for block in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block["code"], "weight-decay.md", "exec"), namespace)
        assert printed.getvalue() == (block["output"] or "")


@pytest.mark.slow
def test_the_example(tmp_path):
    pytest.importorskip("sklearn")
    done = subprocess.run(
        [sys.executable, str(EXAMPLE)], capture_output=True, text=True, cwd=DOCS.parent, check=True
    )
    *table, accuracy = done.stdout.splitlines()
    shown = re.search(r"\$ python docs/examples/grouped_optimizer_digits.py\n(.*?)\n```", PAGE, re.DOTALL)[1]
    *shown_table, shown_accuracy = shown.splitlines()
    assert table == shown_table
    right = r"held out: (\d+\.\d)% right"
    assert float(re.fullmatch(right, accuracy)[1]) > 95
    assert re.fullmatch(right, shown_accuracy)


def test_the_page_shows_the_groups_of_the_example():
    shown = next(block["code"] for block in BLOCK.finditer(PAGE) if "def groups" in block["code"])
    assert shown[shown.index("def groups") :].strip() in EXAMPLE.read_text()


def rows(heading):
    """The rows of the first table behind a heading, as lists of cells."""
    lines = PAGE[PAGE.index(f"\n{heading}\n") :].splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith("|"))
    table = []
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return table


def test_the_equations_are_those_of_the_table_of_decays():
    written = {name.split("`")[1]: step for name, step, *_ in rows("## The equations")}
    assert list(written) == list(DECAYS)
    for name, step in written.items():
        if name not in ("l2", "none"):
            assert step == DECAYS[name].formula


SETTLED = {
    "-G / d": lambda e, e0, m, d, G: -G / d,
    "-e G / ((1-m) d)": lambda e, e0, m, d, G: -e * G / ((1 - m) * d),
    "-G / ((1-m) d)": lambda e, e0, m, d, G: -G / ((1 - m) * d),
    "-e0 G / ((1-m) d)": lambda e, e0, m, d, G: -e0 * G / ((1 - m) * d),
    "-(1-d) e G / ((1-m) d)": lambda e, e0, m, d, G: -(1 - d) * e * G / ((1 - m) * d),
}


@pytest.mark.parametrize("row", rows("## The equations")[:-1], ids=lambda row: row[0])
def test_where_a_weight_settles(row):
    e, e0, m, d, G = 0.5, 1.0, 0.6, 0.2, -1.5
    expected = SETTLED[row[3]](e, e0, m, d, G)
    kind = {"weight_decay": d, "decay": row[0].split("`")[1], "base_learning_rate": e0}
    weight = keras.Variable(expected, dtype="float64")
    optimizer = GroupedOptimizer([Group(weight, learning_rate=e, momentum=m, **kind)])
    optimizer.build([weight])
    optimizer.velocity(weight).assign(0 if "cuda" in row[0] or "l2" in row[0] else -e * G / (1 - m))
    optimizer.apply([np.float64(G)], [weight])
    assert float(weight) == pytest.approx(expected, rel=1e-6)


STEPS = [(-1.0, 0.1), (0.5, 0.1), (2.0, 0.1), (-0.3, 0.02), (0.7, 0.02), (0.1, 0.02)]


def with_rates(optimizer, start=1.0, penalty=None):
    """The weights after each step of an optimizer of Keras, at rates that change."""
    weight = keras.Variable(start)
    optimizer.build([weight])
    weights = []
    for gradient, rate in STEPS:
        optimizer.learning_rate = rate
        extra = 2 * penalty.l2 * float(weight) if penalty else 0
        optimizer.apply([np.float32(gradient + extra)], [weight])
        weights.append(float(weight))
    return weights


def grouped(**settings):
    """The same of a group, whose rate is the factor over all groups."""
    return with_rates(
        GroupedOptimizer([Group("*", learning_rate=1, weight_decay=0.3, **{"momentum": 0.9, **settings})])
    )


@pytest.mark.parametrize(
    ("peer", "settings"),
    [
        (lambda: keras.optimizers.SGD(0.1, 0.9, weight_decay=0.3), {"decay": "decoupled-lr"}),
        (
            lambda: keras.optimizers.SGD(0.1, 0.9, nesterov=True, weight_decay=0.3),
            {"decay": "decoupled-lr", "rule": "nesterov"},
        ),
        (
            lambda: keras.optimizers.AdamW(0.1, 0.3, epsilon=1e-8),
            {"decay": "decoupled-lr", "rule": "adam"},
        ),
        (
            lambda: keras.optimizers.AdamW(0.1, 0.3, epsilon=1e-8),
            {"decay": "decoupled-matched", "rule": "adam"},
        ),
    ],
    ids=["SGD", "Nesterov", "AdamW", "AdamW matched"],
)
def test_what_keras_means(peer, settings):
    np.testing.assert_allclose(grouped(**settings), with_rates(peer()), rtol=1e-5)


def test_the_factor_two_of_keras_regularizer():
    penalty = keras.regularizers.L2(0.15)
    assert float(penalty(np.float32(1))) == pytest.approx(0.15)
    theirs = with_rates(keras.optimizers.SGD(0.1, 0.9), penalty=penalty)
    np.testing.assert_allclose(grouped(decay="l2"), theirs, rtol=1e-5)
