"""The optimizer of a translated network, with the parts that its parameter file asks for and no others."""

from __future__ import annotations

from collections.abc import Iterator

from convnet_cfg import nn
from convnet_cfg.export.source.keras_training import FORMULAS, SHARES, Training
from convnet_cfg.export.source.text import INDENT

NAME = "TableSGD"


class OptimizerText:
    """Writes the class, and the function that makes one."""

    def __init__(self, training: Training) -> None:
        self.training = training
        self.gathers = any(training.periods())
        self.limits = any(training.limits())
        self.frozen = not all(map(training.active, training.weights))
        steps = training.frame.steps
        self.decays = training.decay != "none"
        self.masks = any(isinstance(s.made, nn.DropConnectDense) and not s.made.per_case for s in steps)

    def lines(self) -> Iterator[str]:
        """Yield the lines of the class."""
        yield f"class {NAME}(keras.optimizers.Optimizer):"
        yield f'{INDENT}"""Momentum with the numbers of HYPERPARAMETERS: {FORMULAS[self.training.decay]}.'
        yield ""
        yield f"{INDENT}e is the learning rate of a variable times that of the optimizer, m its momentum,"
        decay = "d its weight decay, " if self.decays else ""
        yield f"{INDENT}{decay}G the gradient of the mean over the cases."
        yield f'{INDENT}"""'
        yield ""
        yield from _indented(self._constructor())
        yield f"{INDENT}def build(self, variables):"
        yield from _indented(self._build(), 2)
        yield ""
        yield f"{INDENT}def update_step(self, gradient, variable, learning_rate):"
        yield from _indented(self._update(), 2)
        if self.training.scheduled:
            yield ""
            yield from _indented(self._config())

    def _constructor(self) -> Iterator[str]:
        arguments = [
            *(["total_steps"] if self.training.scheduled else []),
            *(["dropped"] if self.masks else []),
        ]
        yield f"def __init__(self, {''.join(f'{each}, ' for each in arguments)}learning_rate=1.0, **kwargs):"
        yield f"{INDENT}super().__init__(learning_rate=learning_rate, **kwargs)"
        yield from (f"{INDENT}self.{each} = {each}" for each in arguments)
        yield ""

    def _config(self) -> Iterator[str]:
        yield "def get_config(self):"
        yield f'{INDENT}"""Return the arguments with which Keras makes a saved optimizer again."""'
        yield f'{INDENT}return super().get_config() | {{"total_steps": self.total_steps}}'

    def _build(self) -> Iterator[str]:
        yield '"""Look up the numbers of each variable, and make a velocity of zeros for it."""'
        yield "super().build(variables)"
        yield "self.numbers = [HYPERPARAMETERS[variable.path] for variable in variables]"
        yield 'self.velocities = self.add_optimizer_variables(variables, "velocity")'
        if self.gathers:
            yield "self.periods = [PERIODS.get(variable.path, 1) for variable in variables]"
            yield 'self.gathered = self.add_optimizer_variables(variables, "gathered")'
        if self.masks:
            yield "self.masks = [self.dropped.get(variable.path, 1.0) for variable in variables]"
        if self.limits:
            yield "self.limits = [LIMITS.get(variable.path) for variable in variables]"

    def _update(self) -> Iterator[str]:
        decay = self.training.decay
        yield '"""Make the step of one variable."""'
        yield "index = self._get_variable_index(variable)"
        if self.frozen:
            yield "if self.numbers[index] is None:"
            yield f"{INDENT}return"
        share = "decay" if self.decays else "_"
        if self.training.scheduled:
            yield f"schedule, momentum, {share} = self.numbers[index]"
            yield 'progress = ops.minimum(ops.cast(self.iterations, "float32") / self.total_steps, 1.0)'
            yield "rate = learning_rate * schedule(progress)"
        else:
            yield f"base, momentum, {share} = self.numbers[index]"
            yield "rate = learning_rate * base"
        yield "velocity = self.velocities[index]"
        if self.gathers:
            yield from self._gather()
        old = "self.masks[index] * velocity" if self.masks else "velocity"
        pull = "gradient + decay * variable" if decay in ("cuda-convnet", "l2") else "gradient"
        pull = f"({pull})" if " " in pull else pull
        new = f"momentum * {old} - rate * {pull}"
        yield from self._assign(new)

    def _gather(self) -> Iterator[str]:
        yield "gathered, period = self.gathered[index], self.periods[index]"
        yield "gradient = gathered + gradient / period"
        yield "due = (self.iterations + 1) % period == 0"
        yield "self.assign(gathered, ops.where(due, 0.0, gradient))"

    def _assign(self, new: str) -> Iterator[str]:
        share = SHARES.get(self.training.decay)
        if self.gathers:
            yield f"new = {new}"
            new = "new"
        yield f"self.assign(velocity, {self._if_due(new, 'velocity')})"
        if share is None and not self.limits and not self.gathers:
            yield "self.assign_add(variable, velocity)"
            return
        yield "weight = variable + velocity"
        if share is not None:
            of = "weight" if self.training.decay == "after-step" else "variable"
            first = "schedule(0.0)" if self.training.scheduled else "base"
            yield f"weight = weight - {share.format(first=first)} * {of}"
        if self.limits:
            yield "limit = self.limits[index]"
            yield "weight = limit(weight) if limit else weight"
        yield f"self.assign(variable, {self._if_due('weight', 'variable')})"

    def _if_due(self, new: str, old: str) -> str:
        """Return what a variable becomes: where gradients are gathered, nothing new until one is due."""
        return f"ops.where(due, {new}, ops.convert_to_tensor({old}))" if self.gathers else new

    def maker(self) -> Iterator[str]:
        """Yield the lines of the function that makes an optimizer for a model."""
        scheduled = self.training.scheduled
        yield f"def make_optimizer(model{', total_steps' if scheduled else ''}, learning_rate=1.0):"
        words = "Return an optimizer for all variables of the model, their rates times `learning_rate`."
        if scheduled:
            yield f'{INDENT}"""{words}'
            yield ""
            yield f"{INDENT}`total_steps` are the minibatches of the whole training, over which rates change."
            yield f'{INDENT}"""'
        else:
            yield f'{INDENT}"""{words}"""'
        given = ["total_steps"] if scheduled else []
        if self.masks:
            kind = "DropConnectDense"
            yield f"{INDENT}dropping = [layer for layer in model.layers if isinstance(layer, {kind})]"
            yield f"{INDENT}dropped = {{layer.kernel.path: layer.mask for layer in dropping}}"
            given.append("dropped")
        arguments = ", ".join([*given, "learning_rate=learning_rate"])
        yield f"{INDENT}optimizer = {NAME}({arguments})"
        yield f"{INDENT}optimizer.build(model.trainable_variables)"
        yield f"{INDENT}return optimizer"


def _indented(lines: Iterator[str], times: int = 1) -> Iterator[str]:
    return (f"{INDENT * times}{line}" if line else "" for line in lines)
