"""Starting TensorFlow without its messages about processors and drivers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silenced_stderr() -> Iterator[None]:
    """Send the standard error stream, that of libraries too, to nowhere for a while."""
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def start_tensorflow(verbose: bool) -> None:
    """Import TensorFlow and look for devices; what it says of them is shown only if asked for."""
    if verbose:
        _start()
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with silenced_stderr():
        _start()


def _start() -> None:
    import tensorflow as tf

    tf.config.list_physical_devices()
    tf.zeros(()).numpy()
