"""Learning rates that change with the progress of the training."""

from __future__ import annotations

from convnet_cfg.language.schedules import Progress
from convnet_cfg.model import BuiltNetwork


def set_rates(built: BuiltNetwork, now: Progress, factor: float = 1.0) -> None:
    """Set the rates that are in force now, times a factor; those without a schedule stay as they are."""
    optimizer = built.optimizer
    assert optimizer is not None
    for owned in built.network.owned():
        rule = owned.matrix.rule
        if rule is not None and rule.schedule.type is not None and rule.learning_rate > 0:
            optimizer.groups[owned.name].learning_rate = rule.schedule.rate(now) * factor
