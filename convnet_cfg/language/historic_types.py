"""Layer types as of 2011 and the first half of 2012: other names, and norms defined in one file.

Source: forks.md section 2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from convnet_cfg.language.grammar import Section
from convnet_cfg.language.kinds import FLAG, FUNCTION, NUMBER, FunctionCall, at_least
from convnet_cfg.language.layer_types import (
    ContrastNormSpec,
    CrossMapNormSpec,
    LayerSpec,
    NormSpec,
    PoolSpec,
    ResponseNormSpec,
    SumSpec,
)
from convnet_cfg.language.params import LayerParams, NormParams
from convnet_cfg.language.spec import Report, key
from convnet_cfg.language.weight_types import ConvSpec, FullSpec, LocalSpec

UNSHARED = "numFilters without sharedBiases: a bias for every place, as before 2011-07-05"
FIRST_NORM = "cnorm with scale and without pow: the layer is a rnorm, as in July 2011"


@dataclass(frozen=True, kw_only=True)
class OldFunction:
    """`initWFunc` of a layer with weights, under the name that it had for a day."""

    weight_function: FunctionCall | None = key("initWFunc", FUNCTION, default=None, aliases=("initFunc",))


@dataclass(frozen=True, kw_only=True)
class OldFullSpec(OldFunction, FullSpec):
    """`type=fc`, `outputs` being `numOutputs`."""

    outputs: int = key("outputs", at_least(1), aliases=("numOutputs",))


@dataclass(frozen=True, kw_only=True)
class OldConvSpec(OldFunction, ConvSpec):
    """`type=conv`, `filters` being `numFilters`; without `sharedBiases` such a layer shared none."""

    filters: tuple[int, ...] = key("filters", at_least(1), per_input=True, aliases=("numFilters",))
    partial_sum: int = key("partialSum", at_least(0), default=0)
    given_shared_biases: bool | None = key(
        "sharedBiases",
        FLAG,
        default=None,
        doc=(
            "One bias for each filter; 0: one for each filter and position. Without it they are "
            "shared, unless `numFilters` is given."
        ),
    )
    renamed_filters: tuple[int, ...] | None = key(
        "numFilters", at_least(1), default=None, is_list=True, doc="Older name of `filters`."
    )
    shared_biases: bool = True

    def refined(self, params: Section | None, report: Report) -> LayerSpec:
        """Settle whether biases are shared."""
        if self.given_shared_biases is not None:
            return replace(self, shared_biases=self.given_shared_biases)
        if self.renamed_filters is None:
            return self
        report.note(UNSHARED, "numFilters")
        return replace(self, shared_biases=False)


@dataclass(frozen=True, kw_only=True)
class OldLocalSpec(OldFunction, LocalSpec):
    """`type=local`, `filters` being `numFilters`."""

    filters: tuple[int, ...] = key("filters", at_least(1), per_input=True, aliases=("numFilters",))


@dataclass(frozen=True, kw_only=True)
class OldPoolSpec(PoolSpec):
    """`type=pool`, `sizeX` being `subsX`."""

    size: int = key("sizeX", at_least(1), aliases=("subsX",))


@dataclass(frozen=True, kw_only=True)
class OldSumSpec(SumSpec):
    """`type=sum`: the first name of eltsum."""

    type_name = "sum"


@dataclass(frozen=True, kw_only=True)
class OldNormParams(LayerParams):
    """`scale` and `pow` of a normalization whose definition may already have them."""

    scale: float | None = key(
        "scale",
        NUMBER,
        default=None,
        doc=(
            "Factor of the sum of squares, divided by the number of values in a whole window first; "
            "without it that of the definition file."
        ),
    )
    power: float | None = key(
        "pow",
        NUMBER,
        default=None,
        doc=(
            "Exponent of the divisor; without it that of the definition file, or 1 if that has a "
            "`scale` only."
        ),
    )


@dataclass(frozen=True, kw_only=True)
class OldNormSpec(NormSpec):
    """A normalization with `size` (or `sizeX`), `scale` and `pow` in the definition file."""

    params: ClassVar[type[LayerParams]] = OldNormParams

    size: int = key("size", at_least(1), aliases=("sizeX",))
    scale: float | None = key(
        "scale", NUMBER, default=None, doc="As in the parameter file, which counts first."
    )
    power: float | None = key(
        "pow", NUMBER, default=None, doc="As in the parameter file, which counts first."
    )

    def merge(self, params: LayerParams | None) -> NormParams | None:
        """Return scale and power from wherever they are given; the parameter file counts first.

        With a scale in the definition file and no power anywhere, the power is 1: there was none at first.
        """
        scale, power = self._given(params)
        if scale is None or power is None:
            return None
        return NormParams(scale=scale, power=power, dropout=params.dropout if params else 0.0)

    def lacking(self, params: LayerParams | None) -> str:
        """Return the key that neither file has."""
        return "scale" if self._given(params)[0] is None else "pow"

    def _given(self, params: LayerParams | None) -> tuple[float | None, float | None]:
        """Return scale and power, each None where neither file has it."""
        scale, power = self.scale, self.power
        if isinstance(params, OldNormParams):
            scale = scale if params.scale is None else params.scale
            power = power if params.power is None else params.power
        return scale, 1.0 if power is None and self.scale is not None else power


@dataclass(frozen=True, kw_only=True)
class OldCrossMapNormSpec(OldNormSpec, CrossMapNormSpec):
    """`type=cmrnorm` with all its keys in the definition file."""


@dataclass(frozen=True, kw_only=True)
class OldResponseNormSpec(OldNormSpec, ResponseNormSpec):
    """`type=rnorm` with all its keys in the definition file; with `crossMap` it is cmrnorm."""

    across: bool = key(
        "crossMap",
        FLAG,
        default=False,
        doc="The layer is a cmrnorm: its windows are of channels, not of pixels.",
    )

    def refined(self, params: Section | None, report: Report) -> LayerSpec:
        """Return the layer of the type that is meant."""
        return _as(OldCrossMapNormSpec, self) if self.across else self


@dataclass(frozen=True, kw_only=True)
class OldContrastNormSpec(OldNormSpec, ContrastNormSpec):
    """`type=cnorm` with all its keys in the definition file; without `pow` in either file it is rnorm."""

    def refined(self, params: Section | None, report: Report) -> LayerSpec:
        """Return the layer of the type that is meant: the first cnorm centred nothing."""
        with_power = self.power is not None or (params is not None and params.find("pow") is not None)
        if self.scale is None or with_power:
            return self
        report.note(FIRST_NORM, "type")
        return _as(OldResponseNormSpec, self, across=False)


def _as(spec_type: type[OldNormSpec], norm: OldNormSpec, **more: bool) -> OldNormSpec:
    """Return the same normalization as another type."""
    return spec_type(
        inputs=norm.inputs,
        neuron=norm.neuron,
        channels=norm.channels,
        size=norm.size,
        blocked=norm.blocked,
        scale=norm.scale,
        power=norm.power,
        **more,
    )
