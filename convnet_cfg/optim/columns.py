"""The numbers of one step, for all groups at once: a few operations on vectors, however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from convnet_cfg.optim.groups import Group
from convnet_cfg.optim.rules import DECAYS, RULES, Numbers, Settings

__all__ = ["is_active", "numbers_of"]


def numbers_of(now: Settings, groups: Sequence[Group], dtype: str) -> list[Numbers]:
    """Return what each group's step needs, scalars of a type, from vectors of double precision."""
    numbers = zip(*_columns(now, groups, dtype), strict=True)
    return [
        Numbers(*mine)._replace(second_momentum=group.second_momentum, epsilon=group.epsilon)
        for mine, group in zip(numbers, groups, strict=True)
    ]


def is_active(rate: Any) -> Any:
    """Return whether a rate does not freeze. One that is no number does not: it shows in the weights."""
    # Not `not rate <= 0`: TensorFlow makes that `rate > 0`.
    return ops.logical_or(rate > 0, ops.isnan(rate))


def _columns(now: Settings, groups: Sequence[Group], dtype: str) -> list[list[Any]]:
    """Return the fields of `Numbers`, each a list with a scalar for each group."""
    active = is_active(now.learning_rate)
    outside = np.array([group.rule == "adam" or group.rate_position == "outside" for group in groups])
    vectors = [
        ops.where(active, now.learning_rate, 0),
        ops.where(active, ops.where(outside, 1.0, -now.learning_rate), 0),
        ops.where(active, ops.where(outside, now.learning_rate, -1.0), 0),
        ops.where(active, now.momentum, 1),
        ops.where(active, 1 - now.momentum, 0),
        now.weight_decay,
        ops.where(active, _shares(now, groups), 0),
    ]
    count = len(groups)
    return [ops.unstack(active, count), *(ops.unstack(ops.cast(vector, dtype), count) for vector in vectors)]


def _shares(now: Settings, groups: Sequence[Group]) -> Any:
    """Return the share of the weights that each group's decay takes off."""
    kinds = {(group.decay, group.rule) for group in groups if group.kind_of_decay.share is not None}
    result = ops.zeros_like(now.learning_rate)
    for decay, rule in sorted(kinds):
        mine = np.array([(group.decay, group.rule) == (decay, rule) for group in groups])
        share = DECAYS[decay].share
        assert share is not None
        result = ops.where(mine, share(now, RULES[rule].gain(now.momentum)), result)
    return result
