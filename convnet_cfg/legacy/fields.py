"""What the original kept of a layer, back in the form in which its two files have it.

Most fields are as the files say them, by the names of their keys. The others are in the table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from convnet_cfg.language.dialect import Dialect
from convnet_cfg.language.kinds import FUNCTION
from convnet_cfg.language.layer_types import LayerSpec, NormSpec, PoolSpec
from convnet_cfg.language.shapes import ceil_divided
from convnet_cfg.language.spec import REQUIRED, Key, declared_keys
from convnet_cfg.language.v2_types import BlockSpec, ChannelPoolSpec, Grid
from convnet_cfg.language.weight_types import FilterSpec
from convnet_cfg.legacy.cfg_text import UnwritableError, shape_text, value_text
from convnet_cfg.legacy.values import Layer, Value

Spec = type[LayerSpec]
_BY_OTHERS = ("inputs", "weightSource")  # keys that the definition makes of what it knows of other layers
_SHAPES = ("schedW", "schedB")
STEPS = 4  # how far a product that is rounded can be from the factor that it came of


def entries(
    declarations: type[Any], layer: Layer, spec: Spec, dialect: Dialect, problems: list[str]
) -> dict[str, str]:
    """Return the keys of a section that a layer's fields stand for, with their texts.

    Keys that say what they would without it are left away. What is missing, or cannot be written, is added
    to the problems.
    """
    found: dict[str, str] = {}
    for field, key in declared_keys(declarations).items():
        if key.name in _BY_OTHERS or key.kind is FUNCTION or key.name.lower() in dialect.ignored:
            continue
        try:
            text = _text(field, key, layer, spec, dialect)
        except UnwritableError as error:
            problems.append(f"layer {layer.name!r}: {key.name} {error}")
            continue
        if text is not None:
            found[key.name] = text
        elif key.default is REQUIRED:
            problems.append(f"layer {layer.name!r} has no {key.name!r}")
    return found


def functions(layer: Layer, spec: Spec) -> Iterator[tuple[str, str]]:
    """Yield the functions that made a layer's first weights: key and text."""
    for key in declared_keys(spec).values():
        text = layer.values.get(key.name)
        if key.kind is FUNCTION and isinstance(text, str) and text:
            yield key.name, text


def _text(field: str, key: Key, layer: Layer, spec: Spec, dialect: Dialect) -> str | None:
    """Return the text of a key, None where it says what the layer would be without it."""
    value = next((layer.values[name] for name in key.names if name in layer.values), None)
    if value is None or (value == "" and key.default is not REQUIRED):
        return None
    change = next((_CHANGED[base, key.name] for base in spec.__mro__ if (base, key.name) in _CHANGED), None)
    if change is not None:
        try:
            value = change(value, layer, spec)
        except UnwritableError:
            raise
        except (TypeError, ValueError, KeyError, ZeroDivisionError, AttributeError, IndexError):
            raise UnwritableError("does not fit the layer's other fields") from None
    if value is None or (key.default is not REQUIRED and _says_nothing(value, key)):
        return None
    if key.name in _SHAPES and isinstance(value, Mapping):
        return shape_text(value, dialect) or None
    return value_text(value, key.kind, dialect)


def _says_nothing(value: Value, key: Key) -> bool:
    """Return whether a value is what counts without the key."""
    if key.per_input and isinstance(value, tuple):
        return all(item == key.default for item in value)
    return value == key.default or (key.is_list and value == ())


# -- values that the original changed when it read them (spec/checkpoints.md section 5.2)


def _negated(value: Any, _layer: Layer, _spec: Spec) -> Value:
    return tuple(-padding for padding in _each(value))


def _each(value: Any) -> tuple[Any, ...]:
    """Return the values for all inputs; before 2012 there was one, and no list."""
    return value if isinstance(value, tuple) else (value,)


def _per_group(value: Any, layer: Layer, _spec: Spec) -> Value:
    """Return the filters of a group for each input: the field has those of all groups."""
    groups = _each(layer.values.get("groups", 1))
    totals = value if isinstance(value, tuple) else (value,) * len(groups)
    if any(total % group for total, group in zip(totals, groups, strict=True)):
        raise ValueError
    return tuple(total // group for total, group in zip(totals, groups, strict=True))


def _of_sparse(value: Any, layer: Layer, _spec: Spec) -> Value:
    return value if any(_each(layer.values.get("randSparse", False))) else None


def _undivided(value: Any, layer: Layer, spec: Any) -> Value:
    """Return the number that, divided as the original did, gives exactly the field."""
    size = layer.values.get("size", layer.values.get("sizeX"))
    divisor = float(size**spec.divisor_power)
    near = value * divisor
    rounded = [float(f"{near:.{digits}g}") for digits in range(1, 18)]
    above = below = near
    for _ in range(STEPS):
        above, below = math.nextafter(above, math.inf), math.nextafter(below, -math.inf)
        rounded += [above, below]
    exact = next((number for number in rounded if number / divisor == value), None)
    if exact is None:
        raise UnwritableError(f"{value!r} is no number divided by {divisor:g}, as the original divided it")
    return exact


def _unless_natural_pool(value: Any, layer: Layer, _spec: Spec) -> Value:
    values: Mapping[str, Any] = layer.values
    reach = values["imgSize"] - values.get("start", 0) - values["sizeX"]
    return None if value == ceil_divided(reach, values["stride"]) + 1 else value


def _unless_natural_grid(value: Any, layer: Layer, _spec: Spec) -> Value:
    values: Mapping[str, Any] = layer.values
    reach = values["imgSize"][0] - 2 * values["padding"][0] - values["filterSize"][0]
    return None if value == ceil_divided(reach, values["stride"][0]) + 1 else value


def _per_part(value: Any, layer: Layer, _spec: Spec) -> Value:
    parts: Any = layer.values["parts"]
    found: Value = value // parts
    return found


def _channels_of_output(value: Any, layer: Layer, _spec: Spec) -> Value:
    pixels: Any = layer.values["imgPixels"]
    found: Value = value // pixels
    return found


def _placed(value: Any, _layer: Layer, _spec: Spec) -> Value:
    """Return the devices, or the one device, of a layer; below 0 is none."""
    return value if min(_each(value)) >= 0 else None


_CHANGED: Mapping[tuple[type, str], Callable[[Any, Layer, Any], Value]] = {
    (FilterSpec, "padding"): _negated,
    (FilterSpec, "filters"): _per_group,
    (FilterSpec, "filterChannels"): _of_sparse,
    (Grid, "modulesX"): _unless_natural_grid,
    (NormSpec, "scale"): _undivided,
    (PoolSpec, "outputsX"): _unless_natural_pool,
    (BlockSpec, "outputs"): _per_part,
    (ChannelPoolSpec, "outputs"): _channels_of_output,
    (LayerSpec, "gpu"): _placed,
}
