"""PyTorch expressions for activations and layers that combine values without weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from keras import layers

from convnet_cfg import nn
from convnet_cfg.export.source.frame import Step
from convnet_cfg.export.source.torch_program import Program, Value, scaled

Emitter = Callable[[Program, Step], str]


# -- activations


def _plus(number: float) -> str:
    return f"{'-' if number < 0 else '+'} {abs(number)!r}"


def _tanh(x: Value, a: float, b: float) -> str:
    return scaled(a, f"torch.tanh({x.code if b == 1 else scaled(b, x.bracketed)})")


def _absolute_tanh(x: Value, a: float, b: float) -> str:
    return scaled(a, f"torch.tanh({scaled(abs(b), f'absolute({x.code})')})")


def _bounded_relu(x: Value, a: float) -> str:
    return f"F.hardtanh({x.code}, 0.0, {a!r})" if a > 0 else f"step_down({x.code}, {a!r})"


def _random(function: str, *names: str) -> Callable[..., str]:
    """Return the code of a function with noise; its numbers have these names."""

    def code(x: Value, *numbers: float) -> str:
        named = (f"{name}={number!r}" for name, number in zip(names, numbers, strict=True))
        return f"{function}({', '.join([x.code, *named])})"

    return code


NEURON = ("amplitude", "refractory", "membrane", "gain", "smoothing")  # of those that fire
ACTIVATIONS: Mapping[str, Callable[..., str]] = {
    "ident": lambda x: x.code,
    "logistic": lambda x: f"torch.sigmoid({x.code})",
    "tanh": _tanh,
    "relu": lambda x: f"F.relu({x.code})",
    "brelu": _bounded_relu,
    "abs": lambda x: f"absolute({x.code})",
    "softrelu": lambda x: f"softrelu({x.code})",
    "square": lambda x: f"torch.square({x.code})",
    "sqrt": lambda x: f"torch.sqrt({x.code})",
    "linear": lambda x, a, b: f"{scaled(a, x.bracketed)} {_plus(b)}",
    "log": lambda x, a: f"torch.log({x.bracketed} {_plus(a)})",
    "drelu": lambda x, a: f"double_relu({x.code}, {a!r})",
    "abstanh": _absolute_tanh,
    "power": lambda x, a: f"torch.pow({x.code}, {a!r})",
    "nrelu": _random("noisy_relu"),
    "softlif": _random("firing_rate", *NEURON, "deviation"),
    "softlifalpha": _random("alpha_spikes", *NEURON, "synapse"),
    "softlifalpharc": _random("membrane_alpha_spikes", *NEURON, "synapse"),
}


def _activation(program: Program, step: Step) -> str:
    return ACTIVATIONS[step.made.function](program.only(step), *step.made.parameters)


# -- several inputs


def _values(program: Program, step: Step) -> list[Value]:
    return [program.read(operand) for operand in step.operands]


def weighted_sum(factors: Sequence[float], values: Sequence[Value]) -> str:
    """Return the expression for the sum of the values, each times its factor."""
    first, *others = (scaled(factor, value.bracketed) for factor, value in zip(factors, values, strict=True))
    return first + "".join(f" - {term[1:]}" if term[0] == "-" else f" + {term}" for term in others)


def _sum(program: Program, step: Step) -> str:
    return weighted_sum(step.made.coefficients, _values(program, step))


def _maximum(program: Program, step: Step) -> str:
    return f"greatest({', '.join(value.code for value in _values(program, step))})"


def _concatenation(program: Program, step: Step) -> str:
    return f"torch.cat([{', '.join(value.code for value in _values(program, step))}], dim=1)"


# -- one input


def _call(function: str, more: str = "") -> Emitter:
    """Return the emitter of a function of the only input, with more arguments."""
    return lambda program, step: f"{function}({program.only(step).code}{more})"


def rate_of(step: Step) -> str:
    """Return the rate of dropout, of which 1 - keep leaves some digits too many."""
    return repr(float(f"{step.made.rate:.12g}"))


def _mask(program: Program, step: Step) -> str:
    return _dropout(program, step, f"MaskDropout({rate_of(step)})")


def _fixed_count(program: Program, step: Step) -> str:
    numbers = f"{rate_of(step)}, kept={step.made.kept(step.size)}"
    return _dropout(program, step, f"FixedCountDropout({numbers})")


def _dropout(program: Program, step: Step, made: str) -> str:
    """Return the call of a module that is made so, and belongs to the layer before if it has its name."""
    belongs = step.operands[0].source == step.name
    name = program.name(step, "_dropout") if belongs else step.name
    return f"{program.module(name, made)}({program.only(step).code})"


def _inverted_dropout(program: Program, step: Step) -> str:
    return f"{program.module(step.name, f'nn.Dropout({rate_of(step)})')}({program.only(step).code})"


LAYERS: Mapping[type[layers.Layer], Emitter] = {
    nn.Activation: _activation,
    nn.RandomActivation: _activation,
    nn.WeightedSum: _sum,
    nn.Maximum: _maximum,
    layers.Concatenate: _concatenation,
    nn.Softmax: _call("F.softmax", ", dim=1"),
    nn.LogSoftmax: _call("F.log_softmax", ", dim=1"),
    nn.UnitNormalization: _call("F.normalize"),
    nn.MaskDropout: _mask,
    nn.FixedCountDropout: _fixed_count,
    nn.InvertedDropout: _inverted_dropout,
}
