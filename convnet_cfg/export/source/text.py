"""Python expressions laid out in lines, as `ruff format` would do it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias, Union

WIDTH = 110
INDENT = "    "

Expression: TypeAlias = Union[str, "Call", "Items"]


class Call(NamedTuple):
    """A call; what is called in turn with `operand`, if there is one: `layers.Dense(10)(values)`."""

    function: str
    arguments: tuple[Expression, ...] = ()
    operand: Expression | None = None


class Items(NamedTuple):
    """A list."""

    items: tuple[Expression, ...]


def call(function: str, *arguments: Expression, **named: Expression | None) -> Call:
    """Return a call; a named argument of None is left away."""
    given = (f"{name}={flat(value)}" for name, value in named.items() if value is not None)
    return Call(function, (*arguments, *given))


def flat(expression: Expression) -> str:
    """Return an expression on one line."""
    if isinstance(expression, str):
        return expression
    if isinstance(expression, Items):
        return f"[{', '.join(map(flat, expression.items))}]"
    operand = f"({flat(expression.operand)})" if expression.operand is not None else ""
    return f"{expression.function}({', '.join(map(flat, expression.arguments))}){operand}"


def taken_out(expression: Expression, name: str, variable: str) -> tuple[Expression, Call]:
    """Return an expression in which a variable stands for the layer with this argument, and that layer.

    Raises:
        LookupError: there is none.
    """
    if isinstance(expression, Call):
        if name in expression.arguments:
            operand = (expression.operand,) if expression.operand is not None else ()
            return Call(variable, operand), expression._replace(operand=None)
        if expression.operand is not None:
            inner, layer = taken_out(expression.operand, name, variable)
            return expression._replace(operand=inner), layer
    if isinstance(expression, Items):
        for index, item in enumerate(expression.items):
            try:
                inner, layer = taken_out(item, name, variable)
            except LookupError:
                continue
            return Items((*expression.items[:index], inner, *expression.items[index + 1 :])), layer
    raise LookupError(name)


def statement(target: str, expression: Expression, comment: str) -> Iterator[str]:
    """Yield the lines of `target = expression`, with a comment behind it, or above where there is no room."""
    bare = list(lines(expression, INDENT, f"{target} = "))
    whole = f"{bare[-1]}  # {comment}"
    if not comment:
        yield from bare
    elif len(bare) == 1 and len(whole) > WIDTH:
        yield f"{INDENT}# {comment}"
        yield from bare
    else:
        yield from [*bare[:-1], whole]


def lines(expression: Expression, indent: str, before: str = "", behind: str = "") -> Iterator[str]:
    """Yield the lines of an expression with text before and behind it."""
    whole = f"{indent}{before}{flat(expression)}{behind}"
    if len(whole) <= WIDTH or isinstance(expression, str):
        yield whole
    elif isinstance(expression, Items):
        yield f"{indent}{before}["
        yield from _one_by_one(expression.items, indent + INDENT)
        yield f"{indent}]{behind}"
    elif isinstance(expression.operand, Items):
        yield f"{indent}{before}{flat(expression._replace(operand=None))}("
        yield from lines(expression.operand, indent + INDENT)
        yield f"{indent}){behind}"
    else:
        operand = f"({flat(expression.operand)})" if expression.operand is not None else ""
        head = f"{indent}{before}{flat(expression._replace(operand=None))}("
        # Where this fits on a line, ruff would put the operand on one of its own, but for a comma at the end.
        together = _one_by_one if operand and len(head) <= WIDTH else _together_or_not
        yield f"{indent}{before}{expression.function}("
        yield from together(expression.arguments, indent + INDENT)
        yield f"{indent}){operand}{behind}"


def _together_or_not(expressions: tuple[Expression, ...], indent: str) -> Iterator[str]:
    together = indent + ", ".join(map(flat, expressions))
    if len(together) <= WIDTH:
        yield together
    else:
        yield from _one_by_one(expressions, indent)


def _one_by_one(expressions: tuple[Expression, ...], indent: str) -> Iterator[str]:
    for expression in expressions:
        yield from lines(expression, indent, behind=",")


def docstring(text: str, indent: str) -> list[str]:
    """Return the lines of a docstring; its paragraphs are wrapped unless they are indented.

    Quotes and backslashes, which names of files may have, are written as others that end nothing.
    """
    first, *others = text.replace("\\", "/").replace('"', "'").split("\n\n")
    wrapped = [line for part in others for line in ("", *_paragraph(part, WIDTH - len(indent)))]
    start, *rest = [*_paragraph(first, WIDTH - len(indent) - 6), *wrapped]
    if not rest:
        return [f'{indent}"""{start}"""']
    return [f'{indent}"""{start}', *(f"{indent}{line}" if line else "" for line in rest), f'{indent}"""']


def _paragraph(text: str, width: int) -> list[str]:
    return (
        text.splitlines() if text.startswith(INDENT) else textwrap.wrap(text, width, break_on_hyphens=False)
    )
