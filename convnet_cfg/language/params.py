"""The second file: an update rule for each weight matrix and bias (spec: params.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from convnet_cfg.language.kinds import NUMBER, number_between, one_of
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
class UpdateRule:
    """What the parameter file says of one weight matrix or bias: eps, mom and wc."""

    learning_rate: float
    momentum: float
    weight_decay: float = 0.0
    decay: str | None = None


@dataclass(frozen=True, kw_only=True)
class LayerParams:
    """A section that no layer needs: `dropout` is that of the v1 fork with dropout."""

    required: ClassVar[bool] = False

    dropout: float = key("dropout", number_between(0, 1), default=0.0)


@dataclass(frozen=True, kw_only=True)
class WeightParams(LayerParams):
    """Rates, momenta and weight decay of a layer's matrices and bias; `decay` is our own key."""

    required = True

    weight_rates: tuple[float, ...] = key("epsW", NUMBER, per_input=True)
    bias_rate: float = key("epsB", NUMBER)
    weight_momenta: tuple[float, ...] = key("momW", NUMBER, per_input=True)
    bias_momentum: float = key("momB", NUMBER)
    weight_decays: tuple[float, ...] = key("wc", NUMBER, per_input=True)
    decay: str | None = key("decay", one_of(*DECAYS), default=None)

    def weight_rule(self, index: int) -> UpdateRule:
        """Return the rule of the matrix of one input."""
        return UpdateRule(
            self.weight_rates[index], self.weight_momenta[index], self.weight_decays[index], self.decay
        )

    def bias_rule(self) -> UpdateRule:
        """Return the rule of the bias, which is never decayed."""
        return UpdateRule(self.bias_rate, self.bias_momentum)


@dataclass(frozen=True, kw_only=True)
class NormParams(LayerParams):
    """`scale` and `pow` of a normalization."""

    required = True

    scale: float = key("scale", NUMBER)
    power: float = key("pow", NUMBER)


@dataclass(frozen=True, kw_only=True)
class CostParams(LayerParams):
    """The weight of a cost in the objective."""

    required = True

    coefficient: float = key("coeff", NUMBER)
