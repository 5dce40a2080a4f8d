"""Parameter groups, three update rules and eight kinds of weight decay, for any Keras model.

Importing this package does not import Keras; using `GroupedOptimizer` or a schedule does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from convnet_cfg.optim.groups import Group
from convnet_cfg.optim.rules import (
    DECAYS,
    RULES,
    Decay,
    Numbers,
    Rule,
    Settings,
    normalized_decay,
    take_step,
)

if TYPE_CHECKING:
    from convnet_cfg.optim.grouped import GroupedOptimizer
    from convnet_cfg.optim.handles import GroupHandle
    from convnet_cfg.optim.schedules import Exponential, Linear, ProgressSchedule, Steps

__all__ = [
    "DECAYS",
    "Decay",
    "Exponential",
    "Group",
    "GroupHandle",
    "GroupedOptimizer",
    "Linear",
    "Numbers",
    "ProgressSchedule",
    "RULES",
    "Rule",
    "Settings",
    "Steps",
    "normalized_decay",
    "take_step",
]

_NEED_KERAS = {
    "GroupHandle": "handles",
    "GroupedOptimizer": "grouped",
    **dict.fromkeys(("Exponential", "Linear", "ProgressSchedule", "Steps"), "schedules"),
}


def __getattr__(name: str) -> object:
    if name not in _NEED_KERAS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_NEED_KERAS[name]}"), name)
