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


def nothing(d, rate, base):
    return 0.0


def torch_run(make, changes=CHANGES, decay=lambda d, rate, base: d, before=nothing, after=nothing):
    """Weights after 50 steps, from functions of d, the rate now and that at the start.

    decay: weight_decay of PyTorch; before, after: the share of the weight that code of one's own takes
    off before or after the step.
    """
    weights = {name: torch.tensor(start, requires_grad=True) for name, start in STARTS.items()}
    optimizer = make([{"params": [w], "name": name} for name, w in weights.items()])
    for step in range(STEPS):
        for group in optimizer.param_groups:
            name = group["name"]
            group["lr"] = rate_at(name, step, changes)
            group["weight_decay"] = decay(DECAYS_OF[name], group["lr"], RATES[name])
        optimizer.zero_grad()
        sum((-torch.cos(w) + 0.1 * w).sum() for w in weights.values()).backward()
        shrink(optimizer, before)
        optimizer.step()
        shrink(optimizer, after)
    return {name: w.detach().numpy() for name, w in weights.items()}


@torch.no_grad()
def shrink(optimizer, share):
    for group in optimizer.param_groups:
        (w,), name = group["params"], group["name"]
        w.mul_(1 - share(DECAYS_OF[name], group["lr"], RATES[name]))


def whole(d, rate, base):
    return d


def of_rate(d, rate, base):
    return d / rate


def of_schedule(d, rate, base):
    return d / base


# By the names of the table in the documentation: what PyTorch is told, and what is one's own code.
COUPLED, WITHOUT = {}, {"decay": nothing}
OWN_CODE = {
    "decoupled": {"decay": nothing, "before": whole},
    "decoupled-lr": {"decay": nothing, "before": lambda d, rate, base: rate * d},
    "decoupled-schedule": {"decay": nothing, "before": lambda d, rate, base: rate / base * d},
    "decoupled-matched": {"decay": nothing, "before": lambda d, rate, base: rate / (1 - 0.875) * d},
    "after-step": {"decay": nothing, "after": whole},
}
SGD = {"cuda-convnet": COUPLED, "l2": COUPLED, **OWN_CODE, "none": WITHOUT}
EXPRESSIBLE = {
    **{("momentum", "outside", decay): (sgd(), options) for decay, options in SGD.items()},
    **{("nesterov", "outside", decay): (sgd(nesterov=True), options) for decay, options in SGD.items()},
    ("adam", None, "cuda-convnet"): (adam, COUPLED),
    ("adam", None, "l2"): (adam, COUPLED),
    ("adam", None, "decoupled"): (adamw, {"decay": of_rate}),
    ("adam", None, "decoupled-lr"): (adamw, {}),
    ("adam", None, "decoupled-schedule"): (adamw, {"decay": of_schedule}),
    ("adam", None, "decoupled-matched"): (adamw, {}),
    ("adam", None, "after-step"): (adamw, OWN_CODE["after-step"]),
    ("adam", None, "none"): (adam, WITHOUT),
}


def arguments_of(names):
    rule, position, decay = names
    return {"rule": rule, "rate_position": position, "decay": decay} | (OUR_ADAM if rule == "adam" else {})


def test_all_but_the_rate_inside_is_there():
    assert set(EXPRESSIBLE) == {names for names in COMBINATIONS if names[1] != "inside"}


@pytest.mark.parametrize("names", EXPRESSIBLE, ids=combination_id)
def test_groups_of_pytorch_take_the_same_steps(names):
    make, options = EXPRESSIBLE[names]
    assert_same(torch_run(make, **options), ours(**arguments_of(names)), 1e-12)


@pytest.mark.parametrize("names", [n for n in EXPRESSIBLE if n[0] != "adam"], ids=combination_id)
def test_the_rate_inside_is_the_same_only_while_it_stays(names):
    (make, options), inside = EXPRESSIBLE[names], arguments_of(names) | {"rate_position": "inside"}
    assert_same(torch_run(make, CONSTANT, **options), ours(CONSTANT, **inside), 1e-12)
    with pytest.raises(AssertionError):
        assert_same(torch_run(make, **options), ours(**inside), 1e-3)


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
