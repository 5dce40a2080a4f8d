"""Layer types of the public forks (spec: forks.md sections 3 to 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from convnet_cfg.errors import Severity
from convnet_cfg.language.kinds import NUMBER, FunctionCall, Kind, at_least, number_between, read_number
from convnet_cfg.language.layer_types import (
    ContrastNormSpec,
    CrossMapNormSpec,
    LayerSpec,
    PoolSpec,
    ResponseNormSpec,
    SoftmaxSpec,
)
from convnet_cfg.language.params import LayerParams, Limits, NormParams, UpdateRule, WeightParams
from convnet_cfg.language.schedules import Schedule
from convnet_cfg.language.shapes import Image, Input, MatrixShape, Output, common_output, image_output
from convnet_cfg.language.spec import Report, count, key
from convnet_cfg.language.v2_types import ConcatSpec
from convnet_cfg.language.weight_types import ConvSpec, FullSpec, WeightSpec

# -- Network in Network


@dataclass(frozen=True, kw_only=True)
class ConstantParams(NormParams):
    """A normalization of which the file must give the additive constant."""

    constant: float = key("k", NUMBER, doc="What is added to the scaled sum of squares.")


@dataclass(frozen=True, kw_only=True)
class IgnoredConstantParams(NormParams):
    """A normalization whose `k` must be there but was not used."""

    unused_constant: float = key("k", NUMBER, doc="It had no effect, but has to be there.")


@dataclass(frozen=True, kw_only=True)
class NinCrossMapNormSpec(CrossMapNormSpec):
    """`type=cmrnorm` with `k` for the additive constant."""

    params: ClassVar[type[LayerParams]] = ConstantParams


@dataclass(frozen=True, kw_only=True)
class NinResponseNormSpec(ResponseNormSpec):
    """`type=rnorm`, where `k` had no effect."""

    params: ClassVar[type[LayerParams]] = IgnoredConstantParams


@dataclass(frozen=True, kw_only=True)
class NinContrastNormSpec(ContrastNormSpec):
    """`type=cnorm`, where `k` had no effect."""

    params: ClassVar[type[LayerParams]] = IgnoredConstantParams


@dataclass(frozen=True, kw_only=True)
class NinConvSpec(ConvSpec):
    """`type=conv` for any number of filters."""

    of_sixteen = False


@dataclass(frozen=True, kw_only=True)
class NinPoolSpec(PoolSpec):
    """`type=pool` for any number of channels."""

    of_sixteen = False


@dataclass(frozen=True, kw_only=True)
class PixelSpec(WeightSpec):
    """`type=cccp`: a small fc layer at each pixel, for each group of channels: a 1 x 1 convolution."""

    type_name = "cccp"
    input_limits = (1, 1)

    groups: int = key("channels", at_least(1), doc="Groups of channels, each with weights of its own.")
    group_inputs: int = key("in_nodes", at_least(1), doc="Channels of the input in each group.")
    group_outputs: int = key("out_nodes", at_least(1), doc="Channels of the output in each group.")

    def pixels(self, source: Input) -> int:
        """Return how many pixels an input has; they need not form a square."""
        return source.output.size // (self.group_inputs * self.groups)

    def output(self, inputs: Sequence[Input], report: Report) -> Output | None:
        """`channels` * `out_nodes` channels of as many pixels as the input has."""
        source, channels = inputs[0], self.group_inputs * self.groups
        if source.output.size % channels:
            report.error(
                f"channels * in_nodes={channels} does not divide the {source.output.size} values "
                f"of {source.name!r}",
                "in_nodes",
            )
            return None
        made = self.group_outputs * self.groups
        image = source.output.image
        if image is not None and image.channels == channels:
            return image_output(Image(made, image.side))
        return Output(made * self.pixels(source))

    def matrices(self, inputs: Sequence[Input], output: Output) -> tuple[MatrixShape, ...]:
        """`in_nodes` x (`channels` * `out_nodes`)."""
        return (MatrixShape(self.group_inputs, self.group_outputs * self.groups),)

    def bias_shape(self, output: Output) -> MatrixShape:
        """One for each output of a pixel."""
        return MatrixShape(1, self.group_outputs * self.groups)

    def multiply_adds(self, inputs: Sequence[Input], output: Output) -> int:
        """The inputs of a group for each output."""
        return self.group_inputs * output.size


@dataclass(frozen=True, kw_only=True)
class OldPixelSpec(PixelSpec):
    """`type=ffc`: the older name of cccp."""

    type_name = "ffc"


# -- DropConnect


@dataclass(frozen=True, kw_only=True)
class AnyPartialSumSpec(ConvSpec):
    """`type=conv` as dicarlolab/archconvnets had it: any `partialSum` will do."""

    must_divide = Severity.WARNING


RATE = number_between(0, 1)


@dataclass(frozen=True, kw_only=True)
class DropoutFullSpec(FullSpec):
    """`type=fcdropo`: fc whose outputs are dropped before the activation."""

    type_name = "fcdropo"

    rate: float = key("rate", RATE, doc="Probability of dropping an output.")

    def output(self, inputs: Sequence[Input], report: Report) -> Output | None:
        """`outputs` values."""
        if len(inputs) > 1:
            report.warning(
                "one mask drops outputs of the sum of all inputs; the original masked the sum anew after "
                "each input, and sent the gradient through the last mask only",
                "inputs",
            )
        return super().output(inputs, report)


@dataclass(frozen=True, kw_only=True)
class DropConnectSpec(FullSpec):
    """`type=fcdropc`: fc whose weights are dropped, the same for all cases of a minibatch."""

    type_name = "fcdropc"
    input_limits = (1, 1)

    rate: float = key("rate", RATE, doc="Probability of dropping a weight or bias.")


@dataclass(frozen=True, kw_only=True)
class CaseDropConnectSpec(DropConnectSpec):
    """`type=fcdropcf`: fc whose weights are dropped for each case anew."""

    type_name = "fcdropcf"


# -- forks with a type or two of their own


@dataclass(frozen=True, kw_only=True)
class UnionSpec(ConcatSpec):
    """`type=union` of alemagnani: two inputs one behind the other."""

    type_name = "union"
    input_limits = (2, 2)


@dataclass(frozen=True, kw_only=True)
class ScaledConcatSpec(ConcatSpec):
    """`type=eltconcat` of civilman628: two inputs of one size, each times its coefficient, joined."""

    type_name = "eltconcat"
    input_limits = (2, 2)

    coefficients: tuple[float, ...] | None = key(
        "coeffs", NUMBER, is_list=True, default=None, doc="A factor for each input; without it each is 1."
    )

    def output(self, inputs: Sequence[Input], report: Report) -> Output | None:
        """Twice as many values as an input has."""
        given = len(self.coefficients or (1, 1))
        if given != 2:
            report.error(f"coeffs has {count(given, 'value')} for 2 inputs", "coeffs")
        return super().output(inputs, report) if common_output(inputs, report) else None

    def coefficients_with(self, params: LayerParams | None) -> tuple[float, ...]:
        """Return one coefficient for each input."""
        return self.coefficients or (1.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class SumAsConcatSpec(ScaledConcatSpec):
    """`type=eltsum` of civilman628, which that program made the same as eltconcat."""

    type_name = "eltsum"


@dataclass(frozen=True, kw_only=True)
class TransitionParams(WeightParams):
    """Rates of a layer without a bias, whose columns stay distributions."""

    bias_rate: Schedule = Schedule(0.0)
    bias_momentum: float = 0.0

    def limits(self, index: int) -> Limits:
        """Return what bounds the matrix: columns of numbers >= 0 that sum to one."""
        return Limits(distributions=True)


def read_matrix(text: str) -> str | tuple[tuple[float, ...], ...]:
    """Return "random", "identity", or the rows of a matrix such as `1 0; 0 1`."""
    if text in ("random", "identity"):
        return text
    rows = tuple(tuple(map(read_number, row.replace(",", " ").split())) for row in text.split(";"))
    if not rows[0] or len({len(row) for row in rows}) != 1:
        raise ValueError(text)
    return rows


@dataclass(frozen=True, kw_only=True)
class TransitionSpec(WeightSpec):
    """`type=condprob` of Cysu: probabilities remixed by a matrix whose columns are distributions."""

    type_name = "condprob"
    params = TransitionParams
    input_limits = (1, 1)
    has_bias = False

    deviations: tuple[float, ...] = (0.0,)
    initial_bias: float = 0.0
    bias_function: FunctionCall | None = None
    outputs: int = key("outputs", at_least(1), doc="Values that it makes.")
    initial: str | tuple[tuple[float, ...], ...] = key(
        "initW",
        Kind(read_matrix, "random, identity or a matrix such as 1 0; 0 1"),
        default="random",
        doc=(
            "First matrix, inputs x outputs: columns that are random distributions, the identity, or "
            "the numbers themselves, row by row."
        ),
    )

    def output(self, inputs: Sequence[Input], report: Report) -> Output:
        """`outputs` values."""
        rows = inputs[0].output.size
        if self.initial == "identity" and rows != self.outputs:
            report.error(
                f"initW=identity needs as many outputs as inputs, not {self.outputs} and {rows}", "initW"
            )
        shape = (len(self.initial), len(self.initial[0])) if isinstance(self.initial, tuple) else None
        if shape and shape != (rows, self.outputs):
            report.error(f"initW must be {rows} x {self.outputs}, not {shape[0]} x {shape[1]}", "initW")
        return Output(self.outputs)

    def matrices(self, inputs: Sequence[Input], output: Output) -> tuple[MatrixShape, ...]:
        """Values of the input x outputs."""
        return (MatrixShape(inputs[0].output.size, self.outputs),)

    def multiply_adds(self, inputs: Sequence[Input], output: Output) -> int:
        """The elements of the matrix."""
        return inputs[0].output.size * self.outputs


@dataclass(frozen=True, kw_only=True)
class LogSoftmaxSpec(SoftmaxSpec):
    """`type=logsoftmax` of stephenyan1231: the logarithm of softmax."""

    type_name = "logsoftmax"


@dataclass(frozen=True, kw_only=True)
class UnitNormSpec(LayerSpec):
    """`type=normalize` of stephenyan1231: each case divided by its length."""

    type_name = "normalize"


@dataclass(frozen=True, kw_only=True)
class ConcatenateSpec(ConcatSpec):
    """`type=concatenate` of stephenyan1231: the inputs one behind the other."""

    type_name = "concatenate"


@dataclass(frozen=True, kw_only=True)
class PartSpec(LayerSpec):
    """`type=crop` of stephenyan1231: the values from `start` up to `end` without it."""

    type_name = "crop"

    first: int = key("start", at_least(0), doc="First value that is handed on, from 0.")
    end: int = key("end", at_least(1), doc="Value behind the last one that is handed on.")

    def output(self, inputs: Sequence[Input], report: Report) -> Output | None:
        """The values from `start` up to `end` without it."""
        size = inputs[0].output.size
        if not self.first < self.end <= size:
            report.error(
                f"start={self.first} and end={self.end} must be a part of the {size} values", "start"
            )
            return None
        return Output(self.end - self.first)


@dataclass(frozen=True, kw_only=True)
class DecayedBiasParams(WeightParams):
    """Weights of stephenyan1231, whose bias has a decay of its own."""

    bias_decay: float = key("wcB", NUMBER, default=0.0, doc="Weight decay of the biases.")

    def bias_rule(self) -> UpdateRule:
        """Return the rule of the bias."""
        return replace(super().bias_rule(), weight_decay=self.bias_decay, decay=self.decay)


@dataclass(frozen=True, kw_only=True)
class FixedDropoutFullSpec(FullSpec):
    """`type=fc` of stephenyan1231: it may drop a fixed number of outputs, the same for all cases."""

    params = DecayedBiasParams

    deviations: tuple[float, ...] = key("initW", NUMBER, default=0.01, per_input=True)
    dropped: float = key(
        "dropout",
        RATE,
        default=0.0,
        doc=(
            "Part of the outputs that is 0 in training, the same ones for all cases; in tests all are "
            "multiplied by 1 - dropout."
        ),
    )


@dataclass(frozen=True, kw_only=True)
class DecayedBiasConvSpec(ConvSpec):
    """`type=conv` of stephenyan1231: `initW` may be left away, and biases decayed."""

    params = DecayedBiasParams

    deviations: tuple[float, ...] = key("initW", NUMBER, default=0.01, per_input=True)


@dataclass(frozen=True, kw_only=True)
class DropProbabilitySpec(LayerSpec):
    """`type=dropout` of tund: the probability of dropping is in the definition file."""

    type_name = "dropout"
    input_limits = (1, None)

    rate: float = key("dropoutProb", RATE, doc="Probability of dropping a value.")

    def output(self, inputs: Sequence[Input], report: Report) -> Output | None:
        """The shape of the first input; more inputs are refused."""
        if len(inputs) > 1:
            report.error("more than one input is not supported: what they are for is not published", "inputs")
            return None
        return inputs[0].output
