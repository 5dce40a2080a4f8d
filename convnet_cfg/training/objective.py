"""The costs of a minibatch, and what is minimized."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from convnet_cfg.model import Cost


def cost_sums(cost: Cost, outputs: dict[str, Any], views: int = 1) -> Any:
    """Return the sums over the cases of each value of a cost, shape (values,)."""
    how = cost.over_views if cost.over_views and views > 1 else cost
    return tf.reduce_sum(how.values(*(outputs[name] for name in how.inputs)), axis=0)


def objective(costs: Sequence[Cost], sums: Sequence[Any]) -> Any:
    """Return the sum of coefficient times cost (spec: costs.md section 1)."""
    terms = [cost.coefficient * total[0] for cost, total in zip(costs, sums, strict=True) if cost.coefficient]
    return tf.add_n(terms) if terms else tf.zeros_like(sums[0][0])
