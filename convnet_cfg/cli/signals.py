"""Ctrl-C and a terminating signal: finish the minibatch, save, leave with 130 or 143."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM)


class StopSignal:
    """Which signal, if any, asked the program to stop."""

    number: int | None = None

    @property
    def exit_code(self) -> int:
        """What a shell expects of a program that a signal ended."""
        return 128 + (self.number or signal.SIGINT)


@contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[StopSignal]:
    """Call `stop` at the first signal; a second one ends the program at once."""
    received = StopSignal()

    def handle(number: int, frame: FrameType | None) -> None:
        received.number = number
        for name, before in previous.items():
            signal.signal(name, before)
        stop()

    previous = {name: signal.signal(name, handle) for name in STOPPING}
    try:
        yield received
    finally:
        for name, before in previous.items():
            signal.signal(name, before)
