"""Layers of v2 on several devices: replicas must be equally many where layers meet (spec: layers.md 16)."""

from __future__ import annotations

from collections.abc import Mapping

from convnet_cfg.errors import Problem
from convnet_cfg.language.layer_types import DataSpec
from convnet_cfg.language.spec import Report
from convnet_cfg.language.wiring import Wired


def check_replicas(layers: Mapping[str, Wired], problems: list[Problem]) -> None:
    """Report replicas that cannot work together: a layer with fewer gets the minibatch in several passes."""
    for layer in layers.values():
        report = Report(problems, layer.declared.section)
        if len(set(layer.devices)) < len(layer.devices):
            report.error(f"gpu must be different devices, got {', '.join(map(str, layer.devices))}", "gpu")
        _check_inputs(layer, layers, report)
        _check_consumers(layer, layers, report)


def _check_inputs(layer: Wired, layers: Mapping[str, Wired], report: Report) -> None:
    sources = [layers[name] for name in layer.declared.input_names or () if name in layers]
    replicas = {source.name: len(source.devices) for source in sources if not _is_data(source)}
    each = ", ".join(f"{name!r} has {number}" for name, number in replicas.items())
    if len(set(replicas.values())) > 1:
        report.error(f"all inputs must be on equally many devices: {each}", "inputs")
    elif layer.devices and any(number % len(layer.devices) for number in replicas.values()):
        report.error(f"{len(layer.devices)} devices do not divide those of the inputs: {each}", "gpu")


def _check_consumers(layer: Wired, layers: Mapping[str, Wired], report: Report) -> None:
    if _is_data(layer):
        return
    consumers = {
        other.name: len(other.devices)
        for other in layers.values()
        if layer.name in (other.declared.input_names or ())
    }
    if len(set(consumers.values())) > 1:
        each = ", ".join(f"{name!r} has {number}" for name, number in consumers.items())
        report.error(f"all layers that read this one must be on equally many devices: {each}", "gpu")


def _is_data(layer: Wired) -> bool:
    return isinstance(layer.declared.spec, DataSpec)
