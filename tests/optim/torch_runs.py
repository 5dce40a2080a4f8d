"""Weights after 50 steps of PyTorch, in a process of its own: `python torch_runs.py FILE`.

Some builds of PyTorch cannot be imported where TensorFlow is: both bring a compiler, and their names clash.
"""

import json
import sys

import numpy as np
import torch
from optim_reference import combination_id
from peer_cases import CHANGES, DECAYS_OF, RATES, STARTS, STEPS, rate_at

CONSTANT = {0: 1.0}
ADAM = {"betas": (0.875, 0.99), "eps": 1e-3}


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


def facts():
    """What PyTorch does where ours does something else, by small programs."""
    layer = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD([{"params": [layer.weight]}], lr=0.1)
    before = layer.bias.detach().clone()
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    w = torch.ones(1, requires_grad=True)
    still = torch.optim.SGD([w], lr=0.0, momentum=0.5)
    w.sum().backward()
    still.step()
    try:
        torch.optim.SGD([torch.zeros(1)], lr=1.0, decoupled_weight_decay=True)
        message = ""
    except TypeError as error:
        message = str(error)
    return {
        "bias left out": torch.equal(layer.bias, before),
        "velocity at rate 0": still.state[w]["momentum_buffer"].item(),
        "SGD with decoupled_weight_decay": message,
    }


def main(target):
    """Write all weights, named by kind, combination and variable; print the facts."""
    runs = {"plain-sgd": torch_run(sgd()), "plain-adam": torch_run(adam), "plain-adamw": torch_run(adamw)}
    for names, (make, options) in EXPRESSIBLE.items():
        runs[combination_id(names)] = torch_run(make, **options)
        if names[0] != "adam":
            runs[f"constant-{combination_id(names)}"] = torch_run(make, CONSTANT, **options)
    np.savez(target, **{f"{run}:{name}": w for run, weights in runs.items() for name, w in weights.items()})
    print(json.dumps(facts()))


if __name__ == "__main__":
    main(sys.argv[1])
