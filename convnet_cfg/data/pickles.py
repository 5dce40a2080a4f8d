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

MAXIMUM_RATIO = 50
"""How many times its size a compressed file may unpack to; weights and images shrink to a fifth at best."""

FREE_BYTES = 64 << 20
"""What a compressed file of any size may unpack to."""

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
    if container == "gzip":
        with gzip.open(path) as stream:
            return _read_limited(path, stream)
    if container == "zip":
        with zipfile.ZipFile(path) as archive, archive.open("data") as stream:
            return _read_limited(path, stream)
    if path.stat().st_size > MAXIMUM_BYTES:
        raise _too_large(path)
    return path.read_bytes()


def _read_limited(path: Path, stream: IO[bytes] | gzip.GzipFile) -> bytes:
    """Read to the end in pieces, so that a small file which unpacks to a huge one stops early."""
    pieces, size = [], 0
    packed = path.stat().st_size
    while piece := stream.read(1 << 24):
        pieces.append(piece)
        size += len(piece)
        if size > MAXIMUM_BYTES:
            raise _too_large(path)
        if size > max(FREE_BYTES, MAXIMUM_RATIO * packed):
            raise DataError(f"{path}: unpacks to more than {MAXIMUM_RATIO} times its {packed:,} bytes")
    return b"".join(pieces)


def _too_large(path: Path) -> DataError:
    return DataError(f"{path}: holds more than {MAXIMUM_BYTES / (1 << 30):g} GiB")
