"""Refusing a checkpoint for all that is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence

from convnet_cfg.errors import CheckpointError, printable, shorten

MAX_PROBLEMS = 50  # that are listed of a file in which everything is wrong


def refuse(problems: Sequence[str], what: str) -> None:
    """Raise CheckpointError with all problems below a line that says `what` cannot be, if there are any."""
    if not problems:
        return
    more = len(problems) - MAX_PROBLEMS
    shown = [printable(shorten(problem, 300)) for problem in problems[:MAX_PROBLEMS]]
    lines = [*shown, *([f"and {more} more"] if more > 0 else [])]
    raise CheckpointError("\n  ".join([f"{what}:", *lines]))
