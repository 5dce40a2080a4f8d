"""The second file: an update rule for each weight matrix and bias (spec: params.md)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from convnet_cfg.language.kinds import (
    FLAG,
    INTEGER,
    NUMBER,
    Syntax,
    at_least,
    number_between,
    one_of,
    read_number,
)
from convnet_cfg.language.schedules import AX_SCHEDULES, Schedule, shape_kind
from convnet_cfg.language.spec import key

DECAYS = (
    "cuda-convnet",
    "l2",
    "decoupled",
    "decoupled-lr",
    "decoupled-schedule",
    "decoupled-matched",
    "after-step",
    "none",
)
DEFAULT_DECAY = "cuda-convnet"


def no_decay(decay: str, momentum: float) -> str | None:
    """Return why a kind of decay cannot go with a momentum, None if it can."""
    if decay == "decoupled-matched" and momentum >= 1:
        return f"decay {decay!r} divides by 1 - momentum"
    return None


@dataclass(frozen=True)
class Limits:
    """What bounds the columns of a matrix after each update; zero: nothing (spec: params.md section 6)."""

    norm: float = 0.0  # wball
    norm_only_shrinks: bool = False
    norm_per_row: bool = False  # `norm` times the number of rows is meant
    least_spread: float = 0.0  # wcNormMin
    most_spread: float = 0.0  # wcNormMax
    distributions: bool = False  # columns of numbers >= 0 that sum to one

    def __bool__(self) -> bool:
        return self.norm > 0 or self.most_spread > 0 or self.distributions


@dataclass(frozen=True)
class UpdateRule:
    """What the parameter file says of one weight matrix or bias: eps, mom, wc, and bounds."""

    schedule: Schedule
    momentum: float
    weight_decay: float = 0.0
    decay: str | None = None
    limits: Limits = Limits()
    period: int = 1  # minibatches (passes, where a layer has several in a minibatch) for one update

    @property
    def learning_rate(self) -> float:
        """The base rate: zero or below freezes the matrix."""
        return self.schedule.base


@dataclass(frozen=True, kw_only=True)
class LayerParams:
    """A section that no layer needs: `dropout` is that of the v1 fork with dropout."""

    required: ClassVar[bool] = False

    dropout: float = key(
        "dropout",
        number_between(0, 1),
        default=0.0,
        doc=(
            "Probability with which an output is 0 in training; in tests all of them are multiplied "
            "by 1 - dropout. It comes before `neuron`; in the section `[NAME_neuron]` it comes behind."
        ),
    )


@dataclass(frozen=True, kw_only=True)
class WeightParams(LayerParams):
    """Rates, momenta and weight decay of a layer's matrices and bias; `decay` is our own key."""

    required = True

    weight_rates: tuple[Schedule, ...] = key(
        "epsW", Syntax.RATE, per_input=True, doc="Learning rate of each weight matrix; 0 or less freezes it."
    )
    bias_rate: Schedule = key("epsB", Syntax.RATE, doc="Learning rate of the biases; 0 or less freezes them.")
    weight_momenta: tuple[float, ...] = key(
        "momW", NUMBER, per_input=True, doc="Momentum of each weight matrix."
    )
    bias_momentum: float = key("momB", NUMBER, doc="Momentum of the biases.")
    weight_decays: tuple[float, ...] = key(
        "wc",
        NUMBER,
        per_input=True,
        doc="Weight decay of each weight matrix, of the kind that `decay` names.",
    )
    decay: str | None = key(
        "decay",
        one_of(*DECAYS),
        default=None,
        doc="Kind of weight decay; without it that of the run. A key of our own.",
    )

    @property
    def period(self) -> int:
        """The passes for one update."""
        return 1

    def limits(self, index: int) -> Limits:
        """Return what bounds the matrix of one input."""
        return Limits()

    def weight_schedule(self, index: int) -> Schedule:
        """Return the rate of the matrix of one input."""
        return self.weight_rates[index]

    def bias_schedule(self) -> Schedule:
        """Return the rate of the bias."""
        return self.bias_rate

    def weight_rule(self, index: int) -> UpdateRule:
        """Return the rule of the matrix of one input."""
        return UpdateRule(
            self.weight_schedule(index),
            self.weight_momenta[index],
            self.weight_decays[index],
            self.decay,
            self.limits(index),
            self.period,
        )

    def bias_rule(self) -> UpdateRule:
        """Return the rule of the bias, which is never decayed or bounded."""
        return UpdateRule(self.bias_schedule(), self.bias_momentum, period=self.period)


@dataclass(frozen=True, kw_only=True)
class BoundedParams(WeightParams):
    """`wball` bounds the norm of each column, and `wc` may be left away: v2 and the 2012 AlexNet program."""

    weight_decays: tuple[float, ...] = key("wc", NUMBER, default=0.0, per_input=True)
    norms: tuple[float, ...] = key(
        "wball",
        NUMBER,
        default=0.0,
        per_input=True,
        doc="L2 norm that each column (of an output or filter) is given after an update; 0: any.",
    )

    def limits(self, index: int) -> Limits:
        """Return what bounds the matrix of one input."""
        return Limits(norm=self.norms[index])


@dataclass(frozen=True, kw_only=True)
class PeriodicParams(BoundedParams):
    """The weights of v2, which may gather gradients over several passes."""

    update_period: int = key(
        "updatePeriod",
        INTEGER,
        default=0,
        doc=(
            "Minibatches, or parts of one where layers are on different numbers of devices, that make "
            "one update, by their mean gradient; 0: one."
        ),
    )

    @property
    def period(self) -> int:
        """The passes for one update."""
        return max(self.update_period, 1)


@dataclass(frozen=True, kw_only=True)
class LocalPeriodicParams(PeriodicParams):
    """The weights of a local layer in v2, where `wball` only shrinks."""

    norms: tuple[float, ...] = key(
        "wball",
        NUMBER,
        default=0.0,
        per_input=True,
        doc="L2 norm that the weights of a filter at one position have at most after an update; 0: any.",
    )

    def limits(self, index: int) -> Limits:
        """Return what bounds the matrix of one input."""
        return Limits(norm=self.norms[index], norm_only_shrinks=True)


@dataclass(frozen=True, kw_only=True)
class Spread:
    """`wcNormMin` and `wcNormMax` of a convolution: bounds of how far a filter's weights spread."""

    least_spreads: tuple[float, ...] = key(
        "wcNormMin",
        NUMBER,
        default=0.0,
        per_input=True,
        doc=(
            "Least spread of the weights of a filter: the root of the sum of their squared distances "
            "from their mean, divided by their number. After an update those of less are scaled up to "
            "it, if `wcNormMax` is given."
        ),
    )
    most_spreads: tuple[float, ...] = key(
        "wcNormMax",
        NUMBER,
        default=0.0,
        per_input=True,
        doc=(
            "Largest spread of the weights of a filter, to which those of more are scaled down; 0: "
            "neither bound counts."
        ),
    )

    def with_spread(self, limits: Limits, index: int) -> Limits:
        """Return what also bounds the spread of the filters of one input."""
        return replace(limits, least_spread=self.least_spreads[index], most_spread=self.most_spreads[index])


@dataclass(frozen=True, kw_only=True)
class ConvPeriodicParams(Spread, PeriodicParams):
    """The weights of a convolution in v2."""

    def limits(self, index: int) -> Limits:
        """Return what bounds the matrix of one input."""
        return self.with_spread(super().limits(index), index)


# Its own rule of adapting rates divided by the root of a difference that it did not square.
NO_SUPER_EPSILON = one_of(0.0, convert=read_number)._replace(expected="0 (its rule is not supported)")


@dataclass(frozen=True, kw_only=True)
class AlexNetParams(BoundedParams):
    """The weights of the 2012 AlexNet program: the shape of the schedule stands beside the rates."""

    norms: tuple[float, ...] = key(
        "wball",
        NUMBER,
        default=0.0,
        per_input=True,
        doc="Times the weights of a column, the L2 norm that it has at most after an update; 0: any.",
    )
    weight_shape: Schedule = key(
        "schedW",
        shape_kind(AX_SCHEDULES),
        default=Schedule(1.0),
        doc="How the learning rates of the weights change with progress; their base is `epsW`.",
    )
    bias_shape: Schedule = key(
        "schedB",
        shape_kind(AX_SCHEDULES),
        default=Schedule(1.0),
        doc="How the learning rate of the biases changes with progress; its base is `epsB`.",
    )
    super_epsilon: float = key(
        "superEps",
        NO_SUPER_EPSILON,
        default=0.0,
        doc="0: the rule of update that other values chose is not supported.",
    )

    def limits(self, index: int) -> Limits:
        """Return what bounds the matrix of one input: columns are only shrunk, to a norm for each row."""
        return Limits(norm=self.norms[index], norm_only_shrinks=True, norm_per_row=True)

    def weight_schedule(self, index: int) -> Schedule:
        """Return the rate of the matrix of one input."""
        return self.weight_shape.with_base(self.weight_rates[index].base)

    def bias_schedule(self) -> Schedule:
        """Return the rate of the bias."""
        return self.bias_shape.with_base(self.bias_rate.base)


@dataclass(frozen=True, kw_only=True)
class AlexNetConvParams(Spread, AlexNetParams):
    """The weights of a convolution in the 2012 AlexNet program."""

    def limits(self, index: int) -> Limits:
        """Return what bounds the matrix of one input."""
        return self.with_spread(super().limits(index), index)


@dataclass(frozen=True, kw_only=True)
class NormParams(LayerParams):
    """`scale` and `pow` of a normalization."""

    required = True

    scale: float = key(
        "scale",
        NUMBER,
        doc="Factor of the sum of squares, divided by the number of values in a whole window first.",
    )
    power: float = key("pow", NUMBER, doc="Exponent of the divisor.")
    constant: float = 1.0  # what is added to the scaled sum of squares


@dataclass(frozen=True, kw_only=True)
class MinDivParams(NormParams):
    """A normalization whose additive constant can be set."""

    constant: float = key("minDiv", NUMBER, default=1.0, doc="What is added to the scaled sum of squares.")


@dataclass(frozen=True, kw_only=True)
class CostParams(LayerParams):
    """The weight of a cost in the objective."""

    required = True

    coefficient: float = key(
        "coeff", NUMBER, doc="Weight of the cost in the objective; 0: it is only reported."
    )


@dataclass(frozen=True, kw_only=True)
class TopParams(CostParams):
    """Of cost.logreg: also count how often the label is not among the `topk` likeliest classes."""

    top: int = key(
        "topk",
        at_least(1),
        default=1,
        doc="Classes among which the label is looked for to report a second error; at most all of them.",
    )


@dataclass(frozen=True, kw_only=True)
class PositiveWeightParams(CostParams):
    """Of cost.bce and cost.dce: what a positive target counts."""

    positive_weight: float = key(
        "posWeight", NUMBER, default=1.0, doc="Weight of the terms of positive targets."
    )


@dataclass(frozen=True, kw_only=True)
class KeepParams(LayerParams):
    """Of the dropout layers of v2: the probability of keeping a value, and whether any is dropped."""

    required = True

    keep: float = key("keep", number_between(0, 1), default=0.5, doc="Probability of keeping a value.")
    enabled: bool = key(
        "enable", FLAG, default=True, doc="0: nothing is dropped, and training is as tests are."
    )


@dataclass(frozen=True, kw_only=True)
class EnableParams(LayerParams):
    """Of the dropout layer of the 2012 AlexNet program."""

    required = True

    enabled: bool = key("enable", FLAG, doc="0: nothing is dropped, and training is as tests are.")


@dataclass(frozen=True, kw_only=True)
class SumParams(LayerParams):
    """The coefficients of eltsum in v2, in this file and not in the other."""

    required = True

    coefficients: tuple[float, ...] | None = key(
        "coeffs", NUMBER, is_list=True, default=None, doc="A factor for each input; without it each is 1."
    )
