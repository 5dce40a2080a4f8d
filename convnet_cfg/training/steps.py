"""Training and testing on the device: several minibatches in one call of a graph function.

What limits the speed is the convolutions; so there is no Python between minibatches, the images stay uint8 on
the device until their minibatch comes, and costs are summed up there.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from convnet_cfg.data import DataProvider
from convnet_cfg.model import BuiltNetwork
from convnet_cfg.training.devices import added_up
from convnet_cfg.training.objective import cost_sums, objective
from convnet_cfg.training.passes import Passes

Totals = tuple[Any, ...]


class Part(NamedTuple):
    """What came of part of a batch: the next minibatch, sums for each cost, whether all were finite."""

    next: int
    totals: list[np.ndarray]
    finite: bool


class Steps:
    """The graph functions of one network over one provider's data."""

    def __init__(self, built: BuiltNetwork, provider: DataProvider, minibatch: int) -> None:
        self.built = built
        self.provider = provider
        self.minibatch = minibatch
        self.passes = Passes(built, minibatch) if len(built.network.replica_counts) > 1 else None
        self._train = tf.function(self._train_part, autograph=False, reduce_retracing=True)
        self._test = tf.function(self._test_batch, autograph=False, reduce_retracing=True)

    def minibatches(self, arrays: Sequence[Any]) -> int:
        """Return how many minibatches a batch makes; the last may be short."""
        return -(-len(arrays[0]) // self.minibatch)

    def train(self, arrays: Sequence[Any], first: int, last: int, totals: list[np.ndarray] | None) -> Part:
        """Train on minibatches `first` to `last - 1` of a batch, stopping before an update by a bad cost.

        `totals` are the sums over the minibatches before `first`.
        """
        assert self.built.optimizer is not None
        start = [tf.constant(total, tf.float64) for total in totals or self._zeros()]
        at, sums, finite = self._train(
            list(arrays), tf.constant(first), tf.constant(last), start, self.built.optimizer.active
        )
        return Part(int(at), [total.numpy() for total in sums], bool(finite))

    def test(self, arrays: Sequence[Any], views: int) -> list[np.ndarray]:
        """Return the sums of each cost over a batch; probabilities are averaged over `views` views first."""
        return [total.numpy() for total in self._test(list(arrays), views)]

    def _zeros(self) -> list[np.ndarray]:
        return [np.zeros(cost.size) for cost in self.built.costs]

    # -- in the graph

    def _train_part(self, arrays: Any, first: Any, last: Any, totals: Any, active: tuple[bool, ...]) -> Any:
        del active  # the step is traced anew when a rate crosses zero (GroupedOptimizer.active)
        with self.built.strategy.scope() if self.built.strategy is not None else nullcontext():
            return self._train_minibatches(arrays, first, last, totals)

    def _train_minibatches(self, arrays: Any, first: Any, last: Any, totals: Any) -> Any:

        def body(at: Any, totals: Any, finite: Any) -> Any:
            sums, finite = self._train_minibatch(self._slice(arrays, at))
            return at + 1, _added(totals, sums), finite

        return tf.while_loop(
            lambda at, totals, finite: (at < last) & finite,
            body,
            (first, list(totals), tf.constant(True)),
            parallel_iterations=1,
        )

    def _slice(self, arrays: Any, at: Any) -> list[Any]:
        begin = at * self.minibatch
        return [array[begin : begin + self.minibatch] for array in arrays]

    def _inputs(self, matrices: Sequence[Any]) -> list[Any]:
        return [matrices[index] for index in self.built.data_indices]

    def _train_minibatch(self, slices: list[Any]) -> tuple[Totals, Any]:
        """Return the sums of each cost, and whether they are finite; the update is made if they are."""
        built, optimizer = self.built, self.built.optimizer
        assert optimizer is not None
        matrices = self.provider.prepare_training(slices)
        cases = tf.shape(slices[0])[0]
        if self.passes is not None:
            sums, finite = self.passes.train(matrices)
            return self._with_penalty(sums, cases), finite
        divisor = self.minibatch if built.network.dialect.nominal_divisor else cases
        variables = optimizer.active_variables
        compute = partial(self._sums_and_gradients, variables, divisor)
        if built.strategy is None:
            sums, gradients = compute(matrices)
        else:
            sums, gradients = added_up(built.strategy, compute, matrices)
        totals = self._with_penalty(sums, cases)
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(total)) for total in totals])

        def update() -> Any:
            optimizer.apply(gradients, variables)
            return tf.constant(True)

        finite = tf.cond(finite, update, lambda: tf.constant(False))
        return totals, finite

    def _sums_and_gradients(
        self, variables: list[Any], divisor: Any, matrices: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        """Return the sums of each cost over some cases, and what they add to the gradients of the mean."""
        built = self.built
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in variables])
            outputs = built.model(self._inputs(matrices), training=True)
            sums = [cost_sums(cost, outputs) for cost in built.costs]
            mean = objective(built.costs, sums) / tf.cast(divisor, sums[0].dtype)
        values = [variable.value for variable in variables]
        # What no cost depends on has a gradient of zero: its decay and momentum go on.
        return sums, tape.gradient(mean, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    def _with_penalty(self, sums: list[Any], cases: Any) -> Totals:
        """Return the sums, the penalty of decay `l2` added to the first cost of each case."""
        optimizer = self.built.optimizer
        if optimizer is None or all(group.decay != "l2" for group in optimizer.groups.values()):
            return tuple(sums)
        penalty = tf.cast(cases, sums[0].dtype) * tf.cast(optimizer.penalty(), sums[0].dtype)
        return (tf.concat([sums[0][:1] + penalty, sums[0][1:]], 0), *sums[1:])

    def _test_batch(self, arrays: Any, views: int) -> Any:
        def body(at: Any, totals: Any) -> Any:
            slices = self._slice(arrays, at)
            outputs = self._averaged_outputs(slices, views) if views > 1 else self._outputs(slices, None)
            sums = [cost_sums(cost, outputs, views) for cost in self.built.costs]
            return at + 1, _added(totals, self._with_penalty(sums, tf.shape(slices[0])[0]))

        count = -(-tf.shape(arrays[0])[0] // self.minibatch)
        totals = [tf.zeros(cost.size, tf.float64) for cost in self.built.costs]
        _, totals = tf.while_loop(
            lambda at, totals: at < count, body, (tf.constant(0), totals), parallel_iterations=1
        )
        return totals

    def _outputs(self, slices: list[Any], view: Any) -> dict[str, Any]:
        matrices = self.provider.prepare_test(slices, view)
        outputs: dict[str, Any] = self.built.model(self._inputs(matrices), training=False)
        return outputs

    def _averaged_outputs(self, slices: list[Any], views: int) -> dict[str, Any]:
        """Return the outputs, probabilities averaged over the views, everything else of the last view."""
        averaged = {cost.over_views.averaged for cost in self.built.costs if cost.over_views}

        def body(view: Any, before: dict[str, Any]) -> Any:
            outputs = self._outputs(slices, view)
            return view + 1, {
                name: before[name] + output if name in averaged else output
                for name, output in outputs.items()
            }

        first = self._outputs(slices, tf.constant(0))
        shapes = (tf.TensorShape([]), {name: output.shape for name, output in first.items()})
        _, outputs = tf.while_loop(
            lambda view, before: view < views, body, (tf.constant(1), first), shape_invariants=shapes
        )
        return {name: output / views if name in averaged else output for name, output in outputs.items()}


def _added(totals: Any, sums: Totals) -> list[Any]:
    return [total + tf.cast(more, tf.float64) for total, more in zip(totals, sums, strict=True)]
