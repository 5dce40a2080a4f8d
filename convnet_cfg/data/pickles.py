"""Pickles of strangers, as files: plain, or compressed and perhaps made to fill the memory."""

from __future__ import annotations

import gzip
import os
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

from convnet_cfg.data.unpickling import MAXIMUM_BYTES, Reader, Refused
from convnet_cfg.errors import DataError

MAXIMUM_RATIO = 20
"""How many times its size a compressed file may unpack to; weights and images shrink to a fifth at best."""

FREE_BYTES = 64 << 20
"""What a compressed file of any size may unpack to."""

_PIECE = 1 << 22
_READ_ONLY = "only arrays, strings, numbers and containers are read"


def load_pickle(path: str | os.PathLike[str], classes: Collection[str] = ()) -> Any:
    """Return what is in a pickle that holds arrays, strings, numbers and containers, and nothing else.

    The file may be compressed with gzip, or be a zip archive with a member `data`. Python 2 strings are read
    as latin-1; OrderedDict comes back as dict. Arrays are of a subclass of ndarray, and an array that the
    pickle holds twice is one object.

    `classes` are further names, written "module name", that it may mention: each is read as a `PickledClass`,
    and an object of it as a `PickledObject`. Keys of dictionaries are strings, numbers or None.

    Raises:
        DataError: the file is missing, damaged, too large, or asks for anything else.
    """
    path = Path(path)
    data = _read_bytes(path)
    try:
        return Reader(data, classes).load()
    except Refused as error:
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


def container_of(path: Path) -> str:
    """Return how a file is stored, by its first two bytes: "gzip", "zip" or "plain".

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return {b"\x1f\x8b": "gzip", b"PK": "zip"}.get(file.read(2), "plain")


def _decompressed(path: Path) -> bytes:
    container = container_of(path)
    with path.open("rb") as file:
        if container == "gzip":
            with gzip.GzipFile(fileobj=file) as stream:
                return _read_limited(path, stream, file)
        if container == "zip":
            with zipfile.ZipFile(file) as archive:
                return _read_member(path, archive, file)
        if path.stat().st_size > MAXIMUM_BYTES:
            raise _too_large(path)
        return file.read()


def _read_member(path: Path, archive: zipfile.ZipFile, file: IO[bytes]) -> bytes:
    """Read the member `data`; Python unpacks other methods than deflate without a limit."""
    member = archive.getinfo("data")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(
            f"{path}: is a zip archive not compressed with deflate, but method {member.compress_type}"
        )
    with archive.open(member) as stream:
        return _read_limited(path, stream, file)


def _read_limited(path: Path, stream: IO[bytes] | gzip.GzipFile, file: IO[bytes]) -> bytes:
    """Read to the end in pieces, so that a part of `file` which unpacks to a huge one stops early."""
    pieces, size = [], 0
    while piece := stream.read(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > MAXIMUM_BYTES:
            raise _too_large(path)
        if size > max(FREE_BYTES, MAXIMUM_RATIO * file.tell()):
            raise DataError(f"{path}: unpacks to more than {MAXIMUM_RATIO} times its size")
    return b"".join(pieces)


def _too_large(path: Path) -> DataError:
    return DataError(f"{path}: holds more than {MAXIMUM_BYTES / (1 << 30):g} GiB")
