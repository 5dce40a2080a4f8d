"""The second pass over the definition file: inputs, shapes, weights, given the sizes of the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from convnet_cfg.errors import Problem, Severity, join_words, shorten, suggest
from convnet_cfg.language.cost_types import CostSpec
from convnet_cfg.language.declaring import Declarations, Declared
from convnet_cfg.language.dialect import Dialect
from convnet_cfg.language.layer_types import MAX_DATA_INDEX, DataSpec, LayerSpec
from convnet_cfg.language.network import Matrix
from convnet_cfg.language.shapes import Input, Output
from convnet_cfg.language.sharing import Borrower, Sharer, resolve_sources
from convnet_cfg.language.spec import Report, count
from convnet_cfg.language.weight_types import WeightSpec

DataDims = Callable[[int], int | None]

MAX_VALUES = 10**12
MAX_HINTS = 20  # names that are compared with all others: hundreds of them would take seconds


@dataclass
class Wired:
    """A layer among the others; what is None is unknown because of an error, which is reported."""

    declared: Declared
    inputs: tuple[Input, ...] | None = None
    output: Output | None = None
    trainable: bool = False
    matrices: tuple[Matrix, ...] = ()
    devices: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The name of the layer."""
        return self.declared.name

    def as_input(self) -> Input | None:
        """Return what a layer that reads this one knows of it."""
        if self.output is None:
            return None
        spec = self.declared.spec
        activation = spec.neuron.name if spec is not None and spec.neuron is not None else None
        return Input(self.name, self.declared.type, self.output, self.trainable, activation)


def wire_layers(
    declarations: Declarations,
    dialect: Dialect,
    data_dims: DataDims,
    classes: int | None,
    problems: list[Problem],
) -> Mapping[str, Wired]:
    """Connect the layers, adding to the problems; `data_dims` gives the size of a data matrix, or None."""
    wiring = _Wiring(declarations, data_dims, classes, problems)
    for declared in declarations.values():
        wiring.add(declared)
    wiring.check_use(dialect.unused_layers)
    return wiring.layers


class _Wiring:
    """Knows the layers so far: each can read those above it."""

    def __init__(
        self,
        declarations: Declarations,
        data_dims: DataDims,
        classes: int | None,
        problems: list[Problem],
    ) -> None:
        self.declarations = declarations
        self.data_dims = data_dims
        self.classes = classes
        self.problems = problems
        self.layers: dict[str, Wired] = {}
        self.meant: set[str] = set()  # what inputs that are not there probably mean
        self.hints = 0
        self.sharers: dict[str, Sharer] = {}  # the same layers, as those that share matrices see them

    def add(self, declared: Declared) -> None:
        """Connect the next layer."""
        layer = Wired(declared, devices=self._devices(declared))
        report = Report(self.problems, declared.section, declared.spec_type)
        inputs = self._inputs(layer, report)  # also where something else is wrong with the layer
        if declared.spec is not None and inputs is not None:
            layer.inputs = inputs
            layer.output = self._output(layer, declared.spec, inputs, report)
        if isinstance(declared.spec, WeightSpec) and layer.inputs is not None and layer.output is not None:
            layer.trainable = True
            layer.matrices = self._matrices(layer, declared.spec, layer.inputs, layer.output, report)
        self.layers[declared.name] = layer
        matrices = layer.matrices if layer.output is not None else None
        self.sharers[declared.name] = Sharer(declared.type, declared.spec, matrices, layer.devices)

    def _devices(self, declared: Declared) -> tuple[int, ...]:
        """Return where a layer is: without a place of its own, where its first input is."""
        first = self.layers.get(declared.input_names[0]) if declared.input_names else None
        return declared.devices or (first.devices if first else ())

    def _inputs(self, layer: Wired, report: Report) -> tuple[Input, ...] | None:
        names = layer.declared.input_names
        if names is None or not _right_number(layer.declared, len(names), report):
            return None
        sources = [self._source(name, layer, report) for name in names]
        layer.trainable = any(source.trainable for source in sources if source)
        found = [known for source in sources if source and (known := source.as_input()) is not None]
        return tuple(found) if len(found) == len(sources) else None

    def _source(self, name: str, layer: Wired, report: Report) -> Wired | None:
        source = self.layers.get(name)
        if source is None:
            report.error(f"input {shorten(name)!r} is not defined above{self._why(name, layer)}", "inputs")
        elif source.declared.is_cost:
            report.error(f"input {shorten(name)!r} is a cost and has no output", "inputs")
        elif source.output is not None and source.output.size == 0:
            report.error(f"input {shorten(name)!r} has no output: its size is 0", "inputs")
        else:
            return source
        return None

    def _why(self, name: str, layer: Wired) -> str:
        if name == layer.name:
            return ": it is this layer"
        if name in self.declarations:
            return ": it is defined further down"
        self.hints += 1
        nearest = suggest(name, self.layers) if self.hints <= MAX_HINTS else None
        self.meant.add(nearest or name)
        return f" (did you mean {nearest!r}?)" if nearest else ""

    def _output(
        self, layer: Wired, spec: LayerSpec, inputs: tuple[Input, ...], report: Report
    ) -> Output | None:
        if isinstance(spec, DataSpec):
            dim = self.data_dims(spec.data_index)
            if dim is None:
                report.error(f"the data have no matrix {spec.data_index}{self._matrix_numbers()}", "dataIdx")
            return spec.output_of(dim, report) if dim is not None else None
        if not spec.differentiable and layer.trainable:
            report.error(f"type={spec.type_name} passes no gradient: no layer below may have weights")
        output = spec.output(inputs, report)
        if isinstance(spec, CostSpec):
            self._check_classes(spec.classes(inputs), report)
            self._check_children(layer, spec, report)
        if output is not None and output.size > MAX_VALUES:
            report.error(f"{output.size:,} values for each case are more than any machine holds")
            return None
        return output

    def _matrix_numbers(self) -> str:
        known = [index for index in range(MAX_DATA_INDEX + 1) if self.data_dims(index) is not None]
        return f", only {join_words(list(map(str, known)), 'and')}" if known else ""

    def _check_classes(self, given: int | None, report: Report) -> None:
        if None not in (given, self.classes) and given != self.classes:
            report.error(f"this cost is for {given} classes, the data have {self.classes}", "inputs")

    def _check_children(self, layer: Wired, spec: CostSpec, report: Report) -> None:
        for name in spec.children:
            child = self.layers.get(name)
            if child is None:
                report.error(
                    f"child {shorten(name)!r} is not defined above{self._why(name, layer)}",
                    "children",
                )
            elif child.declared.type and child.declared.type != spec.type_name:
                report.error(f"child {name!r} is {child.declared.type}, not {spec.type_name}", "children")

    def _matrices(
        self, layer: Wired, spec: WeightSpec, inputs: Sequence[Input], output: Output, report: Report
    ) -> tuple[Matrix, ...]:
        matrices = tuple(
            Matrix(shape, deviation, function=spec.weight_function)
            for shape, deviation in zip(spec.matrices(inputs, output), spec.deviations, strict=True)
        )
        if not any(spec.sources):
            return matrices
        borrower = Borrower(layer.name, spec, layer.devices, lambda name: self._why(name, layer))
        return resolve_sources(borrower, matrices, self.sharers, report)

    def check_use(self, severity: Severity) -> None:
        """Report layers that no other layer reads; costs need no reader."""
        used = {name for layer in self.declarations.values() for name in layer.input_names or ()}
        used |= self.meant
        for layer in self.declarations.values():
            if layer.type and not layer.is_cost and layer.name not in used:
                Report(self.problems, layer.section).error("no layer reads this layer", severity=severity)


def _right_number(declared: Declared, number: int, report: Report) -> bool:
    """Return whether a layer may have so many inputs; those of a layer of no known type are not counted."""
    if declared.spec_type is None:
        return True
    least, most = declared.spec_type.input_limits
    if least <= number <= (most or number):
        return True
    wanted = count(least, "input") if most == least else f"at least {count(least, 'input')}"
    report.error(f"type={declared.spec_type.type_name} takes {wanted}, got {number}", "inputs")
    return False
