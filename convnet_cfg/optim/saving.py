"""Groups as what Keras writes into a saved model, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import keras

from convnet_cfg.optim.groups import Group
from convnet_cfg.optim.selection import Located, Saved, is_variable

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
    saved = _saved(group, variables, trained)
    located = [known._asdict() for known in saved.located]
    return {"variables": located, "patterns": list(saved.patterns), **plain, **objects}


def _saved(group: Group, variables: Sequence[Any], trained: Sequence[Any]) -> Saved:
    """Of a built optimizer these are variables: a pattern need not match the paths of the loaded model."""
    if isinstance(group.variables[0], Saved) and not variables:
        return group.variables[0]
    patterns = tuple(selector for selector in group.variables if isinstance(selector, str))
    if isinstance(group.variables[0], Saved):
        patterns = group.variables[0].patterns
    elif len(patterns) < len(group.variables):
        patterns = ()
    if not trained and not patterns:
        return Saved(tuple(_located(variable, None) for variable in _expanded(group)), ())
    places = {id(variable): place for place, variable in enumerate(trained)}
    # Layers that are frozen now may be trained when the model has been loaded.
    layers = [selector for selector in group.variables if hasattr(selector, "trainable_variables")]
    everything = {
        id(each): each for each in (*variables, *(each for layer in layers for each in layer.variables))
    }
    located = [_located(each, places.get(key)) for key, each in everything.items()]
    return Saved(tuple(located), patterns)


def _expanded(group: Group) -> list[Any]:
    """Return the variables that are selected before the optimizer is built, those of layers among them."""
    found: list[Any] = []
    for selector in group.variables:
        if isinstance(selector, str) or not (is_variable(selector) or selector.built):
            raise ValueError(
                f"{group}: its variables are not known yet; build the optimizer before it is saved"
            )
        found += [selector] if is_variable(selector) else selector.trainable_variables
    return found


def _located(variable: Any, place: int | None) -> Located:
    return Located(variable.path, tuple(variable.shape), place)


def from_config(config: Mapping[str, Any]) -> Group:
    """Return the group that `to_config` wrote."""
    located = [Located(known["path"], tuple(known["shape"]), known["place"]) for known in config["variables"]]
    chosen = Saved(tuple(located), tuple(config["patterns"]))
    objects = {
        name: keras.saving.deserialize_keras_object(value) if isinstance(value, Mapping) else value
        for name in KERAS_OBJECTS
        for value in [config[name]]
    }
    return Group(
        chosen, **{**{k: v for k, v in config.items() if k not in ("variables", "patterns")}, **objects}
    )
