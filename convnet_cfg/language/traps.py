"""What has misled people who took up an old experiment again: said, but never refused."""

from __future__ import annotations

from collections.abc import Iterator

from convnet_cfg.errors import Problem, Severity
from convnet_cfg.language.network import Network, Owned
from convnet_cfg.language.params import CostParams, UpdateRule

LARGE_RATE = 0.5  # a rate from which on it can only be meant together with a small `coeff`


def traps(network: Network, decay: str, epochs: int | None = None) -> list[Problem]:
    """Return remarks on rules of update that may not mean what they seem to.

    `decay` is the kind of weight decay of matrices that name none; `epochs` those of the training, if known.
    """
    return [*_strong_decay(network, decay), *_rates_with_coefficients(network), *_schedules(network, epochs)]


def share_taken(decay: str, rule: UpdateRule) -> float:
    """Return what share of a weight a decoupled decay takes off in a step at the base rate; 0 for others."""
    strength = {
        "decoupled": 1.0,
        "decoupled-lr": rule.learning_rate,
        "decoupled-schedule": 1.0,
        "decoupled-matched": rule.learning_rate / (1 - rule.momentum) if rule.momentum < 1 else 0.0,
        "after-step": 1.0,
    }
    return strength.get(decay, 0.0) * rule.weight_decay


def _strong_decay(network: Network, decay: str) -> Iterator[Problem]:
    for owned, rule in _rules(network):
        kind = rule.decay or decay
        if (share := share_taken(kind, rule)) >= 1:
            yield _remark(
                owned,
                f"decay {kind!r} takes {share:g} times the weights off in each step: "
                f"wc={rule.weight_decay:g} was meant for another kind (cuda-convnet's is scaled by the rate)",
            )


def _rates_with_coefficients(network: Network) -> Iterator[Problem]:
    """Only the product of rate and coefficient matters (spec: forks.md section 4, why epsW=1)."""
    params = [cost.params for cost in network.costs]
    factors = {each.coefficient for each in params if isinstance(each, CostParams) and each.coefficient}
    if len(factors) != 1 or (factor := factors.pop()) == 1:
        return
    for owned, rule in _rules(network):
        if owned.input is not None and rule.learning_rate >= LARGE_RATE:
            effective = f"{rule.learning_rate:g} times coeff={factor:g}, {rule.learning_rate * factor:g}"
            yield _remark(
                owned,
                f"the gradient counts with {effective}; a step decays by epsW times wc, "
                f"{rule.learning_rate * rule.weight_decay:g}: change epsW, coeff and wc together only",
            )
            return


def _schedules(network: Network, epochs: int | None) -> Iterator[Problem]:
    changing = [(owned, rule) for owned, rule in _rules(network) if rule.schedule.type is not None]
    if changing:
        owned, rule = changing[0]
        counted = f"--epochs={epochs}" if epochs else "--epochs (50000 if it is not given)"
        yield _remark(
            owned,
            f"rates change with the progress of the whole training, as {rule.schedule.name} does: "
            f"they depend on {counted}",
        )


def _rules(network: Network) -> Iterator[tuple[Owned, UpdateRule]]:
    for owned in network.owned():
        if owned.matrix.rule is not None and owned.matrix.rule.learning_rate > 0:
            yield owned, owned.matrix.rule


def _remark(owned: Owned, message: str) -> Problem:
    return Problem(owned.layer.place, owned.layer.name, message, Severity.WARNING)
