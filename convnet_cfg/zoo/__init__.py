"""The networks and recipes that come along: the repository's `layers/` and `configs/`."""

from convnet_cfg.zoo.files import find_config, find_layers, find_params, names
from convnet_cfg.zoo.recipes import (
    Arm,
    Cost,
    Data,
    Expected,
    FinalTest,
    Measurement,
    Recipe,
    Stage,
    load_recipe,
)

__all__ = [
    "Arm",
    "Cost",
    "Data",
    "Expected",
    "FinalTest",
    "Measurement",
    "Recipe",
    "Stage",
    "find_config",
    "find_layers",
    "find_params",
    "load_recipe",
    "names",
]
