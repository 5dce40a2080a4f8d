"""The costs of all batches and tests of a run, as the original programs kept them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from types import MappingProxyType

from convnet_cfg.language.cost_types import LogregSpec
from convnet_cfg.language.network import Network
from convnet_cfg.legacy.values import Checkpoint, Outputs
from convnet_cfg.training.observer import costs_of
from convnet_cfg.training.trained import Trained

_NAMES = {"train": "train_outputs", "test": "test_outputs"}  # by the kinds of lines of a log


def histories_of(
    trained: Trained, network: Network, program: str, kept: Checkpoint | None
) -> Mapping[str, tuple[Outputs, ...]]:
    """Return the costs of all batches and tests, those of an imported run before ours.

    The log may have lines of the time before the import, too: they are not as exact.
    """
    logregs = {layer.name for layer in network.costs if isinstance(layer.spec, LogregSpec)}
    found: dict[str, list[Outputs]] = {name: [] for name in _NAMES.values()}
    for name, entries in _earlier(kept, program, logregs):
        found[name] = entries
    imported = (kept.epoch, kept.batch) if kept is not None else (0, 0)
    for line in trained.run.results(trained.counters["log_size"]):
        if (line["epoch"], line["batch"]) <= imported:
            continue
        means = Outputs(costs_of(line), line["cases"])
        found[_NAMES[line["kind"]]].append(_outputs(means, program, logregs))
    return MappingProxyType({name: tuple(entries) for name, entries in found.items()})


def _earlier(kept: Checkpoint | None, program: str, logregs: set[str]) -> Iterator[tuple[str, list[Outputs]]]:
    """Yield the histories of an imported run; another program has those that both know, in its own way."""
    if kept is None:
        return
    same = (kept.program == "v2") == (program == "v2")
    for name, entries in kept.histories.items():
        if same:
            yield name, list(entries)
        elif name in _NAMES.values():
            yield name, [_outputs(_means(entry, kept), program, logregs) for entry in entries]


def _means(entry: Outputs, kept: Checkpoint) -> Outputs:
    if kept.outputs_are_means:
        return entry
    cases = max(entry.cases, 1)
    means = {name: tuple(value / cases for value in values) for name, values in entry.costs.items()}
    return Outputs(means, entry.cases)


def _outputs(means: Outputs, program: str, logregs: set[str]) -> Outputs:
    """Return means as a program has them: cuda-convnet2 sums, and a second error of cost.logreg."""
    costs = {name: tuple(values) for name, values in means.costs.items()}
    for name in logregs & set(costs):
        values = costs[name]
        costs[name] = (*values[:2], *(values[2:] or values[1:2])) if program == "v2" else values[:2]
    if program == "v2":
        costs = {name: tuple(_sum(v, means.cases) for v in values) for name, values in costs.items()}
    return Outputs(MappingProxyType(costs), means.cases)


def _sum(mean: float, cases: int) -> float:
    """Return the sum whose mean this is; of a number of errors exactly that."""
    total = mean * cases
    whole = float(round(total)) if isfinite(total) else total
    return whole if whole / cases == mean else total
