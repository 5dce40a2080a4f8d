"""What is in a checkpoint of cuda-convnet, as frozen values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np


@dataclass(frozen=True, eq=False)
class Array:
    """A matrix as it is in the file, which cannot be written to (spec/checkpoints.md section 5.3).

    Two layers that share a matrix hold the same object.
    """

    data: np.ndarray

    @property
    def order(self) -> str:
        """How the values lie in memory: "C", "Fortran", or "either" where that makes no difference."""
        flags = self.data.flags
        if flags.c_contiguous and flags.f_contiguous:
            return "either"
        return "C" if flags.c_contiguous else "Fortran"


@dataclass(frozen=True)
class Expression:
    """An expression that the original evaluated; here it is text."""

    text: str


@dataclass(frozen=True)
class OptionParser:
    """How the original read an option's text: the name of a class, and of those for the items of a list."""

    name: str
    items: tuple[str, ...] = ()
    separator: str | None = None

    def __str__(self) -> str:
        return f"{self.name} of {' or '.join(self.items)}" if self.items else self.name


Value: TypeAlias = (
    "None | bool | int | float | str | Array | Expression | OptionParser"
    " | tuple[Value, ...] | Mapping[str, Value]"
)
"""A value of a field. Lists and tuples of the file are tuples, references to a layer are its name."""


@dataclass(frozen=True)
class Option:
    """An option of the command line that the run was started with (spec/checkpoints.md section 3.2).

    `others` are the attributes that a fork added.
    """

    name: str
    letter: str
    description: str
    parser: OptionParser
    default: Value
    value: Value
    given: bool
    set_once: bool
    saved: bool
    excuses: Value
    requires: Value
    prefixed_letter: str
    others: Mapping[str, Value]


@dataclass(frozen=True)
class Outputs:
    """One entry of a history: the values of each cost for so many cases."""

    costs: Mapping[str, tuple[float, ...]]
    cases: int


@dataclass(frozen=True)
class Layer:
    """One layer: everything the file says of it by the file's own names (spec/checkpoints.md section 5)."""

    name: str
    type: str
    inputs: tuple[str, ...]
    values: Mapping[str, Value]

    @property
    def arrays(self) -> Mapping[str, Array]:
        """The layer's arrays: `biases`, and of a list each by its number, as `weights[0]`."""
        return dict(self._arrays())

    def _arrays(self) -> Iterator[tuple[str, Array]]:
        for name, value in self.values.items():
            if isinstance(value, Array):
                yield name, value
            elif isinstance(value, tuple):
                for number, item in enumerate(value):
                    if isinstance(item, Array):
                        yield f"{name}[{number}]", item


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint of cuda-convnet.

    `container` is "plain", "gzip" or "zip"; `program` "v1", "v1+dropout" or "v2". Layers are in the net's
    order, options and histories (`train_outputs`, `test_outputs`, in forks more) by their names. The values
    of a history are means over the cases if `outputs_are_means`, else sums. `others` is what forks added.
    """

    path: Path
    container: str
    program: str
    epoch: int
    batch: int
    layers: tuple[Layer, ...]
    options: Mapping[str, Option]
    histories: Mapping[str, tuple[Outputs, ...]]
    others: Mapping[str, Value]

    @property
    def outputs_are_means(self) -> bool:
        """Whether histories hold means over the cases, as in v1, rather than sums."""
        return self.program != "v2"
