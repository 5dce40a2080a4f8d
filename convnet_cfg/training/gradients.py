"""Every gradient of a network against finite differences, in float64 (cuda-convnet: --check-grads).

A random linear function of a layer's output is differentiated twice: automatically, and by central
differences along random directions (element by element where that is cheap). With g and n the automatic
and the numeric derivatives, the error is |n - g| / |g| over all directions: an estimate of the relative error
of the whole gradient, which the original took over all elements (spec: training.md section 8).

Layers are checked one by one, on the real inputs that the first weights of the files lead to. Then the whole
network is: the cost of a few cases by each weight matrix and bias. That is done at another point, of random
weights that give every layer outputs of like size, and of data with a little noise: with first weights of
0.0001 a cost hardly moves, and equal pixels are ties in every pooling window.

What is no derivative at some places is kept out by looking at the function, never at its gradient:

- Kinks (relu, abs, maxima) and steps: an output whose second difference is not small beside its first one has
  bent within the step, and takes no part.
- A cost of the whole network passes too many kinks for that. So smaller steps are tried too: what a kink
  adds vanishes with the step, what a wrong gradient lacks does not. (Larger steps are for values so small
  that rounding hides what a small step changes. A wrong gradient agrees with no step.)
- The means in cnorm are constants to its gradient. They are held constant in the differences, and the verdict
  says so. The gradient of softrelu is 1 already from an output of 4 on, where its derivative is
  0.982: outputs around there take no part.
- Among equal values each is the maximum to its gradient, a derivative has none there. Where a network makes
  them of any data, a cost that does not agree counts as not measured.
- Dropout draws the same masks each time; rates of shared weights do not scale their gradients here.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from math import prod
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from convnet_cfg import nn
from convnet_cfg.data import DataProvider
from convnet_cfg.language.network import Network
from convnet_cfg.model import BuiltNetwork, Cost, InitFunctions, build
from convnet_cfg.model.assembly import AS_VECTOR
from convnet_cfg.nn.normalization import around
from convnet_cfg.nn.pooling import average_pool
from convnet_cfg.nn.weighted import Weighted, as_list, one_or_all
from convnet_cfg.training.arrays import deliver_training
from convnet_cfg.training.differences import Directions, Function, Place, deviation, gradients

THRESHOLD = 1e-5  # in float64; the original, in float32 and with one-sided differences, took 0.02
LAYER_DIRECTIONS, NETWORK_DIRECTIONS = 3, 2
LARGE = 10_000_000  # elements, from which one direction has to do
ELEMENTS = 64  # up to which each element is a direction
DEVIATION = 0.5  # of the outputs of each layer with weights, for the check of the whole network
WHOLE = "whole network"
TIES = "a maximum of equal values gives each of them the full gradient"


class Verdict(StrEnum):
    """What came of a check."""

    PASSED = "passed"
    BY_DEFINITION = "passed by definition"
    FAILED = "FAILED"
    NOT_MEASURED = "not measured"
    NO_GRADIENT = "has no gradient"


@dataclass(frozen=True)
class GradientCheck:
    """One gradient: of a layer or the whole network, by one of its inputs, weight matrices or biases."""

    layer: str
    what: str
    verdict: Verdict
    error: float | None = None  # relative; None where nothing was compared
    note: str = ""

    def __str__(self) -> str:
        error = "" if self.error is None else f" {self.error:.1e}"
        note = f" ({self.note})" if self.note else ""
        return f"{self.layer} {self.what}: {self.verdict}{error}{note}"


def check_gradients(
    network: Network,
    provider: DataProvider,
    batch: int,
    *,
    cases: int = 4,
    seed: int = 0,
    functions: InitFunctions | None = None,
    threshold: float = THRESHOLD,
) -> Iterator[GradientCheck]:
    """Yield a check of every gradient, on the first cases of a training batch.

    Raises:
        ConfigError: as `model.build`.
        DataError: the batch cannot be had, or is not what it should be.
    """
    arrays = deliver_training(network, provider, batch, np.random.default_rng(seed))
    matrices = provider.prepare_training([array[:cases] for array in arrays])
    # Without parameters of training there is no optimizer, whose velocities would take as much memory again.
    untrained = replace(network, has_params=False)
    built = build(untrained, provider.shapes, seed=seed, dtype="float64", functions=functions)
    for layer in built.layers.values():
        if isinstance(layer, Weighted):
            layer.gradient_scales = (1.0,) * len(layer.gradient_scales)
    inputs = [tf.cast(matrices[index], tf.float64) for index in built.data_indices]
    checker = Checker(built, threshold, seed)
    yield from checker.layers(inputs)
    yield from checker.costs(inputs)
    yield from checker.whole(inputs)


def report_lines(checks: Iterable[GradientCheck]) -> Generator[str, None, int]:
    """Yield a line for each check as it comes, and at the end what came of all; return how many failed."""
    counts = dict.fromkeys(Verdict, 0)
    for check in checks:
        counts[check.verdict] += 1
        yield str(check)
    failed = counts[Verdict.FAILED]
    total = counts[Verdict.PASSED] + counts[Verdict.BY_DEFINITION] + failed
    yield "-" * 25
    if left := counts[Verdict.NOT_MEASURED]:
        yield f"{left} COULD NOT BE MEASURED"
    yield f"{failed}/{total} TESTS FAILED" if failed else f"ALL {total} TESTS PASSED"
    return failed


class Checker:
    """The checks of one network."""

    def __init__(self, built: BuiltNetwork, threshold: float, seed: int) -> None:
        self.built = built
        self.network = built.network
        self.threshold = threshold
        self.seed = seed
        self.states = [(state, state.numpy()) for state in built.dropouts.values()]

    # -- single layers and costs

    def layers(self, inputs: list[Any]) -> Iterator[GradientCheck]:
        """Yield the checks of all layers."""
        names = list(self.built.layers)
        tensors = {name: as_list(self.built.layers[name].input) for name in names}
        found = self._values(tensors, inputs)
        for name in names:
            yield from self._layer(name, self.built.layers[name], found[name])

    def _layer(self, name: str, layer: keras.layers.Layer, values: list[Any]) -> Iterator[GradientCheck]:
        if not name.endswith("/dropout") and not self.network[name].spec.differentiable:
            note = "as in cuda-convnet: no layer below may have weights"
            yield GradientCheck(name, "input", Verdict.NO_GRADIENT, note=note)
            return
        variables = [tf.Variable(value, dtype=tf.float64) for value in values]
        function = self._function(layer, variables)
        for number, variable in enumerate(variables):
            what = "input" if len(variables) == 1 else f"input {number}"
            yield self._check(name, what, function, variable)
        for what, variable in weights(layer):
            yield self._check(name, what, function, variable)

    def _function(self, layer: keras.layers.Layer, variables: list[tf.Variable]) -> Function:
        def outputs() -> Any:
            self._same_masks()
            return layer(one_or_all(tensors_of(variables)), training=True)

        if isinstance(layer, nn.ContrastNorm2D):
            means = means_of(layer, tf.convert_to_tensor(variables[0]))
            return Function(outputs, lambda: normalized(layer, variables[0], means), note=CONSTANT_MEANS)
        if isinstance(layer, nn.Activation) and layer.function == "softrelu":
            return Function(outputs, outputs, excluded=lambda y: (y > 4) & (y < 4.02))
        return Function(outputs, outputs)

    def costs(self, inputs: list[Any]) -> Iterator[GradientCheck]:
        """Yield the checks of all costs, by all inputs but the labels."""
        found = self._outputs(inputs)
        for cost in self.built.costs:
            values = [tf.Variable(found[name], dtype=tf.float64) for name in cost.inputs]
            function = cost_function(cost, values)
            for name, value in zip(cost.inputs, values, strict=True):
                if name not in self._label_layers():
                    shown = name.removesuffix(AS_VECTOR)
                    yield self._check(cost.name, f"input {shown}", function, value)

    # -- the whole network

    def whole(self, inputs: list[Any]) -> Iterator[GradientCheck]:
        """Yield the check of the cost of all cases by each weight matrix and bias."""
        costs = [cost for cost in self.built.costs if cost.coefficient]
        if not costs or not self.built.variables:
            return
        inputs = self._move_to_general_point(inputs)
        means = self._means(inputs)

        def outputs() -> Any:
            found = self._outputs(inputs)
            return tf.concat([c.coefficient * first_values(c, found) for c in costs], axis=0)

        def differences() -> Any:
            with held_constant(means):
                return outputs()

        below = self._below_means()
        trained = list(self.network.owned())
        variables = [self.built.variables[owned.name].value for owned in trained]
        base, slopes = differences(), gradients(outputs, variables, None)
        for owned, variable, slope in zip(trained, variables, slopes, strict=True):
            note = CONSTANT_MEANS if owned.layer.name in below else ""
            function = Function(outputs, differences, note=note)
            place = Place(function, variable, tf.identity(variable), base, tf.ones_like(base), slope)
            check = self._verdict(WHOLE, owned.name, place, self._random(place, NETWORK_DIRECTIONS))
            if check.verdict is Verdict.FAILED and self._has_ties(inputs):
                check = replace(check, verdict=Verdict.NOT_MEASURED, error=None, note=TIES)
            yield check

    def _move_to_general_point(self, inputs: list[Any]) -> list[Any]:
        """Give each layer with weights random ones and outputs of one deviation; return data with noise."""
        rng = np.random.default_rng(self.seed)
        labels = self._label_layers()
        data = [layer.name for layer in self.network.layers if layer.type == "data"]
        inputs = [
            values
            if name in labels
            else values + 0.01 * deviation(values) * rng.standard_normal(values.shape)
            for name, values in zip(data, inputs, strict=True)
        ]
        for number, owned in enumerate(self.network.owned()):
            variable = self.built.variables[owned.name]
            variable.assign(
                self._direction(variable.shape, 1000 + number) * (0.1 if owned.input is None else 1.0)
            )
            if owned.input is None:  # the bias is the last of a layer's own
                self._scale(owned.layer.name, inputs)
        return inputs

    def _scale(self, name: str, inputs: list[Any]) -> None:
        """Scale the kernels that a layer owns so that its outputs have the deviation DEVIATION."""
        layer = self.built.layers[name]
        (output,) = self._values({name: [layer.output]}, inputs)[name]
        factor = DEVIATION / deviation(output)
        for kernel, source in zip(layer.kernels, layer.kernel_sources, strict=True):
            if source is None and np.isfinite(factor):
                kernel.assign(kernel.value * factor)

    def _means(self, inputs: list[Any]) -> list[tuple[nn.ContrastNorm2D, Any]]:
        layers = {n: layer for n, layer in self.built.layers.items() if isinstance(layer, nn.ContrastNorm2D)}
        found = self._values({name: [layer.input] for name, layer in layers.items()}, inputs)
        return [(layer, means_of(layer, found[name][0])) for name, layer in layers.items()]

    def _has_ties(self, inputs: list[Any]) -> bool:
        """Return whether a maximum other than zero is reached twice, at this point without equal data."""
        maxima = {n: m for n, m in self.built.layers.items() if isinstance(m, nn.MaxPool2D | nn.Maximum)}
        found = self._values({name: as_list(layer.input) for name, layer in maxima.items()}, inputs)
        return any(reached_twice(layer, found[name]) for name, layer in maxima.items())

    def _below_means(self) -> set[str]:
        """Return the names of all layers below a cnorm."""
        below: set[str] = set()
        for layer in reversed(self.network.layers):
            if layer.name in below or isinstance(self.built.layers.get(layer.name), nn.ContrastNorm2D):
                below |= {source.name for source in layer.inputs}
        return below

    # -- what the network computes

    def _same_masks(self) -> None:
        for state, value in self.states:
            state.assign(value)

    def _values(self, tensors: dict[str, list[Any]], inputs: list[Any]) -> dict[str, list[Any]]:
        """Return the values of Keras tensors."""
        if not tensors:
            return {}
        self._same_masks()
        found: dict[str, list[Any]] = keras.Model(self.built.model.inputs, tensors)(inputs, training=True)
        return found

    def _outputs(self, inputs: list[Any]) -> dict[str, Any]:
        self._same_masks()
        outputs: dict[str, Any] = self.built.model(inputs, training=True)
        return outputs

    def _label_layers(self) -> set[str]:
        return self.network.labels

    # -- one gradient

    def _check(self, layer: str, what: str, function: Function, variable: tf.Variable) -> GradientCheck:
        base = function.differences()
        given = self._direction(base.shape)
        given = tf.where(tf.cast(function.excluded(base), tf.bool), tf.zeros_like(given), given)
        (slope,) = gradients(function.outputs, [variable], given)
        place = Place(function, variable, tf.identity(variable), base, given, slope)
        size = prod(variable.shape)
        if size <= ELEMENTS:
            directions = [tf.reshape(row, variable.shape) for row in tf.eye(size, dtype=tf.float64)]
            return self._verdict(layer, what, place._replace(single=True), lambda: directions)
        return self._verdict(layer, what, place, self._random(place, LAYER_DIRECTIONS))

    def _verdict(self, layer: str, what: str, place: Place, directions: Directions) -> GradientCheck:
        note = place.function.note
        measured = place.smallest_error(directions, self.threshold)
        if isinstance(measured, str):
            return GradientCheck(layer, what, Verdict.NOT_MEASURED, note=measured)
        agreed = Verdict.BY_DEFINITION if note else Verdict.PASSED
        # A gradient that is not a number is within no threshold.
        verdict = agreed if measured <= self.threshold else Verdict.FAILED
        return GradientCheck(layer, what, verdict, measured, note)

    def _random(self, place: Place, count: int) -> Directions:
        shape = place.center.shape
        # One would do: a gradient with an error of 1 escapes it once in a hundred thousand times.
        numbers = range(1, 2 if prod(shape) > LARGE else count + 1)
        return lambda: (self._direction(shape, number) for number in numbers)

    def _direction(self, shape: Sequence[int], number: int = 0) -> Any:
        return tf.random.stateless_normal(tuple(shape), (self.seed, number), dtype=tf.float64)


def reached_twice(layer: keras.layers.Layer, inputs: list[Any]) -> bool:
    """Return whether several inputs equal a maximum other than zero: each of them gets its full gradient."""
    variables = [tf.Variable(value) for value in inputs]

    def function() -> Any:
        return layer(one_or_all(tensors_of(variables)))

    marks = tf.cast(function() != 0, tf.float64)
    received = sum(float(tf.reduce_sum(g)) for g in gradients(function, variables, marks))
    return received > float(tf.reduce_sum(marks))


def weights(layer: keras.layers.Layer) -> Iterator[tuple[str, tf.Variable]]:
    """Yield the kernels that a layer uses, each once, and its bias."""
    if not isinstance(layer, Weighted):
        return
    kernels = {id(kernel): kernel for kernel in layer.kernels}
    for number, kernel in enumerate(kernels.values()):
        yield "kernel" if len(layer.kernels) == 1 else f"kernel {number}", kernel.value
    yield "bias", layer.bias.value


def tensors_of(variables: list[tf.Variable]) -> list[Any]:
    """Return the values of variables."""
    return [tf.convert_to_tensor(variable) for variable in variables]


def first_values(cost: Cost, outputs: dict[str, Any]) -> Any:
    """Return the cost of each case."""
    return cost.values(*(outputs[name] for name in cost.inputs))[:, 0]


def cost_function(cost: Cost, values: list[tf.Variable]) -> Function:
    """Return the cost of each case as a function of its inputs."""

    def outputs() -> Any:
        tensors = tensors_of(values)
        return first_values(cost, dict(zip(cost.inputs, tensors, strict=True)))

    return Function(outputs, outputs)


# -- cnorm: the means are constants to its gradient

CONSTANT_MEANS = "the means of cnorm count as constants"


def means_of(layer: nn.ContrastNorm2D, image: Any) -> Any:
    """Return the means that the layer subtracts."""
    return average_pool(image, around(image.shape[1], layer.size))


def normalized(layer: nn.ContrastNorm2D, image: Any, means: Any) -> Any:
    """Return the layer's output if its means were these."""
    image = tf.convert_to_tensor(image)
    return layer.normalized(image, image - means)


@contextmanager
def held_constant(means: list[tuple[nn.ContrastNorm2D, Any]]) -> Iterator[None]:
    """Make the layers use these means whatever their input is."""
    try:
        for layer, values in means:
            layer.__dict__["call"] = partial(normalized, layer, means=values)
        yield
    finally:
        for layer, _ in means:
            layer.__dict__.pop("call", None)
