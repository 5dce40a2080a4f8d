"""The objective of a network: each cost as an expression of the model's outputs and the data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from convnet_cfg import nn
from convnet_cfg.export.source.frame import NOMINAL, CostStep, Form, Frame
from convnet_cfg.export.source.keras_emit import number
from convnet_cfg.export.source.text import INDENT, Call, Expression, call, docstring, flat, lines

CostOf = Callable[..., Expression]


def _function(name: str, *options: str) -> CostOf:
    """Return the cost that a function of ours makes of all inputs and these options."""

    def cost(*inputs: str, **given: Any) -> Expression:
        return call(name, *inputs, **{option: number(given[option]) for option in options})

    return cost


def _from_logits(labels: str, logits: str, **options: Any) -> Expression:
    return call("keras.losses.sparse_categorical_crossentropy", labels, logits, from_logits="True")


def _binary(name: str) -> CostOf:
    def cost(targets: str, predictions: str, positive_weight: float = 1.0, **options: Any) -> Expression:
        return call(name, targets, predictions, positive_weight=number(positive_weight))

    return cost


def _sum_of_squares(x: str, factor: float) -> Expression:
    total = f"ops.sum(ops.square({x}), axis=-1)"
    return total if factor == 1.0 else f"{number(factor)} * {total}"


def _squared_difference(a: str, b: str) -> Expression:
    return f"0.5 * ops.sum(ops.square({a} - {b}), axis=-1)"


def _gated(gate: str, x: str) -> Expression:
    return f"ops.sum({gate} * ops.square({x}), axis=-1)"


def _cauchy(targets: str, predictions: str) -> Expression:
    return f"ops.sum(ops.log1p(ops.square({predictions} - {targets})), axis=-1)"


def _log_probability(labels: str, log_probabilities: str, **options: Any) -> Expression:
    return f"-at_label({labels}, {log_probabilities})"


def _some(name: str) -> CostOf:
    def cost(labels: str, values: str) -> Expression:
        return call(name, f"class_numbers({labels}) != -1", labels, values)

    return cost


def _task(name: str) -> CostOf:
    def cost(labels: str, tasks: str, values: str, task: int, **options: Any) -> Expression:
        return call(name, f"class_numbers({tasks}) == {task}", labels, values)

    return cost


def _independent(targets: str, logits: str) -> Expression:
    return call("logistic_cross_entropy", targets, logits, positive_weight="1.0")


COSTS: Mapping[Any, CostOf] = {
    nn.softmax_logreg: _from_logits,
    nn.logreg: lambda labels, probabilities, **options: call("minus_log_of_label", labels, probabilities),
    nn.log_logreg: _log_probability,
    nn.softmax_masked_logreg: _some("softmax_cost_of_some"),
    nn.masked_logreg: _some("cost_of_some"),
    nn.softmax_task_logreg: _task("softmax_cost_of_some"),
    nn.task_logreg: _task("cost_of_some"),
    nn.hinge_loss: _function("hinge_loss"),
    nn.cross_entropy: _function("cross_entropy"),
    nn.softmax_cross_entropy: _function("softmax_cross_entropy"),
    nn.binary_cross_entropy: _binary("binary_cross_entropy"),
    nn.detection_cross_entropy: _binary("binary_cross_entropy"),
    nn.logistic_binary_cross_entropy: _binary("logistic_cross_entropy"),
    nn.logistic_detection_cross_entropy: _binary("logistic_cross_entropy"),
    nn.masked_binary_cross_entropy: _function("known_binary_cross_entropy"),
    nn.logistic_masked_binary_cross_entropy: _function("known_logistic_cross_entropy"),
    nn.independent_cross_entropy: _independent,
    nn.sum_of_squares: _sum_of_squares,
    nn.cauchy: _cauchy,
    nn.gated_sum_of_squares: _gated,
    nn.squared_difference: _squared_difference,
    nn.subset_logreg: _function("subset_cost", "size"),
    nn.topographic_energy: _function("topographic_energy", "size"),
    nn.group_sparsity: _function("group_sparsity"),
    nn.contrastive: _function("contrastive", "margin"),
    nn.ranking: _function("ranking", "coefficient"),
}


def counted(frame: Frame) -> list[CostStep]:
    """Return the costs that count: those of a coefficient of 0 are only reported."""
    return [cost for cost in frame.costs if cost.coefficient]


def targets(frame: Frame) -> list[str]:
    """Return the data that costs read, as arguments of the objective."""
    read = {name for cost in counted(frame) for name in cost.inputs}
    return list(dict.fromkeys(each.operand.source for each in frame.targets if each.name in read))


def objective(frame: Frame) -> Iterator[str]:
    """Yield the lines of the function `objective`."""
    arguments = ", ".join(["outputs", *targets(frame)])
    yield f"def objective({arguments}):"
    words = [f"Return what training minimizes, {_words(frame)}."]
    words += [NOMINAL] if frame.network.dialect.nominal_divisor else []
    yield from docstring("\n\n".join(words), INDENT)
    yield from _reordered(frame)
    for cost in counted(frame):
        yield from lines(_cost(cost, frame), INDENT, before=f"{cost.name} = ")
    terms = [_term(cost) for cost in counted(frame)]
    yield f"{INDENT}return {' + '.join(terms)}"


def _words(frame: Frame) -> str:
    whole = len(counted(frame)) == 1 and counted(frame)[0].coefficient == 1
    return "the mean cost of the cases" if whole else "the sum of the mean costs, each times its weight"


def _reordered(frame: Frame) -> Iterator[str]:
    """Yield how images among the targets become vectors in the original's order."""
    for name, operand in frame.targets:
        if operand.form is Form.VECTOR and operand.source in targets(frame):
            moved = f"ops.transpose({operand.source}, (0, 3, 1, 2))"
            yield f"{INDENT}{name} = ops.reshape({moved}, (-1, {operand.shape[0]}))"


def _cost(cost: CostStep, frame: Frame) -> Expression:
    given = {name for name, _ in frame.targets}
    inputs = [name if name in given else f'outputs["{name}"]' for name in cost.inputs]
    return COSTS[cost.function](*inputs, **cost.options)


def _term(cost: CostStep) -> str:
    mean = flat(Call("ops.mean", (cost.name,)))
    return mean if cost.coefficient == 1 else f"{number(cost.coefficient)} * {mean}"
