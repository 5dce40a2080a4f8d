"""How one value is read, and the words for what was expected (spec: grammar.md section 4)."""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from convnet_cfg.errors import did_you_mean, join_words, shorten


class Kind(NamedTuple):
    """How one value is read, and the words that complete "sizeX must be ..."."""

    convert: Callable[[str], Any]
    expected: str
    plural: str = ""
    words: tuple[str, ...] = ()  # all that it may be, where they can be listed


class Syntax(enum.Enum):
    """A kind of value that each program wrote in its own way: its dialect has the `Kind`."""

    NEURON = "neuron"
    REQUIRED_NEURON = "required neuron"
    RATE = "learning rate"


BIAS = -1  # the number of the bias among the matrices of a layer


class SourceRef(NamedTuple):
    """A `weightSource` item: the layer that owns the matrix, and which of its matrices."""

    layer: str
    number: int

    @property
    def words(self) -> str:
        """What the item stands for: "conv1[0]", "bias of conv1"."""
        return f"bias of {self.layer}" if self.number == BIAS else f"{self.layer}[{self.number}]"


class FunctionCall(NamedTuple):
    """An `initWFunc`: a function of a module outside, with its parameters as text."""

    module: str
    function: str
    arguments: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name that `--allow-init-func` has to give."""
        return f"{self.module}.{self.function}"


FLAGS = {
    "1": True,
    "yes": True,
    "true": True,
    "on": True,
    "0": False,
    "no": False,
    "false": False,
    "off": False,
}
SPARSE_FLAGS = {"1": True, "true": True, "0": False, "false": False, "": False}
MAX_DIGITS = 18


def read_integer(text: str) -> int:
    """Python 2's int(): sign and digits; `1.0`, `1e3` and `0x10` are none."""
    if not re.fullmatch(r"\s*[+-]?[0-9]+\s*", text, re.ASCII):
        raise ValueError(text)
    if len(text.strip()) > MAX_DIGITS:
        raise OverflowError("too many digits")
    return int(text)


def read_number(text: str) -> float:
    """Python 2's float(), so no underscores; infinities and NaN train nothing and are refused."""
    if "_" in text or not text.isascii() or math.isnan(value := float(text)):
        raise ValueError(text)
    if math.isinf(value):
        raise OverflowError("too large")
    return value


def read_positive(text: str) -> float:
    """Return a number above zero."""
    if (number := read_number(text)) <= 0:
        raise ValueError(text)
    return number


def read_range(text: str) -> range:
    """Return the batch numbers that `a-b` or `a` stands for."""
    match = re.fullmatch(r"(?P<first>[0-9]{1,9})(?:-(?P<last>[0-9]{1,9}))?", text)
    if match is None or int(match["last"] or match["first"]) < int(match["first"]):
        raise ValueError(text)
    return range(int(match["first"]), int(match["last"] or match["first"]) + 1)


def read_flag(text: str) -> bool:
    """Return a truth value in one of the INI spellings."""
    return _look_up(FLAGS, text.lower())


def read_sparse_flag(text: str) -> bool:
    """Return a `randSparse` item; the original took every word but `true` and `1` for false."""
    return _look_up(SPARSE_FLAGS, text.lower())


def read_source(text: str) -> SourceRef | None:
    """Return a `weightSource` item: `name`, `name[index]` or nothing."""
    if not text:
        return None
    match = re.fullmatch(r"(?P<layer>[^\s\[]+)(?:\[(?P<index>[0-9]{1,9})\])?", text)
    if match is None:
        raise ValueError(text)
    return SourceRef(match["layer"], int(match["index"] or 0))


def read_function(text: str) -> FunctionCall | None:
    """Return `module.function` or `module.function(a,b)`; nothing for an empty value."""
    if not text:
        return None
    match = re.fullmatch(
        r"(?P<module>[^\s.()]+)\.(?P<function>[^\s.()]+)(?:\((?P<arguments>[^()]+)\))?", text
    )
    without_argument = match and match["arguments"] is not None and "" in match["arguments"].split(",")
    if match is None or without_argument or not text.isprintable():
        raise ValueError(text)
    arguments = tuple(match["arguments"].split(",")) if match["arguments"] else ()
    return FunctionCall(match["module"], match["function"], arguments)


def _look_up(table: dict[str, bool], word: str) -> bool:
    if word not in table:
        raise ValueError(word)
    return table[word]


def at_least(minimum: int) -> Kind:
    """Return the kind of integers from `minimum` on."""
    return in_range(minimum, None)


def in_range(minimum: int, maximum: int | None) -> Kind:
    """Return the kind of integers from `minimum` to `maximum`."""

    def convert(text: str) -> int:
        value = read_integer(text)
        if value < minimum or (maximum is not None and value > maximum):
            raise ValueError(text)
        return value

    limits = f">= {minimum}" if maximum is None else f"from {minimum} to {maximum}"
    return Kind(convert, f"an integer {limits}", f"integers {limits}")


def number_between(minimum: float, maximum: float) -> Kind:
    """Return the kind of numbers from `minimum` to `maximum`."""

    def convert(text: str) -> float:
        value = read_number(text)
        if not minimum <= value <= maximum:
            raise ValueError(text)
        return value

    return Kind(convert, f"a number from {minimum:g} to {maximum:g}")


def one_of(*words: Any, convert: Callable[[str], Any] = str) -> Kind:
    """Return the kind of the given words (or numbers), in exactly this spelling."""

    def read(text: str) -> Any:
        value = convert(text)
        if value not in words:
            raise ValueError(text)
        return value

    spelled = tuple(map(str, words))
    return Kind(read, join_words(spelled), words=spelled)


INTEGER = Kind(read_integer, "an integer", "integers")
NUMBER = Kind(read_number, "a number", "numbers")
POSITIVE = Kind(read_positive, "a number > 0")
BATCHES = Kind(read_range, "a range of batches such as 1-5 or 6")
FLAG = Kind(read_flag, join_words(list(FLAGS)), words=tuple(FLAGS))
SPARSE = Kind(read_sparse_flag, "true or 1, false or 0", "true or 1, false or 0")
NAME = Kind(str, "a name", "names")
SOURCE = Kind(read_source, "a layer or layer[matrix number]", "layers or layer[matrix number]")
FUNCTION = Kind(read_function, "module.function or module.function(a,b) (no dot in module)")


def read_value(kind: Kind, name: str, text: str) -> Any:
    """Return the value of a text, or raise ValueError with the message for the user."""
    try:
        return kind.convert(text)
    except (ValueError, OverflowError) as error:
        if isinstance(error, ExplainedError):
            raise
        hint = did_you_mean(text, kind.words) or _excess(error)
        raise ExplainedError(f"{name} must be {kind.expected}, got {shorten(text)!r}{hint}") from None


def read_list(kind: Kind, name: str, text: str) -> tuple[Any, ...]:
    """Return the values of a comma-separated text, or raise ValueError with the message for the user."""
    values = []
    items = [item.strip() for item in text.split(",")]
    for number, item in enumerate(items, start=1):
        try:
            values.append(kind.convert(item))
        except (ValueError, OverflowError) as error:
            which = f" (value {number} of {len(items)})" if len(items) > 1 else ""
            if isinstance(error, ExplainedError):
                raise ExplainedError(f"{error}{which}") from None
            expected = kind.expected if len(items) == 1 else as_list(kind)
            raise ExplainedError(
                f"{name} must be {expected}, got {shorten(item)!r}{_excess(error)}{which}"
            ) from None
    return tuple(values)


def as_list(kind: Kind) -> str:
    """Return the words for a list of values."""
    return f"a list of {kind.plural or kind.expected}"


def _excess(error: Exception) -> str:
    return f" ({error})" if isinstance(error, OverflowError) else ""


class ExplainedError(ValueError):
    """A ValueError whose text is the whole message for the user."""
