"""What is reported of the costs: means over the cases, children as part of their parents.

Source: cuda-convnet2, spec costs.md sections 1 and 7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from convnet_cfg.model import Cost


def reported(costs: Sequence[Cost], sums: Sequence[np.ndarray], cases: int) -> dict[str, tuple[float, ...]]:
    """Return what is reported of each cost that is no child of another, from sums over so many cases."""
    totals = {cost.name: total for cost, total in zip(costs, sums, strict=True)}
    children = {child for cost in costs for child in cost.children}
    return {
        cost.name: summarized(cost, _with_children(cost, totals), cases)
        for cost in costs
        if cost.name not in children
    }


def column_names(costs: Sequence[Cost]) -> dict[str, tuple[str, ...]]:
    """Return what the values of each cost behind the first are called."""
    return {cost.name: cost.columns for cost in costs}


def _with_children(cost: Cost, totals: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the sums of a cost with those of its children; the shortest decides how many values."""
    parts = [totals[name] for name in (cost.name, *cost.children)]
    size = min(len(part) for part in parts)
    return np.sum([part[:size] for part in parts], axis=0)


def summarized(cost: Cost, total: np.ndarray, cases: int) -> tuple[float, ...]:
    """Return what is reported of a cost, from its sums over so many cases, those of children among them."""
    found = cost.summary(total, cases) if cost.summary is not None else total / cases
    return tuple(map(float, found))
