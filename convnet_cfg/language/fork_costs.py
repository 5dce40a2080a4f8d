"""The costs of the 2012 AlexNet program and of the forks (spec: forks.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from convnet_cfg.errors import Severity
from convnet_cfg.language.cost_types import (
    CostSpec,
    LogisticPairSpec,
    LogregSpec,
    PairCostSpec,
    ParentSpec,
    ParentSquaresSpec,
    SquaresSpec,
    check_labels,
    check_probabilities,
    check_single,
    check_top,
)
from convnet_cfg.language.kinds import NAME, NUMBER, Kind, at_least, read_number
from convnet_cfg.language.params import CostParams, LayerParams, TopParams
from convnet_cfg.language.shapes import Input, common_output, image_input
from convnet_cfg.language.spec import Report, key


@dataclass(frozen=True, kw_only=True)
class AlexNetCrossEntropySpec(LogisticPairSpec):
    """`type=cost.crossent2` of the 2012 AlexNet program: the cross-entropy of independent targets."""

    type_name = "cost.crossent2"


@dataclass(frozen=True, kw_only=True)
class RobustPairSpec(PairCostSpec):
    """`type=cost.rflickr` of the 2012 AlexNet program: log(1 + (p - t)^2)."""

    type_name = "cost.rflickr"


@dataclass(frozen=True, kw_only=True)
class GatedSquaresSpec(CostSpec):
    """`type=cost.gsum2` of the 2012 AlexNet program: squares times a gate for each case."""

    type_name = "cost.gsum2"
    input_limits = (2, 2)
    single_inputs = (0,)

    def check(self, inputs: Sequence[Input], report: Report) -> None:
        """A gate, one value a case, and any values."""
        check_single(inputs[0], "the first input must be one value a case", report)


@dataclass(frozen=True, kw_only=True)
class SubsetParams(CostParams):
    """Of cost.msm: the size of the sets; `threads` only tuned the original."""

    set_size: int = key("setSize", at_least(1), doc="Classes in a set, fewer than there are.")
    threads: int = key("threads", at_least(1), default=1, doc="It only tuned the original.")


@dataclass(frozen=True, kw_only=True)
class SubsetSpec(CostSpec):
    """`type=cost.msm` of the 2012 AlexNet program: a distribution over all sets of so many classes."""

    type_name = "cost.msm"
    label_inputs = (0,)
    params = SubsetParams
    input_limits = (2, 2)

    def check(self, inputs: Sequence[Input], report: Report) -> None:
        """Labels, one value a case, and an energy for each class."""
        check_labels(inputs[0], report)

    def classes(self, inputs: Sequence[Input]) -> int:
        """As many as energies."""
        return inputs[1].output.size

    def check_params(self, params: LayerParams, inputs: Sequence[Input], report: Report) -> None:
        """Sets are smaller than the set of all classes."""
        most = inputs[1].output.size - 1
        if isinstance(params, SubsetParams) and params.set_size > most:
            report.error(
                f"setSize must be an integer from 1 to {most} (fewer than the classes), "
                f"got {params.set_size}",
                "setSize",
            )


@dataclass(frozen=True, kw_only=True)
class TopographicSpec(CostSpec):
    """`type=cost.tica` of the 2012 AlexNet program: the roots of sums of squares over windows."""

    type_name = "cost.tica"

    channels: int = key("channels", at_least(1), doc="Channels of the input, which is a square image.")
    size: int = key("sizeX", at_least(1), doc="Side of the windows in pixels.")

    def check(self, inputs: Sequence[Input], report: Report) -> None:
        """An image."""
        image_input(inputs[0], self.channels, report)


@dataclass(frozen=True, kw_only=True)
class HalfSquaresSpec(SquaresSpec):
    """`type=cost.sum2` of the Network in Network fork: half of the sum of squares."""

    def factor(self, params: LayerParams | None) -> float:
        """Return what the sum is multiplied by."""
        return 0.5


@dataclass(frozen=True, kw_only=True)
class GroupSparsitySpec(CostSpec):
    """`type=cost.gsinlabel` of the Network in Network fork: values of one label are sparse together."""

    type_name = "cost.gsinlabel"
    label_inputs = (0,)
    input_limits = (2, 2)

    channels: int = key("channels", at_least(1), doc="Channels of the second input.")
    side: int | None = key("imgSize", at_least(1), default=None, doc="It had no effect.")

    def check(self, inputs: Sequence[Input], report: Report) -> None:
        """Labels, one value a case, and values in channels."""
        check_labels(inputs[0], report)
        if inputs[1].output.size % self.channels:
            values = f"the {inputs[1].output.size} values of {inputs[1].name!r}"
            report.error(f"channels={self.channels} does not divide {values}", "channels")


@dataclass(frozen=True, kw_only=True)
class MaskedLogregSpec(LogregSpec):
    """`type=cost.logreg` of Cysu/cuda-convnet: a label of -1 costs nothing; probabilities may be remixed."""

    probability_types = ("softmax", "condprob")
    least_label = -1

    def classes(self, inputs: Sequence[Input]) -> None:
        """That fork left this check away."""


@dataclass(frozen=True, kw_only=True)
class BinaryRatesSpec(PairCostSpec):
    """`type=cost.binxent` of Cysu/cuda-convnet: independent targets; labels of -1 cost nothing."""

    type_name = "cost.binxent"


@dataclass(frozen=True, kw_only=True)
class IndependentSpec(ParentSpec, PairCostSpec):
    """`type=cost.ice` of elhuhdron/emdrp: the cross-entropy of independent targets, from logits."""

    type_name = "cost.ice"

    def check(self, inputs: Sequence[Input], report: Report) -> None:
        """Targets and logits, equally many; logits come from a layer with `neuron=ident`, written out."""
        super().check(inputs, report)
        if inputs[1].activation != "ident":
            report.error(
                f"{inputs[1].name!r} must have neuron=ident: the cost applies the logistic function", "inputs"
            )


def read_divisor(text: str) -> float:
    """Return a number other than 0."""
    if (number := read_number(text)) == 0:
        raise ValueError(text)
    return number


@dataclass(frozen=True, kw_only=True)
class ScaledSquaresParams(CostParams):
    """Of cost.sum2 where its input is divided first."""

    divisor: float = key(
        "divideInput",
        Kind(read_divisor, "a number other than 0"),
        default=1.0,
        doc="What the input is divided by before it is squared.",
    )
    alpha: float = key("alpha", NUMBER, default=1.0, doc="Factor of the cost, beside `coeff`.")


@dataclass(frozen=True, kw_only=True)
class ScaledSquaresSpec(ParentSquaresSpec):
    """`type=cost.sum2` of elhuhdron/emdrp: half of the sum of squares of the divided input, times `alpha`."""

    params = ScaledSquaresParams

    def factor(self, params: LayerParams | None) -> float:
        """Return what the sum is multiplied by."""
        if not isinstance(params, ScaledSquaresParams):
            return 0.5
        return 0.5 * params.alpha / params.divisor / params.divisor


@dataclass(frozen=True, kw_only=True)
class HingeSpec(ParentSpec):
    """`type=cost.hingeloss` of hunse/cuda-convnet2: how much another value comes within 1 of the label's."""

    type_name = "cost.hingeloss"
    label_inputs = (0,)
    input_limits = (2, 2)

    def check(self, inputs: Sequence[Input], report: Report) -> None:
        """Labels, one value a case, and a value for each class."""
        check_labels(inputs[0], report)

    def classes(self, inputs: Sequence[Input]) -> int:
        """As many as values."""
        return inputs[1].output.size


@dataclass(frozen=True, kw_only=True)
class LogProbabilitySpec(LogregSpec):
    """`type=cost.reg` of stephenyan1231: cost.logreg of log probabilities."""

    type_name = "cost.reg"
    probability_types = ("logsoftmax",)


@dataclass(frozen=True, kw_only=True)
class TaskLogregSpec(CostSpec):
    """`type=cost.tasklogreg` of s9xie: cost.logreg for the cases of one task."""

    type_name = "cost.tasklogreg"
    label_inputs = (0,)
    single_inputs = (1,)
    params = TopParams
    input_limits = (3, 3)

    task: int = key("taskId", at_least(0), doc="Number of the task whose cases count.")
    task_name: str | None = key("taskName", NAME, default=None, doc="Name of the task; it has no effect.")

    def check(self, inputs: Sequence[Input], report: Report) -> None:
        """Labels and tasks, one value a case each; probabilities, which come from a softmax layer."""
        check_labels(inputs[0], report)
        check_single(inputs[1], "the second input must be tasks, one value a case", report)
        check_probabilities(inputs[2], ("softmax",), report, "third")

    def classes(self, inputs: Sequence[Input]) -> int | None:
        """As many as probabilities."""
        return inputs[2].output.size if inputs[2].type == "softmax" else None

    def check_params(self, params: LayerParams, inputs: Sequence[Input], report: Report) -> None:
        """`topk` is at most the number of classes."""
        check_top(params, inputs[2].output.size, report)


@dataclass(frozen=True, kw_only=True)
class PairDistanceSpec(CostSpec):
    """`type=cost.l2-sn` of zbhzxyld: distances between the halves of a minibatch."""

    type_name = "cost.l2-sn"
    label_inputs = (0,)
    input_limits = (2, 2)

    margin: float = key(
        "m", NUMBER, doc="Distance from which on two cases with different labels cost nothing; 0 or more."
    )

    def check(self, inputs: Sequence[Input], report: Report) -> None:
        """Labels, one value a case, and any values."""
        check_labels(inputs[0], report)
        if self.margin < 0:
            report.error("a margin below 0, chosen anew in every minibatch, is not supported", "m")


@dataclass(frozen=True, kw_only=True)
class DifferenceSpec(PairCostSpec):
    """`type=cost.l2-reg` of zbhzxyld: half of the squared difference of two inputs."""

    type_name = "cost.l2-reg"


@dataclass(frozen=True, kw_only=True)
class RankSpec(ParentSpec):
    """`type=cost.locrank` of zhaofang0627: one code is to be nearer to a second than to a third."""

    type_name = "cost.locrank"
    input_limits = (4, 4)
    single_inputs = (3,)

    def check(self, inputs: Sequence[Input], report: Report) -> None:
        """Three codes of one size from 0 to 1, and a weight for each case."""
        common_output(inputs[:3], report)
        expected = "the fourth input must be one value a case"
        check_single(inputs[3], expected, report, Severity.SUSPECT)  # nothing had checked it
