"""Layers of v2 on several devices: replicas must be equally many where layers meet (spec: layers.md 16)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from convnet_cfg.errors import Problem
from convnet_cfg.language.grammar import Section
from convnet_cfg.language.layer_types import DataSpec
from convnet_cfg.language.params import LayerParams, PeriodicParams
from convnet_cfg.language.spec import Report, count
from convnet_cfg.language.v2_types import PassSpec
from convnet_cfg.language.wiring import Wired

Layers = Mapping[str, Wired]


def check_replicas(layers: Layers, problems: list[Problem]) -> None:
    """Report replicas that cannot work together: a layer with fewer gets the minibatch in several passes."""
    if not any(layer.devices for layer in layers.values()):
        return
    readers: dict[str, dict[str, Wired]] = defaultdict(dict)
    for layer in layers.values():
        for name in layer.declared.input_names or ():
            readers[name][layer.name] = layer
    for layer in layers.values():
        report = Report(problems, layer.declared.section)
        if len(set(layer.devices)) < len(layer.devices):
            report.error(f"gpu must be different devices, got {', '.join(map(str, layer.devices))}", "gpu")
        _check_inputs(layer, layers, report)
        _check_readers(layer, readers[layer.name].values(), report)


def check_periods(
    layers: Layers,
    params: Mapping[str, LayerParams | None],
    sections: Mapping[str, Section],
    problems: list[Problem],
) -> None:
    """Report updates amid what a layer gets at once; periods count what the fewest replicas get."""
    replicas = {name: max(len(layer.devices), 1) for name, layer in layers.items() if not _is_data(layer)}
    least = min(replicas.values(), default=1)
    for name, number in replicas.items():
        given, parts = params.get(name), number // least
        if isinstance(given, PeriodicParams) and given.period > parts and given.period % parts:
            Report(problems, sections[name]).error(
                f"updatePeriod must be a multiple of {parts}, the parts of a minibatch that this layer gets "
                f"at once, got {given.period}",
                "updatePeriod",
            )


def _check_inputs(layer: Wired, layers: Layers, report: Report) -> None:
    sources = [layers[name] for name in layer.declared.input_names or () if name in layers]
    sources = [source for source in sources if not _is_data(source)]
    replicas = {len(source.devices) for source in sources}
    own = len(layer.devices)
    if len(replicas) > 1:
        report.error(f"all inputs must be on equally many devices: {_listed(sources)}", "inputs")
    elif own and any(number % own for number in replicas):
        report.error(
            f"{count(own, 'device')} must divide the number of those of the inputs: {_listed(sources)}", "gpu"
        )
    elif isinstance(layer.declared.spec, PassSpec) and replicas not in (set(), {own}):
        report.error(
            f"type=pass must be on as many devices as its inputs: {_listed([layer, *sources])}", "gpu"
        )


def _check_readers(layer: Wired, readers: Iterable[Wired], report: Report) -> None:
    if not _is_data(layer) and len({len(reader.devices) for reader in readers}) > 1:
        report.error(
            f"all layers that read this one must be on equally many devices: {_listed(readers)}", "gpu"
        )


def _listed(layers: Iterable[Wired]) -> str:
    texts = {layer.name: len(layer.devices) for layer in layers}
    return ", ".join(
        f"{name!r} is on {number}" if number else f"{name!r} has no gpu" for name, number in texts.items()
    )


def _is_data(layer: Wired) -> bool:
    return isinstance(layer.declared.spec, DataSpec)
