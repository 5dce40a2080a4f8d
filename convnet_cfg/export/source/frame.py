"""What a network becomes in any language: its steps in order, their shapes, and the names of its variables.

The network is put together as for a training, but without memory for its weights: which layer reads what,
in which order of values and with which kernels, is known in one place only (model/). A target writes each
step by the class of the Keras layer that we made for it (`Step.made`), which has all its numbers.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, partial
from typing import Any, NamedTuple

from convnet_cfg.errors import ConfigError, Problem
from convnet_cfg.language.alexnet_types import HalfSpec
from convnet_cfg.language.dialect import EXTENSIONS
from convnet_cfg.language.fork_costs import SubsetSpec
from convnet_cfg.language.fork_types import PartSpec, ScaledConcatSpec
from convnet_cfg.language.layer_types import DataSpec, Image, LayerSpec, NormSpec
from convnet_cfg.language.network import Layer, Network, Owned
from convnet_cfg.language.own_types import OwnCostSpec, OwnSpec
from convnet_cfg.language.v2_types import DropoutSpec, InvertedDropoutSpec
from convnet_cfg.model import BuiltNetwork, Cost, assemble
from convnet_cfg.model.assembly import Connections, Shape, Value
from convnet_cfg.nn.weighted import Weighted, as_list

NEED_PARAMS: tuple[type[LayerSpec], ...] = (NormSpec, DropoutSpec, InvertedDropoutSpec, HalfSpec, SubsetSpec)
PREPARATION = "prepared as for the training: the data providers of cuda-convnet subtract their mean"
NOMINAL = (
    "cuda-convnet2 divided the sum over the cases by the size of a full minibatch, also if the last one had "
    "fewer."
)
LOGITS = "/logits"  # ends the name of the output that is a softmax layer's input


class Form(StrEnum):
    """How a step reads a value; the original's order of an image is (channel, row, column)."""

    AS_IS = "as it is"
    FLAT = "an image as a vector in the order (row, column, channel)"
    VECTOR = "an image as a vector in the original's order"
    IMAGE = "a vector in the original's order, or an image brought into it, as an image of other channels"
    PIXELS = "the same as channels of pixels that need not be a square: (pixels, channels)"


class Operand(NamedTuple):
    """One value that a step reads: whose it is, what it is there, and what it is read as.

    `shape` is that of one case as it is read: (side, side, channels), (size,) or (pixels, channels). It is
    multiplied by `factor`. `order` is the image in whose order a vector is, if that is not what is given.
    """

    source: str
    given: Image | None
    form: Form
    shape: tuple[int, ...]
    factor: float = 1.0
    order: Image | None = None


class Weight(NamedTuple):
    """A kernel or bias that a step uses; `name` is that of its owner's variable in a run.

    `shape` is that of our layout: (row, column, channel, filter), or (features, units). `gradient_scale` is
    what the gradient of this use counts at the owner's rate.
    """

    name: str
    owner: Owned
    shape: tuple[int, ...]
    first: float  # standard deviation of the first values around 0; of a bias the first value
    shared: bool = False
    gradient_scale: float = 1.0


@dataclass(frozen=True)
class Step:
    """One layer: `name` is an identifier, `made` the Keras layer of ours, or None.

    A data layer has no `made` and no operands. A step may have the name of the one before: it is dropout
    behind that, or its activation, and nothing else reads the value without it. Without `made` the step hands
    on its only operand, the part `first` to `end` of it if `end` is not 0.
    """

    name: str
    layer: Layer
    made: Any
    operands: tuple[Operand, ...]
    image: Image | None
    size: int
    kernels: tuple[Weight, ...] = ()
    bias: Weight | None = None
    first: int = 0
    end: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one case of the output: (side, side, channels) or (size,)."""
        return (self.image.side, self.image.side, self.image.channels) if self.image else (self.size,)


class Output(NamedTuple):
    """What the model returns: the value of a step, brought into a form."""

    name: str
    operand: Operand


class CostStep(NamedTuple):
    """A cost: its function in `nn`, the numbers given to that, the names of outputs and targets it takes."""

    name: str
    layer: Layer
    coefficient: float
    function: Any
    options: Mapping[str, Any]
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Frame:
    """A network ready to be written: everything in the order of definition.

    `shapes` are those of one case of each data matrix, by its number; a data layer may be a part of one.
    `data` has the identifier of each data layer by its name.
    `inputs` are the data that layers read, `targets` those that costs read. A layer that nothing reads is an
    output too: its weights belong to the network.
    """

    network: Network
    built: BuiltNetwork
    steps: tuple[Step, ...]
    outputs: tuple[Output, ...]
    shapes: tuple[Shape, ...]
    data: Mapping[str, str]
    costs: tuple[CostStep, ...]
    targets: tuple[Output, ...]

    @cached_property
    def inputs(self) -> tuple[Step, ...]:
        """The data that layers read."""
        return tuple(step for step in self.steps if isinstance(step.layer.spec, DataSpec))

    @cached_property
    def weights(self) -> tuple[Weight, ...]:
        """Everything that is trained, as its owner has it."""
        used = [weight for step in self.steps for weight in (*step.kernels, step.bias) if weight is not None]
        return tuple(weight for weight in used if not weight.shared)

    def minibatches(self, owned: Owned) -> int:
        """Return how many minibatches make one update of a weight, where each is taken in one part."""
        assert owned.matrix.rule is not None
        parts = max(self.network.replica_counts) // self.network.replicas(owned.layer)
        return max(self.network.period(owned.layer, owned.matrix.rule) // parts, 1)


def make_frame(
    network: Network,
    shapes: Sequence[Shape],
    *,
    reserved: Collection[str] = (),
    connections: Connections | None = None,
    trained: bool = False,
) -> Frame:
    """Return the steps of a network for data of these shapes.

    `reserved` are names that no value may have. `trained` says that first values are not wanted, as those of
    a run will be loaded.

    Raises:
        ConfigError: some layers cannot be translated, or lack the parameter file; all of them are named.
    """
    if problems := list(refused(network, trained)):
        raise ConfigError(problems)
    return _Framer(network, assemble(network, shapes, connections), shapes, reserved).frame()


def refused(network: Network, trained: bool) -> Iterator[Problem]:
    """Yield why layers cannot be translated."""
    for layer in network.layers:
        if message := _why_refused(network, layer, trained):
            yield Problem(layer.place, layer.name, message)


def _why_refused(network: Network, layer: Layer, trained: bool) -> str | None:
    if isinstance(layer.spec, (OwnSpec, OwnCostSpec)):
        return f"type={layer.type} is of an extension, and cannot be translated"
    neuron = layer.spec.neuron
    if neuron is not None and layer.implicit and neuron.name in EXTENSIONS.neurons:
        return f"neuron={neuron.name} is of an extension, and cannot be translated"
    if isinstance(layer.spec, NEED_PARAMS) and not network.has_params:
        return f"type={layer.type} needs the parameter file: give it too"
    if layer.name in {name.name for name, _ in network.functions.values()} and not trained:
        return "its first values are made by a function of yours: translate a run, with --weights"
    return None


class _Framer:
    """Goes through a network and what was built of it."""

    def __init__(
        self, network: Network, built: BuiltNetwork, shapes: Sequence[Shape], reserved: Collection[str]
    ) -> None:
        self.network = network
        self.shapes = tuple(map(tuple, shapes))
        self.built = built
        self.names = self._identifiers(reserved)
        self.owned = {(owned.layer.name, owned.input): owned for owned in network.owned()}
        self.kernels = {
            id(built.layers[owned.layer.name].kernels[owned.input]): owned
            for owned in self.owned.values()
            if owned.input is not None
        }

    def _identifiers(self, reserved: Collection[str]) -> dict[str, str]:
        """Return the names of values; an activation has that of its layer, if nothing else reads that."""
        hidden = {layer.name: layer.inputs[0].name for layer in self.network.layers if self._hides(layer)}
        names = [layer.name for layer in self.network.layers if layer.name not in hidden]
        found = identifiers(names, reserved)
        return found | {name: found[below] for name, below in hidden.items()}

    def _hides(self, layer: Layer) -> bool:
        """Return whether a layer is an activation made by a key, and the only one that reads its layer."""
        if not layer.implicit:
            return False
        below = layer.inputs[0].name
        returned = any(self._source(name) == below for name in self.built.outputs)
        return not returned and len(list(self.network.consumers(below))) == 1

    def frame(self) -> Frame:
        """Return everything."""
        steps = [step for layer in self.network.layers for step in self._steps(layer)]
        data = set(self._data().values())
        outputs = {name: self._output(name) for name in self.built.outputs}
        targets = tuple(output for output in outputs.values() if output.operand.source in data)
        returned = [output for output in dict.fromkeys(outputs.values()) if output not in targets]
        read = {operand.source for step in steps for operand in step.operands}
        known = {*read, *data, *(output.operand.source for output in returned)}
        unread = {step.name: Output(step.name, as_it_is(step)) for step in steps if step.name not in known}
        return Frame(
            network=self.network,
            built=self.built,
            steps=tuple(step for step in steps if step.name in read or step.name not in data),
            outputs=(*returned, *unread.values()),
            shapes=self.shapes,
            data=self._data(),
            costs=tuple(self._cost(cost, outputs) for cost in self.built.costs),
            targets=targets,
        )

    def _data(self) -> dict[str, str]:
        """Return the identifiers of the data layers by their names."""
        layers = self.network.layers
        return {layer.name: self.names[layer.name] for layer in layers if isinstance(layer.spec, DataSpec)}

    # -- steps

    def _steps(self, layer: Layer) -> Iterator[Step]:
        """Yield what becomes of one layer; a cost is no step."""
        if layer.name not in self.built.values:
            return
        made = self.built.layers.get(layer.name)
        dropout = self.built.layers.get(f"{layer.name}/dropout")
        value = self.built.values[layer.name]
        step = Step(
            name=self.names[layer.name],
            layer=layer,
            made=made,
            operands=self._operands(layer, made, value),
            image=value.image,
            size=layer.output.size,
            kernels=tuple(self._kernels(layer, made)),
            bias=self._bias(layer, made),
            first=getattr(layer.spec, "first", 0),
            end=getattr(layer.spec, "end", 0),
        )
        yield step
        if dropout is not None:
            yield Step(step.name, layer, dropout, (as_it_is(step),), step.image, step.size)

    def _operands(self, layer: Layer, made: Any, value: Value) -> tuple[Operand, ...]:
        """Return how a layer reads its inputs; one that is not made hands on the only one."""
        if isinstance(layer.spec, DataSpec):
            return ()
        if isinstance(layer.spec, PartSpec):
            return (self._operand(layer.inputs[0].name, (layer.inputs[0].output.size,)),)
        read = as_list(made.input) if made is not None else [value.tensor]
        operands = [
            self._operand(source.name, tensor.shape[1:], (layer.name, index))
            for index, (source, tensor) in enumerate(zip(layer.inputs, read, strict=True))
        ]
        if not isinstance(layer.spec, ScaledConcatSpec):
            return tuple(operands)
        factors = layer.spec.coefficients_with(layer.params)
        return tuple(each._replace(factor=factor) for each, factor in zip(operands, factors, strict=True))

    def _operand(self, source: str, shape: Shape, reader: tuple[str, int] | None = None) -> Operand:
        """Return how a value gets this shape."""
        value = self.built.values[source]
        given, name = value.image, self.names[source]
        order = self.built.kernel_images.get(reader) if reader else None
        if order is not None and order != given:
            return Operand(name, given, Form.FLAT, shape, order=order)
        if shape == tuple(value.tensor.shape[1:]):
            return Operand(name, given, Form.AS_IS, shape)
        if len(shape) > 1:
            return Operand(name, given, Form.IMAGE if len(shape) == 3 else Form.PIXELS, shape)
        flat = order is not None or (given is not None and given.side == 1)
        return Operand(name, given, Form.FLAT if flat else Form.VECTOR, shape)

    # -- weights

    def _kernels(self, layer: Layer, made: Any) -> Iterator[Weight]:
        if not isinstance(made, Weighted):
            return
        for index, (kernel, scale) in enumerate(zip(made.kernels, made.gradient_scales, strict=True)):
            owned = self.kernels[id(kernel)]
            shared = (owned.layer.name, owned.input) != (layer.name, index)
            matrix = layer.matrices[index]
            shape = tuple(kernel.shape)
            yield Weight(owned.name, owned, shape, matrix.deviation, shared, scale)

    def _bias(self, layer: Layer, made: Any) -> Weight | None:
        if not isinstance(made, Weighted) or made.bias is None or layer.bias is None:
            return None
        source = layer.bias.source
        owned = self.owned[source.layer if source else layer.name, None]
        shape = tuple(made.bias.shape)
        return Weight(owned.name, owned, shape, layer.bias.mean, source is not None)

    # -- what the model returns, and costs

    def _output(self, name: str) -> Output:
        """Return one of the model's outputs, under the name of its value and what it was made."""
        source = self._source(name)
        operand = self._operand(source, self.built.outputs[name].shape[1:])
        suffix = "" if operand.form is Form.AS_IS else f"_{operand.form.name.lower()}"
        return Output(f"{operand.source}{suffix}", operand)

    def _source(self, output: str) -> str:
        """Return the layer whose value one of the model's outputs is; a cost may have its last input anew."""
        layers = [layer.name for layer in self.network.layers]
        source = output if output in layers else output.rpartition("/")[0]
        is_input = output.endswith(LOGITS) or source not in self.built.values
        return self.network[source].inputs[-1].name if is_input else source

    def _cost(self, cost: Cost, outputs: Mapping[str, Output]) -> CostStep:
        values = cost.values if isinstance(cost.values, partial) else partial(cost.values)
        layer = self.network[cost.name]
        inputs = tuple(outputs[name].name for name in cost.inputs)
        return CostStep(self.names[cost.name], layer, cost.coefficient, values.func, values.keywords, inputs)


def as_it_is(step: Step) -> Operand:
    """Return the value of a step, read as it is."""
    return Operand(step.name, step.image, Form.AS_IS, step.shape)


def identifiers(names: Sequence[str], reserved: Collection[str]) -> dict[str, str]:
    """Return an identifier for each name, the name itself where that is one."""
    found: dict[str, str] = {}
    taken = {*reserved, *keyword.kwlist}
    for name in names:
        base = re.sub(r"\W", "_", name, flags=re.ASCII)
        base = f"_{base}" if base[:1].isdigit() or not base else base
        choices = (base, *(f"{base}_{number}" for number in range(1, len(names) + 2)))
        found[name] = next(choice for choice in choices if choice not in taken)
        taken.add(found[name])
    return found
