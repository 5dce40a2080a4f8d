"""The step of one variable: what is kept for it, and the ways in which it is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
from keras import ops

from convnet_cfg.optim.groups import Group
from convnet_cfg.optim.rules import Numbers, take_step

__all__ = ["IN_TENSORFLOW", "Gathering", "Slot", "make_step", "update"]

IN_TENSORFLOW = keras.backend.backend() == "tensorflow"
if IN_TENSORFLOW:
    from convnet_cfg.optim import fused


class Gathering(NamedTuple):
    """What is gathered of the gradients of several steps, and of how many; see `Group.period`."""

    total: Any
    count: Any
    period: int
    moves: bool


class Slot(NamedTuple):
    """What the optimizer keeps for one variable."""

    state: tuple[Any, ...]
    number: int
    group: Group
    gathering: Gathering | None
    compiled: Callable[..., None] | None

    @property
    def is_plain(self) -> bool:
        """Whether a step is one of momentum, and nothing beside."""
        group = self.group
        return (
            len(self.state) == 1
            and self.gathering is None
            and group.velocity_mask is None
            and group.constraint is None
        )


def update(variable: Any, slot: Slot, now: Numbers, gradient: Any) -> None:
    """Make the step of one variable in the way that suits it."""
    if not IN_TENSORFLOW:
        make_step(slot, now, gradient, variable, *slot.state)
        return
    targets = [part.value if isinstance(part, keras.Variable) else part for part in (variable, *slot.state)]
    if fused.compiled_by_xla():
        make_step(slot, now, gradient, *targets)
    elif slot.compiled is not None:
        slot.compiled(gradient, now)
    elif slot.is_plain:
        decay, nesterov = slot.group.kind_of_decay, slot.group.rule == "nesterov"

        def in_place(weight: Any, velocity: Any, gradient: Any) -> None:
            fused.momentum_step_in_place(weight, velocity, gradient, now, decay, nesterov)

        fused.on_each_device(in_place, *targets, gradient)
    else:
        weight, *state = targets

        def step(weight: Any, gradient: Any, *state: Any) -> None:
            make_step(slot, now, gradient, weight, *state)

        fused.on_each_device(step, weight, gradient, *state)


def make_step(slot: Slot, now: Numbers, gradient: Any, *targets: Any) -> None:
    """Make the step of a weight and its state, by a pure function, on any backend."""
    group = slot.group
    weight, *state = map(ops.convert_to_tensor, targets)
    gradient = ops.cast(ops.convert_to_tensor(gradient), weight.dtype)
    gradient = ops.where(now.active, gradient, ops.zeros_like(gradient))
    due = None
    if slot.gathering is not None:
        gradient, due = _gathered(slot.gathering, gradient, now)
    if group.velocity_mask is not None:
        state[0] = state[0] * ops.convert_to_tensor(group.velocity_mask)
    moved, after = take_step(weight, tuple(state), gradient, now, group.kind_of_decay, group.update_rule)
    if group.constraint is not None:
        moved = group.constraint(moved)
        due = now.active if due is None else due
    for target, new in zip(targets, (moved, *after), strict=True):
        target.assign(new if due is None else ops.where(due, new, ops.convert_to_tensor(target)))


def _gathered(gathering: Gathering, gradient: Any, now: Numbers) -> tuple[Any, Any]:
    """Add a gradient to those of the steps before; return their mean, and whether it makes an update."""
    weight = now.rate if gathering.moves else 1.0
    total = gathering.total + weight * gradient
    count = gathering.count + ops.cast(now.active, "int64")
    due = ops.logical_and(now.active, ops.greater_equal(count, gathering.period))
    gathering.total.assign(ops.where(due, ops.zeros_like(total), total))
    gathering.count.assign(ops.where(due, ops.zeros_like(count), count))
    return total / (gathering.period * weight), due
