"""The first pass over the definition file: the type, keys and values of each layer, read on their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from convnet_cfg.errors import ConfigError, Problem, did_you_mean, shorten
from convnet_cfg.language.cost_types import CostSpec
from convnet_cfg.language.dialect import DeviceList, Dialect, OneDevice
from convnet_cfg.language.grammar import Section
from convnet_cfg.language.layer_types import DataSpec, LayerSpec
from convnet_cfg.language.spec import Report, key_names, read_spec
from convnet_cfg.language.unknown_keys import check_defaults, check_keys

SpecType = type[LayerSpec]


@dataclass(frozen=True)
class Declared:
    """One layer as its section says; `spec` is None where something is wrong there, which is reported."""

    section: Section
    type: str = ""  # empty where it is missing or unknown
    spec_type: SpecType | None = None  # None where the type is missing or unknown
    spec: LayerSpec | None = None
    input_names: tuple[str, ...] | None = None  # None where there is no telling
    devices: tuple[int, ...] | None = None  # where a dialect places each layer

    @property
    def name(self) -> str:
        """The name of the layer."""
        return self.section.name

    @property
    def is_cost(self) -> bool:
        """Whether the layer is a cost, which no other layer can read."""
        return self.spec_type is not None and issubclass(self.spec_type, CostSpec)


Declarations = Mapping[str, Declared]


def declare_layers(
    sections: Mapping[str, Section],
    params: Mapping[str, Section],
    dialect: Dialect,
    problems: list[Problem],
) -> Declarations:
    """Read the sections of a definition file, adding to the problems; `params` are those of the other one."""
    layers = {
        name: _declare(section, params.get(name), dialect, problems) for name, section in sections.items()
    }
    if all(layer.type for layer in layers.values()):  # else nobody knows all keys
        types = [dialect.layer_types[layer.type] for layer in layers.values()]
        known = [name for spec_type in types for name in definition_keys(spec_type, dialect)]
        elsewhere = [name for spec_type in types for name in key_names(spec_type.params, dialect)]
        check_defaults(sections.values(), known, elsewhere, dialect, problems)
    return layers


def definition_keys(spec_type: type[LayerSpec], dialect: Dialect) -> list[str]:
    """Return the keys of a layer in the definition file."""
    placed = dialect.placement is not None and not issubclass(spec_type, DataSpec)
    placement = key_names(dialect.placement, dialect) if dialect.placement and placed else []
    return ["type", *key_names(spec_type, dialect), *placement]


def _declare(section: Section, params: Section | None, dialect: Dialect, problems: list[Problem]) -> Declared:
    names = input_names(section)
    report = Report(problems, section)
    if not section.name.isprintable():
        report.error(f"the name of a layer must be printable, got {shorten(section.name)!r}")
    spec_type = _spec_type(section, dialect, report)
    if spec_type is None:
        return Declared(section, input_names=names)
    known = definition_keys(spec_type, dialect)
    check_keys(section, known, key_names(spec_type.params, dialect), dialect, report)
    spec = read_spec(spec_type, section, report, dialect, len(names) if names is not None else None)
    if spec is not None:
        spec = spec.refined(params, report)
    if issubclass(spec_type, DataSpec):
        names = ()
    read_type = spec_type if spec is None else type(spec)
    return Declared(section, spec_type.type_name, read_type, spec, names, _devices(section, dialect, report))


def _devices(section: Section, dialect: Dialect, report: Report) -> tuple[int, ...] | None:
    if dialect.placement is None:
        return None
    placed = read_spec(dialect.placement, section, report, dialect)
    if isinstance(placed, OneDevice):
        return (placed.device,) if placed.device is not None else None
    return placed.devices if isinstance(placed, DeviceList) else None


def input_names(section: Section) -> tuple[str, ...] | None:
    """Return the names that a section gives as its inputs; None where there is no telling."""
    try:
        entry = section.get("inputs")
    except ConfigError:
        return None
    return tuple(name.strip() for name in entry.text.split(",")) if entry else None


def _spec_type(section: Section, dialect: Dialect, report: Report) -> type[LayerSpec] | None:
    try:
        entry = section.get("type")
    except ConfigError as error:
        report.problems.extend(error.problems)
        return None
    known = dialect.layer_types
    if entry is None:
        hint = did_you_mean("type", section.entries).replace("did you mean", "is it meant by")
        report.error(f"type is missing: expected one of {', '.join(known)}{hint}")
        return None
    if entry.text in known:  # also a user's own in place of one that is refused
        return known[entry.text]
    if entry.text in dialect.refused:
        report.error(f"type={entry.text} is not supported: {dialect.refused[entry.text]}", "type")
    else:
        hint = did_you_mean(entry.text, known) or f" (expected one of {', '.join(known)})"
        report.error(f"unknown type {shorten(entry.text)!r}{hint}", "type")
    return None
