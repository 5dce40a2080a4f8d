"""The layer types of cuda-convnet v1 that have weights: fc, conv, local (spec: layers.md sections 2 to 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from convnet_cfg.errors import Severity, join_words
from convnet_cfg.language.kinds import (
    FLAG,
    FUNCTION,
    NUMBER,
    SOURCE,
    SPARSE,
    FunctionCall,
    SourceRef,
    at_least,
)
from convnet_cfg.language.layer_types import LayerSpec
from convnet_cfg.language.params import LayerParams, WeightParams
from convnet_cfg.language.shapes import (
    Image,
    Input,
    MatrixShape,
    Output,
    ceil_divided,
    image_input,
    image_output,
)
from convnet_cfg.language.spec import Report, key


@dataclass(frozen=True, kw_only=True)
class WeightSpec(LayerSpec):
    """A layer with a weight matrix for each input, and one bias."""

    params: ClassVar[type[LayerParams]] = WeightParams
    input_limits: ClassVar[tuple[int, int | None]] = (1, None)
    has_bias: ClassVar[bool] = True

    deviations: tuple[float, ...] = key(
        "initW",
        NUMBER,
        per_input=True,
        doc="Standard deviation of the first weights, which are drawn around 0.",
    )
    initial_bias: float = key("initB", NUMBER, default=0, doc="First value of the biases.")
    weight_function: FunctionCall | None = key(
        "initWFunc",
        FUNCTION,
        default=None,
        doc="Function that makes the first weights instead; it runs only with `--allow-init-func`.",
    )
    bias_function: FunctionCall | None = key(
        "initBFunc",
        FUNCTION,
        default=None,
        doc="Function that makes the first biases instead; it runs only with `--allow-init-func`.",
    )
    sources: tuple[SourceRef | None, ...] = key(
        "weightSource",
        SOURCE,
        default=None,
        per_input=True,
        broadcasts=False,
        doc="Owner of the matrix of each input, which is shared then; an empty item: the layer has its own.",
    )

    def matrices(self, inputs: Sequence[Input], output: Output) -> tuple[MatrixShape, ...]:
        """Return the shape of the weight matrix of each input."""
        raise NotImplementedError

    def bias_shape(self, output: Output) -> MatrixShape:
        """Return the shape of the bias."""
        raise NotImplementedError

    def check_params(self, params: LayerParams, inputs: Sequence[Input], report: Report) -> None:
        """The bounds of a matrix must be in order."""
        limits = (
            [params.limits(index) for index in range(len(inputs))] if isinstance(params, WeightParams) else []
        )
        for limit in limits:
            if limit.least_spread > limit.most_spread:
                report.error(
                    f"wcNormMin must be at most wcNormMax={limit.most_spread:g}, got {limit.least_spread:g}",
                    "wcNormMin",
                )


@dataclass(frozen=True, kw_only=True)
class FullSpec(WeightSpec):
    """`type=fc`: every output depends on every input."""

    type_name = "fc"

    outputs: int = key("outputs", at_least(1), doc="Values that it makes.")

    def output(self, inputs: Sequence[Input], report: Report) -> Output | None:
        """`outputs` values."""
        return Output(self.outputs)

    def matrices(self, inputs: Sequence[Input], output: Output) -> tuple[MatrixShape, ...]:
        """For each input its values x outputs."""
        return tuple(MatrixShape(source.output.size, self.outputs) for source in inputs)

    def bias_shape(self, output: Output) -> MatrixShape:
        """One for each output."""
        return MatrixShape(1, self.outputs)

    def multiply_adds(self, inputs: Sequence[Input], output: Output) -> int:
        """The elements of the matrices."""
        return sum(rows * columns for rows, columns in self.matrices(inputs, output))


@dataclass(frozen=True, kw_only=True)
class FilterSpec(WeightSpec):
    """Filters that slide over images; every list has one value for each input."""

    of_sixteen: ClassVar[bool] = True  # the GPU kernels took filters by sixteen

    channels: tuple[int, ...] = key(
        "channels", at_least(1), per_input=True, doc="Channels of each input, which is a square image."
    )
    filters: tuple[int, ...] = key("filters", at_least(1), per_input=True, doc="Filters of each group.")
    sizes: tuple[int, ...] = key(
        "filterSize", at_least(1), per_input=True, doc="Side of the filters in pixels."
    )
    paddings: tuple[int, ...] = key(
        "padding",
        at_least(0),
        default=0,
        per_input=True,
        doc=(
            "Rows and columns of zeros above and to the left; below and to the right there are as "
            "many as the last window needs."
        ),
    )
    strides: tuple[int, ...] = key(
        "stride",
        at_least(1),
        default=1,
        per_input=True,
        doc="Pixels from one position of a filter to the next.",
    )
    groups: tuple[int, ...] = key(
        "groups",
        at_least(1),
        default=1,
        per_input=True,
        doc="Groups of channels and filters; a filter sees the channels of its group.",
    )
    sparse: tuple[bool, ...] = key(
        "randSparse",
        SPARSE,
        default=False,
        per_input=True,
        doc="The channels of each group are drawn at random; needs `groups` above 1.",
    )
    sparse_channels: tuple[int | None, ...] = key(
        "filterChannels",
        at_least(1),
        default=None,
        per_input=True,
        only_with="sparse",
        doc="Channels that a filter sees; without it `channels` / `groups`.",
    )
    connection_function: FunctionCall | None = key(
        "initCFunc",
        FUNCTION,
        default=None,
        doc="Function that draws the channels of `randSparse`; it runs only with `--allow-init-func`.",
    )
    modules: int = 0  # the side of the output grid; 0: as many windows as it takes to cover the image

    def total_filters(self, index: int = 0) -> int:
        """Return the filters of all groups together."""
        return self.filters[index] * self.groups[index]

    def filter_channels(self, index: int) -> int:
        """Return the channels that one filter sees."""
        sparse = self.sparse_channels[index] if self.sparse[index] else None
        return sparse or self.channels[index] // self.groups[index]

    def oversampling(self, index: int) -> int:
        """Return how often each channel is drawn for random sparsity; 1 for ordinary groups."""
        return self.groups[index] * self.filter_channels(index) // self.channels[index]

    def output_side(self, side: int, index: int) -> int:
        """Windows may hang over the right and lower border beyond the padding, hence ceil."""
        return self.modules or 1 + ceil_divided(
            2 * self.paddings[index] + side - self.sizes[index], self.strides[index]
        )

    def output(self, inputs: Sequence[Input], report: Report) -> Output | None:
        """`filters` * `groups` channels of n x n, n = 1 + ceil((2 padding + side - filterSize) / stride).

        All inputs must give the same.
        """
        sides = [self._side(index, source, report) for index, source in enumerate(inputs)]
        if None in sides:
            return None
        made = dict.fromkeys(
            Image(self.total_filters(index), side) for index, side in enumerate(sides) if side is not None
        )
        if len(made) > 1:
            each = [f"{image.channels} filters on {image.side} x {image.side}" for image in made]
            report.error(
                f"the inputs must give one output grid and number of filters, not {join_words(each, 'and')}",
                "inputs",
            )
            return None
        return image_output(next(iter(made)))

    def matrices(self, inputs: Sequence[Input], output: Output) -> tuple[MatrixShape, ...]:
        """For each input (channels of a filter * filterSize * filterSize) x filters."""
        return tuple(
            MatrixShape(self.filter_channels(index) * self.sizes[index] ** 2, self.total_filters(index))
            for index in range(len(inputs))
        )

    def multiply_adds(self, inputs: Sequence[Input], output: Output) -> int:
        """The elements of each filter at each position."""
        return sum(
            self.filter_channels(index) * self.sizes[index] ** 2 * output.size for index in range(len(inputs))
        )

    def _side(self, index: int, source: Input, report: Report) -> int | None:
        image = image_input(source, self.channels[index], report)
        fits = self._check_groups(index, report)
        if image is None or not fits:
            return None
        self._note_gpu_limits(index, report)
        padded = 2 * self.paddings[index] + image.side
        if self.sizes[index] > padded:
            report.error(
                f"filterSize must be at most {padded} (the padded side of {source.name!r}), "
                f"got {self.sizes[index]}",
                "filterSize",
            )
            return None
        side = self.output_side(image.side, index)
        uncovered = image.side + self.paddings[index] - self.sizes[index]
        if (least := 1 + ceil_divided(uncovered, self.strides[index])) > side:
            report.error(
                f"modulesX must be an integer >= {least} (to cover the side of {source.name!r}, "
                f"{image.side}), got {side}",
                "modulesX",
            )
            return None
        return side

    def _check_groups(self, index: int, report: Report) -> bool:
        channels, groups, filtered = self.channels[index], self.groups[index], self.filter_channels(index)
        if channels % groups:
            report.error(f"channels={channels} is not divisible by groups={groups}", "channels")
            return False
        if not self.sparse[index]:
            return True
        if groups == 1:
            report.error("randSparse needs groups > 1", "randSparse")
            return False
        if channels % filtered or (groups * filtered) % channels:
            report.error(
                f"with randSparse, channels={channels} must be divisible by filterChannels={filtered}, "
                f"and groups * filterChannels={groups * filtered} by channels",
                "filterChannels",
            )
            return False
        return True

    def _note_gpu_limits(self, index: int, report: Report) -> None:
        channels, groups = self.channels[index], self.groups[index]
        limits = {
            "channels > 3 and not a multiple of 4": channels > 3 and channels % 4,
            "groups > 1 and channels not a multiple of 4 * groups": groups > 1 and channels % (4 * groups),
            "filters not a multiple of 16 in each group": self.of_sixteen and self.filters[index] % 16,
            "filterChannels not a multiple of 4": self.sparse[index] and self.filter_channels(index) % 4,
            "stride > filterSize": self.strides[index] > self.sizes[index],
        }
        for limit, exceeded in limits.items():
            if exceeded:
                report.note(f"{limit}: the GPU kernels had none for this", "channels")


@dataclass(frozen=True, kw_only=True)
class ConvSpec(FilterSpec):
    """`type=conv`: the same filters at every position."""

    type_name = "conv"

    shared_biases: bool = key(
        "sharedBiases",
        FLAG,
        default=True,
        doc="One bias for each filter; 0: one for each filter and position.",
    )
    partial_sum: int = key(
        "partialSum",
        at_least(0),
        missing_hint=" (it only tuned the GPU kernels: partialSum=0 will do)",
        doc="It only tuned the GPU kernels: 0, or a divisor of the number of positions.",
    )
    must_divide: ClassVar[Severity] = Severity.ERROR  # how much a `partialSum` matters that does not divide

    def output(self, inputs: Sequence[Input], report: Report) -> Output | None:
        """`filters` * `groups` channels of n x n, n = 1 + ceil((2 padding + side - filterSize) / stride).

        `partialSum` must divide the number of positions, n x n.
        """
        output = super().output(inputs, report)
        if output is None or output.image is None:
            return None
        modules = output.image.side**2
        if self.partial_sum and modules % self.partial_sum:
            report.error(
                f"partialSum={self.partial_sum} does not divide the {modules} positions of a filter "
                f"({output.image.side} x {output.image.side}; partialSum=0 always fits)",
                "partialSum",
                self.must_divide,
            )
        return output

    def bias_shape(self, output: Output) -> MatrixShape:
        """One for each filter, or for each filter and position."""
        return MatrixShape(self.total_filters() if self.shared_biases else output.size, 1)


@dataclass(frozen=True, kw_only=True)
class LocalSpec(FilterSpec):
    """`type=local`: filters of its own for every position."""

    type_name = "local"

    def matrices(self, inputs: Sequence[Input], output: Output) -> tuple[MatrixShape, ...]:
        """For each input (positions * channels of a filter * filterSize * filterSize) x filters."""
        assert output.image is not None
        modules = output.image.side**2
        return tuple(
            MatrixShape(modules * rows, columns) for rows, columns in super().matrices(inputs, output)
        )

    def bias_shape(self, output: Output) -> MatrixShape:
        """One for each filter and position."""
        return MatrixShape(output.size, 1)
