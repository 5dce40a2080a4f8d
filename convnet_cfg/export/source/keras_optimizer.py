"""The optimizer of a translated network, with the parts that its parameter file asks for and no others."""

from __future__ import annotations

from collections.abc import Iterator

from convnet_cfg import nn
from convnet_cfg.export.source.frame import Step
from convnet_cfg.export.source.keras_training import FORMULAS, SHARES, STEPS, Training
from convnet_cfg.export.source.text import INDENT, docstring

NAME = "TableSGD"


class OptimizerText:
    """Writes the class, and the function that makes one."""

    def __init__(self, training: Training) -> None:
        self.training = training
        self.gathers = any(training.periods())
        self.own_rates = any(map(training.at_own_rates, training.weights))
        self.limits = any(training.limits())
        self.frozen = not all(map(training.active, training.weights))
        self.decays = training.decay != "none"
        dropping = [step for step in training.frame.steps if _has_mask(step)]
        self.masks = bool(dropping)
        self.masks_shared = any(step.kernels[0].shared for step in dropping)

    def lines(self) -> Iterator[str]:
        """Yield the lines of the class."""
        yield f"class {NAME}(keras.optimizers.Optimizer):"
        yield f'{INDENT}"""Momentum with the numbers of {self.training.name}{self._formula()}.'
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
        if self.training.needs_zeros():
            yield from _indented(self._apply())
        yield f"{INDENT}def update_step(self, gradient, variable, learning_rate):"
        yield from _indented(self._update(), 2)
        if self.training.scheduled:
            yield ""
            yield from _indented(self._config())

    def _formula(self) -> str:
        if self.training.several:
            return ", by the step that is named there"
        return f": {FORMULAS[self.training.decay]}"

    def _constructor(self) -> Iterator[str]:
        arguments = [*self.training.lengths, *(["dropped"] if self.masks else [])]
        yield f"def __init__(self, {''.join(f'{each}, ' for each in arguments)}learning_rate=1.0, **kwargs):"
        yield f"{INDENT}super().__init__(learning_rate=learning_rate, **kwargs)"
        yield from (f"{INDENT}self.{each} = {each}" for each in arguments)
        yield ""

    def _config(self) -> Iterator[str]:
        yield "def get_config(self):"
        yield f'{INDENT}"""Return the arguments with which Keras makes a saved optimizer again."""'
        lengths = ", ".join(f'"{each}": self.{each}' for each in self.training.lengths)
        yield f"{INDENT}return super().get_config() | {{{lengths}}}"

    def _build(self) -> Iterator[str]:
        yield '"""Look up the numbers of each variable, and make a velocity of zeros for it."""'
        yield "super().build(variables)"
        if self.training.by_epochs:
            yield "table = hyperparameters(self.epochs)"
        table = "table" if self.training.by_epochs else "HYPERPARAMETERS"
        yield f"self.numbers = [{table}[variable.path] for variable in variables]"
        yield 'self.velocities = self.add_optimizer_variables(variables, "velocity")'
        if self.gathers:
            yield "self.periods = [PERIODS.get(variable.path, 1) for variable in variables]"
            yield 'self.gathered = self.add_optimizer_variables(variables, "gathered")'
        if self.own_rates:
            yield "self.at_own_rates = [variable.path in AT_OWN_RATES for variable in variables]"
        if self.masks:
            yield "self.masks = [self.dropped.get(variable.path, 1.0) for variable in variables]"
        if self.limits:
            yield "self.limits = [LIMITS.get(variable.path) for variable in variables]"

    def _apply(self) -> Iterator[str]:
        yield "def apply(self, grads, trainable_variables=None):"
        words = "Make a step; variables without gradient, as no cost depends on them, decay all the same."
        yield from docstring(words, INDENT)
        yield f"{INDENT}variables = trainable_variables or self._trainable_variables"
        yield f"{INDENT}pairs = zip(variables, grads, strict=True)"
        yield f"{INDENT}grads = [ops.zeros_like(each) if grad is None else grad for each, grad in pairs]"
        yield f"{INDENT}super().apply(grads, trainable_variables)"
        yield ""

    def _update(self) -> Iterator[str]:
        yield '"""Make the step of one variable."""'
        yield "index = self._get_variable_index(variable)"
        if self.frozen:
            yield "if self.numbers[index] is None:"
            yield f"{INDENT}return"
        yield from self._look_up()
        if self.gathers:
            yield from self._gather()
        old = "self.masks[index] * velocity" if self.masks else "velocity"
        if self.training.several:
            yield from self._step(old)
        else:
            coupled = STEPS[self.training.decay] == "coupled"
            pull = "(gradient + decay * variable)" if coupled else "gradient"
            yield from self._assign(f"momentum * {old} - rate * {pull}")

    def _look_up(self) -> Iterator[str]:
        names = ["momentum", "decay" if self.decays else "_", *(["step"] if self.training.several else [])]
        if self.training.scheduled:
            yield f"schedule, {', '.join(names)} = self.numbers[index]"
            yield 'progress = ops.minimum(ops.cast(self.iterations, "float32") / self.total_steps, 1.0)'
            yield "rate = learning_rate * schedule(progress)"
        else:
            yield f"base, {', '.join(names)} = self.numbers[index]"
            yield "rate = learning_rate * base"
        yield "velocity = self.velocities[index]"

    def _step(self, old: str) -> Iterator[str]:
        yield f"weight, new = step(variable, {old}, gradient, rate, momentum, decay)"
        yield f"self.assign(velocity, {self._if_due('new', 'velocity')})"
        yield from self._assign_weight()

    def _gather(self) -> Iterator[str]:
        yield "gathered, period = self.gathered[index], self.periods[index]"
        if self.own_rates:
            yield "factor = rate if self.at_own_rates[index] else 1.0"
        yield f"gradient = gathered + {'factor * ' if self.own_rates else ''}gradient / period"
        yield "due = (self.iterations + 1) % period == 0"
        yield "self.assign(gathered, ops.where(due, 0.0, gradient))"
        if self.own_rates:
            yield "gradient = ops.divide_no_nan(gradient, factor)"

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
        yield from self._assign_weight()

    def _assign_weight(self) -> Iterator[str]:
        if self.limits:
            yield "limit = self.limits[index]"
            yield "weight = limit(weight) if limit else weight"
        yield f"self.assign(variable, {self._if_due('weight', 'variable')})"

    def _if_due(self, new: str, old: str) -> str:
        """Return what a variable becomes: where gradients are gathered, nothing new until one is due."""
        return f"ops.where(due, {new}, ops.convert_to_tensor({old}))" if self.gathers else new

    def maker(self) -> Iterator[str]:
        """Yield the lines of the function that makes an optimizer for a model."""
        lengths = self.training.lengths
        yield f"def make_optimizer({', '.join(['model', *lengths, 'learning_rate=1.0'])}):"
        words = ["Return an optimizer for all variables of the model, their rates times `learning_rate`."]
        if lengths:
            epochs = ", `epochs` its epochs" if self.training.by_epochs else ""
            words.append(
                f"`total_steps` are the minibatches of the whole training, over which rates change{epochs}."
            )
        yield from docstring("\n\n".join(words), INDENT)
        given = [*lengths]
        if self.masks:
            yield from _indented(self._dropping())
            given.append("dropped")
        arguments = ", ".join([*given, "learning_rate=learning_rate"])
        yield f"{INDENT}optimizer = {NAME}({arguments})"
        yield f"{INDENT}optimizer.build(model.trainable_variables)"
        yield f"{INDENT}return optimizer"

    def _dropping(self) -> Iterator[str]:
        kind = "isinstance(layer, DropConnectDense)"
        if self.masks_shared:
            yield "# for a shared kernel the mask of its owner counts; the others are of a derived class"
            kind = "type(layer) is DropConnectDense"
        yield f"dropping = [layer for layer in model.layers if {kind}]"
        yield "dropped = {layer.kernel.path: layer.mask for layer in dropping}"


def _has_mask(step: Step) -> bool:
    """Return whether a step drops weights, the same ones for all cases."""
    return isinstance(step.made, nn.DropConnectDense) and not step.made.per_case


def _indented(lines: Iterator[str], times: int = 1) -> Iterator[str]:
    return (f"{INDENT * times}{line}" if line else "" for line in lines)
