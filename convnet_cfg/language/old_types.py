"""Norm layers as of before June 2012, with all keys in the definition file (spec: forks.md section 2)."""

from __future__ import annotations

from dataclasses import dataclass

from convnet_cfg.language.kinds import NUMBER, at_least
from convnet_cfg.language.layer_types import ContrastNormSpec, CrossMapNormSpec, NormSpec, ResponseNormSpec
from convnet_cfg.language.params import LayerParams, NormParams
from convnet_cfg.language.spec import key


@dataclass(frozen=True, kw_only=True)
class OldNormParams(LayerParams):
    """`scale` and `pow` of a normalization whose definition may already have them."""

    scale: float | None = key("scale", NUMBER, default=None)
    power: float | None = key("pow", NUMBER, default=None)


@dataclass(frozen=True, kw_only=True)
class OldNormSpec(NormSpec):
    """A normalization with `size` (or `sizeX`), `scale` and `pow` in the definition file."""

    params = OldNormParams

    size: int = key("size", at_least(1), aliases=("sizeX",))
    scale: float | None = key("scale", NUMBER, default=None)
    power: float | None = key("pow", NUMBER, default=None)

    def merge(self, params: LayerParams | None) -> NormParams | None:
        """Return scale and power from wherever they are given; the parameter file counts first."""
        given = (
            params
            if isinstance(params, OldNormParams)
            else OldNormParams(scale=None, power=None, dropout=0.0)
        )
        scale = given.scale if given.scale is not None else self.scale
        power = given.power if given.power is not None else self.power
        if scale is None or power is None:
            return None
        return NormParams(scale=scale, power=power, dropout=given.dropout)


@dataclass(frozen=True, kw_only=True)
class OldResponseNormSpec(OldNormSpec, ResponseNormSpec):
    """`type=rnorm` with all its keys in the definition file."""


@dataclass(frozen=True, kw_only=True)
class OldContrastNormSpec(OldNormSpec, ContrastNormSpec):
    """`type=cnorm` with all its keys in the definition file."""


@dataclass(frozen=True, kw_only=True)
class OldCrossMapNormSpec(OldNormSpec, CrossMapNormSpec):
    """`type=cmrnorm` with all its keys in the definition file."""
