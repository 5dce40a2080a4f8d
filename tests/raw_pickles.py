"""Reads a checkpoint as Python 2 would, without its classes, and tells in what two of them differ."""

import io
import pickle
import zipfile
from types import SimpleNamespace

import numpy as np

NUMPY = {
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy.core.multiarray", "scalar"): np.float32(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class Stand(SimpleNamespace):
    """Stands for an object of one of the option classes."""

    def __setstate__(self, state):
        self.attributes = state


class Reader(pickle.Unpickler):
    """Knows the names of numpy and the option classes, and nothing else."""

    def __init__(self, data):
        super().__init__(io.BytesIO(data), encoding="bytes")
        self.classes = {}

    def find_class(self, module, name):
        if (module, name) in NUMPY:
            return NUMPY[module, name]
        assert module in ("options", "python_util.options"), (module, name)
        return self.classes.setdefault((module, name), type(name, (Stand,), {"__module__": module}))


def pickled(path):
    """Return the bytes of the pickle."""
    data = path.read_bytes()
    return zipfile.ZipFile(io.BytesIO(data)).read("data") if data[:2] == b"PK" else data


def read_raw(path):
    """Return what is in a file: text is bytes, option objects are stand-ins."""
    return Reader(pickled(path)).load()


def differences(one, other):
    """Return in what two graphs differ: types, values, and which layers and arrays are one object.

    The original also had some lists and learning rates several times; nothing depends on that.
    """
    return list(_Walk().compare(one, other, ""))


class _Walk:
    def __init__(self):
        self.pairs = {}
        self.kept = []

    def compare(self, one, other, where):
        one, other = _number(one), _number(other)
        if isinstance(one, np.ndarray) or (isinstance(one, dict) and b"name" in one):
            if id(one) in self.pairs or id(other) in self.pairs:
                if self.pairs.get(id(one)) != id(other) or self.pairs.get(id(other)) != id(one):
                    yield f"{where}: is not the same object where it is"
                return
            self.pairs |= {id(one): id(other), id(other): id(one)}
            self.kept += [one, other]
        if not _same_type(one, other):
            yield f"{where}: {type(one)} and {type(other)}"
        else:
            yield from self.parts(one, other, where)

    def parts(self, one, other, where):
        if isinstance(one, dict):
            if set(one) != set(other):
                yield f"{where}: keys {set(one) ^ set(other)}"
            for key in set(one) & set(other):
                yield from self.compare(one[key], other[key], f"{where}.{key!r}")
        elif isinstance(one, (list, tuple)):
            if len(one) != len(other):
                yield f"{where}: {len(one)} and {len(other)} items"
            for number, (first, second) in enumerate(zip(one, other, strict=False)):
                yield from self.compare(first, second, f"{where}[{number}]")
        elif isinstance(one, Stand):
            yield from self.compare(one.attributes, other.attributes, f"{where}/")
        elif isinstance(one, np.ndarray):
            if _form(one) != _form(other) or one.tobytes("A") != other.tobytes("A"):
                yield f"{where}: {_form(one)} and {_form(other)}"
        elif isinstance(one, type):
            return
        elif one != other:
            yield f"{where}: {one!r} and {other!r}"


def _number(value):
    """Numbers of numpy are taken for those of Python: spec/checkpoints.md section 6 wants those."""
    return value.item() if isinstance(value, np.generic) else value


def _same_type(one, other):
    names = [(kind.__module__, kind.__name__) for kind in (type(one), type(other))]
    if isinstance(one, type) and isinstance(other, type):
        names = [(kind.__module__, kind.__name__) for kind in (one, other)]
    return names[0] == names[1]


def _form(array):
    return array.dtype.str, array.shape, array.flags.c_contiguous, array.flags.f_contiguous
