"""Minibatches spread over several GPUs, for networks whose layers were on equally many.

The parts are computed side by side through `tf.distribute`, their gradients added up, and every device makes
the same update, so that the result is that of one device but for rounding and for the masks of dropout. It is
tested on several logical processors; on several GPUs it was never run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from convnet_cfg.language import Network


def strategy_for(network: Network, kind: str = "GPU") -> tf.distribute.Strategy | None:
    """Return how to spread a network over the visible devices; None if it was on one, or they are too few."""
    counts = network.replica_counts
    devices = tf.config.list_logical_devices(kind)
    if len(counts) != 1 or counts[0] == 1 or len(devices) < counts[0]:
        return None
    return tf.distribute.MirroredStrategy([device.name for device in devices[: counts[0]]])


def added_up(
    strategy: tf.distribute.Strategy, function: Callable[[list[Any]], Any], matrices: Sequence[Any]
) -> Any:
    """Return what a function returns for the parts of a minibatch, each on its device, added up.

    Parts are runs of cases in their order, as cuda-convnet2 made them; the last may be short or empty.
    """

    def on_one_device(matrices: list[Any]) -> Any:
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        size = -(-tf.shape(matrices[0])[0] // strategy.num_replicas_in_sync)
        return function([matrix[number * size : (number + 1) * size] for matrix in matrices])

    parts = strategy.run(on_one_device, args=(list(matrices),))
    return tf.nest.map_structure(lambda part: strategy.reduce("SUM", part, axis=None), parts)
