"""Groups as what Keras writes into a saved model, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import keras

from convnet_cfg.optim.groups import Group
from convnet_cfg.optim.selection import Located, title

__all__ = ["from_config", "to_config"]

KERAS_OBJECTS = ("learning_rate", "constraint")


def to_config(group: Group, variables: Sequence[Any], trained: Sequence[Any]) -> dict[str, Any]:
    """Return what JSON can hold of a group.

    Args:
        group: with the numbers of this moment.
        variables: its variables, empty if the optimizer is not built.
        trained: all variables to train, in their order.

    Raises:
        ValueError: it has a velocity mask, which cannot be told by the path of a trained variable.
    """
    if group.velocity_mask is not None:
        raise ValueError(f"{group} has a velocity mask, and cannot be saved; save without the optimizer")
    places = {id(variable): place for place, variable in enumerate(trained)}
    plain = {
        field.name: getattr(group, field.name)
        for field in fields(group)
        if field.name not in ("variables", "velocity_mask", *KERAS_OBJECTS)
    }
    objects = {
        name: keras.saving.serialize_keras_object(value) if callable(value) else value
        for name in KERAS_OBJECTS
        for value in [getattr(group, name)]
    }
    chosen = [_selector_config(selector, places) for selector in variables or group.variables]
    return {"variables": chosen, **plain, **objects}


def _selector_config(selector: Any, places: Mapping[int, int]) -> dict[str, Any]:
    """Of a built optimizer it is a variable: a pattern need not match the paths of the loaded model."""
    if isinstance(selector, str):
        return {"pattern": selector}
    if isinstance(selector, Located):
        return {"path": selector.path, "place": selector.place}
    return {"path": title(selector), "place": places.get(id(selector))}


def from_config(config: Mapping[str, Any]) -> Group:
    """Return the group that `to_config` wrote."""
    chosen = [
        part["pattern"] if "pattern" in part else Located(part["path"], part["place"])
        for part in config["variables"]
    ]
    objects = {
        name: keras.saving.deserialize_keras_object(value) if isinstance(value, Mapping) else value
        for name in KERAS_OBJECTS
        for value in [config[name]]
    }
    return Group(chosen, **{**{k: v for k, v in config.items() if k != "variables"}, **objects})
