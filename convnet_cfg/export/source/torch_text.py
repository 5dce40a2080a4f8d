"""Statements of a Python program laid out in lines, as `ruff format` lays them out."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from convnet_cfg.export.source.text import INDENT, WIDTH


class Part(NamedTuple):
    """One of several expressions, and what stands before it: a name, a key, or an operator."""

    before: str
    code: str


def docstring(text: str, indent: str) -> list[str]:
    """Return the lines of a docstring; its paragraphs are wrapped unless they are indented."""
    first, *others = text.split("\n\n")
    wrapped = [line for part in others for line in ("", *_paragraph(part, WIDTH - len(indent)))]
    start, *rest = [*_paragraph(first, WIDTH - len(indent) - 6), *wrapped]
    if not rest:
        return [f'{indent}"""{start}"""']
    return [f'{indent}"""{start}', *(f"{indent}{line}" if line else "" for line in rest), f'{indent}"""']


def _paragraph(text: str, width: int) -> list[str]:
    return text.splitlines() if text.startswith(INDENT) else textwrap.wrap(text, width)


def statement(before: str, code: str, indent: str = "", comment: str = "") -> Iterator[str]:
    """Yield the lines of a statement: text, an expression, and a comment, above it where the line is full."""
    remark = f"  # {comment}" if comment else ""
    if len(indent + before + code + remark) <= WIDTH:
        yield f"{indent}{before}{code}{remark}"
        return
    if comment:
        yield f"{indent}# {comment}"
    yield from _expression(before, code, indent)


def _expression(before: str, code: str, indent: str, behind: str = "") -> Iterator[str]:
    """Yield the lines of an expression with text before and behind it."""
    tree = ast.parse(code, mode="eval").body
    if len(indent + before + code + behind) <= WIDTH:
        yield f"{indent}{before}{code}{behind}"
    elif isinstance(tree, ast.BinOp):
        yield f"{indent}{before}("
        yield from _terms(code, indent + INDENT)
        yield f"{indent}){behind}"
    else:
        start, parts, end = _bracket(tree, code)
        yield f"{indent}{before}{start}"
        yield from _inside(parts, indent + INDENT)
        yield f"{indent}{end}{behind}"


def _bracket(tree: ast.expr, code: str) -> tuple[str, list[Part], str]:
    """Return what stands before, between and behind the brackets of a call, a list or a dictionary."""
    if isinstance(tree, ast.Call):
        named = [Part(f"{each.arg}=", _source(code, each.value)) for each in tree.keywords]
        return f"{_source(code, tree.func)}(", [*_items(code, tree.args), *named], ")"
    if isinstance(tree, ast.Dict):
        pairs = zip(tree.keys, tree.values, strict=True)
        return (
            "{",
            [Part(f"{_source(code, key)}: ", _source(code, value)) for key, value in pairs if key],
            "}",
        )
    assert isinstance(tree, ast.List), f"no way to lay out {code}"
    return "[", _items(code, tree.elts), "]"


def _source(code: str, tree: ast.expr) -> str:
    return ast.get_source_segment(code, tree) or ""


def _items(code: str, trees: Sequence[ast.expr]) -> list[Part]:
    return [Part("", _source(code, tree)) for tree in trees]


def _inside(parts: Sequence[Part], indent: str) -> Iterator[str]:
    """Yield what stands between brackets: on one line if it fits, else one line each."""
    together = indent + ", ".join(map("".join, parts))
    first = ast.parse(parts[0].code, mode="eval").body
    if len(together) <= WIDTH:
        yield together
    elif len(parts) == 1 and isinstance(first, ast.BinOp):
        yield from _terms(parts[0].code, indent)
    else:
        for before, code in parts:
            yield from _expression(before, code, indent, ",")


SIGNS: Mapping[type[ast.operator], str] = {ast.Add: "+ ", ast.Sub: "- ", ast.Mult: "* ", ast.Div: "/ "}
SUMS, PRODUCTS = (ast.Add, ast.Sub), (ast.Mult, ast.Div)


def _terms(code: str, indent: str) -> Iterator[str]:
    """Yield a sum or product: on one line if it fits, else one line for each of its terms or factors."""
    if len(indent + code) <= WIDTH:
        yield indent + code
        return
    tree = ast.parse(code, mode="eval").body
    assert isinstance(tree, ast.BinOp)
    kinds = SUMS if isinstance(tree.op, SUMS) else PRODUCTS
    terms: list[Part] = []
    while isinstance(tree, ast.BinOp) and isinstance(tree.op, kinds):
        terms.insert(0, Part(SIGNS[type(tree.op)], _source(code, tree.right)))
        tree = tree.left
    for sign, term in [Part("", _source(code, tree)), *terms]:
        yield from _expression(sign, term, indent)
