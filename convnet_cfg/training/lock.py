"""One program at a time trains in a run directory: a lock of the system, which ends with its program."""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from convnet_cfg.errors import CheckpointError
from convnet_cfg.training.checkpoints import explaining_failure

NAME = ".lock"
# A file system that has no locks has none: training goes on without.
WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


class Lock:
    """The lock of a run directory; the file says who has it, and stays there when nobody does."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._file: IO[str] | None = None

    def __del__(self) -> None:
        self.release()

    def take(self) -> None:
        """Take the lock, which nobody else can take then.

        Raises:
            CheckpointError: another program has it, or its file cannot be written.
        """
        if self._file is not None:
            return
        with explaining_failure(f"cannot lock {self.directory}"):
            self._file = (self.directory / NAME).open("a+", encoding="utf-8")
            self._lock(self._file)
            self._file.truncate(0)
            self._file.write(f"process {os.getpid()} on {platform.node()} since {_now()}\n")
            self._file.flush()

    def release(self) -> None:
        """Give the lock back, if it was taken."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @contextmanager
    def released_on_failure(self) -> Iterator[None]:
        """Give the lock back if what is done under it fails."""
        try:
            yield
        except BaseException:
            self.release()
            raise

    def _lock(self, file: IO[str]) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another program"
            self.release()
            raise CheckpointError(f"{self.directory} is in use: {holder} trains in it") from None
        except OSError as error:
            if error.errno not in WITHOUT_LOCKS:
                raise


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")
