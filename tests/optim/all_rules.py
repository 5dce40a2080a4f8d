"""One optimizer with a variable for each rule, position of the rate and decay, beside the same in NumPy."""

import keras
import numpy as np
import tensorflow as tf
from optim_reference import COMBINATIONS, any_step, combination_id, start

from convnet_cfg.optim import Group, GroupedOptimizer

HOW = {
    "eager": lambda function: function,
    "graph": tf.function,
    "xla": tf.function(jit_compile=True),
}
FIELDS = ("base_learning_rate", "learning_rate", "momentum", "weight_decay")


def gradient_of(w, sin=np.sin):
    return sin(w) + 0.1


class AllRules:
    """40 groups, traced or compiled once however often their numbers are set."""

    def __init__(self, how, dtype="float64", shape=(3, 2), combinations=COMBINATIONS, **adam):
        self.arguments = {
            combination_id(names): dict(zip(("rule", "rate_position", "decay"), names, strict=True))
            | {"learning_rate": 0.1, "momentum": 0.5, **(adam if names[0] == "adam" else {})}
            for names in combinations
        }
        self.variables = {
            name: keras.Variable(np.zeros(shape), dtype=dtype, name=name) for name in self.arguments
        }
        self.optimizer = GroupedOptimizer(
            Group([self.variables[name]], **arguments, name=name)
            for name, arguments in self.arguments.items()
        )
        variables = list(self.variables.values())
        self.optimizer.build(variables)

        def train():
            self.optimizer.apply([gradient_of(w.value, tf.sin) for w in variables], variables)

        self.step = HOW[how](train)

    def restart(self, weights):
        """Begin again from these weights, one array for each variable."""
        for variable, weight in zip(self.variables.values(), weights, strict=True):
            variable.assign(weight)
        for kept in self.optimizer.variables:
            if kept.path.endswith(("_velocity", "_squares", "_sums")):
                kept.assign(np.zeros(kept.shape, kept.dtype))

    def set(self, numbers):
        """Set the numbers of each group, a mapping of fields for each."""
        for name, mine in zip(self.arguments, numbers, strict=True):
            self.arguments[name] |= mine
            for field in sorted(mine, key=FIELDS.index):
                setattr(self.optimizer.groups[name], field, mine[field])

    def train(self, weights, rates, steps):
        """Train from weights; rates: for each step that begins new ones, those of all groups and the factor.

        Returns:
            By the name of the group: W and V got, and W and V expected.
        """
        self.restart(weights)
        expected = {
            name: (np.float64(weight), start(arguments["rule"], np.float64(weight)))
            for (name, arguments), weight in zip(self.arguments.items(), weights, strict=True)
        }
        factor = 1.0
        for number in range(steps):
            if number in rates:
                new, factor = rates[number]
                self.set([{"learning_rate": rate} for rate in new])
                self.optimizer.learning_rate = factor
            self.step()
            for name, (weight, state) in expected.items():
                now = self.arguments[name]
                now = now | {"learning_rate": now["learning_rate"] * factor}
                expected[name] = any_step(weight, state, gradient_of(weight), now)
        return {
            name: (w.numpy(), self.optimizer.velocity(w).numpy(), expected[name][0], expected[name][1][0])
            for name, w in self.variables.items()
        }
