"""One frozen dataclass for each layer type of cuda-convnet v1; shapes as formulas (spec: layers.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from convnet_cfg.language.grammar import Section
from convnet_cfg.language.kinds import (
    FLAG,
    INTEGER,
    NAME,
    NUMBER,
    Syntax,
    at_least,
    in_range,
    number_between,
    one_of,
    read_integer,
)
from convnet_cfg.language.neurons import Neuron
from convnet_cfg.language.params import LayerParams, NormParams
from convnet_cfg.language.shapes import Image as Image
from convnet_cfg.language.shapes import (
    Input,
    Output,
    ceil_divided,
    check_range,
    common_output,
    image_input,
    image_output,
)
from convnet_cfg.language.spec import Report, count, key

MAX_DATA_INDEX = 99


@dataclass(frozen=True, kw_only=True)
class LayerSpec:
    """What the definition file says of one layer."""

    type_name: ClassVar[str]
    params: ClassVar[type[LayerParams]] = LayerParams
    input_limits: ClassVar[tuple[int, int | None]] = (1, 1)
    differentiable: ClassVar[bool] = True

    inputs: tuple[str, ...] = key(
        "inputs", NAME, is_list=True, doc="Layers that it reads, in this order; each is defined further up."
    )
    neuron: Neuron | None = key(
        "neuron",
        Syntax.NEURON,
        default=None,
        doc="Activation behind it: a layer of its own, with the name of this one and `_neuron`.",
    )

    def refined(self, params: Section | None, report: Report) -> LayerSpec:
        """Return the layer that is meant; `params` is its section of the parameter file."""
        return self

    def output(self, inputs: Sequence[Input], report: Report) -> Output | None:
        """The shape of the first input.

        None where the inputs do not fit, which is reported.
        """
        return inputs[0].output

    def check_params(self, params: LayerParams, inputs: Sequence[Input], report: Report) -> None:
        """Report what is wrong in the parameter file for these inputs."""

    def multiply_adds(self, inputs: Sequence[Input], output: Output) -> int:
        """Return the multiplications of matrix products and convolutions in one forward pass of one case."""
        return 0


@dataclass(frozen=True, kw_only=True)
class DataSpec(LayerSpec):
    """`type=data`: one matrix of the data provider."""

    type_name = "data"
    input_limits = (0, 0)

    inputs: tuple[str, ...] = ()
    neuron: Neuron | None = None
    data_index: int = key(
        "dataIdx", in_range(0, MAX_DATA_INDEX), doc="Number of the matrix of the data provider, from 0."
    )
    first: int = 0  # the values that are read, from `first` on, up to `end` without it
    end: int = 0  # 0: all

    def output_of(self, dim: int, report: Report) -> Output | None:
        """The values of the matrix for each case.

        `dim` is how many they are.
        """
        end = self.end or dim
        if (self.first or self.end) and not self.first < end <= dim:
            report.error(f"start={self.first} and end={end} must be a part of the {dim} values", "start")
            return None
        return Output(end - self.first)


@dataclass(frozen=True, kw_only=True)
class SoftmaxSpec(LayerSpec):
    """`type=softmax`: exp(x) divided by its sum."""

    type_name = "softmax"

    def output(self, inputs: Sequence[Input], report: Report) -> Output:
        """As many values as the input, no image any more."""
        return Output(inputs[0].output.size)


@dataclass(frozen=True, kw_only=True)
class NeuronSpec(LayerSpec):
    """`type=neuron`: an activation as a layer of its own."""

    type_name = "neuron"

    neuron: Neuron = key("neuron", Syntax.REQUIRED_NEURON, doc="The activation.")


@dataclass(frozen=True, kw_only=True)
class SumSpec(LayerSpec):
    """`type=eltsum`: the weighted sum of inputs of one size."""

    type_name = "eltsum"
    input_limits = (1, None)

    coefficients: tuple[float, ...] | None = key(
        "coeffs", NUMBER, is_list=True, default=None, doc="A factor for each input; without it each is 1."
    )

    def output(self, inputs: Sequence[Input], report: Report) -> Output | None:
        """The shape of the inputs, which have equally many values."""
        check_coefficients(self.coefficients, len(inputs), report)
        return common_output(inputs, report)

    def coefficients_with(self, params: LayerParams | None) -> tuple[float, ...]:
        """Return one coefficient for each input."""
        return (self.coefficients or (1.0,) * len(self.inputs))[: len(self.inputs)]


def check_coefficients(coefficients: Sequence[float] | None, inputs: int, report: Report) -> None:
    """Report coefficients that are not one for each input; None stands for ones."""
    given = len(coefficients) if coefficients is not None else inputs
    numbers = f"{count(given, 'value')} for {count(inputs, 'input')}"
    if given < inputs:
        report.error(f"coeffs has {numbers}", "coeffs")
    elif given > inputs:
        report.suspect(f"coeffs has {numbers} (the original ignored those left over)", "coeffs")


@dataclass(frozen=True, kw_only=True)
class MaxSpec(LayerSpec):
    """`type=eltmax`: the greatest of several inputs, element by element."""

    type_name = "eltmax"
    input_limits = (2, None)

    def output(self, inputs: Sequence[Input], report: Report) -> Output | None:
        """The shape of the inputs, which have equally many values."""
        return common_output(inputs, report)


@dataclass(frozen=True, kw_only=True)
class ImageSpec(LayerSpec):
    """A layer with one input that is read as an image."""

    channels: int = key("channels", at_least(1), doc="Channels of the input, which is a square image.")

    def output(self, inputs: Sequence[Input], report: Report) -> Output | None:
        """The image that `output_image` makes of the input."""
        image = image_input(inputs[0], self.channels, report)
        made = self.output_image(image, inputs[0], report) if image else None
        return image_output(made) if made else None

    def output_image(self, image: Image, source: Input, report: Report) -> Image | None:
        """The shape of the input.

        None where the input does not fit, which is reported.
        """
        return image


@dataclass(frozen=True, kw_only=True)
class PoolSpec(ImageSpec):
    """`type=pool`: one value for each square window of the image."""

    type_name = "pool"
    of_sixteen: ClassVar[bool] = True  # the GPU kernels took channels by sixteen

    pool: str = key(
        "pool", one_of("max", "avg"), doc="`max`: the largest value of a window. `avg`: the mean."
    )
    size: int = key("sizeX", at_least(1), doc="Side of the windows in pixels, at most that of the image.")
    stride: int = key("stride", at_least(1), doc="Pixels from one window to the next, at most `sizeX`.")
    start: int = key(
        "start",
        INTEGER,
        default=0,
        doc="Row and column where the first window begins; below 0 that is outside the image.",
    )
    outputs: int = key(
        "outputsX",
        at_least(0),
        default=0,
        doc="Windows in a row; 0: as many as it takes to reach the border.",
    )
    sums: bool = False  # average pooling does not divide

    def output_image(self, image: Image, source: Input, report: Report) -> Image | None:
        """`channels` channels of n x n, n = `outputsX` or 1 + ceil((side - start - sizeX) / stride).

        Windows start inside the image but may reach past its border, hence ceil.
        """
        if self.of_sixteen and source.trainable and self.channels % 16:
            report.note("channels % 16 != 0: the GPU kernels could not pool this over weights", "channels")
        fits = check_range(report, "sizeX", self.size, 1, image.side, "the side of the image")
        fits = check_range(report, "stride", self.stride, 1, self.size, "sizeX") and fits
        if not fits:
            return None
        side = self.output_side(image.side)
        if side < 1:
            report.error(f"start={self.start} leaves no window on an image of side {image.side}", "start")
            return None
        if self.has_empty_windows(image.side):
            report.suspect(
                f"some windows lie wholly outside the image of side {image.side}: they start at {self.start} "
                f"to {self.last_start(image.side)} and are {self.size} wide; "
                "they would give -2e38 (max) or NaN (avg)",
                "outputsX" if self.outputs else "start",
            )
        return Image(image.channels, side)

    def last_start(self, side: int) -> int:
        """Return where the last window of a row starts."""
        return self.start + (self.output_side(side) - 1) * self.stride

    def has_empty_windows(self, side: int) -> bool:
        """Return whether some windows have no pixel of the image."""
        return self.start <= -self.size or self.last_start(side) >= side

    def output_side(self, side: int) -> int:
        """Return the windows per row: `outputsX`, or as many as reach the border."""
        return self.outputs or ceil_divided(side - self.start - self.size, self.stride) + 1


@dataclass(frozen=True, kw_only=True)
class NormSpec(ImageSpec):
    """A normalization over windows of `size`; `scale` and `pow` are in the parameter file."""

    params: ClassVar[type[LayerParams]] = NormParams
    divisor_power: ClassVar[int] = 2

    size: int = key(
        "size",
        at_least(1),
        doc=(
            "Side of the windows in pixels, at most that of the image; an even one reaches one pixel "
            "further up and to the left."
        ),
    )
    blocked: bool = key("blocked", FLAG, default=False, doc="It has no effect on this type.")

    def output_image(self, image: Image, source: Input, report: Report) -> Image | None:
        """The shape of the input, into which the windows fit."""
        if image.channels > 3 and image.channels % 4:
            report.note("channels > 3 and not a multiple of 4: the GPU kernels had none for this", "channels")
        return (
            image if check_range(report, "size", self.size, 1, image.side, "the side of the image") else None
        )

    def effective_scale(self, scale: float) -> float:
        """The original divides `scale` by the nominal number of values in a window."""
        return scale / float(self.size**self.divisor_power)


@dataclass(frozen=True, kw_only=True)
class ResponseNormSpec(NormSpec):
    """`type=rnorm`: response normalization within each channel."""

    type_name = "rnorm"


@dataclass(frozen=True, kw_only=True)
class ContrastNormSpec(NormSpec):
    """`type=cnorm`: contrast normalization within each channel."""

    type_name = "cnorm"


@dataclass(frozen=True, kw_only=True)
class CrossMapNormSpec(NormSpec):
    """`type=cmrnorm`: response normalization across neighbouring channels."""

    type_name = "cmrnorm"
    divisor_power = 1

    size: int = key(
        "size",
        at_least(1),
        doc="Channels in a window, from 2 to all; an even number reaches one channel further down.",
    )
    blocked: bool = key(
        "blocked",
        FLAG,
        default=False,
        doc="Windows are blocks of `size` channels side by side, not one around each channel.",
    )

    def output_image(self, image: Image, source: Input, report: Report) -> Image | None:
        """The shape of the input."""
        if image.channels % 16:
            report.note("channels % 16 != 0: the GPU kernels had none for this", "channels")
        fits = check_range(report, "size", self.size, 2, image.channels, "the number of channels")
        return image if fits else None


@dataclass(frozen=True, kw_only=True)
class NailbedSpec(ImageSpec):
    """`type=nailbed`: one pixel of every `stride` in both directions."""

    type_name = "nailbed"

    stride: int = key("stride", at_least(1), doc="Pixels from one sample to the next, in both directions.")

    def output_image(self, image: Image, source: Input, report: Report) -> Image:
        """`channels` channels of n x n, n = ceil(side / stride); the samples are centred."""
        if self.stride == 1:
            report.note("stride=1 copies the image: the GPU kernel refused this", "stride")
        return Image(image.channels, ceil_divided(image.side, self.stride))


@dataclass(frozen=True, kw_only=True)
class BlurSpec(ImageSpec):
    """`type=blur`: a Gaussian blur, zero beyond the border."""

    type_name = "blur"

    size: int = key(
        "filterSize",
        one_of(3, 5, 7, 9, convert=read_integer),
        doc="Side of the filter in pixels, at most that of the image.",
    )
    deviation: float = key("stdev", NUMBER, doc="Standard deviation of the Gaussian in pixels; not 0.")

    def output_image(self, image: Image, source: Input, report: Report) -> Image | None:
        """The shape of the input."""
        if self.deviation == 0:
            report.error("stdev must be a number other than 0", "stdev")
        fits = check_range(report, "filterSize", self.size, 3, image.side, "the side of the image")
        return image if fits else None


@dataclass(frozen=True, kw_only=True)
class ResizeSpec(ImageSpec):
    """`type=resize`: bilinear resampling; `scale` > 1 shrinks."""

    type_name = "resize"
    differentiable = False

    scale: float = key(
        "scale",
        number_between(0.5, 2),
        doc="Side of the input divided by that of the output; above 1 shrinks.",
    )

    def output_image(self, image: Image, source: Input, report: Report) -> Image | None:
        """`channels` channels of n x n, n = floor(side / scale).

        It takes two pixels to be between them.
        """
        if image.side < 2:
            report.error("type=resize needs an image of at least 2 x 2 pixels, got 1 x 1", "channels")
            return None
        return Image(image.channels, int(image.side / self.scale))


@dataclass(frozen=True, kw_only=True)
class YuvSpec(ImageSpec):
    """`type=rgb2yuv`: colours as brightness and two differences."""

    type_name = "rgb2yuv"
    differentiable = False

    channels: int = 3


@dataclass(frozen=True, kw_only=True)
class LabSpec(YuvSpec):
    """`type=rgb2lab`: colours in CIE L*a*b*."""

    type_name = "rgb2lab"

    center: bool = key(
        "center", FLAG, default=False, doc="50 is subtracted from L, which then lies around 0."
    )
