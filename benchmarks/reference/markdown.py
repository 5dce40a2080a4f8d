"""Pieces of Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; columns that are empty in all rows are left away."""
    rows = [tuple(map(_cell, row)) for row in rows]
    shown = [number for number in range(len(columns)) if any(row[number] for row in rows)]
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line[number] for number in shown)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def bullets(items: Iterable[str]) -> str:
    """Return a list."""
    return "\n".join(f"- {item}" for item in items)


def code(text: str, language: str = "text") -> str:
    """Return a block of code."""
    return f"```{language}\n{text.strip()}\n```"


def names(words: Iterable[str]) -> str:
    """Return words of a file, each marked as such."""
    return ", ".join(f"`{word}`" for word in words)


def link(heading: str, text: str = "") -> str:
    """Return a link to a heading of the page."""
    return f"[{text or heading}](#{anchor(heading)})"


def anchor(heading: str) -> str:
    """Return the name that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def summary(thing: Any) -> str:
    """Return the first paragraph of a docstring, on one line."""
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


def prose(text: str) -> str:
    """Return a text in which no star outside of code stands for emphasis."""
    outside = text.split("`")
    outside[::2] = [re.sub(r"(?<=\w)\*|\*(?=\w)", r"\\*", part) for part in outside[::2]]
    return "`".join(outside)


def as_sentence(text: str) -> str:
    """Return a text with a capital at the beginning, if that is a word and not code or a formula."""
    return prose(text[:1].upper() + text[1:] if re.match(r"[a-z]+[ ,]", text) else text)


def in_sentence(text: str) -> str:
    """Return a sentence as the end of another one."""
    return prose(
        text[:1].lower() + text[1:] if re.match(r"[A-Z][a-z]+\b", text) or text[:2] == "A " else text
    )
