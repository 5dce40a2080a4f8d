"""What a PyTorch program minimizes: each cost as an expression for its mean over the cases of a minibatch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from convnet_cfg import nn
from convnet_cfg.export.source.frame import CostStep
from convnet_cfg.export.source.torch_program import Program, in_brackets, scaled

Code = Callable[..., str]  # of the program, the expressions of the inputs, and the options by name


def _function(name: str, *arguments: str, **options: object) -> str:
    named = [f"{option}={json.dumps(value)}" for option, value in options.items()]
    return f"{name}({', '.join([*arguments, *named])})"


def _cases(code: str) -> str:
    """Return the expression for the number of cases that a value has."""
    return f"len({code.removesuffix('.flatten(1)')})"


def _cross_entropy(program: Program, targets: str, logits: str, **reported: object) -> str:
    return _function("F.cross_entropy", logits, targets)


def _logreg(program: Program, labels: str, probabilities: str, **reported: object) -> str:
    """F.nll_loss of the logarithms has no gradient where one of them is infinite."""
    return _function("log_loss", probabilities, labels)


def _log_logreg(program: Program, labels: str, logarithms: str) -> str:
    return _function("F.nll_loss", logarithms, labels)


def _labelled(program: Program, labels: str, logits: str) -> str:
    """Cases without a label have no cost, but they count as cases."""
    total = _function("F.cross_entropy", logits, labels, ignore_index=-1, reduction="sum")
    return f"{total} / {_cases(labels)}"


def _distribution(program: Program, targets: str, probabilities: str) -> str:
    return _function("cross_entropy", probabilities, targets)


def _binary(
    program: Program, targets: str, x: str, positive_weight: float = 1.0, aggregated: bool = False
) -> str:
    weight = {"positive_weight": positive_weight} if positive_weight != 1 else {}
    return _function("binary_cross_entropy", x, targets, **weight)


def _logistic(
    program: Program, targets: str, x: str, positive_weight: float = 1.0, aggregated: bool = False
) -> str:
    weight = [f"pos_weight=torch.tensor({positive_weight!r})"] if positive_weight != 1 else []
    total = _function("F.binary_cross_entropy_with_logits", x, targets, *weight, reduction="sum")
    return f"{total} / {_cases(targets)}"


def _squares(program: Program, x: str, factor: float = 1.0) -> str:
    return scaled(factor, f"{in_brackets(x)}.square().sum() / {_cases(x)}")


def _difference(program: Program, a: str, b: str) -> str:
    return _function("F.mse_loss", a, b, reduction="sum") + f" / (2 * {_cases(a)})"


def _cauchy(program: Program, targets: str, x: str) -> str:
    return f"torch.log1p(({x} - {targets}).square()).sum() / {_cases(targets)}"


def _of_outputs(name: str, *options: str) -> Code:
    """Return the code of a part that takes the outputs, what they are compared with, and these options."""

    def code(program: Program, targets: str, x: str, **given: object) -> str:
        return _function(name, x, targets, **{option: given[option] for option in options})

    return code


def _of_task(name: str) -> Code:
    def code(program: Program, labels: str, tasks: str, x: str, task: int, **reported: object) -> str:
        return _function(name, x, labels, tasks, task=task)

    return code


def _gated_squares(program: Program, gate: str, x: str) -> str:
    return f"({gate} * {in_brackets(x)}.square()).sum() / {_cases(x)}"


def _topographic(program: Program, image: str, size: int) -> str:
    return _function("topographic_energy", image, size=size)


def _ranking(program: Program, *inputs: str, coefficient: float) -> str:
    options = {"coefficient": coefficient} if coefficient != 1 else {}
    return _function("ranking", *inputs, **options)


COSTS: Mapping[Any, Code] = {
    nn.softmax_logreg: _cross_entropy,
    nn.logreg: _logreg,
    nn.log_logreg: _log_logreg,
    nn.softmax_masked_logreg: _labelled,
    nn.softmax_cross_entropy: _cross_entropy,
    nn.cross_entropy: _distribution,
    nn.logistic_binary_cross_entropy: _logistic,
    nn.logistic_detection_cross_entropy: _logistic,
    nn.independent_cross_entropy: _logistic,
    nn.binary_cross_entropy: _binary,
    nn.detection_cross_entropy: _binary,
    nn.sum_of_squares: _squares,
    nn.squared_difference: _difference,
    nn.cauchy: _cauchy,
    nn.masked_logreg: _of_outputs("known_log_loss"),
    nn.task_logreg: _of_task("log_loss_of_task"),
    nn.softmax_task_logreg: _of_task("cross_entropy_of_task"),
    nn.hinge_loss: _of_outputs("hinge_loss"),
    nn.masked_binary_cross_entropy: _of_outputs("known_binary_cross_entropy"),
    nn.logistic_masked_binary_cross_entropy: _of_outputs("known_logistic_cross_entropy"),
    nn.gated_sum_of_squares: _gated_squares,
    nn.topographic_energy: _topographic,
    nn.group_sparsity: _of_outputs("group_sparsity"),
    nn.contrastive: _of_outputs("contrastive", "margin"),
    nn.ranking: _ranking,
    nn.subset_logreg: _of_outputs("subset_loss", "size"),
}
"""The code of each cost, by its function in `nn`."""


def objective_terms(program: Program, costs: Sequence[CostStep], names: Mapping[str, str]) -> list[str]:
    """Return what is summed up: each cost times its coefficient.

    `names` has the expression of each output and target by the name that the costs have for it.
    """
    terms = []
    for cost in costs:
        inputs = [names[name] for name in cost.inputs]
        terms.append(scaled(cost.coefficient, COSTS[cost.function](program, *inputs, **cost.options)))
    return terms
