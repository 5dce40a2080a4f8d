"""Reads the configuration files of cuda-convnet and trains their networks in Keras.

The names below are imported when they are first used: importing this package imports nothing else.

Models that were saved with layers or the optimizer of this package are loaded by `keras.saving.load_model`
once this package is imported, be it before Keras or after it.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

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


def _tell_keras() -> None:
    importlib.import_module(f"{__name__}.serializable").register()


class _KerasFinder:
    """Finds Keras as the other finders do, and tells it of our classes when it has been imported."""

    searching = False

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "keras" or self.searching:
            return None
        from importlib.util import find_spec

        self.searching = True
        try:
            spec = find_spec(name)
        finally:
            self.searching = False
        if spec is not None and spec.loader is not None:  # there is none for a folder of that name
            self._follow(spec.loader)
        return spec

    def _follow(self, loader: Any) -> None:
        execute = loader.exec_module

        def execute_and_tell(module: ModuleType) -> None:
            loader.exec_module = execute
            execute(module)
            if self in sys.meta_path:  # it is not if Keras was found twice
                sys.meta_path.remove(self)
            _tell_keras()

        loader.exec_module = execute_and_tell


if "keras" in sys.modules:
    _tell_keras()
else:
    sys.meta_path.insert(0, _KerasFinder())
