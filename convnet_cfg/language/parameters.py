"""The parameter file: the section of each layer, and those that no layer has (spec: params.md section 1)."""

from __future__ import annotations

from collections.abc import Mapping

from convnet_cfg.errors import Place, Problem, Severity, did_you_mean, join_words
from convnet_cfg.language.cost_types import CostSpec
from convnet_cfg.language.declaring import Declarations, Declared, definition_keys
from convnet_cfg.language.dialect import Dialect
from convnet_cfg.language.grammar import Section
from convnet_cfg.language.historic_types import OldNormSpec
from convnet_cfg.language.layer_types import (
    DataSpec,
    LayerSpec,
    NeuronSpec,
    SoftmaxSpec,
)
from convnet_cfg.language.params import LayerParams, WeightParams, no_decay
from convnet_cfg.language.spec import REQUIRED, Report, declared_keys, key_names, read_spec
from convnet_cfg.language.unknown_keys import check_defaults, check_keys
from convnet_cfg.language.weight_types import WeightSpec
from convnet_cfg.language.wiring import MAX_HINTS


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
    strangers = [section for section in sections.values() if section.name not in found]
    for number, section in enumerate(strangers):
        hint = did_you_mean(section.name, found) if number < MAX_HINTS else ""
        Report(problems, section).warning(f"no such layer in the definition file{hint}")
    reader.defaults(declarations, activations)
    _check_frozen(found, file, problems)
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
        if declared.spec_type is None:
            return None
        if section is None:
            return self._without_section(declared, declared.spec_type)
        params = self._read(declared, declared.spec_type, section)
        return self._merged(spec, params, section) if isinstance(spec, OldNormSpec) else params

    def activation(self, name: str) -> LayerParams | None:
        """Return the parameters of a layer made from the key `neuron`."""
        section = self.sections.get(name)
        if section is None:
            return None
        report = Report(self.problems, section)
        known, elsewhere = key_names(LayerParams, self.dialect), definition_keys(NeuronSpec, self.dialect)
        check_keys(section, known, elsewhere, self.dialect, report)
        return read_spec(LayerParams, section, report, self.dialect)

    def defaults(self, declarations: Declarations, activations: Mapping[str, str]) -> None:
        """Report the keys of `[DEFAULT]` that none of the sections has a use for."""
        if not all(layer.type for layer in declarations.values()):
            return
        types = {layer.name: self.dialect.layer_types[layer.type] for layer in declarations.values()}
        types |= dict.fromkeys(activations.values(), NeuronSpec)
        used = [types[name] for name in self.sections if name in types]
        known = [name for spec_type in used for name in key_names(spec_type.params, self.dialect)]
        elsewhere = [name for spec_type in used for name in definition_keys(spec_type, self.dialect)]
        check_defaults(self.sections.values(), known, elsewhere, self.dialect, self.problems)

    def _read(self, declared: Declared, spec_type: type[LayerSpec], section: Section) -> LayerParams | None:
        report = Report(self.problems, section)
        known, elsewhere = key_names(spec_type.params, self.dialect), definition_keys(spec_type, self.dialect)
        check_keys(section, known, elsewhere, self.dialect, report)
        inputs = len(declared.input_names) if declared.input_names is not None else None
        params = read_spec(spec_type.params, section, report, self.dialect, inputs)
        if params is not None and params.dropout:
            _check_dropout(spec_type, report)
        if isinstance(params, WeightParams):
            _check_update(params, report)
        if isinstance(declared.spec, WeightSpec) and isinstance(params, WeightParams):
            _check_decay(declared.spec, params, report)
        return params

    def _merged(self, spec: OldNormSpec, params: LayerParams | None, section: Section) -> LayerParams | None:
        merged = spec.merge(params)
        if params is not None and merged is None:
            Report(self.problems, section).error(
                f"{spec.lacking(params)} is missing in both files: expected a number"
            )
        return merged

    def _without_section(self, declared: Declared, spec_type: type[LayerSpec]) -> LayerParams | None:
        """Old normalizations may have everything in the definition file."""
        old = declared.spec.merge(None) if isinstance(declared.spec, OldNormSpec) else None
        lacking = isinstance(declared.spec, OldNormSpec) and old is None
        if lacking or spec_type.params.required:
            message = f"no section [{declared.name}] in {self.file}: expected {_wanted(spec_type)}"
            Report(self.problems, declared.section).error(message)
        return old


def _wanted(spec_type: type[LayerSpec]) -> str:
    """Return the keys that a section must have."""
    keys = declared_keys(spec_type.params)
    needed = [key.name for key in keys.values() if key.default is REQUIRED]
    if issubclass(spec_type, OldNormSpec):
        needed = ["scale", "pow"]
    optional = [key.name for field, key in keys.items() if field not in declared_keys(LayerParams)]
    return ", ".join(needed) or f"one, even if empty ({join_words(optional, 'and')} may be left away)"


def _check_frozen(found: Mapping[str, LayerParams | None], file: str, problems: list[Problem]) -> None:
    """Warn if no rate is above zero."""
    weights = [params for params in found.values() if isinstance(params, WeightParams)]
    rates = [rate.base for params in weights for rate in (*params.weight_rates, params.bias_rate)]
    if rates and max(rates) <= 0:
        message = "every learning rate is 0 or below: nothing will be trained"
        problems.append(Problem(Place(file, 1), None, message, Severity.WARNING))


def _check_update(params: WeightParams, report: Report) -> None:
    """Report values that no training gets on with."""
    for key, momenta in {"momW": params.weight_momenta, "momB": (params.bias_momentum,)}.items():
        for momentum in momenta:
            if abs(momentum) > 1:
                why = "each update would be larger than the one before"
                report.error(f"{key} must be from -1 to 1, got {momentum:g}: {why}", key)
            elif not 0 <= momentum < 1:
                why = "updates never fade" if momentum >= 1 else "updates change their sign each time"
                report.warning(f"{key} is usually from 0 to below 1, got {momentum:g}: {why}", key)
    for decay in params.weight_decays:
        if decay < 0:
            report.warning(f"wc is usually 0 or above, got {decay:g}: decay below 0 is none", "wc")


def _check_decay(spec: WeightSpec, params: WeightParams, report: Report) -> None:
    owned = [index for index, source in enumerate(spec.sources) if source is None]
    for rule in map(params.weight_rule, owned):
        if rule.decay and (why := no_decay(rule.decay, rule.momentum)):
            report.error(f"momW must be < 1, got {rule.momentum:g}: {why}", "momW")


def _check_dropout(spec_type: type[LayerSpec], report: Report) -> None:
    if issubclass(spec_type, (DataSpec, CostSpec)):
        report.warning(f"dropout has no effect on a layer of type {spec_type.type_name}", "dropout")
    if issubclass(spec_type, SoftmaxSpec):
        report.error("dropout on a softmax layer breaks the gradient of cost.logreg", "dropout")
