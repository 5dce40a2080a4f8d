"""Trains a model with `GroupedOptimizer` on the backend that KERAS_BACKEND names; prints what came out.

The model is linear and its cost a square, so that the test can follow every step in NumPy.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np

from convnet_cfg.optim import DECAYS, Exponential, Group, GroupedOptimizer

RULES = [("momentum", "inside"), ("momentum", "outside"), ("nesterov", "inside"), ("nesterov", "outside")]
NUMBERS = {"learning_rate": 0.02, "momentum": 0.9, "weight_decay": 0.01, "base_learning_rate": 0.04}


def columns():
    """One layer for each rule and decay: its kernel is a column that is trained alone."""
    for decay in DECAYS:
        for rule, position in RULES:
            yield (
                f"{rule}_{position}_{decay}".replace("-", "_"),
                {
                    **NUMBERS,
                    "rule": rule,
                    "rate_position": position,
                    "decay": decay,
                },
            )
        yield f"adam_{decay}".replace("-", "_"), {**NUMBERS, "rule": "adam", "decay": decay}


def columns_model(**options):
    inputs = keras.Input((3,))
    outputs = [keras.layers.Dense(1, use_bias=False, name=name)(inputs) for name, _ in columns()]
    model = keras.Model(inputs, keras.layers.Concatenate()(outputs))
    model.set_weights([np.full((3, 1), 0.5, np.float32)] * len(outputs))
    groups = [Group(f"{name}/kernel", **numbers) for name, numbers in columns()]
    # The mean over the outputs divides each gradient by their number.
    model.compile(GroupedOptimizer(groups, **options), loss="mse")
    return model


def conv_model():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, activation="relu", name="conv1"),
            keras.layers.Flatten(),
            keras.layers.Dense(2, name="fc"),
        ]
    )
    groups = [
        Group("conv*/kernel", learning_rate=0.05, momentum=0.9, weight_decay=0.004, decay="decoupled-lr"),
        Group("*/bias", learning_rate=0.05, momentum=0.9, rule="nesterov"),
        Group(model.get_layer("fc").kernel, learning_rate=Exponential(base=0.05, target_factor=10)),
    ]
    options = {"global_clipnorm": 1.0, "gradient_accumulation_steps": 2, "use_ema": True}
    model.compile(GroupedOptimizer(groups, total_steps=64, **options), loss="mse")
    return model


def main(folder):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 3)).astype("float32"), rng.normal(size=(32, 1)).astype("float32")
    model = columns_model()
    y = np.repeat(y, 40, 1)
    model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
    model.optimizer.groups["momentum_inside_l2/kernel"].learning_rate = 0.0
    model.optimizer.learning_rate = 0.5
    model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    model.save(folder / "columns.keras")
    loaded = keras.models.load_model(folder / "columns.keras")
    for each in (model, loaded):
        each.fit(x, y, batch_size=8, epochs=1, shuffle=False, verbose=0)
    same = all(np.array_equal(a, b) for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True))

    images = rng.normal(size=(32, 8, 8, 1)).astype("float32")
    conv = conv_model()
    losses = conv.fit(images, images.mean((1, 2)) * [1, -1], batch_size=4, epochs=8, verbose=0)
    result = {
        "backend": keras.backend.backend(),
        "weights": [weight.ravel().tolist() for weight in model.get_weights()],
        "loaded continues": same,
        "losses": losses.history["loss"],
        "rate": conv.optimizer.groups["conv*/kernel"].learning_rate,
        "frozen": model.optimizer.groups["momentum_inside_l2/kernel"].learning_rate,
        "scheduled": conv.optimizer.groups[conv.get_layer("fc").kernel.path].learning_rate,
        "table": str(model.optimizer.table()).splitlines()[2],
    }
    print("RESULT " + json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
