"""Trains a model with `GroupedOptimizer` on the backend that KERAS_BACKEND names; prints what came out.

The model is linear and its cost a square, so that the test can follow every step in NumPy.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np
from optim_reference import COMBINATIONS

from convnet_cfg.optim import Exponential, Group, GroupedOptimizer

FROZEN = "momentum_inside_l2"
NUMBERS = {"learning_rate": 0.5, "momentum": 0.9, "weight_decay": 0.01, "base_learning_rate": 1.0}


def columns():
    """One layer for each rule, position and decay: its kernel is a column that is trained alone."""
    for rule, position, decay in COMBINATIONS:
        # One gradient of 1 moves a weight by up to 0.5 / 40 / 0.1, with Adam by 0.5.
        rate = {"learning_rate": 0.02, "base_learning_rate": 0.04} if rule == "adam" else {}
        name = "_".join(part for part in (rule, position, decay.replace("-", "")) if part)
        yield name, {**NUMBERS, **rate, "rule": rule, "rate_position": position, "decay": decay}


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


def columns_data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(32, 3)).astype("float32"), rng.normal(size=(32, 1)).astype("float32")


def main(folder):
    x, y = columns_data()
    y = np.repeat(y, len(COMBINATIONS), 1)
    given = {"batch_size": 8, "shuffle": False, "verbose": 0}
    model = columns_model()
    model.fit(x, y, epochs=3, **given)
    model.optimizer.groups[f"{FROZEN}/kernel"].learning_rate = 0.0
    model.optimizer.learning_rate = 0.5
    model.fit(x, y, epochs=2, **given)
    model.save(folder / "columns.keras")
    loaded = keras.models.load_model(folder / "columns.keras")
    for each in (model, loaded):
        each.fit(x, y, epochs=1, **given)
    same = all(np.array_equal(a, b) for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True))

    conv = conv_model()
    images = np.random.default_rng(1).normal(size=(32, 8, 8, 1)).astype("float32")
    fitted = conv.fit(images, images.mean((1, 2)) * [1, -1], batch_size=4, epochs=8, verbose=0)
    scheduled = conv.optimizer.groups[conv.get_layer("fc").kernel.path]
    result = {
        "backend": keras.backend.backend(),
        "weights": [weight.ravel().tolist() for weight in model.get_weights()],
        "loaded continues": same,
        "losses": fitted.history["loss"],
        "scheduled": scheduled.learning_rate,
    }
    print("RESULT " + json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
