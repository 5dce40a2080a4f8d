"""Layer types of the program that won ILSVRC-2012 (spec: forks.md section 1)."""

from __future__ import annotations

from dataclasses import dataclass

from convnet_cfg.language.kinds import number_between
from convnet_cfg.language.layer_types import LayerSpec
from convnet_cfg.language.params import AlexNetConvParams, AlexNetParams, EnableParams
from convnet_cfg.language.spec import key
from convnet_cfg.language.v2_types import RandomScaleSpec
from convnet_cfg.language.weight_types import ConvSpec, FullSpec, LocalSpec


@dataclass(frozen=True, kw_only=True)
class AlexNetFullSpec(FullSpec):
    """`type=fc` with schedules and bounded columns."""

    params = AlexNetParams


@dataclass(frozen=True, kw_only=True)
class AlexNetConvSpec(ConvSpec):
    """`type=conv` with schedules and bounded columns."""

    params = AlexNetConvParams


@dataclass(frozen=True, kw_only=True)
class AlexNetLocalSpec(LocalSpec):
    """`type=local` with schedules and bounded columns."""

    params = AlexNetParams


@dataclass(frozen=True, kw_only=True)
class AlexNetRandomScaleSpec(RandomScaleSpec):
    """`type=rscale`: in tests the centre of the image, at its own size."""

    crops_in_tests = True


@dataclass(frozen=True, kw_only=True)
class HalfSpec(LayerSpec):
    """`type=hs`: dropout whose values are all scaled down in tests."""

    type_name = "hs"
    params = EnableParams

    keep: float = key("keep", number_between(0, 1), doc="Probability of keeping a value.")
