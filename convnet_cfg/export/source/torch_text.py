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


SIGNS: Mapping[type[ast.operator], str] = {ast.Add: "+ ", ast.Sub: "- ", ast.Mult: "* ", ast.Div: "/ "}
TERM = "term"  # the name of what is added to a name
SUMS, PRODUCTS = (ast.Add, ast.Sub), (ast.Mult, ast.Div)


def assignment(name: str, code: str, indent: str, comment: str = "") -> list[str]:
    """Return the lines of `name = code`; a long sum or product is reckoned in several statements."""
    parts = _parts(code) if len(f"{indent}{name} = {code}") > WIDTH else None
    if parts is None:
        return _statement(f"{name} = ", code, indent, comment)
    part = parts.name or name
    return [
        *assignment(part, parts.first, indent),
        *assignment(name, parts.with_first(part), indent, comment),
    ]


def returning(code: str, indent: str, comment: str = "", name: str = "total") -> list[str]:
    """Return the lines of `return code`; `name` is that of the parts of a long sum or product."""
    parts = _parts(code) if len(f"{indent}return {code}") > WIDTH else None
    if parts is None:
        return _statement("return ", code, indent, comment)
    part = parts.name or name
    return [
        *assignment(part, parts.first, indent),
        *returning(parts.with_first(part), indent, comment, name),
    ]


def calling(code: str, indent: str) -> list[str]:
    """Return the lines of a call whose value nobody uses."""
    return _statement("", code, indent, "")


class Halves(NamedTuple):
    """A sum or product: what is reckoned first, and what stands before and behind it.

    What is reckoned first may need this `name`, as another stands before it.
    """

    first: str
    before: str
    behind: str
    name: str = ""

    def with_first(self, name: str) -> str:
        """Return the sum or product with a name for what was reckoned first."""
        return f"{self.before}{name}{self.behind}"


def _parts(code: str) -> Halves | None:
    """Return the halves of a sum or product; None for anything else, or if half of it is a name.

    What is added to a name is reckoned first, as a TERM, if it is a quotient.
    """
    tree = ast.parse(code, mode="eval").body
    if not isinstance(tree, ast.BinOp):
        return None
    left, right, sign = _source(code, tree.left), _source(code, tree.right), SIGNS[type(tree.op)]
    if isinstance(tree.left, ast.Name):
        return Halves(right, f"{left} {sign}", "", TERM) if _is_quotient(tree.right) else None
    if not isinstance(tree.left, ast.Constant):
        return Halves(left, "", f" {sign}{_behind_sign(code, tree)}")
    return None if isinstance(tree.right, ast.Name) else Halves(right, f"{left} {sign}", "")


def _is_quotient(tree: ast.expr) -> bool:
    """Return whether something other than a name or number is divided, or multiplied."""
    return isinstance(tree, ast.BinOp) and not isinstance(tree.left, ast.Name | ast.Constant)


def _statement(before: str, code: str, indent: str, comment: str) -> list[str]:
    """Return the lines of a statement: text, an expression, and a comment, above it if there is no room."""
    behind = f"  # {comment}" if comment else ""
    if len(indent + before + code + behind) <= WIDTH:
        return [f"{indent}{before}{code}{behind}"]
    above = [f"{indent}# {comment}"] if comment else []
    return [*above, *_expression(before, code, indent)]


def remark(text: str, indent: str) -> list[str]:
    """Return the lines of a comment."""
    return textwrap.wrap(text, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")


def _expression(before: str, code: str, indent: str, behind: str = "") -> Iterator[str]:
    """Yield the lines of an expression with text before and behind it."""
    tree = ast.parse(code, mode="eval").body
    if len(indent + before + code + behind) <= WIDTH:
        yield f"{indent}{before}{code}{behind}"
    elif isinstance(tree, ast.BinOp) and tree.col_offset:  # it is in brackets
        yield f"{indent}{before}("
        yield from _terms(code[1:-1], indent + INDENT)
        yield f"{indent}){behind}"
    elif isinstance(tree, ast.BinOp) and isinstance(tree.left, ast.Name | ast.Constant):
        left = f"{_source(code, tree.left)} {SIGNS[type(tree.op)]}"
        yield from _expression(f"{before}{left}", _behind_sign(code, tree), indent, behind)
    elif isinstance(tree, ast.BinOp):
        yield from _terms(code, indent, behind)
    elif isinstance(tree, ast.UnaryOp):
        yield from _expression(f"{before}-", _source(code, tree.operand), indent, behind)
    elif isinstance(tree, ast.Call) and (inner := _before_method(tree, code)):
        yield from _expression(before, inner, indent, f"{code[len(inner) :]}{behind}")
    elif isinstance(tree, ast.Call | ast.Dict | ast.List):
        start, parts, end = _bracket(tree, code)
        yield f"{indent}{before}{start}"
        yield from _inside(parts, indent + INDENT)
        yield f"{indent}{end}{behind}"
    else:
        yield f"{indent}{before}{code}{behind}"


def _before_method(tree: ast.Call, code: str) -> str:
    """Return the call whose value a method is called of; "" if it is none."""
    below = tree.func.value if isinstance(tree.func, ast.Attribute) else None
    return _source(code, below) if isinstance(below, ast.Call) else ""


def _bracket(tree: ast.Call | ast.Dict | ast.List, code: str) -> tuple[str, list[Part], str]:
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
    return "[", _items(code, tree.elts), "]"


def _source(code: str, tree: ast.expr) -> str:
    return ast.get_source_segment(code, tree) or ""


def _behind_sign(code: str, tree: ast.BinOp) -> str:
    """Return the second operand, in its brackets if it needs them there."""
    right = _source(code, tree.right)
    if not isinstance(tree.right, ast.BinOp):
        return right
    is_product = isinstance(tree.op, SUMS) and isinstance(tree.right.op, PRODUCTS)
    return right if is_product else f"({right})"


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


def _terms(code: str, indent: str, behind: str = "") -> Iterator[str]:
    """Yield a sum or product: on one line if it fits, else one line for each of its terms or factors."""
    if len(indent + code + behind) <= WIDTH:
        yield indent + code + behind
        return
    tree = ast.parse(code, mode="eval").body
    assert isinstance(tree, ast.BinOp)
    kinds = SUMS if isinstance(tree.op, SUMS) else PRODUCTS
    terms: list[Part] = []
    while isinstance(tree, ast.BinOp) and isinstance(tree.op, kinds):
        terms.insert(0, Part(SIGNS[type(tree.op)], _behind_sign(code, tree)))
        tree = tree.left
    first = _source(code, tree)
    first = f"({first})" if kinds is PRODUCTS and isinstance(tree, ast.BinOp) else first
    *others, last = [Part("", first), *terms]
    for sign, term in others:
        yield from _expression(sign, term, indent)
    yield from _expression(last.before, last.code, indent, behind)
