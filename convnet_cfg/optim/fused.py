"""The same step in TensorFlow, in place: what makes a step of all groups cheap.

`rules.take_step` allocates a new weight and velocity. A variable that fits the processor's cache is
changed by TensorFlow's own kernel for momentum: V = m V + S G;  W = W - R V. A larger one is bound by
memory: its whole step is compiled by XLA into one pass that reads G, V, W and writes V, W.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import tensorflow as tf

from convnet_cfg.optim.rules import Decay, Numbers

__all__ = [
    "compile_step",
    "compiled_by_xla",
    "is_large",
    "momentum_step_in_place",
    "on_each_device",
    "outside_of_graph",
    "sum_over_replicas",
]

T = TypeVar("T")

LARGE = 1 << 20
"""From so many numbers on a variable is worth a compiled step (see docs/performance.md)."""


def is_large(variable: Any) -> bool:
    """Return whether the step of a variable is to be compiled; not under a strategy of tf.distribute."""
    return bool(variable.shape.num_elements() >= LARGE and not tf.distribute.has_strategy())


def compile_step(step: Callable[..., None]) -> Callable[..., None]:
    """Return the function compiled by XLA."""
    compiled: Callable[..., None] = tf.function(step, jit_compile=True)
    return compiled


def momentum_step_in_place(
    weight: Any, velocity: Any, gradient: Any, now: Numbers, decay: Decay, nesterov: bool
) -> None:
    """Do what `rules.take_step` returns, to two `tf.Variable`s."""
    gradient = tf.cast(tf.convert_to_tensor(gradient), weight.dtype)
    if decay.coupled:
        gradient = gradient + now.weight_decay * weight
    if decay.share is not None and not decay.after:
        weight.assign_sub(now.share * weight)
    tf.raw_ops.ResourceApplyMomentum(
        var=weight.handle,
        accum=velocity.handle,
        lr=now.step,
        # A broken gradient times the scale of a frozen group, 0, is 0.
        grad=tf.math.multiply_no_nan(gradient, now.scale),
        momentum=now.momentum,
        use_nesterov=nesterov,
    )
    if decay.share is not None and decay.after:
        weight.assign_sub(now.share * weight)


def outside_of_graph(read: Callable[[], T]) -> T:
    """Return `read()` with variables as they are now, also while a graph is being traced."""
    with tf.init_scope():
        return read()


def compiled_by_xla() -> bool:
    """Return whether this is traced for XLA, which fuses what is pure."""
    graph = tf.compat.v1.get_default_graph()
    while graph is not None:
        context = graph._get_control_flow_context()
        if context is not None and context.IsXLAContext():
            return True
        graph = getattr(graph, "outer_graph", None)
    return False


def sum_over_replicas(update: Callable[[list[Any]], None], gradients: list[Any]) -> None:
    """Call `update` with the gradients, once for all replicas of a strategy, summed over them."""
    if not tf.distribute.has_strategy() or tf.distribute.in_cross_replica_context():
        update(gradients)
        return
    replica = tf.distribute.get_replica_context()
    summed = replica.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
    replica.merge_call(lambda strategy, gradients: update(gradients), args=(summed,))


def on_each_device(update: Callable[..., None], weight: Any, *others: Any) -> None:
    """Call a function that changes a `tf.Variable` and others beside it, once for each device's copies."""
    if not tf.distribute.has_strategy():
        update(weight, *others)
        return
    tf.distribute.get_strategy().extended.update(weight, update, args=others, group=False)
