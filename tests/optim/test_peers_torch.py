"""PyTorch's optimizers with param_groups and rates that change, where both can express the same."""

import pytest
from optim_reference import COMBINATIONS, combination_id
from peer_cases import CHANGES, DECAYS_OF, RATES, STARTS, STEPS, assert_same, ours, rate_at

from convnet_cfg.optim import DECAYS

torch = pytest.importorskip("torch", reason="compares with PyTorch: pip install torch")

CONSTANT = {0: 1.0}
ADAM = {"betas": (0.875, 0.99), "eps": 1e-3}
OUR_ADAM = {"momentum": 0.875, "second_momentum": 0.99, "epsilon": 1e-3}


def sgd(**more):
    def make(groups):
        return torch.optim.SGD(groups, lr=1.0, momentum=0.875, **more)

    return make


def adam(groups):
    return torch.optim.Adam(groups, lr=1.0, **ADAM)


def adamw(groups):
    return torch.optim.AdamW(groups, lr=1.0, **ADAM)


def torch_run(make, changes=CHANGES, decay=lambda d, rate, base: d, after=lambda w, d: None):
    """Weights after 50 steps; decay: weight_decay of PyTorch from d, the rate now and that at the start."""
    weights = {name: torch.tensor(start, requires_grad=True) for name, start in STARTS.items()}
    optimizer = make([{"params": [w], "name": name} for name, w in weights.items()])
    for step in range(STEPS):
        for group in optimizer.param_groups:
            name = group["name"]
            group["lr"] = rate_at(name, step, changes)
            group["weight_decay"] = decay(DECAYS_OF[name], group["lr"], RATES[name])
        optimizer.zero_grad()
        sum((-torch.cos(w) + 0.1 * w).sum() for w in weights.values()).backward()
        optimizer.step()
        with torch.no_grad():
            for name, w in weights.items():
                after(w, DECAYS_OF[name])
    return {name: w.detach().numpy() for name, w in weights.items()}


def shrink(w, d):
    w.mul_(1 - d)


def of_schedule(d, rate, base):
    return d / base


def of_rate(d, rate, base):
    return d / rate


def nothing(d, rate, base):
    return 0.0


NESTEROV = sgd(nesterov=True)
EXPRESSIBLE = {
    ("momentum", "outside", "cuda-convnet"): (sgd(), {}),
    ("momentum", "outside", "l2"): (sgd(), {}),
    ("momentum", "outside", "none"): (sgd(), {"decay": nothing}),
    ("momentum", "outside", "after-step"): (sgd(), {"decay": nothing, "after": shrink}),
    ("nesterov", "outside", "cuda-convnet"): (NESTEROV, {}),
    ("nesterov", "outside", "l2"): (NESTEROV, {}),
    ("nesterov", "outside", "none"): (NESTEROV, {"decay": nothing}),
    ("nesterov", "outside", "after-step"): (NESTEROV, {"decay": nothing, "after": shrink}),
    ("adam", None, "cuda-convnet"): (adam, {}),
    ("adam", None, "l2"): (adam, {}),
    ("adam", None, "decoupled"): (adamw, {"decay": of_rate}),
    ("adam", None, "decoupled-lr"): (adamw, {}),
    ("adam", None, "decoupled-schedule"): (adamw, {"decay": of_schedule}),
    ("adam", None, "decoupled-matched"): (adamw, {}),
    ("adam", None, "after-step"): (adamw, {"decay": nothing, "after": shrink}),
    ("adam", None, "none"): (adam, {"decay": nothing}),
}


def arguments_of(names):
    rule, position, decay = names
    return {"rule": rule, "rate_position": position, "decay": decay} | (OUR_ADAM if rule == "adam" else {})


def test_the_combinations_are_ours():
    assert set(EXPRESSIBLE) <= set(COMBINATIONS)
    assert {decay for rule, _, decay in EXPRESSIBLE if rule == "adam"} == set(DECAYS)


@pytest.mark.parametrize("names", EXPRESSIBLE, ids=combination_id)
def test_groups_of_pytorch_take_the_same_steps(names):
    make, options = EXPRESSIBLE[names]
    assert_same(torch_run(make, **options), ours(**arguments_of(names)), 1e-12)


@pytest.mark.parametrize(("rule", "make"), [("momentum", sgd()), ("nesterov", NESTEROV)])
def test_the_position_of_the_rate_matters_only_when_it_changes(rule, make):
    inside = {"rule": rule, "rate_position": "inside"}
    assert_same(torch_run(make, CONSTANT), ours(CONSTANT, **inside), 1e-12)
    with pytest.raises(AssertionError):
        assert_same(torch_run(make), ours(**inside), 1e-3)


def test_adamw_is_not_adam_with_decay():
    with pytest.raises(AssertionError):
        assert_same(torch_run(adam), torch_run(adamw), 1e-3)


@pytest.mark.parametrize("decay", [decay for decay in DECAYS if decay.startswith("decoupled")])
def test_sgd_of_pytorch_knows_no_decoupled_decay(decay):
    with pytest.raises(TypeError, match="decoupled_weight_decay"):
        torch.optim.SGD([torch.zeros(1)], lr=1.0, decoupled_weight_decay=True)
    with pytest.raises(AssertionError):
        assert_same(torch_run(sgd()), ours(rate_position="outside", decay=decay), 1e-3)


def test_a_parameter_in_no_group_is_left_out_in_silence():
    layer = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD([{"params": [layer.weight]}], lr=0.1)
    before = layer.bias.detach().clone()
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert torch.equal(layer.bias, before)


def test_a_rate_of_zero_still_moves_the_velocity():
    w = torch.ones(1, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.0, momentum=0.5)
    w.sum().backward()
    optimizer.step()
    assert optimizer.state[w]["momentum_buffer"].item() == 1.0
