"""What a PyTorch program is put together from while the steps of a network are gone through.

Images are (cases, channels, rows, columns) there, as in the original: an image and the vector of its values
are views of the same numbers.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from math import prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from convnet_cfg.errors import Problem
from convnet_cfg.export.source.frame import Form, Frame, Operand, Step, Weight
from convnet_cfg.language.layer_types import Image
from convnet_cfg.language.network import Layer

Array = npt.NDArray[np.float32]


class Value(NamedTuple):
    """An expression for a value: an image, or a vector of so many numbers."""

    code: str
    size: int
    image: Image | None = None

    @property
    def vector(self) -> str:
        """The expression for it as a vector."""
        return f"{self.bracketed}.flatten(1)" if self.image else self.code

    @property
    def bracketed(self) -> str:
        """The expression as a part of a larger one: in brackets if it is a sum or a product."""
        return in_brackets(self.code)

    @property
    def shape(self) -> str:
        """Its shape in the words of PyTorch: N cases, and what each of them has."""
        sizes = (self.image.channels, self.image.side, self.image.side) if self.image else (self.size,)
        return f"(N, {', '.join(map(str, sizes))})"


def in_brackets(code: str) -> str:
    """Return an expression as a part of a larger one: in brackets if it is a sum or a product."""
    tree = ast.parse(code, mode="eval").body
    return f"({code})" if isinstance(tree, ast.BinOp | ast.UnaryOp) else code


def scaled(factor: float, code: str) -> str:
    """Return the product of a number and an expression that may stand in one."""
    if abs(factor) == 1:
        return code if factor > 0 else f"-{code}"
    return f"{factor!r} * {code}"


class Line(NamedTuple):
    """One line of `forward`: the name that it gives to a value."""

    name: str
    value: Value


class Parameter(NamedTuple):
    """Where a kernel or bias is in the module, and how it is made of the original's matrix."""

    path: str
    of_matrix: Callable[[Array], Array]


@dataclass
class Program:
    """A network's PyTorch program, so far as its steps have been gone through.

    `made` are the lines of `__init__`, `lines` those of `forward`. `ties` are parameters that belong to
    others: (path, path of the owner).
    """

    frame: Frame
    made: list[str] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)
    parameters: dict[str, Parameter] = field(default_factory=dict)
    ties: list[tuple[str, str]] = field(default_factory=list)
    names: dict[tuple[str, str], str] = field(default_factory=dict)
    constants: dict[str, tuple[int, ...]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, layer: Layer, message: str) -> None:
        """Add a reason why there is no such program."""
        self.problems.append(Problem(layer.place, layer.name, message))

    def name(self, step: Step, suffix: str) -> str:
        """Return a name for something that belongs to a step, always the same one, which nothing else has."""
        if (key := (step.name, suffix)) not in self.names:
            taken = {*self.names.values(), *(each.name for each in self.frame.steps)}
            choices = chain(
                [f"{step.name}{suffix}"], (f"{step.name}{suffix}_{number}" for number in count(1))
            )
            self.names[key] = next(choice for choice in choices if choice not in taken)
        return self.names[key]

    def module(self, name: str, code: str) -> str:
        """Make a module in `__init__`; return the expression for it."""
        self.made.append(f"self.{name} = {code}")
        return f"self.{name}"

    def keep(self, weight: Weight, parameter: Parameter) -> None:
        """Say where a weight is that a step uses; one that is shared is that of its owner."""
        if weight.shared:
            self.ties.append((parameter.path, self.parameters[weight.name].path))
        else:
            self.parameters[weight.name] = parameter

    def constant(self, name: str, numbers: Sequence[int]) -> str:
        """Make a list of numbers at the top of the program; return its name."""
        self.constants[name] = tuple(numbers)
        return name

    def read(self, operand: Operand) -> Value:
        """Return what a step or cost reads."""
        value = formed(self.values[operand.source], operand)
        return value._replace(code=scaled(operand.factor, value.bracketed)) if operand.factor != 1 else value

    def only(self, step: Step) -> Value:
        """Return what a step with one input reads."""
        (operand,) = step.operands
        return self.read(operand)

    def hand_on(self, name: str, value: Value) -> Value:
        """Make a line of `forward` of a value; return it under the name that it has there."""
        self.lines.append(Line(name, value))
        return value._replace(code=name)


def target_of(operand: Operand) -> Value:
    """Return the data of a target, as they are given."""
    return Value(operand.source, prod(operand.shape), operand.given)


def formed(value: Value, operand: Operand) -> Value:
    """Return a value in the form in which it is read."""
    if operand.form is Form.IMAGE:
        side, _, channels = operand.shape
        code = _unflattened(value, (channels, side, side))
        return Value(code, value.size, Image(channels, side))
    if operand.form is Form.PIXELS:
        pixels, channels = operand.shape
        return Value(_unflattened(value, (channels, pixels)), value.size)
    return value if operand.form is Form.AS_IS else Value(value.vector, value.size)


def _unflattened(value: Value, shape: tuple[int, ...]) -> str:
    return f"{in_brackets(value.vector)}.unflatten(1, ({', '.join(map(str, shape))}))"
