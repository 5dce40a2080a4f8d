"""The same step in TensorFlow, in place: what makes a step of all groups cheap inside a graph.

`rules.momentum_step` allocates a new weight and velocity; the kernel used here changes both in
one pass. It is the kernel behind the SGD of TensorFlow's own Keras 2:
V = m V - e G;  W = W + V.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import tensorflow as tf

from convnet_cfg.optim.rules import Decay, Settings

__all__ = [
    "compiled_by_xla",
    "dense",
    "momentum_step_in_place",
    "only_if",
    "outside_of_graph",
    "on_each_device",
    "refuse_replica_context",
    "stop_unless",
]

T = TypeVar("T")


def momentum_step_in_place(weight: Any, velocity: Any, gradient: Any, now: Settings, decay: Decay) -> None:
    """Do what `rules.momentum_step` returns, to two `tf.Variable`s; gradient: a tensor of their type."""
    if decay.coupled:
        gradient = gradient + now.weight_decay * weight
    if decay.shrink is not None and not decay.after:
        weight.assign_sub(decay.shrink(now) * weight)
    tf.raw_ops.ResourceApplyKerasMomentum(
        var=weight.handle, accum=velocity.handle, lr=now.learning_rate, grad=gradient, momentum=now.momentum
    )
    if decay.shrink is not None and decay.after:
        weight.assign_sub(decay.shrink(now) * weight)


def dense(gradient: Any, dtype: str) -> Any:
    """Return a gradient, which may be sparse, as a tensor of that type."""
    return tf.cast(tf.convert_to_tensor(gradient), dtype)


def outside_of_graph(read: Callable[[], T]) -> T:
    """Return `read()` with variables as they are now, also while a graph is being traced."""
    with tf.init_scope():
        return read()


def only_if(condition: Any, action: Callable[[], Any]) -> None:
    """Do something if a scalar tensor is true, when the graph runs."""

    def act() -> Any:
        action()
        return tf.constant(True)

    tf.cond(condition, act, lambda: tf.constant(False))


def stop_unless(condition: Callable[[], Any], message: str) -> AbstractContextManager[Any]:
    """Guard what is traced inside: it runs if the condition holds, else InvalidArgumentError.

    Eagerly there is nothing to guard: what was looked at is still so. One condition for all groups
    costs nothing that can be measured; `tf.cond`, even one for all, costs a third of the step.
    """
    if not tf.inside_function():
        return nullcontext()
    guard: AbstractContextManager[Any] = tf.control_dependencies(
        [tf.debugging.Assert(condition(), [message])]
    )
    return guard


def compiled_by_xla() -> bool:
    """Return whether this is traced for XLA, which drops assertions, and fuses what is pure."""
    graph = tf.compat.v1.get_default_graph()
    while graph is not None:
        context = graph._get_control_flow_context()
        if context is not None and context.IsXLAContext():
            return True
        graph = getattr(graph, "outer_graph", None)
    return False


def refuse_replica_context() -> None:
    """Raise NotImplementedError where one of several replicas computes: gradients would not be summed."""
    if tf.distribute.has_strategy() and not tf.distribute.in_cross_replica_context():
        raise NotImplementedError(
            "GroupedOptimizer does not add up gradients of a tf.distribute strategy: reduce them first, and "
            "call apply in the scope of the strategy, outside of its `run`"
        )


def on_each_device(function: Callable[..., None], weight: Any, *others: Any) -> None:
    """Call a function that changes a `tf.Variable` and others beside it, once for each device's copies."""
    if not tf.distribute.has_strategy():
        function(weight, *others)
        return
    tf.distribute.get_strategy().extended.update(weight, function, args=others)
