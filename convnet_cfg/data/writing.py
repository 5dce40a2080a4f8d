"""Writing data files: as a whole or not at all, and pickles as Python 2 wrote them."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np

from convnet_cfg.data.unpickling import PickledClass, PickledObject
from convnet_cfg.errors import DataError

# One name for all, so that what a killed program left behind is overwritten by the next.
TEMPORARY = ".writing"
_RECONSTRUCT = np.empty(0).__reduce__()[0]
_save_other_text: Callable[[Any, Any], None] = pickle._Pickler.dispatch[str]


@contextmanager
def explaining_failure(what: str) -> Iterator[None]:
    """Turn the failure of a file operation into a DataError: what could not be done, and why."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{what}: {error.strerror or error}") from None


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file, which appears under its name only when all of it is on the disk.

    Raises:
        OSError: it cannot be written; what was there before still is, and nothing else.
    """
    with whole_file(path) as temporary, temporary.open("wb") as file:
        write(file)


@contextmanager
def whole_file(path: Path, temporary_name: str = TEMPORARY) -> Iterator[Path]:
    """Give a path beside `path` to write a file at, which takes its name at the end.

    A link stays, and what it points to is made or replaced. Who shares the folder with others that write
    files needs a temporary name of its own.

    Raises:
        OSError: it cannot be written; what was there before still is, and nothing else.
    """
    path = path.resolve()
    temporary = path.with_name(temporary_name)
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
        _sync(path.parent)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


@contextmanager
def whole_folder(path: Path, *, replace: bool = True) -> Iterator[Path]:
    """Give an empty folder to write in, which takes its name at the end, and with `replace` a folder's place.

    A link stays, and what it points to is made or replaced. Files are never replaced.

    Raises:
        OSError: it cannot be made; what was there before still is, and nothing else.
    """
    path = path.resolve()
    temporary, old = (
        path.with_name(f"{TEMPORARY}-{path.name}"),
        path.with_name(f"{TEMPORARY}-old-{path.name}"),
    )
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        for folder, _, names in os.walk(temporary):
            for name in names:
                _sync(Path(folder) / name)
            _sync(Path(folder))
        if path.exists():
            _check_replaceable(path, replace)
            os.replace(path, old)
        os.replace(temporary, path)
        _sync(path.parent)
    except BaseException:
        if old.exists() and not path.exists():
            os.replace(old, path)
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)


def _check_replaceable(path: Path, replace: bool) -> None:
    error = errno.ENOTDIR if not path.is_dir() else None if replace else errno.EEXIST
    if error is not None:
        raise OSError(error, os.strerror(error))


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_pickle(path: Path, content: object) -> None:
    """Write a pickle of dictionaries, lists, tuples, numbers, arrays and strings that cuda-convnet2 can read.

    Bytes, and text in ASCII, become strings of Python 2; they take no more room than they have bytes.

    Raises:
        DataError: it cannot be written.
    """
    with explaining_failure(f"cannot write {path}"):
        write_whole(path, lambda file: Pickler(file).dump(content))


class Pickler(pickle._Pickler):
    """The pickler written in Python, with strings, names of numpy and old-style classes as in Python 2.

    It also writes what `unpickling.Reader` returns for classes and their objects. What is one object is one
    in the file too.
    """

    write: Callable[[bytes], None]
    memoize: Callable[[object], None]
    save: Callable[[object], None]
    dispatch: ClassVar[dict[type, Callable[[Any, Any], None]]] = dict(pickle._Pickler.dispatch)

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, protocol=2)

    def save_bytes(self, data: bytes) -> None:
        """Write bytes as a string of Python 2."""
        self._save_string(data, data)

    def save_str(self, text: str) -> None:
        """Write text in ASCII as a string of Python 2, other text as one of Unicode."""
        if text.isascii():
            self._save_string(text, text.encode("ascii"))
        else:
            _save_other_text(self, text)

    def save_class(self, cls: PickledClass) -> None:
        """Write the name of a class."""
        self.write(pickle.GLOBAL + f"{cls.module}\n{cls.name}\n".encode("ascii"))
        self.memoize(cls)

    def save_object(self, what: PickledObject) -> None:
        """Write an object of an old-style class, with its attributes."""
        self.write(pickle.MARK)
        self.save(what.cls)
        self.write(pickle.OBJ)
        self.memoize(what)
        self.save(what.attributes)
        self.write(pickle.BUILD)

    dispatch[bytes] = save_bytes
    dispatch[str] = save_str
    dispatch[PickledClass] = save_class
    dispatch[PickledObject] = save_object

    def _save_string(self, what: object, data: bytes) -> None:
        if len(data) < 256:
            self.write(pickle.SHORT_BINSTRING + bytes([len(data)]) + data)
        else:
            self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        self.memoize(what)

    def save_global(self, obj: object, name: str | None = None) -> None:
        """Write the name of a function or class of numpy, as numpy 1 had it."""
        if obj is _RECONSTRUCT:
            self.write(pickle.GLOBAL + b"numpy.core.multiarray\n_reconstruct\n")
            self.memoize(obj)
        else:
            super().save_global(obj, name)  # type: ignore[misc]
