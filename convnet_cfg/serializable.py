"""What Keras finds of this package in a saved model, before anything of it is imported."""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

PACKAGE = "convnet_cfg"
CLASSES = {
    "nn": (
        "Activation",
        "AveragePool2D",
        "BilinearResize",
        "BlockDense",
        "Chain",
        "ColumnNorm",
        "ColumnNormLimit",
        "ColumnSpread",
        "ConditionalProbability",
        "ContrastNorm2D",
        "Conv2D",
        "Crop2D",
        "CrossMapMaxPool",
        "CrossMapNorm",
        "Dense",
        "DropConnectDense",
        "DropoutDense",
        "FixedCountDropout",
        "GaussianBlur",
        "HorizontalFlip",
        "InvertedDropout",
        "Local2D",
        "LogSoftmax",
        "MaskDropout",
        "MaxAbsPool2D",
        "MaxPool2D",
        "Maximum",
        "Nailbed",
        "NonNegativeColumns",
        "PixelDense",
        "RGBToLAB",
        "RGBToYUV",
        "RandomActivation",
        "RandomScale",
        "ResponseNorm2D",
        "Scaling",
        "WeightedSum",
    ),
    "optim": ("Exponential", "GroupedOptimizer", "Linear", "Steps"),
}
"""The classes that are registered with Keras, by the room that they are in."""
IN_TENSORFLOW = ("nn",)


class StandIn(NamedTuple):
    """Takes the place of a class in the register of Keras until its room is imported."""

    room: str
    name: str

    def from_config(self, config: dict[str, Any]) -> Any:
        """Import the class, which takes this place then, and return the object of this configuration.

        Raises:
            ValueError: it computes in TensorFlow, and Keras does not.
        """
        from keras.backend import backend

        if self.room in IN_TENSORFLOW and backend() != "tensorflow":
            raise ValueError(
                f"{PACKAGE}.{self.room}.{self.name} computes in TensorFlow, Keras in {backend()}: "
                "set KERAS_BACKEND=tensorflow before Keras is imported"
            )
        return getattr(importlib.import_module(f"{PACKAGE}.{self.room}"), self.name).from_config(config)


def register() -> None:
    """Tell Keras, which has been imported, of all classes that it does not know yet."""
    from keras.saving import get_custom_objects

    known = get_custom_objects()
    for room, names in CLASSES.items():
        for name in names:
            known.setdefault(f"{PACKAGE}>{name}", StandIn(room, name))
