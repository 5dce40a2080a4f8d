"""The parameter file: the section of each layer, and those that no layer has (spec: params.md section 1)."""

from __future__ import annotations

from collections.abc import Mapping

from convnet_cfg.errors import Problem, did_you_mean
from convnet_cfg.language.declaring import Declarations, Declared
from convnet_cfg.language.dialects import Dialect
from convnet_cfg.language.grammar import Section
from convnet_cfg.language.layer_types import CostSpec, DataSpec, LayerSpec, NeuronSpec, SoftmaxSpec
from convnet_cfg.language.old_types import OldNormSpec
from convnet_cfg.language.params import LayerParams
from convnet_cfg.language.spec import Report, key_names, read_spec
from convnet_cfg.language.unknown_keys import check_keys

OPTIONAL_KEYS = ("dropout", "decay")


def read_parameters(
    sections: Mapping[str, Section],
    file: str,
    declarations: Declarations,
    activations: Mapping[str, str],
    dialect: Dialect,
    problems: list[Problem],
) -> Mapping[str, LayerParams | None]:
    """Return the parameters of each layer and activation by name, adding to the problems."""
    reader = _Reader(sections, file, dialect, problems)
    found = {layer.name: reader.layer(layer) for layer in declarations.values()}
    found |= {name: reader.activation(name) for name in activations.values()}
    for section in sections.values():
        if section.name not in found:
            hint = did_you_mean(section.name, found)
            Report(problems, section).warning(f"no such layer in the definition file{hint}")
    return found


class _Reader:
    """Reads the sections of one parameter file."""

    def __init__(
        self, sections: Mapping[str, Section], file: str, dialect: Dialect, problems: list[Problem]
    ) -> None:
        self.sections = sections
        self.file = file
        self.dialect = dialect
        self.problems = problems

    def layer(self, declared: Declared) -> LayerParams | None:
        """Return the parameters of a layer, None where it needs none or has wrong ones."""
        spec, section = declared.spec, self.sections.get(declared.name)
        if spec is None:
            return None
        if section is None:
            return self._without_section(declared, spec)
        params = self._read(spec, section)
        return self._merged(spec, params, section) if isinstance(spec, OldNormSpec) else params

    def activation(self, name: str) -> LayerParams | None:
        """Return the parameters of a layer made from the key `neuron`."""
        section = self.sections.get(name)
        if section is None:
            return None
        report = Report(self.problems, section)
        check_keys(section, LayerParams, NeuronSpec, self.dialect, report)
        return read_spec(LayerParams, section, report)

    def _read(self, spec: LayerSpec, section: Section) -> LayerParams | None:
        report = Report(self.problems, section)
        check_keys(section, spec.params, type(spec), self.dialect, report)
        params = read_spec(spec.params, section, report, len(spec.inputs))
        if params is not None and params.dropout:
            _check_dropout(spec, report)
        return params

    def _merged(self, spec: OldNormSpec, params: LayerParams | None, section: Section) -> LayerParams | None:
        merged = spec.merge(params)
        if params is not None and merged is None:
            Report(self.problems, section).error("scale or pow is missing in both files")
        return merged

    def _without_section(self, declared: Declared, spec: LayerSpec) -> LayerParams | None:
        """Old normalisations may have everything in the definition file."""
        old = spec.merge(None) if isinstance(spec, OldNormSpec) else None
        if old is None and (spec.params.required or isinstance(spec, OldNormSpec)):
            wanted = ", ".join(name for name in key_names(spec.params) if name not in OPTIONAL_KEYS)
            message = f"no section [{declared.name}] in {self.file}: expected {wanted}"
            Report(self.problems, declared.section).error(message)
        return old


def _check_dropout(spec: LayerSpec, report: Report) -> None:
    if isinstance(spec, (DataSpec, CostSpec)):
        report.warning(f"dropout has no effect on a layer of type {spec.type_name}", "dropout")
    if isinstance(spec, SoftmaxSpec):
        report.error("dropout on a softmax layer breaks the gradient of cost.logreg", "dropout")
