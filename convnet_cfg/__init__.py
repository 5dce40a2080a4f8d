"""Reads the configuration files of cuda-convnet and trains their networks in Keras.

The names below are imported when they are first used: importing this package imports nothing else.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convnet_cfg.data import DataProvider, open_provider, register
    from convnet_cfg.errors import ConvnetError
    from convnet_cfg.language import load_network
    from convnet_cfg.model import build
    from convnet_cfg.optim import Group, GroupedOptimizer
    from convnet_cfg.zoo import find_layers, load_recipe

__all__ = [
    "ConvnetError",
    "DataProvider",
    "Group",
    "GroupedOptimizer",
    "build",
    "find_layers",
    "load_network",
    "load_recipe",
    "open_provider",
    "register",
]

_HOMES = {
    "ConvnetError": "errors",
    "DataProvider": "data",
    "Group": "optim",
    "GroupedOptimizer": "optim",
    "build": "model",
    "find_layers": "zoo",
    "load_network": "language",
    "load_recipe": "zoo",
    "open_provider": "data",
    "register": "data",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
