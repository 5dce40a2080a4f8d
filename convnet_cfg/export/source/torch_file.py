"""The file of a PyTorch program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from convnet_cfg.errors import ConfigError
from convnet_cfg.export.source.frame import Frame
from convnet_cfg.export.source.pasting import Library, import_block
from convnet_cfg.export.source.text import INDENT, WIDTH
from convnet_cfg.export.source.torch_class import (
    class_name,
    network_class,
    objective_function,
    objective_names,
    outputs_name,
)
from convnet_cfg.export.source.torch_costs import objective_terms
from convnet_cfg.export.source.torch_optimizer import functions
from convnet_cfg.export.source.torch_program import Program
from convnet_cfg.export.source.torch_steps import go_through
from convnet_cfg.export.source.torch_text import docstring
from convnet_cfg.export.source.torch_training import training

LIBRARY = Library(Path(__file__).parent / "torch_modules")
STANDARD = ("itertools", "math")


def torch_source(frame: Frame, title: str, decay: str) -> str:
    """Return the text of a PyTorch program that is this network.

    `decay` is the kind of weight decay of layers that name none.

    Raises:
        ConfigError: something in the network cannot be said in PyTorch; all of it is named.
    """
    program = Program(frame)
    go_through(program)
    costs = [cost for cost in frame.costs if cost.coefficient]
    terms = objective_terms(program, costs, objective_names(program))
    made = training(program, decay) if frame.network.has_params else None
    if program.problems:
        raise ConfigError(program.problems)
    blocks = [
        network_class(program, title),
        *([objective_function(program, terms)] if terms else []),
        *(functions(program, made) if made and made.settings else []),
    ]
    parts = LIBRARY.needed(sorted(program.used))
    code = "\n\n\n".join([*_constants(program), *parts.values(), *("\n".join(block) for block in blocks)])
    head = "\n".join(docstring("...", ""))
    imports = import_block(code, LIBRARY.imports, STANDARD)
    return f"{head}\n\n{imports}\n\n\n{code}\n"


def _constants(program: Program) -> Iterator[str]:
    """Yield long lists of numbers, with many numbers in a line."""
    for name, numbers in program.constants.items():
        yield "\n".join(["# fmt: off", f"{name} = [", *_rows(numbers), "]", "# fmt: on"])


def _rows(numbers: Sequence[int]) -> Iterator[str]:
    row = INDENT
    for number in numbers:
        if len(row) + len(f"{number}, ") > WIDTH:
            yield row.rstrip()
            row = INDENT
        row += f"{number}, "
    yield row.rstrip()
