"""Definitions taken out of modules, with all that they need, to be pasted into one file."""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

OWN = "convnet_cfg."


class Definition(NamedTuple):
    """A class, function or constant at the top of a module: its source, and the names that it reads."""

    source: str
    names: list[str]
    bases: tuple[str, ...] = ()


class Library:
    """The definitions of the modules of a folder, each name there once, in the order of modules and lines."""

    def __init__(self, folder: Path) -> None:
        self.definitions: dict[str, Definition] = {}
        self.imports: dict[str, str] = {}
        for path in sorted(folder.glob("*.py")):
            self._read(path.read_text())

    def _read(self, text: str) -> None:
        for node in ast.parse(text).body:
            source = _with_decorators(text, node)
            if isinstance(node, ast.ClassDef):
                bases = tuple(base.id for base in node.bases if isinstance(base, ast.Name))
                self.definitions[node.name] = Definition(source, names_in_order(node), bases)
            elif isinstance(node, ast.FunctionDef):
                self.definitions[node.name] = Definition(source, names_in_order(node))
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                self._add_imports(node)

    def _add_imports(self, node: ast.Import | ast.ImportFrom) -> None:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(OWN):
            return  # another module of the folder
        for alias in node.names:
            shown = f"{alias.name} as {alias.asname}" if alias.asname else alias.name
            line = (
                f"from {node.module} import {shown}"
                if isinstance(node, ast.ImportFrom)
                else f"import {shown}"
            )
            self.imports[alias.asname or alias.name] = line

    def needed(self, names: Iterable[str]) -> dict[str, str]:
        """Return the sources of the definitions among these names, each with what it needs behind it."""
        found: dict[str, str] = {}
        for name in names:
            self._add(name, found)
        return found

    def _add(self, name: str, found: dict[str, str]) -> None:
        if name in found or name not in self.definitions:
            return
        definition = self.definitions[name]
        for base in definition.bases:
            self._add(base, found)
        found[name] = definition.source
        for other in definition.names:
            self._add(other, found)


def _with_decorators(text: str, node: ast.stmt) -> str:
    """Return the source of a statement; that of a definition begins with its decorators."""
    decorators = "".join(
        f"@{ast.get_source_segment(text, each)}\n" for each in getattr(node, "decorator_list", ())
    )
    return f"{decorators}{ast.get_source_segment(text, node)}"


def names_in_order(tree: ast.AST) -> list[str]:
    """Return the names of the module's scope that a code reads, in its functions and classes too.

    They come in the order of their first places; parameters and local variables are none of them.
    """
    names = _global_names(symtable.symtable(ast.unparse(tree), "code", "exec"))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in names]
    return list(dict.fromkeys(node.id for node in sorted(nodes, key=lambda n: (n.lineno, n.col_offset))))


def _global_names(table: symtable.SymbolTable) -> set[str]:
    in_module = table.get_type() == "module"
    found = {
        symbol.get_name()
        for symbol in table.get_symbols()
        if symbol.is_referenced() and (in_module or symbol.is_global())
    }
    return found.union(*(_global_names(child) for child in table.get_children()))


def import_block(code: str, imports: Mapping[str, str], standard: Sequence[str]) -> str:
    """Return the imports that a code needs, sorted: those of the standard library, then the others.

    `imports` are the lines by the name that each binds; those of one module are joined.
    """
    names = set(names_in_order(ast.parse(code)))
    plain: set[str] = set()
    parts: dict[str, list[str]] = {}
    for name in names & imports.keys():
        line = imports[name]
        if line.startswith("import "):
            plain.add(line)
        else:
            module, _, imported = line.removeprefix("from ").partition(" import ")
            parts.setdefault(module, []).append(imported)
    froms = {module: f"from {module} import {', '.join(sorted(each))}" for module, each in parts.items()}
    blocks = []
    for own in (True, False):
        chosen = sorted(line for line in plain if (_module(line) in standard) is own)
        chosen += [froms[module] for module in sorted(froms) if (module.partition(".")[0] in standard) is own]
        if chosen:
            blocks.append("\n".join(chosen))
    return "\n\n".join(blocks)


def _module(line: str) -> str:
    return line.split()[1].partition(".")[0]
