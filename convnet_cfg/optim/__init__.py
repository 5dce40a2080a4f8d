"""Momentum with parameter groups and eight kinds of weight decay, for any Keras model.

Importing this package does not import Keras; using `GroupedOptimizer` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convnet_cfg.optim.groups import Group
from convnet_cfg.optim.rules import DECAYS, Decay, Settings, momentum_step

if TYPE_CHECKING:
    from convnet_cfg.optim.grouped import GroupedOptimizer, GroupHandle

__all__ = ["DECAYS", "Decay", "Group", "GroupHandle", "GroupedOptimizer", "Settings", "momentum_step"]

_NEED_KERAS = ("GroupHandle", "GroupedOptimizer")


def __getattr__(name: str) -> object:
    if name not in _NEED_KERAS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from convnet_cfg.optim import grouped

    return getattr(grouped, name)
