"""Two files to a `Network`, or to one error that lists every problem of both (spec: grammar.md section 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import ConfigError, Place, Problem, Severity, did_you_mean
from .dialects import DEAD_KEYS, FOREIGN_KEYS, Dialect, recognize
from .grammar import Section, read_sections
from .kinds import SourceRef, shorten
from .layer_types import CostSpec, DataSpec, Input, LayerSpec, LogregSpec, NeuronSpec, Output, SoftmaxSpec
from .network import Layer, Matrix, Network, outside_functions
from .old_types import OldNormSpec
from .params import LayerParams, NormParams, UpdateRule, WeightParams
from .spec import Report, count, key_names, read_spec
from .weight_types import FilterSpec, WeightSpec

Sections = Mapping[str, Section]
MAX_NAME_CLASHES = 99

# What each way of reading makes of the severities: the least one that is an error.
MODES: Mapping[str, frozenset[Severity]] = {
    "lenient": frozenset({Severity.ERROR}),
    "default": frozenset({Severity.ERROR, Severity.SUSPECT}),
    "strict": frozenset({Severity.ERROR, Severity.SUSPECT, Severity.WARNING}),
}


def load_network(
    layers: str | Path,
    params: str | Path | None = None,
    *,
    data_dims: Callable[[int], int | None] | Sequence[int],
    classes: int | None = None,
    mode: str = "default",
) -> Network:
    """Read a layer definition, and the layer parameters if given, into a checked network.

    `data_dims` has the values for each case of every data matrix (`dataIdx`), as a sequence or a function
    that returns None for "unknown"; `classes` is the number of labels that the data have; `mode` is one of
    `MODES`.

    Raises:
        UsageError: a file cannot be read.
        ConfigError: everything that is wrong with the files.
    """
    problems: list[Problem] = []
    sections = [_read(path, problems) if path is not None else {} for path in (layers, params)]
    if any(found is None for found in sections):
        raise ConfigError(problems)
    dims = data_dims if callable(data_dims) else _dims_of(data_dims)
    builder = _Builder(
        sections[0] or {}, sections[1] if params is not None else None, dims, classes, problems
    )
    network = builder.build(str(layers), str(params) if params is not None else None)
    errors = [problem for problem in problems if problem.severity in MODES[mode]]
    if errors or network is None:
        raise ConfigError(sorted(errors, key=_reading_order(str(layers))))
    return network


def _dims_of(sequence: Sequence[int]) -> Callable[[int], int | None]:
    return lambda index: sequence[index] if index < len(sequence) else None


def _reading_order(first_file: str) -> Callable[[Problem], tuple[bool, str, int, int]]:
    return lambda problem: (problem.place.file != first_file, *problem.place)


def _read(path: str | Path, problems: list[Problem]) -> Sections | None:
    try:
        return read_sections(path)
    except ConfigError as error:
        problems.extend(error.problems)
        return None


@dataclass
class _Draft:
    """A layer while the network is put together; `output` is None where it is unknown because of an error."""

    name: str
    spec: LayerSpec | None
    type: str
    section: Section
    report: Report
    inputs: tuple[Input, ...] | None = None
    output: Output | None = None
    trainable: bool = False
    matrices: tuple[Matrix, ...] = ()
    params: LayerParams | None = None


class _Builder:
    """Takes the sections of both files through the steps of the original's parser, collecting problems."""

    def __init__(
        self,
        layers: Sections,
        params: Sections | None,
        data_dims: Callable[[int], int | None],
        classes: int | None,
        problems: list[Problem],
    ) -> None:
        self.sections = layers
        self.param_sections = params
        self.data_dims = data_dims
        self.classes = classes
        self.problems = problems
        self.drafts: dict[str, _Draft] = {}

    def build(self, layers_path: str, params_path: str | None) -> Network | None:
        """Return the network, or None if there is none to return."""
        if not self.sections:
            self.problems.append(Problem(Place(layers_path, 1), None, "no [layer] in this file"))
            return None
        recognized = recognize(self.sections, self.param_sections or {})
        if isinstance(recognized, Problem):
            self.problems.append(recognized)
            return None
        self.dialect, found = recognized
        for section in self.sections.values():
            self._add(section)
        self._check_use()
        if self.param_sections is not None:
            self._read_params(self.param_sections, params_path or "")
        if any(draft.output is None for draft in self.drafts.values()):
            return None
        reason = f"{found.place}: [{found.section}] {found.what}" if found else "nothing but v1 keys"
        layers = self._finished_layers()
        dims = _used_dims(layers)
        return Network(
            dialect=self.dialect,
            recognized_by=reason,
            layers=layers,
            data_dims=dims,
            remarks=tuple(sorted(self.problems, key=_reading_order(layers_path))),
            has_params=self.param_sections is not None,
        )

    # -- the definition file

    def _add(self, section: Section) -> None:
        report = Report(self.problems, section)
        draft = self.drafts[section.name] = _Draft(section.name, None, "", section, report)
        spec_type = self._spec_type(section, report)
        if spec_type is None:
            return
        draft.type = spec_type.type_name
        check_keys(section, ("type", *key_names(spec_type)), self.dialect, report)
        draft.spec = read_spec(spec_type, section, report, _count_inputs(section))
        if draft.spec is not None:
            draft.inputs = self._resolve_inputs(draft, draft.spec)
        if draft.spec is not None and draft.inputs is not None:
            draft.output = self._output(draft, draft.spec, draft.inputs)
            self._finish_weights(draft, draft.spec)

    def _spec_type(self, section: Section, report: Report) -> type[LayerSpec] | None:
        try:
            entry = section.get("type")
        except ConfigError as error:
            self.problems.extend(error.problems)
            return None
        known = self.dialect.layer_types
        if entry is None:
            report.error(f"type is missing: expected one of {', '.join(known)}")
            return None
        if entry.text not in known:
            hint = did_you_mean(entry.text, known) or f" (expected one of {', '.join(known)})"
            report.error(f"unknown type {shorten(entry.text)!r}{hint}", "type")
        return known.get(entry.text)

    def _resolve_inputs(self, draft: _Draft, spec: LayerSpec) -> tuple[Input, ...] | None:
        least, most = spec.input_limits
        if not least <= len(spec.inputs) <= (most or len(spec.inputs)):
            wanted = count(least, "input") if most == least else f"at least {count(least, 'input')}"
            draft.report.error(f"type={spec.type_name} takes {wanted}, got {len(spec.inputs)}", "inputs")
            return None
        sources = [self._resolve_input(name, draft) for name in spec.inputs]
        if any(source is None or source.output is None for source in sources):
            return None
        draft.trainable = any(source.trainable for source in sources if source)
        return tuple(
            Input(source.name, source.type, source.output, source.trainable)
            for source in sources
            if source and source.output
        )

    def _resolve_input(self, name: str, draft: _Draft) -> _Draft | None:
        source = self.drafts.get(name)
        if source is None or source is draft:
            earlier = [other for other in self.drafts if other != draft.name]
            why = ": it is defined further down" if name in self.sections and name != draft.name else ""
            hint = why or did_you_mean(name, earlier)
            draft.report.error(f"input {shorten(name)!r} is not defined above{hint}", "inputs")
            return None
        if isinstance(source.spec, CostSpec):
            draft.report.error(f"input {name!r} is a cost and has no output", "inputs")
            return None
        return source

    def _output(self, draft: _Draft, spec: LayerSpec, inputs: tuple[Input, ...]) -> Output | None:
        if isinstance(spec, DataSpec):
            dim = self.data_dims(spec.data_index)
            if dim is None:
                draft.report.error(f"the data have no matrix {spec.data_index}", "dataIdx")
            return Output(dim) if dim is not None else None
        if not spec.differentiable and draft.trainable:
            draft.report.error(f"type={spec.type_name} passes no gradient: no layer below may have weights")
        output = spec.output(inputs, draft.report)
        if isinstance(spec, LogregSpec) and isinstance(self.drafts[inputs[1].name].spec, SoftmaxSpec):
            self._check_classes(draft, inputs[1].output.size)
        return output

    def _check_classes(self, draft: _Draft, given: int) -> None:
        if self.classes is not None and given != self.classes:
            draft.report.error(f"the softmax layer has {given} outputs, the data have {self.classes} classes")

    # -- weights

    def _finish_weights(self, draft: _Draft, spec: LayerSpec) -> None:
        if not isinstance(spec, WeightSpec) or draft.output is None or draft.inputs is None:
            return
        draft.trainable = True
        for call in outside_functions(spec):
            draft.report.warning(
                f"{call.name} is code from outside: training needs --allow-init-func {call.name}"
            )
        shapes = spec.matrices(draft.inputs, draft.output)
        for index, (shape, deviation, source) in enumerate(
            zip(shapes, spec.deviations, spec.sources, strict=True)
        ):
            matrix = Matrix(shape, deviation, function=spec.weight_function)
            owner = self._owner(draft, spec, index, matrix, source) if source else None
            draft.matrices += (replace(matrix, source=owner),)

    def _owner(
        self, draft: _Draft, spec: WeightSpec, index: int, matrix: Matrix, ref: SourceRef
    ) -> SourceRef | None:
        """Return the matrix, itself no sharer, that a `weightSource` item leads to."""
        report = draft.report
        source = self.drafts.get(ref.layer)
        if source is None:
            report.error(
                f"weightSource {ref.layer!r} is not defined above{did_you_mean(ref.layer, self.drafts)}",
                "weightSource",
            )
        elif source.spec is not None and source.type != spec.type_name:
            report.error(f"weightSource {ref.layer!r} is {source.type}, not {spec.type_name}", "weightSource")
        elif source is draft and ref.number >= index:
            report.error(
                f"weightSource {ref.layer}[{ref.number}] is not above matrix {index} of this layer",
                "weightSource",
            )
        elif ref.number >= len(source.matrices) and source.output is not None:
            report.error(
                f"weightSource {ref.layer!r} has {len(source.matrices)} matrices, no number {ref.number}",
                "weightSource",
            )
        elif ref.number < len(source.matrices):
            return self._check_owner(draft, index, matrix, ref, source)
        return None

    def _check_owner(
        self, draft: _Draft, index: int, matrix: Matrix, ref: SourceRef, source: _Draft
    ) -> SourceRef | None:
        owner = source.matrices[ref.number]
        if owner.shape != matrix.shape:
            theirs, ours = (" x ".join(map(str, shape)) for shape in (owner.shape, matrix.shape))
            draft.report.error(
                f"weightSource {ref.layer}[{ref.number}] is {theirs}, this matrix is {ours}", "weightSource"
            )
            return None
        if isinstance(draft.spec, FilterSpec) and draft.spec.sparse[index]:
            same = isinstance(source.spec, FilterSpec) and _sparsity(source.spec, ref.number) == _sparsity(
                draft.spec, index
            )
            if not same:
                draft.report.error(
                    f"weightSource {ref.layer}[{ref.number}] must have randSparse, and the same groups, "
                    "channels and filterChannels",
                    "weightSource",
                )
                return None
        return owner.source or ref

    def _check_use(self) -> None:
        used = {name for draft in self.drafts.values() if draft.spec for name in draft.spec.inputs}
        unread = {name for draft in self.drafts.values() if not draft.spec for name in _names(draft.section)}
        for draft in self.drafts.values():
            is_cost = draft.type.startswith("cost.")
            if draft.type and not is_cost and draft.name not in used | unread:
                draft.report.error("no layer reads this layer")

    # -- the parameter file

    def _read_params(self, sections: Sections, path: str) -> None:
        names = [*self.drafts, *(f"{name}_neuron" for name in self.drafts)]
        for draft in self.drafts.values():
            if draft.spec is not None:
                draft.params = self._layer_params(draft, draft.spec, sections.get(draft.name), path)
        for section in sections.values():
            report = Report(self.problems, section)
            if section.name in self.drafts:
                continue
            owner = self.drafts.get(section.name.removesuffix("_neuron"))
            if section.name.endswith("_neuron") and owner and owner.spec and owner.spec.neuron:
                check_keys(section, key_names(LayerParams), self.dialect, report)
                continue
            hint = did_you_mean(section.name, names)
            report.warning(f"no such layer in the definition file{hint}")

    def _layer_params(
        self, draft: _Draft, spec: LayerSpec, section: Section | None, path: str
    ) -> LayerParams | None:
        if section is None:
            old = spec.merge(None) if isinstance(spec, OldNormSpec) else None
            if spec.params.required or (isinstance(spec, OldNormSpec) and old is None):
                wanted = ", ".join(
                    name for name in key_names(spec.params) if name not in ("dropout", "decay")
                )
                draft.report.error(f"no section [{draft.name}] in {path}: expected {wanted}")
            return old
        report = Report(self.problems, section)
        check_keys(section, key_names(spec.params), self.dialect, report)
        params = read_spec(spec.params, section, report, len(spec.inputs))
        if params is not None:
            self._check_params(draft, spec, params, report)
        if isinstance(spec, OldNormSpec):
            return spec.merge(params)
        return params

    def _check_params(self, draft: _Draft, spec: LayerSpec, params: LayerParams, report: Report) -> None:
        if params.dropout and isinstance(spec, (DataSpec, CostSpec)):
            report.warning(f"dropout has no effect on a layer of type {spec.type_name}", "dropout")
        if params.dropout and isinstance(spec, SoftmaxSpec):
            report.error("dropout on a softmax layer breaks the gradient of cost.logreg", "dropout")

    # -- the result

    def _finished_layers(self) -> tuple[Layer, ...]:
        """Return the layers, an activation of its own behind each that asks for one."""
        layers: list[Layer] = []
        renamed: dict[str, str] = {}
        for draft in self.drafts.values():
            layer = self._finished(draft, renamed)
            layers.append(layer)
            if layer.spec.neuron is not None and not isinstance(layer.spec, NeuronSpec):
                activation = self._activation(draft, layer, {other.name for other in layers})
                layers.append(activation)
                renamed[layer.name] = activation.name
        return tuple(layers)

    def _finished(self, draft: _Draft, renamed: Mapping[str, str]) -> Layer:
        assert draft.spec is not None
        assert draft.inputs is not None
        assert draft.output is not None
        params = draft.params
        rules: list[UpdateRule | None] = [None] * len(draft.matrices)
        bias_rule = None
        if isinstance(params, WeightParams):
            rules = [params.weight_rule(index) for index in range(len(draft.matrices))]
            bias_rule = params.bias_rule()
        bias = None
        if isinstance(draft.spec, WeightSpec):
            shape, mean = draft.spec.bias_shape(draft.output), draft.spec.initial_bias
            bias = Matrix(shape, 0.0, mean, function=draft.spec.bias_function, rule=bias_rule)
        return Layer(
            name=draft.name,
            spec=draft.spec,
            place=draft.section.place,
            inputs=tuple(
                source._replace(name=renamed.get(source.name, source.name)) for source in draft.inputs
            ),
            output=draft.output,
            params=params,
            matrices=tuple(
                replace(matrix, rule=rule) for matrix, rule in zip(draft.matrices, rules, strict=True)
            ),
            bias=bias,
        )

    def _activation(self, draft: _Draft, layer: Layer, taken: set[str]) -> Layer:
        names = [
            f"{layer.name}_neuron",
            *(f"{layer.name}_neuron.{n}" for n in range(1, MAX_NAME_CLASHES + 1)),
        ]
        name = next(name for name in names if name not in taken and name not in self.drafts)
        assert layer.spec.neuron is not None
        spec = NeuronSpec(inputs=(layer.name,), neuron=layer.spec.neuron)
        section = (self.param_sections or {}).get(name)
        source = Input(layer.name, layer.type, layer.output, draft.trainable)
        return Layer(
            name=name,
            spec=spec,
            place=layer.place,
            inputs=(source,),
            output=layer.output,
            params=read_spec(LayerParams, section, Report([], section)) if section else None,
            implicit=True,
        )


def check_keys(section: Section, known: Sequence[str], dialect: Dialect, report: Report) -> None:
    """Report the keys of a section that its layer does not have, as errors where they may be meant."""
    by_lower = {name.lower() for name in known}
    elsewhere = {
        name.lower()
        for spec in dialect.layer_types.values()
        for name in (*key_names(spec), *key_names(spec.params))
    }
    for key, entry in section.entries.items():
        if key in by_lower:
            continue
        shown = f"unknown key {shorten(entry.key)!r}"
        if key in DEAD_KEYS:
            report.about_key(entry, f"key {entry.key!r} had no effect in any program", Severity.WARNING)
        elif key in elsewhere:
            report.about_key(entry, f"key {entry.key!r} means nothing here", Severity.WARNING)
        elif key in FOREIGN_KEYS:
            message = f"{shown}: it belongs to {FOREIGN_KEYS[key]}"
            report.about_key(
                entry, f"{message} (the original ignored it: --lenient does the same)", Severity.SUSPECT
            )
        elif hint := did_you_mean(entry.key, known):
            message = f"{shown}{hint} (the original ignored it: --lenient does the same)"
            report.about_key(entry, message, Severity.SUSPECT)
        else:
            report.about_key(entry, f"{shown}, ignored", Severity.WARNING)


def _count_inputs(section: Section) -> int:
    return len(_names(section))


def _names(section: Section) -> list[str]:
    entry = section.all_entries().get("inputs")
    return [name.strip() for name in entry.text.split(",")] if entry else []


def _sparsity(spec: FilterSpec, index: int) -> tuple[bool, int, int, int]:
    return spec.sparse[index], spec.groups[index], spec.channels[index], spec.filter_channels(index)


def _used_dims(layers: Sequence[Layer]) -> tuple[int, ...]:
    used = {layer.spec.data_index: layer.output.size for layer in layers if isinstance(layer.spec, DataSpec)}
    return tuple(used.get(index, 0) for index in range(max(used, default=-1) + 1))


__all__ = ["MODES", "NormParams", "load_network"]
