"""The costs of all dialects (spec: costs.md, forks.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from convnet_cfg.errors import Severity
from convnet_cfg.language.kinds import NAME
from convnet_cfg.language.layer_types import LayerSpec
from convnet_cfg.language.neurons import Neuron
from convnet_cfg.language.params import CostParams, LayerParams, PositiveWeightParams, TopParams
from convnet_cfg.language.shapes import Input, Output, common_output
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

    def factor(self, params: LayerParams | None) -> float:
        """Return what the sum is multiplied by."""
        return 1.0


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
