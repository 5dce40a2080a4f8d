"""optax, with a chain of transformations for each group: it can express all that we do, in JAX."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from optim_reference import COMBINATIONS, combination_id
from peer_cases import STARTS, assert_same, ours

pytestmark = pytest.mark.slow

if find_spec("optax") is None:
    pytest.skip("compares with optax: pip install optax", allow_module_level=True)

ADAM = {"second_momentum": 0.99, "epsilon": 1e-3}
# optax.adamw and sgd as they are; all others are chains of its parts.
READY_MADE = [
    ("momentum", "outside", "none"),
    ("nesterov", "outside", "none"),
    ("adam", None, "none"),
    ("adam", None, "decoupled-lr"),
    ("adam", None, "decoupled-schedule"),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    target = tmp_path_factory.mktemp("optax") / "weights.npz"
    script = Path(__file__).with_name("optax_runs.py")
    ran = subprocess.run([sys.executable, script, target], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return np.load(target)


@pytest.mark.parametrize(
    ("kind", "names"),
    [("", names) for names in COMBINATIONS] + [("ready-", names) for names in READY_MADE],
    ids=[combination_id(names) for names in COMBINATIONS]
    + [f"ready-{combination_id(names)}" for names in READY_MADE],
)
def test_a_chain_of_optax_for_each_group_takes_the_same_steps(results, kind, names):
    rule, position, decay = names
    arguments = {"rule": rule, "rate_position": position, "decay": decay} | (ADAM if rule == "adam" else {})
    theirs = {name: results[f"{kind}{combination_id(names)}:{name}"] for name in STARTS}
    assert all(weight.dtype == np.float64 for weight in theirs.values())
    assert_same(theirs, ours(**arguments), 1e-12)


def in_a_process(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_a_label_without_a_transformation_is_an_error_a_transformation_without_a_label_is_not():
    setting = "import optax; sgd = optax.sgd(0.1); W = {'kernel': 1.0, 'bias': 1.0}; "
    found = in_a_process(setting + "optax.partition({'a': sgd}, {'kernel': 'a', 'bias': 'b'}).init(W)")
    assert "Some parameters have no corresponding transformation" in found.stderr
    found = in_a_process(
        setting + "optax.partition({'a': sgd, 'b': sgd}, {'kernel': 'a', 'bias': 'a'}).init(W)"
    )
    assert found.returncode == 0, found.stderr


def test_a_rate_of_zero_does_not_freeze():
    code = (
        "import optax; tx = optax.chain(optax.trace(0.5), optax.scale_by_learning_rate(0.0),"
        "optax.add_decayed_weights(-0.25)); import jax.numpy as jnp; W = jnp.ones(1);"
        "updates, state = tx.update(jnp.ones(1), tx.init(W), W);"
        "print(float(W[0] + updates[0]), float(state[0].trace[0]))"
    )
    assert in_a_process(code).stdout.split() == ["0.75", "1.0"]


def test_one_norm_over_all_groups():
    code = (
        "import optax, jax.numpy as jnp; W = {'a': jnp.zeros(1), 'b': jnp.zeros(1)};"
        "parts = optax.partition({'a': optax.sgd(1.0), 'b': optax.sgd(1.0)}, {'a': 'a', 'b': 'b'});"
        "tx = optax.chain(optax.clip_by_global_norm(1.0), parts);"
        "updates, _ = tx.update({'a': jnp.full(1, 3.0), 'b': jnp.full(1, 4.0)}, tx.init(W), W);"
        "print(*(round(float(updates[name][0]), 6) for name in 'ab'))"
    )
    assert in_a_process(code).stdout.split() == ["-0.6", "-0.8"]
