"""What can be wrong with a user's input: errors that say where, what, and what was expected."""

from __future__ import annotations

import difflib
import enum
import shlex
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

MAX_WORD = 100  # characters, of a word that is worth a suggestion
MAX_MESSAGE = 800  # characters that are printed


class Place(NamedTuple):
    """A position in a text file; lines and columns count from 1."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class ConvnetError(Exception):
    """Something the user can put right; shown as one message without a traceback."""

    exit_code = 1


class UsageError(ConvnetError):
    """The command line asks for something that is not there or does not fit together."""

    exit_code = 2


class Severity(enum.Enum):
    """How much a problem in a file matters.

    `SUSPECT` is an error unless the reader is lenient; what is reported in the end is one of the others.
    """

    NOTE = "note"
    WARNING = "warning"
    SUSPECT = "suspect"
    ERROR = "error"


class Problem(NamedTuple):
    """One remark on a configuration file; `str` gives it as `file:line:column: [section] message`.

    `ignored`: it is about a key that counts for nothing unless the problem is an error.
    """

    place: Place
    section: str | None
    message: str
    severity: Severity = Severity.ERROR
    ignored: bool = False

    def __str__(self) -> str:
        section = f"[{shorten(self.section)}] " if self.section is not None else ""
        return f"{self.place}: {printable(section + shorten(self.message, MAX_MESSAGE))}"

    @property
    def line(self) -> str:
        """The problem as it is printed; what is no error says so first."""
        kind = self.severity.value
        return str(self) if self.severity is Severity.ERROR else f"{kind}: {self}"


class ConfigError(ConvnetError):
    """The problems found in the configuration files, warnings among them, in the order of their places."""

    exit_code = 3

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problem.line for problem in self.problems))


class DataError(ConvnetError):
    """Training or test data are missing, damaged, or do not fit the network."""

    exit_code = 4


class DivergedError(ConvnetError):
    """A cost became NaN or infinite."""

    exit_code = 5


class CheckpointError(ConvnetError):
    """A checkpoint cannot be read, written, or does not fit the network."""

    exit_code = 6


class ExportError(ConvnetError):
    """A trained network cannot be written for another program, or computes something else there."""

    exit_code = 6


def suggest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word nearest to `word`, ignoring case, or None if none is near."""
    by_lower = {name.lower(): name for name in known}
    nearest = _nearest(word.lower(), tuple(by_lower))
    return by_lower[nearest] if nearest is not None else None


@lru_cache(maxsize=256)  # who guesses the sizes of data comes to the same words again and again
def _nearest(word: str, known: Sequence[str]) -> str | None:
    nearest = difflib.get_close_matches(word, known, n=1, cutoff=0.7) if len(word) <= MAX_WORD else []
    return nearest[0] if nearest else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return " (did you mean 'x'?)", or "" if nothing is near."""
    nearest = suggest(word, known)
    return f" (did you mean {nearest!r}?)" if nearest else ""


def shorten(text: str, width: int = 60) -> str:
    """Return the text, its middle left out where it is longer than `width`."""
    return text if len(text) <= width else f"{text[: width // 2]}...{text[-width // 4 :]}"


def printable(text: str) -> str:
    """Return the text with what a terminal would not show, or obey, written as in a Python string."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def shell_word(path: object) -> str:
    """Return a path as it is typed in a command, on one line."""
    return printable(shlex.quote(str(path)))


def join_words(words: Sequence[str], last: str = "or") -> str:
    """Return "a, b or c"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"
