"""The Keras layers for each layer type: one function a type, and the table of them.

A type that is not in the table is made as the type that it is derived from.
"""

from __future__ import annotations

from collections.abc import Mapping

from convnet_cfg.language.layer_types import LayerSpec
from convnet_cfg.model.assembly import Maker
from convnet_cfg.model.makers.basic import BASIC
from convnet_cfg.model.makers.costs import COSTS
from convnet_cfg.model.makers.images import IMAGES
from convnet_cfg.model.makers.weights import WEIGHTS

MAKERS: Mapping[type[LayerSpec], Maker] = {**BASIC, **IMAGES, **WEIGHTS, **COSTS}
