"""Text to Network: reads cuda-convnet's two configuration files; never imports Keras.

The names below are imported when they are first used: the tables of all dialects take a tenth of a second,
which `--help` need not wait for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convnet_cfg.language.builder import MODES, Pair, Reading, build_network, load_network, read_pair
    from convnet_cfg.language.dialects import DIALECTS
    from convnet_cfg.language.guess import Guess, guess_dims
    from convnet_cfg.language.network import Layer, Matrix, Network, refused_decay, refused_functions

__all__ = [
    "DIALECTS",
    "MODES",
    "Guess",
    "Layer",
    "Matrix",
    "Network",
    "Pair",
    "Reading",
    "build_network",
    "guess_dims",
    "load_network",
    "read_pair",
    "refused_decay",
    "refused_functions",
]

_HOMES = {
    "DIALECTS": "dialects",
    "MODES": "builder",
    "Guess": "guess",
    "Layer": "network",
    "Matrix": "network",
    "Network": "network",
    "Pair": "builder",
    "Reading": "builder",
    "build_network": "builder",
    "guess_dims": "guess",
    "load_network": "builder",
    "read_pair": "builder",
    "refused_decay": "network",
    "refused_functions": "network",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
