"""Statements of a Python program laid out in lines, as `ruff format` lays them out."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator, Sequence

from convnet_cfg.export.source.text import INDENT, WIDTH


def docstring(text: str, indent: str) -> list[str]:
    """Return the lines of a docstring; paragraphs are separated by empty lines, indented ones stay as they are."""
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


def _bracket(tree: ast.expr, code: str) -> tuple[str, list[str], str]:
    """Return what stands before, between and behind the brackets of a call, a list or a dictionary."""
    if isinstance(tree, ast.Call):
        named = [f"{each.arg}={ast.get_source_segment(code, each.value)}" for each in tree.keywords]
        return f"{ast.get_source_segment(code, tree.func)}(", [*_sources(code, tree.args), *named], ")"
    if isinstance(tree, ast.Dict):
        values = _sources(code, tree.values)
        keys = [ast.get_source_segment(code, key) for key in tree.keys if key]
        return "{", [f"{key}: {value}" for key, value in zip(keys, values, strict=True)], "}"
    assert isinstance(tree, ast.List), f"no way to lay out {code}"
    return "[", _sources(code, tree.elts), "]"


def _sources(code: str, parts: Sequence[ast.expr]) -> list[str]:
    return [ast.get_source_segment(code, part) or "" for part in parts]


def _inside(parts: list[str], indent: str) -> Iterator[str]:
    """Yield what stands between brackets: on one line if it fits, else one line each."""
    if len(indent + ", ".join(parts)) <= WIDTH:
        yield indent + ", ".join(parts)
    elif len(parts) == 1 and isinstance(ast.parse(parts[0], mode="eval").body, ast.BinOp):
        yield from _terms(parts[0], indent)
    else:
        for part in parts:
            yield from _expression("", part, indent, ",")


def _terms(code: str, indent: str) -> Iterator[str]:
    """Yield the terms of a sum: on one line if they fit, else one line each."""
    if len(indent + code) <= WIDTH:
        yield indent + code
        return
    tree = ast.parse(code, mode="eval").body
    terms = []
    while isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Add | ast.Sub):
        sign = "+ " if isinstance(tree.op, ast.Add) else "- "
        terms.insert(0, (sign, ast.get_source_segment(code, tree.right) or ""))
        tree = tree.left
    terms.insert(0, ("", ast.get_source_segment(code, tree) or ""))
    for sign, term in terms:
        yield from _expression(sign, term, indent)
