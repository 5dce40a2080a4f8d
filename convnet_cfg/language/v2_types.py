"""What cuda-convnet2 added to the layer types of v1, and what it changed (spec: layers.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from convnet_cfg.language.kinds import FLAG, INTEGER, at_least, number_between, one_of
from convnet_cfg.language.layer_types import (
    ContrastNormSpec,
    CrossMapNormSpec,
    DataSpec,
    ImageSpec,
    LayerSpec,
    PoolSpec,
    ResponseNormSpec,
    SumSpec,
    check_coefficients,
)
from convnet_cfg.language.params import (
    ConvPeriodicParams,
    KeepParams,
    LayerParams,
    LocalPeriodicParams,
    MinDivParams,
    PeriodicParams,
    SumParams,
)
from convnet_cfg.language.shapes import (
    Image,
    Input,
    MatrixShape,
    Output,
    ceil_divided,
    check_range,
    image_output,
)
from convnet_cfg.language.spec import Report, key
from convnet_cfg.language.weight_types import ConvSpec, FullSpec, LocalSpec


@dataclass(frozen=True, kw_only=True)
class PartDataSpec(DataSpec):
    """`type=data`: one matrix of the data provider, or some of its values."""

    first: int = key("start", at_least(0), default=0, doc="First value that is read, from 0.")
    end: int = key(
        "end", at_least(1), default=0, doc="Value behind the last one that is read; 0: up to the end."
    )


@dataclass(frozen=True, kw_only=True)
class FullV2Spec(FullSpec):
    """`type=fc` of v2: with schedules, columns of a given norm, and updates every few minibatches."""

    params = PeriodicParams


@dataclass(frozen=True, kw_only=True)
class BlockSpec(FullSpec):
    """`type=sfc`: inputs and outputs in blocks; every output depends on the inputs of its block."""

    type_name = "sfc"
    params = PeriodicParams

    outputs: int = key("outputs", at_least(1), doc="Values that each part makes.")
    parts: int = key("parts", at_least(1), doc="Blocks of inputs and outputs.")

    def output(self, inputs: Sequence[Input], report: Report) -> Output | None:
        """`outputs` values for each of `parts` parts."""
        uneven = [source for source in inputs if source.output.size % self.parts]
        for source in uneven:
            report.error(
                f"parts={self.parts} does not divide the {source.output.size} values of {source.name!r}",
                "parts",
            )
        return Output(self.outputs * self.parts) if not uneven else None

    def bias_shape(self, output: Output) -> MatrixShape:
        """One for each output."""
        return MatrixShape(1, output.size)


@dataclass(frozen=True, kw_only=True)
class Grid:
    """`modulesX` of a layer with filters: how often they are applied."""

    modules: int = key(
        "modulesX",
        at_least(0),
        default=0,
        doc="Positions of a filter in a row; 0: as many as it takes to cover the image.",
    )


@dataclass(frozen=True, kw_only=True)
class ConvV2Spec(Grid, ConvSpec):
    """`type=conv` of v2: with schedules, columns of a given norm, and updates every few minibatches."""

    params = ConvPeriodicParams

    partial_sum: int = 0
    sum_width: int = key(
        "sumWidth",
        at_least(0),
        missing_hint=" (it only tuned the GPU kernels: sumWidth=1 will do)",
        doc="It only tuned the GPU kernels.",
    )


@dataclass(frozen=True, kw_only=True)
class LocalV2Spec(Grid, LocalSpec):
    """`type=local` of v2: with schedules, columns of bounded norm, and updates every few minibatches."""

    params = LocalPeriodicParams


@dataclass(frozen=True, kw_only=True)
class SumV2Spec(SumSpec):
    """`type=eltsum` of v2: the coefficients are in the parameter file."""

    params = SumParams

    coefficients: tuple[float, ...] | None = None

    def check_params(self, params: LayerParams, inputs: Sequence[Input], report: Report) -> None:
        """Coefficients, where given, must be one for each input."""
        if isinstance(params, SumParams):
            check_coefficients(params.coefficients, len(inputs), report)

    def coefficients_with(self, params: LayerParams | None) -> tuple[float, ...]:
        """Return one coefficient for each input."""
        given = params.coefficients if isinstance(params, SumParams) else None
        return (given or (1.0,) * len(self.inputs))[: len(self.inputs)]


@dataclass(frozen=True, kw_only=True)
class MaxAbsPoolSpec(PoolSpec):
    """`type=pool`: also the value of greatest magnitude."""

    pool: str = key(
        "pool",
        one_of("max", "maxabs", "avg"),
        doc="`max`: the largest value of a window. `maxabs`: that of largest magnitude. `avg`: the mean.",
    )


@dataclass(frozen=True, kw_only=True)
class PoolV2Spec(MaxAbsPoolSpec):
    """`type=pool` of v2: also the value of greatest magnitude, or the sum."""

    sums: bool = key("sum", FLAG, default=False, doc="`avg` does not divide: it is the sum.")


@dataclass(frozen=True, kw_only=True)
class ChannelPoolSpec(ImageSpec):
    """`type=cmpool`: the greatest of neighbouring channels at each pixel."""

    type_name = "cmpool"

    pool: str = key("pool", one_of("max"), doc="The largest value of a window.")
    size: int = key("size", at_least(1), doc="Channels in a window, at most all of them.")
    stride: int = key("stride", at_least(1), doc="Channels from one window to the next, at most `size`.")
    start: int = key("start", INTEGER, default=0, doc="Channel where the first window begins, 0 or below.")
    outputs: int = key(
        "outputs",
        at_least(0),
        default=0,
        doc="Channels of the output; their windows must cover those of the input, which none never do.",
    )

    def output_image(self, image: Image, source: Input, report: Report) -> Image | None:
        """`outputs` channels; the side stays."""
        fits = check_range(report, "size", self.size, 1, image.channels, "the number of channels")
        fits = check_range(report, "stride", self.stride, 1, self.size, "size") and fits
        if self.start > 0:
            report.error(f"start must be an integer <= 0, got {self.start}", "start")
            return None
        if not fits:
            return None
        uncovered = image.channels - self.start - self.size
        if (least := 1 + ceil_divided(uncovered, self.stride)) > self.outputs:
            report.error(
                f"outputs must be an integer >= {least} (to cover {image.channels} channels), "
                f"got {self.outputs}",
                "outputs",
            )
            return None
        if self.start <= -self.size or self.start + (self.outputs - 1) * self.stride >= image.channels:
            report.suspect("some windows have no channel: they would give -2e38", "outputs")
        return Image(self.outputs, image.side)


@dataclass(frozen=True, kw_only=True)
class ResponseNormV2Spec(ResponseNormSpec):
    """`type=rnorm` with an additive constant of choice."""

    params: ClassVar[type[LayerParams]] = MinDivParams


@dataclass(frozen=True, kw_only=True)
class ContrastNormV2Spec(ContrastNormSpec):
    """`type=cnorm` with an additive constant of choice."""

    params: ClassVar[type[LayerParams]] = MinDivParams


@dataclass(frozen=True, kw_only=True)
class CrossMapNormV2Spec(CrossMapNormSpec):
    """`type=cmrnorm` with an additive constant of choice."""

    params: ClassVar[type[LayerParams]] = MinDivParams


@dataclass(frozen=True, kw_only=True)
class ConcatSpec(LayerSpec):
    """`type=concat`: the inputs one behind the other."""

    type_name = "concat"
    input_limits: ClassVar[tuple[int, int | None]] = (1, None)

    def output(self, inputs: Sequence[Input], report: Report) -> Output | None:
        """The values of all inputs; an image if all are images of one side."""
        size = sum(source.output.size for source in inputs)
        images = [source.output.image for source in inputs]
        sides = {image.side if image else None for image in images}
        if len(sides) == 1 and None not in sides:
            return image_output(Image(sum(image.channels for image in images if image), sides.pop() or 0))
        return Output(size)


@dataclass(frozen=True, kw_only=True)
class PassSpec(ConcatSpec):
    """`type=pass`: concat that copied nothing."""

    type_name = "pass"


@dataclass(frozen=True, kw_only=True)
class InvertedDropoutSpec(LayerSpec):
    """`type=dropout`: what is kept in training is scaled up."""

    type_name = "dropout"
    params = KeepParams

    def check_params(self, params: LayerParams, inputs: Sequence[Input], report: Report) -> None:
        """What is kept is divided by `keep`."""
        if isinstance(params, KeepParams) and params.keep == 0:
            report.error("keep must be > 0 here: what is kept is divided by it", "keep")


@dataclass(frozen=True, kw_only=True)
class DropoutSpec(LayerSpec):
    """`type=dropout2`: all values are scaled down in tests."""

    type_name = "dropout2"
    params = KeepParams


@dataclass(frozen=True, kw_only=True)
class FlipSpec(ImageSpec):
    """`type=href`: every image mirrored, left to right."""

    type_name = "href"

    channels: int = key("channels", at_least(1))

    def output_image(self, image: Image, source: Input, report: Report) -> Image:
        """The shape of the input."""
        if image.channels > 3:
            report.note("channels > 3: the GPU kernels had none for this", "channels")
        return image


@dataclass(frozen=True, kw_only=True)
class CropSpec(ImageSpec):
    """`type=crop`: a square part of the image."""

    type_name = "crop"
    differentiable = False

    size: int = key("sizeX", at_least(1), doc="Side of the part in pixels.")
    first_column: int = key("startX", at_least(0), doc="First column of the part, from 0.")
    first_row: int | None = key(
        "startY", at_least(0), default=None, doc="First row of the part, from 0; without it as `startX`."
    )

    @property
    def row(self) -> int:
        """The first row; without `startY` the number of the first column."""
        return self.first_column if self.first_row is None else self.first_row

    def output_image(self, image: Image, source: Input, report: Report) -> Image | None:
        """`channels` channels of `sizeX` x `sizeX`, which must lie within the image."""
        if not check_range(report, "sizeX", self.size, 1, image.side, "the side of the image"):
            return None
        limit = f"the image has side {image.side}, the part {self.size}"
        fits = check_range(report, "startX", self.first_column, 0, image.side - self.size, limit)
        if self.first_row is not None:
            fits = check_range(report, "startY", self.row, 0, image.side - self.size, limit) and fits
        return Image(image.channels, self.size) if fits else None


@dataclass(frozen=True, kw_only=True)
class RandomScaleSpec(ImageSpec):
    """`type=rscale`: random sizes and places in training, the whole image in tests."""

    type_name = "rscale"
    differentiable = False
    crops_in_tests: ClassVar[bool] = False

    max_scale: float = key(
        "maxScale",
        number_between(1, 2),
        doc="Side of the image divided by the least side that it is resized to.",
    )
    target: int = key(
        "tgtSize",
        at_least(1),
        doc="Side of the output in pixels, at most that of the image, at least that divided by `maxScale`.",
    )

    def output_image(self, image: Image, source: Input, report: Report) -> Image | None:
        """`channels` channels of `tgtSize` x `tgtSize`.

        It takes two pixels to be between them.
        """
        if image.side < 2:
            report.error("type=rscale needs an image of at least 2 x 2 pixels, got 1 x 1", "channels")
            return None
        least = int(image.side / self.max_scale)
        limit = f"the side of the image, and at least that divided by maxScale={self.max_scale:g}"
        fits = check_range(report, "tgtSize", self.target, least, image.side, limit)
        return Image(image.channels, self.target) if fits else None
