"""A network as two files describe it: layers in order, shapes known, an update rule for every weight."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from convnet_cfg.errors import Place, Problem
from convnet_cfg.language.cost_types import CostSpec, LogregSpec
from convnet_cfg.language.dialect import Dialect
from convnet_cfg.language.kinds import FunctionCall, SourceRef
from convnet_cfg.language.layer_types import DataSpec, LayerSpec
from convnet_cfg.language.params import LayerParams, UpdateRule, no_decay
from convnet_cfg.language.shapes import Input, MatrixShape, Output
from convnet_cfg.language.weight_types import LocalSpec, WeightSpec


@dataclass(frozen=True)
class Matrix:
    """One weight matrix or bias: its shape in the original's layout, first values and update rule."""

    shape: MatrixShape
    deviation: float  # of the Gaussian first values; a bias has 0
    mean: float = 0.0  # a bias starts at this value
    function: FunctionCall | None = None  # makes the first values, where the file names one
    source: SourceRef | None = None  # the owner of the values, for a shared matrix
    rule: UpdateRule | None = None  # None without a parameter file

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.shape.rows * self.shape.columns


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer; `inputs` are names of earlier layers, activations among them."""

    name: str
    spec: LayerSpec
    place: Place
    inputs: tuple[Input, ...]
    output: Output
    params: LayerParams | None = None
    matrices: tuple[Matrix, ...] = ()
    bias: Matrix | None = None
    implicit: bool = False  # made from the key `neuron` of another layer
    devices: tuple[int, ...] = ()  # where the original had its replicas; empty for a dialect without them

    @property
    def type(self) -> str:
        """The type as the file writes it."""
        return self.spec.type_name

    @property
    def parameters(self) -> int:
        """The trained numbers that the layer owns."""
        owned = sum(matrix.size for matrix in self.matrices if matrix.source is None)
        return owned + (self.bias.size if self.bias and self.bias.source is None else 0)

    @property
    def multiply_adds(self) -> int:
        """The multiplications of a forward pass for one case."""
        return self.spec.multiply_adds(self.inputs, self.output)


class Owned(NamedTuple):
    """A weight matrix, or the bias (`input` None), that a layer does not share from another."""

    name: str  # conv1/kernel, fc10/kernel_1, fc10/bias
    layer: Layer
    number: int  # of the layer in the network
    input: int | None  # the number of the input that the matrix belongs to
    matrix: Matrix


@dataclass(frozen=True, kw_only=True)
class Network:
    """Everything that the files say, checked, and what is to be said about them."""

    dialect: Dialect
    recognized_by: str
    layers: tuple[Layer, ...]
    data_dims: tuple[int, ...]
    nominal_average: bool  # averages divide by all pixels of a window, inside the image or not
    remarks: tuple[Problem, ...]
    has_params: bool

    def __getitem__(self, name: str) -> Layer:
        return next(layer for layer in self.layers if layer.name == name)

    @property
    def costs(self) -> tuple[Layer, ...]:
        """The cost layers, in order of definition."""
        return tuple(layer for layer in self.layers if isinstance(layer.spec, CostSpec))

    @property
    def replica_counts(self) -> tuple[int, ...]:
        """The different numbers of devices that layers are on, the largest first."""
        return tuple(sorted({self.replicas(layer) for layer in self.layers} - {0}, reverse=True))

    def replicas(self, layer: Layer) -> int:
        """Return on how many devices a layer is; 0 for data, which are where they are wanted."""
        return 0 if isinstance(layer.spec, DataSpec) else max(len(layer.devices), 1)

    def period(self, layer: Layer, rule: UpdateRule) -> int:
        """Return after how many parts of a minibatch that a layer gets its weights are updated.

        The file counts the parts that layers with the fewest replicas get.
        """
        counts = self.replica_counts
        parts = self.replicas(layer) // counts[-1]
        return max(rule.period // parts, 1)

    @property
    def child_costs(self) -> set[str]:
        """The costs that are reported as part of another one."""
        return {
            child
            for layer in self.layers
            if isinstance(layer.spec, CostSpec)
            for child in layer.spec.children
        }

    @property
    def labels(self) -> set[str]:
        """The layers that some cost reads as class numbers."""
        return {
            layer.inputs[number].name
            for layer in self.layers
            if isinstance(layer.spec, CostSpec)
            for number in layer.spec.label_inputs
        }

    @property
    def least_label(self) -> int:
        """The least number that a label may have."""
        return min(
            (layer.spec.least_label for layer in self.layers if isinstance(layer.spec, CostSpec)), default=0
        )

    @property
    def classes(self) -> dict[str, int]:
        """The number of classes that each cost.logreg layer tells apart."""
        return {
            layer.name: layer.inputs[1].output.size
            for layer in self.layers
            if isinstance(layer.spec, LogregSpec) and layer.inputs[1].type == "softmax"
        }

    @property
    def functions(self) -> dict[str, tuple[Layer, FunctionCall]]:
        """The outside functions that the files name, by `module.function`."""
        return {
            call.name: (layer, call)
            for layer in self.layers
            if isinstance(layer.spec, WeightSpec)
            for call in outside_functions(layer.spec)
        }

    def owned(self) -> Iterator[Owned]:
        """Yield everything that is trained, in order of definition."""
        for number, layer in enumerate(self.layers):
            several = len(layer.matrices) > 1
            for index, matrix in enumerate(layer.matrices):
                if matrix.source is None:
                    name = f"{layer.name}/kernel_{index}" if several else f"{layer.name}/kernel"
                    yield Owned(name, layer, number, index, matrix)
            if layer.bias is not None and layer.bias.source is None:
                yield Owned(f"{layer.name}/bias", layer, number, None, layer.bias)

    @property
    def deviations(self) -> tuple[str, ...]:
        """What is done otherwise than the program did for which the files were written."""
        return self.dialect.deviations

    def in_file_order(self) -> tuple[Layer, ...]:
        """Return the layers in the order in which the original had them."""
        if not self.dialect.activations_last:
            return self.layers
        return tuple(sorted(self.layers, key=lambda layer: layer.implicit))

    def consumers(self, name: str) -> Iterator[Layer]:
        """Yield the layers that read a layer."""
        return (layer for layer in self.layers if any(source.name == name for source in layer.inputs))


def column_rows(layer: Layer, matrix: Matrix) -> int:
    """Return the weights in a column: of a filter, in local layers of a filter at one place."""
    places = layer.output.image.side**2 if isinstance(layer.spec, LocalSpec) and layer.output.image else 1
    return matrix.shape.rows // places


def refused_decay(network: Network, decay: str) -> list[Problem]:
    """Return the problems with a decay for every weight matrix that has none of its own."""
    problems = []
    for owned in network.owned():
        rule = owned.matrix.rule
        if owned.input is None or rule is None or rule.decay is not None:
            continue
        if why := no_decay(decay, rule.momentum):
            message = f"momW must be < 1, got {rule.momentum:g}: {why}"
            problems.append(Problem(owned.layer.place, owned.layer.name, message))
    return problems


def refused_functions(network: Network, allowed: Collection[str]) -> list[Problem]:
    """Return the problems with functions of other modules that the files want to call."""
    return [
        Problem(
            layer.place, layer.name, f"{name} is code from outside: give --allow-init-func {name} to run it"
        )
        for name, (layer, _) in network.functions.items()
        if name not in allowed
    ]


def outside_functions(spec: WeightSpec) -> list[FunctionCall]:
    """Return the functions of other modules that a layer wants to call for its first values."""
    named = (spec.weight_function, spec.bias_function, getattr(spec, "connection_function", None))
    return [call for call in named if call is not None]
