"""Layers on fewer devices than others: they take a minibatch in several passes, and update after each.

cuda-convnet2 spread the layers of a network over devices, some with more replicas than others. A layer
with fewer replicas gets the minibatch in parts, one after the other, each made of what the layers with
more replicas computed for it with the weights that they had for the whole minibatch; the gradients that
come back are put together for these. Here all of it runs on one device. Source: spec training.md section 10.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from convnet_cfg.language.layer_types import DataSpec
from convnet_cfg.language.network import Layer, Network
from convnet_cfg.model import BuiltNetwork, Cost
from convnet_cfg.training.objective import cost_sums, objective

Values = Mapping[str, Any]


class Outcome(NamedTuple):
    """What came of a level for a part of a minibatch: gradients of its inputs, sums of costs, all finite."""

    gradients: dict[str, Any]
    sums: dict[str, Any]
    finite: Any


@dataclass(frozen=True)
class Level:
    """The layers with equally many replicas, as a model of their own.

    `received` are the layers above that it reads, `handed` those of its own that levels below read; `given`
    are inputs of costs that are data, by the number of their matrix. `share` is its part of the minibatch,
    `parts` how many parts the next level makes of that.
    """

    model: keras.Model
    data_indices: tuple[int, ...]
    received: tuple[str, ...]
    handed: tuple[str, ...]
    given: Mapping[str, int]
    costs: tuple[Cost, ...]
    variables: tuple[keras.Variable, ...]
    share: float
    parts: int


def make_levels(built: BuiltNetwork) -> tuple[Level, ...]:
    """Return the levels of a network, those with the most replicas first."""
    counts = built.network.replica_counts
    below = [*counts[1:], counts[-1]]
    return tuple(
        _level(built, count, count / counts[0], count // next_count)
        for count, next_count in zip(counts, below, strict=True)
    )


def _level(built: BuiltNetwork, replicas: int, share: float, parts: int) -> Level:
    network = built.network
    layers = [layer for layer in network.layers if network.replicas(layer) == replicas]
    names = {layer.name for layer in layers}
    sources = {source.name for layer in layers for source in layer.inputs} - names
    data = [name for name in sources if isinstance(network[name].spec, DataSpec)]
    received = tuple(name for name in built.values if name in sources and name not in data)
    handed = tuple(name for name in built.values if name in names and _is_read_below(network, name, replicas))
    costs = tuple(cost for cost in built.costs if cost.name in names)
    numbers = {layer.name: number for number, layer in enumerate(_data_layers(network))}
    data.sort(key=numbers.__getitem__)
    inputs = [built.model.inputs[numbers[name]] for name in data]
    outputs = {name: built.values[name].tensor for name in handed}
    wanted = {name: built.outputs[name] for cost in costs for name in cost.inputs}
    matrices = {
        id(tensor): index for tensor, index in zip(built.model.inputs, built.data_indices, strict=True)
    }
    given = {name: matrices[id(tensor)] for name, tensor in wanted.items() if id(tensor) in matrices}
    outputs |= {f"cost:{name}": tensor for name, tensor in wanted.items() if name not in given}
    model = keras.Model([*inputs, *(built.values[name].tensor for name in received)], outputs)
    variables = tuple(built.variables[owned.name] for owned in network.owned() if owned.layer.name in names)
    indices = tuple(built.data_indices[numbers[name]] for name in data)
    return Level(model, indices, received, handed, given, costs, variables, share, parts)


def _data_layers(network: Network) -> list[Layer]:
    return [layer for layer in network.layers if isinstance(layer.spec, DataSpec)]


def _is_read_below(network: Network, name: str, replicas: int) -> bool:
    return any(network.replicas(layer) < replicas for layer in network.consumers(name))


class Passes:
    """Trains on minibatches level by level."""

    def __init__(self, built: BuiltNetwork, minibatch: int) -> None:
        self.built = built
        self.minibatch = minibatch
        self.levels = make_levels(built)

    def train(self, matrices: Sequence[Any]) -> tuple[list[Any], Any]:
        """Make the updates of a minibatch; return the sums of each cost, and whether they are finite."""
        outcome = self._run(0, list(matrices), {})
        return [outcome.sums[cost.name] for cost in self.built.costs], outcome.finite

    def _run(self, number: int, matrices: list[Any], values: Values) -> Outcome:
        level, optimizer = self.levels[number], self.built.optimizer
        assert optimizer is not None
        active = {id(variable) for variable in optimizer.active_variables}
        variables = [variable for variable in level.variables if id(variable) in active]
        received = [values[name] for name in level.received]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([*received, *(variable.value for variable in variables)])
            outputs = level.model(
                [*(matrices[index] for index in level.data_indices), *received], training=True
            )
            inputs = {name: matrices[index] for name, index in level.given.items()}
            inputs |= {name.removeprefix("cost:"): output for name, output in outputs.items()}
            sums = {cost.name: cost_sums(cost, inputs) for cost in level.costs}
            total = objective(level.costs, list(sums.values())) if level.costs else tf.zeros(())
        handed = {name: outputs[name] for name in level.handed}
        below = self._parts(number, matrices, {**values, **handed})
        targets = [total, *handed.values()]
        arriving = [tf.ones_like(total), *(below.gradients[name] for name in handed)]
        found = tape.gradient(targets, [*(variable.value for variable in variables), *received], arriving)
        finite = below.finite & tf.reduce_all(
            [tf.reduce_all(tf.math.is_finite(value)) for value in sums.values()] or [True]
        )
        self._update(level, variables, found[: len(variables)], finite)
        sent = dict(zip(level.received, found[len(variables) :], strict=True))
        gradients = {name: _added(below.gradients[name], sent.get(name)) for name in values}
        return Outcome(gradients, {**below.sums, **sums}, finite)

    def _update(self, level: Level, variables: list[Any], gradients: list[Any], finite: Any) -> None:
        """Divide by the nominal number of cases of the level's part, as cuda-convnet2 did."""
        optimizer, cases = self.built.optimizer, self.minibatch * level.share
        assert optimizer is not None

        def update() -> Any:
            # What no cost depends on has a gradient of zero: its decay and momentum go on.
            means = [
                tf.zeros(variable.shape, variable.dtype) if gradient is None else gradient / cases
                for gradient, variable in zip(gradients, variables, strict=True)
            ]
            optimizer.apply(means, variables)
            return tf.constant(True)

        tf.cond(finite, update, lambda: tf.constant(False))

    def _parts(self, number: int, matrices: list[Any], values: Values) -> Outcome:
        """Run the next level on one part after the other; the last may be short, empty ones are left out."""
        if number + 1 == len(self.levels):
            zeros = {name: tf.zeros_like(value) for name, value in values.items()}
            return Outcome(zeros, {}, tf.constant(True))
        cases = tf.shape(matrices[0])[0]
        size = -(-cases // self.levels[number].parts)
        count = -(-cases // tf.maximum(size, 1))
        costs = [cost for level in self.levels[number + 1 :] for cost in level.costs]
        arrays = {name: self._array(value, count) for name, value in values.items()}
        totals = {cost.name: tf.zeros(cost.size, matrices[0].dtype) for cost in costs}

        def body(part: Any, arrays: Any, totals: Any, finite: Any) -> Any:
            chosen = slice(part * size, (part + 1) * size)
            outcome = self._run(
                number + 1,
                [matrix[chosen] for matrix in matrices],
                {name: value[chosen] for name, value in values.items()},
            )
            arrays = {name: array.write(part, outcome.gradients[name]) for name, array in arrays.items()}
            totals = {name: total + outcome.sums[name] for name, total in totals.items()}
            return part + 1, arrays, totals, finite & outcome.finite

        _, arrays, totals, finite = tf.while_loop(
            lambda part, arrays, totals, finite: part < count,
            body,
            (tf.constant(0), arrays, totals, tf.constant(True)),
            parallel_iterations=1,
        )
        return Outcome({name: array.concat() for name, array in arrays.items()}, totals, finite)

    def _array(self, value: Any, count: Any) -> Any:
        shape = tf.TensorShape([None, *value.shape[1:]])
        return tf.TensorArray(value.dtype, size=count, element_shape=shape, infer_shape=False)


def _added(gradient: Any, more: Any) -> Any:
    return gradient if more is None else gradient + more
