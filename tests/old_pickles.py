"""Writes pickles as Python 2 did: byte strings, and objects of old-style classes; and a small checkpoint.

Run as a program it writes the files of the folder `legacy/checkpoints`.
"""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

FOLDER = Path(__file__).parent / "legacy" / "checkpoints"


class Class(NamedTuple):
    """A class or function, by its name."""

    module: str
    name: str


class Old:
    """An object of an old-style class."""

    def __init__(self, module, cls, /, **attributes):
        self.cls = Class(module, cls)
        self.attributes = attributes


class Raw(bytes):
    """Instructions that leave one value on the stack, as they are."""


class Writer:
    """Writes a value and what is in it; what is there twice is written once, and then mentioned."""

    def __init__(self, module="numpy.core"):
        self.module = f"{module}.multiarray"
        self.memo = {}
        self.kept = []

    def dumps(self, value):
        return b"\x80\x02" + self.value(value) + b"."

    def value(self, value):
        if id(value) in self.memo:
            return b"j" + struct.pack("<I", self.memo[id(value)])
        for kind, write in self.KINDS.items():
            if isinstance(value, kind):
                return write(self, value)
        raise TypeError(type(value))

    def remember(self, value):
        self.memo[id(value)] = len(self.memo)
        self.kept.append(value)
        return b"r" + struct.pack("<I", self.memo[id(value)])

    def write_integer(self, value):
        if -(1 << 31) <= value < 1 << 31:
            return b"J" + struct.pack("<i", value)
        digits = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        return b"\x8b" + struct.pack("<i", len(digits)) + digits

    def write_string(self, value):
        raw = value.encode("latin-1") if isinstance(value, str) else value
        return b"T" + struct.pack("<i", len(raw)) + raw

    def write_list(self, value):
        return b"]" + self.remember(value) + b"(" + b"".join(map(self.value, value)) + b"e"

    def write_tuple(self, value):
        return b"(" + b"".join(map(self.value, value)) + b"t"

    def write_dict(self, value):
        return b"}" + self.remember(value) + self.items(value)

    def items(self, value):
        return b"(" + b"".join(self.value(key) + self.value(each) for key, each in value.items()) + b"u"

    def write_array(self, value):
        dtype = Raw(self.dtype(value.dtype))
        made = self.write_tuple((Class("numpy", "ndarray"), (0,), "b"))
        fortran = value.flags.f_contiguous and not value.flags.c_contiguous
        state = self.write_tuple((1, value.shape, dtype, fortran, value.tobytes("F" if fortran else "C")))
        return (
            self.write_name(Class(self.module, "_reconstruct"))
            + made
            + b"R"
            + self.remember(value)
            + state
            + b"b"
        )

    def dtype(self, value):
        state = self.write_tuple((3, "<" if value.itemsize > 1 else "|", None, None, None, -1, -1, 0))
        return (
            self.write_name(Class("numpy", "dtype"))
            + self.write_tuple((value.str[1:], 0, 1))
            + b"R"
            + state
            + b"b"
        )

    def write_scalar(self, value):
        parts = self.write_tuple((Raw(self.dtype(value.dtype)), value.tobytes()))
        return self.write_name(Class(self.module, "scalar")) + parts + b"R"

    def write_name(self, value):
        return b"c" + f"{value.module}\n{value.name}\n".encode()

    def write_object(self, value):
        made = b"(" + self.write_name(value.cls) + b"o" + self.remember(value)
        return made + b"}" + self.items(value.attributes) + b"b"

    KINDS = {
        Raw: lambda _self, value: bytes(value),
        type(None): lambda *_: b"N",
        bool: lambda _self, value: b"\x88" if value else b"\x89",
        int: write_integer,
        np.generic: write_scalar,
        float: lambda _self, value: b"G" + struct.pack(">d", value),
        str: write_string,
        bytes: write_string,
        np.ndarray: write_array,
        list: write_list,
        Class: write_name,
        tuple: write_tuple,
        dict: write_dict,
        Old: write_object,
    }


def dumps(value, module="numpy.core"):
    """The value as a pickle of protocol 2, as Python 2 wrote it."""
    return Writer(module).dumps(value)


def option(module, name, value, parser="String", default=None, given=True):
    if parser == "List":
        items = Class(module, "IntegerOptionParser")
        reader = Old(module, "ListOptionParser", parsers=items, sepchar=",")
    else:
        reader = Class(module, f"{parser}OptionParser")
    return Old(
        module,
        "Option",
        name=name,
        letter=name.replace("_", "-"),
        prefixed_letter=f"--{name}",
        desc=f"what {name} says",
        parser=reader,
        default=default,
        value=value,
        value_given=given,
        set_once=False,
        save=True,
        excuses=[],
        requires=[],
    )


def options(v2):
    module = "python_util.options" if v2 else "options"
    found = [
        option(module, "layer_def", "net.cfg"),
        option(module, "train_range", [1, 2, 3], "Range"),
        option(module, "mini", 32, "Integer", 128),
    ]
    if not v2:
        expression = Old(module, "OptionExpression", expr="[-1] * num_gpus")
        found.append(option(module, "gpu", [-1], "List", expression, given=False))
    return Old(module, "OptionsParser", options={each.attributes["name"]: each for each in found})


def layer(name, kind, outputs, inputs=(), **fields):
    return (
        {"name": name, "type": kind, "outputs": outputs, "usesActs": True}
        | ({"inputs": list(inputs)} if inputs else {})
        | fields
    )


def weights(rng, rows, columns, biases, fortran):
    matrix = rng.normal(0, 0.1, (rows, columns)).astype(np.float32)
    matrix = np.asfortranarray(matrix) if fortran else matrix
    bias = rng.normal(0, 0.1, biases).astype(np.float32)
    return {"weights": [matrix], "weightsInc": [matrix / 8], "biases": bias, "biasesInc": bias / 8}


def layers(v2):
    """Images of 4 x 4 in grey, a convolution, a rectifier and ten classes."""
    rng = np.random.default_rng(3)
    conv = weights(rng, 9, 2, (2, 1), fortran=False)
    dense = weights(rng, 32, 10, (1, 10), fortran=True)
    rate = {"type": "const", "params": {"base": 0.01}} if v2 else 0.01
    net = [
        layer("data", "data", 16, dataIdx=0),
        layer("labels", "data", 1, dataIdx=1),
        layer("conv1", "conv", 32, ["data"], channels=[1], filterSize=[3], padding=[-1], epsW=[rate], **conv),
        layer("conv1_neuron", "neuron", 32, ["conv1"], neuron={"type": "relu", "params": {}}),
        layer("fc10", "fc", 10, ["conv1_neuron"], epsW=[rate], neuron="", **dense),
        layer("probs", "softmax", 10, ["fc10"]),
        layer("logprob", "cost.logreg", 0, ["labels", "probs"], coeff=1.0),
    ]
    by_name = {each["name"]: each for each in net}
    for each in net:
        if names := each.get("inputs"):
            each["inputLayers"] = [by_name[name] for name in names]
            each["inputs"] = names if v2 else [list(by_name).index(name) for name in names]
    if not v2:
        return net
    for number, each in enumerate(net):
        each["id"] = number
    by_name["logprob"]["outputFilter"] = "divide everything by the cases"
    return by_name


def content(v2=False, **state):
    """A checkpoint after batch 2 of epoch 3; `state` adds to the model's state, or takes another's place."""
    costs = [[64.0, 48.0, 16.0], [32.0, 24.0, 8.0]] if v2 else [[2.0, 0.75], [1.0, 0.375]]
    model = {
        "epoch": 3,
        "batchnum": 2,
        "layers": layers(v2),
        "train_outputs": [({"logprob": values}, 32) for values in costs for _ in range(4)],
        "test_outputs": [({"logprob": costs[1]}, 32)],
    }
    return {"model_state": model | state, "op": options(v2)}


def stored():
    """The files of the folder, by name."""
    v1, v2 = dumps(content()), dumps(content(v2=True))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("data", (2012, 1, 2, 3, 4, 4)), v1, zipfile.ZIP_DEFLATED)
    return {"v1/3.2": v1, "v2/3.2": v2, "zip/3.2": stream.getvalue(), "gzip/3.2": gzip.compress(v1, mtime=0)}


def write():
    for name, data in stored().items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


if __name__ == "__main__":
    write()
