"""What the layers that draw random numbers have in common."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


class RandomLayer(keras.layers.Layer):
    """Base of the layers with a random generator, whose state is a variable of the layer."""

    def __init__(self, seed: int | None = None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def restart(self) -> None:
        """Begin again with the first random numbers of the seed, as the layer does when it is loaded."""
        self.seed_generator.state.assign(keras.random.SeedGenerator(self.seed).state)

    def uniform(self, shape: Any, dtype: str = "float32") -> Any:
        """Return new random numbers, 0 <= u < 1; others on each device of a `tf.distribute` strategy."""
        context = tf.distribute.get_replica_context() if tf.distribute.has_strategy() else None
        if context is None:
            return keras.random.uniform(shape, seed=self.seed_generator, dtype=dtype)
        number = tf.cast(context.replica_id_in_sync_group, tf.int32)
        seed = tf.cast(self.seed_generator.next(), tf.int32) + tf.stack([0, number])
        return tf.random.stateless_uniform(shape, seed, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "seed": self.seed}


class MaskLayer(RandomLayer):
    """Base of the layers that zero values with probability `rate` in training.

    Raises ValueError if the rate is no probability. Who needs certain masks replaces `draw_mask`.
    """

    def __init__(self, rate: float, seed: int | None = None, **arguments: Any) -> None:
        super().__init__(seed, **arguments)
        if not 0.0 <= rate <= 1.0:
            raise ValueError(f"rate must be between 0 and 1, got {rate!r}")
        self.rate = rate

    def draw_mask(self, shape: Any) -> Any:
        """Return a new mask of zeros and ones."""
        return tf.cast(self.uniform(shape) >= self.rate, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "rate": self.rate}
