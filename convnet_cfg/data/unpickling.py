"""Reading pickles without running what is in them: arrays, strings, numbers and containers only.

The bytes come from strangers, so a pickle gets no class or function of Python or numpy in its hands. Every
name that it may ask for is answered by an object of this module which checks what it is given, and arrays
are built here from their parts. Only the instructions listed here are followed, and what they take is
counted.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, ClassVar, NoReturn

import numpy as np

MAXIMUM_BYTES = 4 << 30
"""The largest pickle that is read, in bytes after decompression."""

MAXIMUM_MARKS = 200
"""How deep tuples, lists and dictionaries may stand in each other, about."""

MAXIMUM_STEPS = 12_000_000
"""What a pickle may take to build; an instruction counts 1, one that takes memory `_COSTLY` times as much."""

_COSTLY = 6
_DTYPE_CODE = re.compile(r"[biufcSU]\d{,9}")


class Refused(Exception):
    """The pickle asks for something that it must not have."""


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
            raise Refused(f"numpy.dtype {_briefly(code)}")
        self.real = np.dtype(code)
        self.spend = spend

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, order, *parts = state
        if any(part is not None for part in parts[:3]):
            raise Refused("numpy.dtype with fields")
        if order not in ("<", ">", "=", "|"):
            raise Refused(f"the byte order {_briefly(order)}")
        self.real = self.real.newbyteorder(order)


def _briefly(value: object) -> str:
    """Return a text as it is written, and of anything else its type: what is large stays unwritten."""
    return repr(value[:40]) if isinstance(value, str) else f"of a {type(value).__name__}"


class PickledArray(np.ndarray):
    """An array read from a pickle. `numpy.asarray` makes a plain one of it, without copying."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take shape, element type, memory order and raw bytes, if they agree with each other."""
        _version, shape, dtype, fortran, raw = state
        if not isinstance(dtype, _Dtype) or not isinstance(raw, bytes | str):
            raise Refused("an array without an element type, or without bytes")
        dtype.spend(len(raw))
        _check_shape(shape, dtype.real, len(raw))
        raw = raw.encode("latin-1") if isinstance(raw, str) else raw
        super().__setstate__((1, shape, dtype.real, bool(fortran), raw))  # type: ignore[arg-type]


def _check_shape(shape: object, dtype: np.dtype[Any], size: int) -> None:
    """Raise an error unless an array of that shape takes exactly so many bytes."""
    if not isinstance(shape, tuple) or len(shape) > 32 or not all(type(n) is int for n in shape):
        raise Refused("an array whose shape is not a few integers")
    if not all(abs(n) < 1 << 62 for n in shape) or not dtype.itemsize:
        raise Refused("an array without end")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size:
        raise ValueError(f"shape {shape} and type {dtype} do not take {size} bytes")


@dataclass(frozen=True)
class PickledClass:
    """A class that a pickle mentions: its module and name, and nothing behind them."""

    module: str
    name: str

    def __call__(self, *arguments: object) -> PickledObject:
        """Return an empty object of the class."""
        if arguments:
            raise Refused(f"a call of {self.module}.{self.name}")
        return PickledObject(self)


@dataclass(frozen=True, eq=False)
class PickledObject:
    """An object of a class that is not there: its attributes by name, as the pickle has them."""

    cls: PickledClass
    attributes: dict[str, Any] = field(default_factory=dict)

    def __setstate__(self, state: object) -> None:
        if type(state) is not dict or not all(type(name) in (str, bytes) for name in state):
            raise Refused(f"an object of {self.cls.name} without named attributes")
        # Python 3 writes the names as bytes if it read them as such.
        self.attributes.update(
            {
                name.decode("latin-1") if isinstance(name, bytes) else name: each
                for name, each in state.items()
            }
        )


class _Name:
    """What a pickle gets when it asks for a name: it can be called, and nothing in it can be changed."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *arguments: object) -> object:
        return self._function(*arguments)


class _Budget:
    """Counts bytes made from strings of the file, so that a short one cannot use a string many times."""

    def __init__(self, size: int) -> None:
        self._left = size

    def spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise Refused("more memory than its size explains")


_INSTRUCTIONS = {
    code[0]: name
    for name, code in vars(pickle).items()
    if name.isupper() and type(code) is bytes and len(code) == 1
}
_FOLLOWED = (
    *("PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "GLOBAL", "STACK_GLOBAL"),
    *("REDUCE", "BUILD", "INST", "OBJ", "NEWOBJ", "NONE", "NEWTRUE", "NEWFALSE"),
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("EMPTY_LIST", "LIST", "APPEND", "APPENDS", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
    *("EMPTY_DICT", "DICT", "SETITEM", "SETITEMS"),
    *("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET"),
)
_TAKE_MEMORY = re.compile("MARK|OBJ|INST|NEWOBJ|REDUCE|.*(PUT|MEMOIZE|LIST|DICT|TUPLE.?|LONG.?)")


class _Instructions:
    """The instructions that are followed, each counted when it is looked up."""

    def __init__(self, handlers: dict[int, Callable[[Any], None]]) -> None:
        self._left = MAXIMUM_STEPS
        self._known = {
            code: (_COSTLY if _TAKE_MEMORY.fullmatch(name) else 1, handlers[code])
            for code, name in _INSTRUCTIONS.items()
            if name in _FOLLOWED
        }

    def __getitem__(self, code: int) -> Callable[[Any], None]:
        if code not in _INSTRUCTIONS:
            raise ValueError(f"no instruction has the number {code}")
        if code not in self._known:
            raise Refused(f"the pickle instruction {_INSTRUCTIONS[code]}")
        cost, handler = self._known[code]
        self._left -= cost
        if self._left < 0:
            raise Refused("more steps than any data take")
        return handler


class Reader(pickle._Unpickler):
    """The unpickler written in Python: its memory of earlier objects is a dict, which cannot be made huge.

    (The one written in C allocates 16 bytes for each number up to the highest that a file mentions.)
    """

    read: Callable[[int], bytes]
    append: Callable[[object], None]
    pop_mark: Callable[[], list[Any]]
    stack: list[Any]
    metastack: list[Any]
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(pickle._Unpickler.dispatch)

    def __init__(self, data: bytes, classes: Collection[str]) -> None:
        super().__init__(_Stream(data), encoding="latin-1")
        self.dispatch = _Instructions(type(self).dispatch)  # type: ignore[assignment,misc]
        self._spend = _Budget(2 * len(data) + (1 << 20)).spend
        functions = _functions(self._spend)
        self._names: dict[str, object] = {name: _Name(function) for name, function in functions.items()}
        self._names |= {name: PickledClass(*name.split()) for name in classes}

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name."""
        found = self._names.get(f"{module} {name}")
        if found is None:
            raise Refused(f"{module}.{name}"[:200])
        return found

    def load_bytearray8(self) -> None:
        """Read a bytearray without trusting the length that stands before it."""
        size = int.from_bytes(self.read(8), "little")
        self.append(self.read(min(size, MAXIMUM_BYTES)))

    def load_mark(self) -> None:
        """Begin the items of a tuple, list or dictionary."""
        if len(self.metastack) >= MAXIMUM_MARKS:
            raise Refused(f"more than {MAXIMUM_MARKS} levels of nesting")
        super().load_mark()  # type: ignore[misc]

    def load_reduce(self) -> None:
        """Call what stands for a function."""
        arguments = self.stack.pop()
        self.stack[-1] = self._called(self.stack[-1], arguments)

    def load_newobj(self) -> None:
        """Make an object of a class, in the newer way."""
        arguments = self.stack.pop()
        self.stack[-1] = self._called(self.stack[-1], arguments)

    def _instantiate(self, what: object, arguments: list[Any]) -> None:
        """Make an object of a class, in the older ways."""
        self.append(self._called(what, arguments))

    def _called(self, what: object, arguments: Any) -> object:
        if not isinstance(what, _Name | PickledClass):
            raise Refused(f"a call of a {type(what).__name__}")
        self._spend(len(arguments))
        return what(*arguments)

    def load_build(self) -> None:
        """Give an object its state."""
        state = self.stack.pop()
        if not isinstance(self.stack[-1], _Dtype | PickledArray | PickledObject):
            raise Refused(f"a change to a {_KINDS.get(type(self.stack[-1]), type(self.stack[-1]).__name__)}")
        self._spend(len(state))
        self.stack[-1].__setstate__(state)

    def load_dict(self) -> None:
        """Make a dictionary of the items since the mark."""
        items = self.pop_mark()  # which changes where things are appended
        self.append(_put({}, items))

    def load_setitem(self) -> None:
        """Put one item into a dictionary."""
        value, key = self.stack.pop(), self.stack.pop()
        _put(self.stack[-1], [key, value])

    def load_setitems(self) -> None:
        """Put the items since the mark into a dictionary."""
        items = self.pop_mark()
        _put(self.stack[-1], items)

    def load_append(self) -> None:
        """Put one item at the end of a list."""
        value = self.stack.pop()
        _extend(self.stack[-1], [value])

    def load_appends(self) -> None:
        """Put the items since the mark at the end of a list."""
        items = self.pop_mark()
        _extend(self.stack[-1], items)

    dispatch |= {
        pickle.BYTEARRAY8[0]: load_bytearray8,
        pickle.MARK[0]: load_mark,
        pickle.REDUCE[0]: load_reduce,
        pickle.NEWOBJ[0]: load_newobj,
        pickle.BUILD[0]: load_build,
        pickle.DICT[0]: load_dict,
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
        pickle.APPEND[0]: load_append,
        pickle.APPENDS[0]: load_appends,
    }


_KINDS = {_Name: "function", PickledClass: "class"}
_KEYS = (str, int, float, bool, bytes, type(None))


def _put(target: object, items: list[Any]) -> dict[Any, Any]:
    """Put keys and values into a dictionary; a key of many parts could take forever to look up."""
    if type(target) is not dict:
        raise Refused(f"an item of a {type(target).__name__}")
    if len(items) % 2 or not all(type(key) in _KEYS for key in items[::2]):
        raise Refused("a dictionary whose keys are not strings or numbers")
    target.update(zip(items[::2], items[1::2], strict=True))
    return target


def _extend(target: object, items: list[Any]) -> None:
    if type(target) is not list:
        raise Refused(f"an item of a {type(target).__name__}")
    target.extend(items)


def _functions(spend: Callable[[int], None]) -> dict[str, Callable[..., object]]:
    """Return everything that a data file may ask for, with what is used in its place."""

    def ndarray(*_: object) -> NoReturn:
        raise Refused("numpy.ndarray with a size")

    def reconstruct(*_: object) -> PickledArray:
        return PickledArray((0,), np.uint8)

    def from_buffer(raw: bytes | str, dtype: _Dtype, shape: tuple[int, ...], order: str) -> PickledArray:
        array = reconstruct()
        array.__setstate__((1, shape, dtype, order == "F", raw))
        return array

    def scalar(dtype: _Dtype, raw: bytes | str) -> object:
        return from_buffer(raw, dtype, (), "C")[()]

    def encode(text: str, encoding: str) -> bytes:
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise Refused(f"_codecs.encode to {_briefly(encoding)}")
        spend(len(text))
        return text.encode("latin-1")

    def dtype(code: object, *_: object) -> _Dtype:
        return _Dtype(spend, code)

    def ordered(items: list[list[Any]] | tuple[Any, ...] = ()) -> dict[Any, Any]:
        spend(len(items))
        return _put({}, [part for key, value in items for part in (key, value)])

    def empty_bytes(*arguments: object) -> bytes:
        if arguments:
            raise Refused("bytes with a size")
        return b""

    def nothing(*_: object) -> NoReturn:
        raise Refused("an object of no class")

    def reconstructor(cls: object, base: object, state: object) -> PickledObject:
        if not isinstance(cls, PickledClass) or state is not None:
            raise Refused("copy_reg._reconstructor of anything but an option")
        return cls()

    functions: dict[str, Callable[..., object]] = {
        "numpy ndarray": ndarray,
        "numpy dtype": dtype,
        "_codecs encode": encode,
        "collections OrderedDict": ordered,
        "ordereddict OrderedDict": ordered,
    }
    for module in ("__builtin__", "builtins"):
        functions[f"{module} bytes"] = empty_bytes
        functions[f"{module} object"] = nothing
    for module in ("copy_reg", "copyreg"):
        functions[f"{module} _reconstructor"] = reconstructor
    for package in ("numpy.core", "numpy._core"):
        functions[f"{package}.multiarray _reconstruct"] = reconstruct
        functions[f"{package}.multiarray scalar"] = scalar
        functions[f"{package}.numeric _frombuffer"] = from_buffer
    return functions
