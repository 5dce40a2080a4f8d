"""What a file in any language has to know of how weights are updated."""

from __future__ import annotations

from convnet_cfg.errors import Problem
from convnet_cfg.export.source.frame import Frame
from convnet_cfg.language.network import Owned
from convnet_cfg.language.params import UpdateRule
from convnet_cfg.model import gathers_moves

BY_EPOCHS = "texp"  # the schedule that is one of epochs, not of the share of the training that is done


def rule_of(owned: Owned) -> UpdateRule:
    """Return the rule of update of a weight, in a network with parameters."""
    assert owned.matrix.rule is not None
    return owned.matrix.rule


def first_rate_problem(owned: Owned, kind: str) -> Problem | None:
    """Return what is wrong if a decay divides by a base rate at which the training does not begin.

    The files take the rate at the start for the base rate. `kind` is that of a weight that decays.
    """
    rule = rule_of(owned)
    if kind != "decoupled-schedule" or rule.learning_rate <= 0 or rule.schedule.begins_at_base:
        return None
    message = f"decay={kind} divides by the base rate, which a schedule with a single step never has"
    return Problem(owned.layer.place, owned.layer.name, message)


def gathers_at_rates(frame: Frame, owned: Owned) -> bool:
    """Return whether the gradients of an update count with the rates of their minibatches, which differ."""
    rule = rule_of(owned)
    changes = rule.learning_rate > 0 and rule.schedule.name != "const"
    return changes and frame.minibatches(owned) > 1 and gathers_moves(owned)


def reached_by_costs(frame: Frame) -> set[str]:
    """Return the names of the weights and biases that the objective depends on."""
    sources = {output.name: output.operand.source for output in frame.outputs}
    inputs = [name for cost in frame.costs if cost.coefficient for name in cost.inputs]
    reached = {sources[name] for name in inputs if name in sources}
    found = set()
    for step in reversed(frame.steps):
        if step.name in reached:
            reached |= {operand.source for operand in step.operands}
            found |= {weight.name for weight in (*step.kernels, step.bias) if weight is not None}
    return found
