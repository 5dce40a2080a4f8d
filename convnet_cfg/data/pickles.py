"""Reading pickles without running what is in them: arrays, strings, numbers and containers only.

The bytes come from strangers, so a pickle gets no class or function of Python or numpy in its hands. Every
name that it may ask for is answered by an object of this module which checks what it is given, and arrays
are built here from their parts.
"""

from __future__ import annotations

import gzip
import io
import math
import os
import pickle
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, ClassVar, NoReturn

import numpy as np

from convnet_cfg.errors import DataError

MAXIMUM_BYTES = 4 << 30
"""The largest pickle that is read, in bytes after decompression."""

_DTYPE_CODE = re.compile(r"[biufcSU]\d*")
_READ_ONLY = "only arrays, strings, numbers and containers are read"


class _Refused(Exception):
    """The pickle asks for something that it must not have."""


def load_pickle(
    path: str | os.PathLike[str], stand_ins: Mapping[str, Callable[..., Any]] = MappingProxyType({})
) -> Any:
    """Return what is in a pickle that holds arrays, strings, numbers and containers, and nothing else.

    The file may be compressed with gzip, or be a zip archive with a member `data`. Python 2 strings are read
    as latin-1; OrderedDict comes back as dict. Arrays are of a subclass of ndarray, and an array that the
    pickle holds twice is one object.

    `stand_ins` maps further names, written "module name", to inert classes or functions that are used in
    their place. A class is subclassed for each call, so that a pickle cannot change it for the next one.

    Raises:
        DataError: the file is missing, damaged, too large, or asks for anything else.
    """
    path = Path(path)
    data = _read_bytes(path)
    try:
        return _Reader(data, stand_ins).load()
    except _Refused as error:
        raise DataError(f"{path}: refused: it asks for {error}; {_READ_ONLY}") from None
    except EOFError:
        raise DataError(f"{path}: ends too early, after {len(data)} bytes: copy or make it again") from None
    except MemoryError:
        raise DataError(f"{path}: needs more memory than there is") from None
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise DataError(f"{path}: is not a pickle, or damaged ({reason:.200})") from None


def _read_bytes(path: Path) -> bytes:
    """Return the file's bytes, decompressed."""
    if not path.exists():
        raise DataError(f"{path}: no such file")
    if not path.is_file():
        raise DataError(f"{path}: is not a file")
    try:
        data = _decompressed(path)
    except KeyError:
        raise DataError(f"{path}: is a zip archive without a member 'data'") from None
    except EOFError:
        raise DataError(f"{path}: the compressed data end too early: copy or make it again") from None
    except MemoryError:
        raise DataError(f"{path}: needs more memory than there is") from None
    except (OSError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
    if not data:
        raise DataError(f"{path}: is empty")
    return data


def _decompressed(path: Path) -> bytes:
    with path.open("rb") as file:
        magic = file.read(2)
    if magic == b"\x1f\x8b":
        with gzip.open(path) as stream:
            return _read_limited(path, stream)
    if magic == b"PK":
        with zipfile.ZipFile(path) as archive, archive.open("data") as stream:
            return _read_limited(path, stream)
    if path.stat().st_size > MAXIMUM_BYTES:
        raise _too_large(path)
    return path.read_bytes()


def _read_limited(path: Path, stream: IO[bytes] | gzip.GzipFile) -> bytes:
    """Read to the end in pieces, so that a small file which unpacks to a huge one stops early."""
    pieces, size = [], 0
    while piece := stream.read(1 << 24):
        pieces.append(piece)
        size += len(piece)
        if size > MAXIMUM_BYTES:
            raise _too_large(path)
    return b"".join(pieces)


def _too_large(path: Path) -> DataError:
    return DataError(f"{path}: holds more than {MAXIMUM_BYTES / (1 << 30):g} GiB")


class _Stream(io.BytesIO):
    """Bytes in memory whose end is always an EOFError, never a short answer."""

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if size is not None and len(data) < size:
            raise EOFError
        return data

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if not line.endswith(b"\n"):
            raise EOFError
        return line


class _Dtype:
    """What a pickle says of an array's element type; turned into a real dtype only after a check."""

    def __init__(self, spend: Callable[[int], None], code: object) -> None:
        if not isinstance(code, str) or not _DTYPE_CODE.fullmatch(code):
            raise _Refused(f"numpy.dtype {str(code)[:40]!r}")
        self.real = np.dtype(code)
        self.spend = spend

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, order, *parts = state
        if any(part is not None for part in parts[:3]):
            raise _Refused("numpy.dtype with fields")
        self.real = self.real.newbyteorder(order)


class PickledArray(np.ndarray):
    """An array read from a pickle. `numpy.asarray` makes a plain one of it, without copying."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take shape, element type, memory order and raw bytes, if they agree with each other."""
        _version, shape, dtype, fortran, raw = state
        if not isinstance(dtype, _Dtype):
            raise _Refused("an array without an element type")
        dtype.spend(len(raw))
        if min(shape, default=0) < 0 or math.prod(shape) * dtype.real.itemsize != len(raw):
            raise ValueError(f"shape {shape} and type {dtype.real} do not take {len(raw)} bytes")
        raw = raw.encode("latin-1") if isinstance(raw, str) else raw
        super().__setstate__((1, shape, dtype.real, bool(fortran), raw))  # type: ignore[arg-type]


class _Name:
    """What a pickle gets when it asks for a name: it can be called, and nothing in it can be changed."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *arguments: object) -> object:
        return self._function(*arguments)

    def __setstate__(self, state: object) -> NoReturn:
        raise _Refused("a change to a function")


class _Budget:
    """Counts bytes made from strings of the file, so that a short one cannot use a string many times."""

    def __init__(self, size: int) -> None:
        self._left = size

    def spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise _Refused("more memory than its size explains")


class _Reader(pickle._Unpickler):
    """The unpickler written in Python: its memory of earlier objects is a dict, which cannot be made huge.

    (The one written in C allocates 16 bytes for each number up to the highest that a file mentions.)
    """

    read: Callable[[int], bytes]
    append: Callable[[object], None]
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(pickle._Unpickler.dispatch)
    for _opcode in (pickle.NEXT_BUFFER, pickle.READONLY_BUFFER, pickle.PERSID, pickle.BINPERSID):
        del dispatch[_opcode[0]]

    def __init__(self, data: bytes, stand_ins: Mapping[str, Callable[..., Any]]) -> None:
        super().__init__(_Stream(data), encoding="latin-1")
        names = _names(_Budget(2 * len(data) + (1 << 20)).spend) | dict(stand_ins)
        self._names = {name: _protected(what) for name, what in names.items()}

    def find_class(self, module: str, name: str) -> Any:
        found = self._names.get(f"{module} {name}")
        if found is None:
            raise _Refused(f"{module}.{name}"[:200])
        return found

    def load_bytearray8(self) -> None:
        """Read a bytearray without trusting the length that stands before it."""
        size = int.from_bytes(self.read(8), "little")
        self.append(self.read(min(size, MAXIMUM_BYTES)))

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8


def _protected(what: Callable[..., Any]) -> Any:
    return type(what.__name__, (what,), {}) if isinstance(what, type) else _Name(what)


def _names(spend: Callable[[int], None]) -> dict[str, Callable[..., object]]:
    """Return everything that a data file may ask for, with what is used in its place."""

    def ndarray(*_: object) -> NoReturn:
        raise _Refused("numpy.ndarray with a size")

    def reconstruct(*_: object) -> PickledArray:
        return PickledArray((0,), np.uint8)

    def from_buffer(raw: bytes | str, dtype: _Dtype, shape: tuple[int, ...], order: str) -> PickledArray:
        array = reconstruct()
        array.__setstate__((1, shape, dtype, order == "F", raw))
        return array

    def scalar(dtype: _Dtype, raw: bytes | str) -> object:
        return from_buffer(raw, dtype, (), "C")[()]

    def encode(text: str, encoding: str) -> bytes:
        if encoding not in ("latin1", "latin-1"):
            raise _Refused(f"_codecs.encode to {encoding!r:.40}")
        spend(len(text))
        return text.encode("latin-1")

    def dtype(code: object, *_: object) -> _Dtype:
        return _Dtype(spend, code)

    def ordered(items: Iterable[tuple[Any, Any]] = ()) -> dict[Any, Any]:
        return dict(items)

    names: dict[str, Callable[..., object]] = {
        "numpy ndarray": ndarray,
        "numpy dtype": dtype,
        "_codecs encode": encode,
        "collections OrderedDict": ordered,
        "ordereddict OrderedDict": ordered,
    }
    for package in ("numpy.core", "numpy._core"):
        names[f"{package}.multiarray _reconstruct"] = reconstruct
        names[f"{package}.multiarray scalar"] = scalar
        names[f"{package}.numeric _frombuffer"] = from_buffer
    return names
