"""The costs of all dialects (spec: costs.md, forks.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from convnet_cfg.errors import Severity
from convnet_cfg.language.kinds import NAME, NUMBER, at_least
from convnet_cfg.language.layer_types import LayerSpec
from convnet_cfg.language.neurons import Neuron
from convnet_cfg.language.params import CostParams, LayerParams, PositiveWeightParams, TopParams
from convnet_cfg.language.shapes import Input, Output, common_output, image_input
from convnet_cfg.language.spec import Report, key


@dataclass(frozen=True, kw_only=True)
class CostSpec(LayerSpec):
    """A cost: makes no output."""

    params: ClassVar[type[LayerParams]] = CostParams

    label_inputs: ClassVar[tuple[int, ...]] = ()  # the inputs that are numbers of classes
    single_inputs: ClassVar[tuple[int, ...]] = ()  # others that are one value a case
    least_label: ClassVar[int] = 0

    neuron: Neuron | None = None
    children: tuple[str, ...] = ()  # costs of the same type that are reported as part of this one

    def output(self, inputs: Sequence[Input], report: Report) -> Output:
        """Nothing."""
        self.check(inputs, report)
        return Output(0)

    def check(self, inputs: Sequence[Input], report: Report) -> None:
        """Any values."""

    def classes(self, inputs: Sequence[Input]) -> int | None:
        """Return how many classes the data must have for this cost; None: any number."""
        return None


@dataclass(frozen=True, kw_only=True)
class LogregSpec(CostSpec):
    """`type=cost.logreg`: minus the log of the probability of the right class."""

    type_name = "cost.logreg"
    label_inputs: ClassVar[tuple[int, ...]] = (0,)
    input_limits = (2, 2)
    probability_types: ClassVar[tuple[str, ...]] = ("softmax",)

    def check(self, inputs: Sequence[Input], report: Report) -> None:
        """Labels, one value a case; probabilities, which come from a softmax layer."""
        labels, probabilities = inputs
        check_labels(labels, report)
        check_probabilities(probabilities, self.probability_types, report)

    def classes(self, inputs: Sequence[Input]) -> int | None:
        """As many as probabilities."""
        return inputs[1].output.size if inputs[1].type in self.probability_types else None


def check_top(params: LayerParams, classes: int, report: Report) -> None:
    """Report a `topk` that is greater than the number of classes."""
    if isinstance(params, TopParams) and params.top > classes:
        report.error(f"topk must be an integer from 1 to {classes} (the classes), got {params.top}", "topk")


def check_labels(labels: Input, report: Report) -> None:
    """Report a first input that is not one label a case."""
    check_single(labels, "the first input must be labels, one value a case", report)


def check_single(source: Input, expected: str, report: Report, severity: Severity = Severity.ERROR) -> None:
    """Report an input that is not one value a case."""
    if source.output.size != 1:
        message = f"{expected}; {source.name!r} has {source.output.size} values"
        report.error(message, "inputs", severity)


def check_probabilities(
    probabilities: Input, types: Sequence[str], report: Report, number: str = "second"
) -> None:
    """Report an input that does not give probabilities."""
    if probabilities.type not in types:
        report.error(
            f"the {number} input must be a {' or '.join(types)} layer, "
            f"{probabilities.name!r} is {probabilities.type}",
            "inputs",
        )


@dataclass(frozen=True, kw_only=True)
class SquaresSpec(CostSpec):
    """`type=cost.sum2`: the sum of squares, without a half."""

    type_name = "cost.sum2"

    halved: ClassVar[bool] = False


@dataclass(frozen=True, kw_only=True)
class ParentSpec(CostSpec):
    """A cost of v2, which may have others reported as part of it."""

    children: tuple[str, ...] = key(
        "children",
        NAME,
        is_list=True,
        default=(),
        doc=(
            "Costs of this type, further up, whose values are added to those reported of this one; "
            "gradients stay as they are."
        ),
    )


@dataclass(frozen=True, kw_only=True)
class TopLogregSpec(LogregSpec):
    """`type=cost.logreg` with a second error: how often the label is not among the likeliest classes."""

    params: ClassVar[type[LayerParams]] = TopParams

    def check_params(self, params: LayerParams, inputs: Sequence[Input], report: Report) -> None:
        """`topk` is at most the number of classes."""
        check_top(params, inputs[1].output.size, report)


@dataclass(frozen=True, kw_only=True)
class ParentLogregSpec(ParentSpec, TopLogregSpec):
    """`type=cost.logreg` of v2: it counts a second error, and others may be reported as part of it."""


@dataclass(frozen=True, kw_only=True)
class ParentSquaresSpec(ParentSpec, SquaresSpec):
    """`type=cost.sum2` of v2: others may be reported as part of it."""


@dataclass(frozen=True, kw_only=True)
class CrossEntropySpec(ParentSpec):
    """`type=cost.crossent`: minus the expected log probability, for labels that are a distribution."""

    type_name = "cost.crossent"
    input_limits = (2, 2)

    def check(self, inputs: Sequence[Input], report: Report) -> None:
        """Labels, a distribution; probabilities, which come from a softmax layer; one value a class each."""
        check_probabilities(inputs[1], ("softmax",), report)
        common_output(inputs, report)

    def classes(self, inputs: Sequence[Input]) -> int:
        """As many as values of a label."""
        return inputs[0].output.size


@dataclass(frozen=True, kw_only=True)
class BinaryCrossEntropySpec(ParentSpec):
    """`type=cost.bce`: the cross-entropy of independent targets from 0 to 1."""

    type_name = "cost.bce"
    params = PositiveWeightParams
    input_limits = (2, 2)

    def check(self, inputs: Sequence[Input], report: Report) -> None:
        """Targets and predictions, equally many; predictions should come from a logistic function."""
        common_output(inputs, report)
        warn_unless_logistic(inputs[1], report)


@dataclass(frozen=True, kw_only=True)
class DetectionCrossEntropySpec(BinaryCrossEntropySpec):
    """`type=cost.dce`: cost.bce that reports precision and recall of each class."""

    type_name = "cost.dce"

    def classes(self, inputs: Sequence[Input]) -> int:
        """As many as values of a label."""
        return inputs[0].output.size


def warn_unless_logistic(predictions: Input, report: Report) -> None:
    """Warn of predictions that need not lie between 0 and 1."""
    if predictions.activation != "logistic":
        report.warning(
            f"{predictions.name!r} should have neuron=logistic: predictions are from 0 to 1", "inputs"
        )


@dataclass(frozen=True, kw_only=True)
class PairCostSpec(CostSpec):
    """A cost of two inputs with equally many values."""

    input_limits = (2, 2)

    def check(self, inputs: Sequence[Input], report: Report) -> None:
        """Targets, then predictions, equally many."""
        common_output(inputs, report)


@dataclass(frozen=True, kw_only=True)
class LogisticPairSpec(PairCostSpec):
    """A cost of targets and predictions from 0 to 1."""

    def check(self, inputs: Sequence[Input], report: Report) -> None:
        """Targets and predictions, equally many; predictions should come from a logistic function."""
        super().check(inputs, report)
        warn_unless_logistic(inputs[1], report)


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

    halved = True


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
