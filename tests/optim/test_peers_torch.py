"""PyTorch's optimizers with param_groups and rates that change, where both can express the same."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from optim_reference import COMBINATIONS, combination_id
from peer_cases import STARTS, assert_same, ours

from convnet_cfg.optim import DECAYS

pytestmark = pytest.mark.slow

if find_spec("torch") is None:
    pytest.skip("compares with PyTorch: pip install torch", allow_module_level=True)

CONSTANT = {0: 1.0}
OUR_ADAM = {"momentum": 0.875, "second_momentum": 0.99, "epsilon": 1e-3}
EXPRESSIBLE = [names for names in COMBINATIONS if names[1] != "inside"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    target = tmp_path_factory.mktemp("torch") / "weights.npz"
    script = Path(__file__).with_name("torch_runs.py")
    ran = subprocess.run([sys.executable, script, target], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return np.load(target), json.loads(ran.stdout)


def theirs(results, run):
    weights = {name: results[0][f"{run}:{name}"] for name in STARTS}
    assert all(weight.dtype == np.float64 for weight in weights.values())
    return weights


def arguments_of(names):
    rule, position, decay = names
    return {"rule": rule, "rate_position": position, "decay": decay} | (OUR_ADAM if rule == "adam" else {})


def test_all_but_the_rate_inside_is_there(results):
    runs = {name.partition(":")[0] for name in results[0]}
    assert {combination_id(names) for names in EXPRESSIBLE} <= runs


@pytest.mark.parametrize("names", EXPRESSIBLE, ids=combination_id)
def test_groups_of_pytorch_take_the_same_steps(results, names):
    assert_same(theirs(results, combination_id(names)), ours(**arguments_of(names)), 1e-12)


@pytest.mark.parametrize("names", [n for n in EXPRESSIBLE if n[0] != "adam"], ids=combination_id)
def test_the_rate_inside_is_the_same_only_while_it_stays(results, names):
    inside = arguments_of(names) | {"rate_position": "inside"}
    assert_same(theirs(results, f"constant-{combination_id(names)}"), ours(CONSTANT, **inside), 1e-12)
    with pytest.raises(AssertionError):
        assert_same(theirs(results, combination_id(names)), ours(**inside), 1e-3)


def test_adamw_is_not_adam_with_decay(results):
    with pytest.raises(AssertionError):
        assert_same(theirs(results, "plain-adam"), theirs(results, "plain-adamw"), 1e-3)


@pytest.mark.parametrize("decay", [decay for decay in DECAYS if decay.startswith("decoupled")])
def test_sgd_of_pytorch_knows_no_decoupled_decay(results, decay):
    assert "decoupled_weight_decay" in results[1]["SGD with decoupled_weight_decay"]
    with pytest.raises(AssertionError):
        assert_same(theirs(results, "plain-sgd"), ours(rate_position="outside", decay=decay), 1e-3)


def test_a_parameter_in_no_group_is_left_out_in_silence(results):
    assert results[1]["bias left out"] is True


def test_a_rate_of_zero_still_moves_the_velocity(results):
    assert results[1]["velocity at rate 0"] == 1.0
