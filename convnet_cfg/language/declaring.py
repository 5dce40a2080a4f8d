"""The first pass over the definition file: the type, keys and values of each layer, read on their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from convnet_cfg.errors import ConfigError, Problem, did_you_mean
from convnet_cfg.language.dialects import Dialect
from convnet_cfg.language.grammar import Section
from convnet_cfg.language.kinds import shorten
from convnet_cfg.language.layer_types import CostSpec, LayerSpec
from convnet_cfg.language.spec import Report, key_names, read_spec
from convnet_cfg.language.unknown_keys import check_defaults, check_keys


@dataclass(frozen=True)
class Declared:
    """One layer as its section says; `spec` is None where something is wrong there, which is reported."""

    section: Section
    type: str = ""  # empty where it is missing or unknown
    spec: LayerSpec | None = None
    input_names: tuple[str, ...] | None = None  # the spec's or, without one, those in the file

    @property
    def name(self) -> str:
        """The name of the layer."""
        return self.section.name

    @property
    def is_cost(self) -> bool:
        """Whether the layer is a cost, which no other layer can read."""
        return isinstance(self.spec, CostSpec) or self.type.startswith("cost.")


Declarations = Mapping[str, Declared]


def declare_layers(
    sections: Mapping[str, Section], dialect: Dialect, problems: list[Problem]
) -> Declarations:
    """Read the sections of a definition file, adding to the problems."""
    layers = {name: _declare(section, dialect, problems) for name, section in sections.items()}
    if all(layer.type for layer in layers.values()):  # else nobody knows all keys
        types = [dialect.layer_types[layer.type] for layer in layers.values()]
        known = [name for spec_type in types for name in definition_keys(spec_type)]
        elsewhere = [name for spec_type in types for name in key_names(spec_type.params)]
        check_defaults(sections.values(), known, elsewhere, dialect, problems)
    return layers


def definition_keys(spec_type: type[LayerSpec]) -> list[str]:
    """Return the keys of a layer in the definition file."""
    return ["type", *key_names(spec_type)]


def _declare(section: Section, dialect: Dialect, problems: list[Problem]) -> Declared:
    names = input_names(section)
    report = Report(problems, section)
    spec_type = _spec_type(section, dialect, report)
    if spec_type is None:
        return Declared(section, input_names=names)
    check_keys(section, definition_keys(spec_type), key_names(spec_type.params), dialect, report)
    spec = read_spec(spec_type, section, report, len(names) if names is not None else None)
    return Declared(section, spec_type.type_name, spec, spec.inputs if spec is not None else names)


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
    if entry.text not in known:
        hint = did_you_mean(entry.text, known) or f" (expected one of {', '.join(known)})"
        report.error(f"unknown type {shorten(entry.text)!r}{hint}", "type")
    return known.get(entry.text)
