"""Files that no checkpoint should be: each must be refused, and nothing in it may happen."""

from __future__ import annotations

import builtins
import functools
import gzip
import io
import operator
import os
import pickle
import struct
import zipfile

import numpy as np
from old_pickles import Class, Old, Raw, content, dumps, layers

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
CALL = b"cposix\nsystem\n"
ARGUMENT = b"X\x11\x00\x00\x00touch was-run-here"[:5] + b"touch was-run-her"
LAUGHS = b"]q\x01" + b"".join(b"(" + b"h%c" % n * 10 + b"lq" + bytes([n + 1]) for n in range(1, 60))
PAIRS = b")q\x01" + b"".join(b"h%ch%c\x86q" % (n, n) + bytes([n + 1]) for n in range(1, 60))


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def calls():
    """Calls of what is in Python and numpy, in each protocol and at each place of a checkpoint."""
    bad = {
        "system": Calls(os.system, "touch was-run"),
        "eval": Calls(eval, "open('was-run', 'w')"),
        "exec": Calls(exec, "open('was-run', 'w')"),
        "open": Calls(open, "was-run", "w"),
        "import": Calls(builtins.__import__, "antigravity"),
        "getattr": Calls(getattr, "a", "upper"),
        "attrgetter": Calls(operator.attrgetter, "a.b"),
        "partial": Calls(functools.partial, os.system, "touch was-run"),
        "load": Calls(np.load, "was-run", None, True),
        "memory": Calls(np.zeros, (10 << 30,)),
        "bytes": Calls(bytes, 10 << 30),
        "bytearray": Calls(bytearray, 10 << 30),
        "set": {1, 2},
        "complex": 1j,
        "range": range(3),
        "slice": slice(3),
        "function": len,
    }
    for protocol in PROTOCOLS:
        for name, call in bad.items():
            state = {"epoch": 1, "batchnum": 1, "train_outputs": [], "layers": [], "more": call}
            yield f"{name}-{protocol}", pickle.dumps({"model_state": state}, protocol)
        yield f"top-{protocol}", pickle.dumps(bad["system"], protocol)


def instructions():
    """Every instruction that makes, changes or fetches something."""
    call, argument, end = CALL, ARGUMENT, b"."
    option = b"coptions\nOption\n"
    yield "reduce", call + argument + b"\x85R" + end
    yield "obj", b"(" + call + argument + b"o" + end
    yield "inst", b"(" + argument + b"iposix\nsystem\n" + end
    yield "newobj", call + argument + b"\x85\x81" + end
    yield "newobj-ex", b"\x80\x04" + call + argument + b"\x85}\x92" + end
    yield "ext1", b"\x80\x02\x82\x01" + end
    yield "ext2", b"\x80\x02\x83\x01\x00" + end
    yield "ext4", b"\x80\x02\x84\x01\x00\x00\x00" + end
    yield "persid", b"Pposix.system\n" + end
    yield "binpersid", argument + b"Q" + end
    yield "buffer", b"\x80\x05\x97" + end
    yield "readonly-buffer", b"\x80\x05N\x98" + end
    yield "stack-global", b"\x80\x04\x8c\x05posix\x8c\x06system\x93" + argument + b"\x85R" + end
    yield "dotted", b"\x80\x04\x8c\x07options\x8c\x1aOption.__init__.__globals__\x93" + end
    yield "dotted-numpy", b"\x80\x04\x8c\x05numpy\x8c\x0actypeslib.os\x93" + end
    yield "not-listed", b"coptions\nsys\n" + end
    yield "upper", b"cOPTIONS\nOption\n" + end
    yield "arguments", b"(" + option + argument + b"o" + end
    yield "called", option + argument + b"\x85R" + end
    yield "build-class", option + b"}U\x08__call__Nsb" + end
    yield "build-function", b"c_codecs\nencode\n}U\x08__call__Nsb" + end
    yield "build-list", b"]}U\x06appendNsb" + end
    yield "build-slots", option + b")R" + b"N}U\x03cls" + call + b"s\x86b" + end
    yield "build-text", b"(" + option + b"oU\x03abcb" + end
    yield "append-to-object", b"(" + option + b"oNa" + end
    yield "item-of-class", option + b"U\x01aNs" + end
    yield "call-of-array", dumps(np.zeros(2))[2:-1] + b")R" + end
    yield "reconstructor", b"ccopy_reg\n_reconstructor\n" + call + b"c__builtin__\nobject\nN\x87R" + end
    yield "codec", b"c_codecs\nencode\nU\x01aU\x05rot13\x86R" + end
    yield "protocol-9", b"\x80\x09N."
    yield "dup", b"N2\x86."


def memories():
    """Memory of earlier objects used to pass one thing for another."""
    yield "get-nothing", b"h\x07."
    yield "get-minus", b"g-1\n."
    yield "get-text", b"gabc\n."
    yield "put-minus", b"Np-1\n."
    yield "put-nothing", b"q\x01."
    yield "pop-nothing", b"0."
    yield "pop-mark", b"1."
    yield "swapped", b"c_codecs\nencode\nq\x01" + b"0]q\x01h\x01)R."
    yield "class-as-state", b"coptions\nOption\nq\x01)Rh\x01b."
    endless = b"]q\x05h\x05a"
    for name in ("epoch", "layers", "train_outputs", "more"):
        yield f"endless-{name}", dumps(content(**{name: Raw(endless)}))
    yield "endless-layer", dumps(content(layers=[{"name": "a", "type": "b", "more": Raw(endless)}]))
    yield (
        "endless-option",
        dumps({**content(), "op": Raw(b"(coptions\nOptionsParser\noq\x05}U\x07optionsh\x05sb")}),
    )
    layer = {"name": "a", "type": "b"}
    yield "one-layer-twice", dumps(content(layers=[layer, layer]))
    yield "object-as-layers", dumps(content(layers=Old("options", "Option", name=1)))
    yield "class-as-name", dumps(content(layers=[{"name": Class("options", "Option"), "type": "b"}]))


def array(code="f4", state=None, shape=(1,), raw=b"\0\0\0\0", dtype_state=None):
    """Instructions for an array with anything in the place of its parts."""
    dtype = b"cnumpy\ndtype\n" + dumps((code, 0, 1))[2:-1] + b"R"
    dtype += dumps(dtype_state or (3, "<", None, None, None, -1, -1, 0))[2:-1] + b"b"
    made = dumps((Class("numpy", "ndarray"), (0,), "b"))[2:-1]
    parts = dumps((1, shape, Raw(dtype), False, raw) if state is None else state)[2:-1]
    return Raw(b"cnumpy.core.multiarray\n_reconstruct\n" + made + b"R" + parts + b"b")


def arrays():
    """Arrays of objects, of the wrong size, and of none that there is."""
    bad = {
        "objects": array("O8", raw=[1]),
        "objects-bytes": array("O8", raw=b"\0" * 8),
        "fields": array("V8", raw=b"\0" * 8),
        "hidden-fields": array(dtype_state=(3, "<", None, ("a",), {"a": 1}, -1, -1, 0)),
        "subtype": array(dtype_state=(3, "<", (Class("numpy", "dtype"), (9,)), None, None, -1, -1, 0)),
        "order": array(dtype_state=(3, "x", None, None, None, -1, -1, 0)),
        "texts": array("S4", dtype_state=(3, "|", None, None, None, 4, 1, 0)),
        "dates": array("M8", raw=b"\0" * 8),
        "complex": array("c8", raw=b"\0" * 8),
        "no-size": array("S0", shape=(1 << 40,), raw=b""),
        "code": array("f4,O"),
        "code-long": array("f" + "4" * 99_999),
        "code-number": array(4),
        "code-list": Raw(b"cnumpy\ndtype\n" + LAUGHS + b"\x85R"),
        "code-encode": Raw(b"c_codecs\nencode\nU\x01a" + LAUGHS + b"\x86R"),
        "shape-laughs": array(shape=Raw(PAIRS)),
        "10-GB": array(shape=(10 << 30,)),
        "10-GB-doubles": array("f8", shape=(10, 1 << 27)),
        "10-GB-scalar": Raw(b"cnumpy\nndarray\n" + dumps(((10 << 30,),))[2:-1] + b"R"),
        "10-GB-reconstruct": array(shape=(10 << 30,), raw=b""),
        "much": array(shape=(1 << 62, 1 << 62, 0, 1 << 70), raw=b""),
        "much-text": array(shape=(1 << 31,) * 2, raw=b""),
        "minus": array(shape=(-1, -1)),
        "minus-1": array(shape=(-1,)),
        "dimensions": array(shape=(1,) * 500),
        "floats": array(shape=(1.0,)),
        "list": array(shape=[1]),
        "short": array(state=(1, (1,))),
        "no-state": array(state=None, raw=None),
        "no-dtype": array(state=(1, (1,), "f4", False, b"\0\0\0\0")),
        "twice": Raw(array() + dumps((1,))[2:-1] + b"b"),
    }
    for name, raw in bad.items():
        yield name, dumps(content(more=raw))
    weights = layers(False)[2] | {"inputs": [], "inputLayers": [], "biases": bad["objects"]}
    yield "in-layer", dumps(content(layers=[weights]))


def laughs():
    """Short files that would be endless if they were written out."""
    yield "laughs", LAUGHS + b"."
    for name in ("epoch", "batchnum", "layers", "train_outputs", "more"):
        yield f"laughs-{name}", dumps(content(**{name: Raw(LAUGHS)}))
    yield "laughs-layer", dumps(content(layers=[{"name": "a", "type": "b", "more": Raw(LAUGHS)}]))
    yield "laughs-name", dumps(content(layers=[{"name": Raw(LAUGHS), "type": "b"}]))
    yield "laughs-input", dumps(content(layers=[{"name": "a", "type": "b", "inputs": [Raw(LAUGHS)]}]))
    yield "laughs-option", dumps({**content(), "op": Old("options", "OptionsParser", options=Raw(LAUGHS))})
    yield "laughs-class", dumps(content(more=Old("options", "ListOptionParser", parsers=Raw(LAUGHS))))
    yield "pairs", dumps(content(more=Raw(PAIRS)))
    yield "pairs-key", dumps(content(more=Raw(b"}" + PAIRS + b"Ns")))
    wide = [0] * 1000
    yield "wide", dumps(content(more=[[wide] * 1000] * 1000))
    yield "wide-outputs", dumps(content(train_outputs=[({"logprob": [[1.0] * 99] * 9999}, 1)] * 9999))


def depths():
    """Deep nesting, in all its ways."""
    count = 200_000
    yield "lists", b"]" * count + b"a" * (count - 1) + b"."
    yield "tuples", b")" + b"\x85" * count + b"."
    yield "tuples-key", b"})" + b"\x85" * count + b"Ns."
    yield "dictionaries", b"}" + b"U\x01a}" * count + b"s" * count + b"."
    yield "marks", b"(" * count + b"t" * count + b"."
    yield "marks-alone", b"(" * (10 * count)
    yield "values", dumps(content(more=Raw(b")" + b"\x85" * count)))
    yield "objects", (b"(coptions\nOption\no" + b"}U\x01a") * 9999 + b"sb" * 9999 + b"."
    yield "many-dictionaries", b"}" * 6_000_000 + b"."
    yield "many-memories", b"\x80\x04N" + b"\x94" * 6_000_000 + b"."
    yield (
        "much-again",
        b"(" + b"U\x01aN\x86" * 99_999 + b"tq\x01" + b"ccollections\nOrderedDict\nh\x01\x85R0" * 9999,
    )
    yield (
        "wide-state",
        b"(coptions\nOption\noq\x02(" + b"U\x01aN" * 99_999 + b"dq\x01" + b"bh\x01" * 99_999 + b".",
    )


def lengths():
    """Lengths that are not there."""
    huge, gigabytes = struct.pack("<Q", (1 << 62) + 7), struct.pack("<Q", 10 << 30)
    for name, code in {"text8": b"\x8d", "bytes8": b"\x8e", "bytearray8": b"\x96", "frame": b"\x95"}.items():
        yield name, b"\x80\x05" + code + gigabytes + b"abc"
        yield f"{name}-huge", b"\x80\x05" + code + huge + b"abc"
        yield f"{name}-minus", b"\x80\x05" + code + b"\xff" * 8 + b"abc"
    for name, code in {"text": b"X", "string": b"T", "bytes": b"B", "long": b"\x8b"}.items():
        yield name, code + b"\xff\xff\xff\x7f" + b"abc"
        yield f"{name}-minus", code + b"\xff\xff\xff\xff" + b"abc"
    yield "memo", b"Nr\xff\xff\xff\xff."
    yield "digits", b"I" + b"9" * 1_000_000 + b"\n."
    yield "digits-long", b"L" + b"9" * 1_000_000 + b"L\n."
    yield "epoch", dumps(content(epoch=1 << 800_000))
    yield "more", dumps(content(more=1 << 64))


def zipped(data, name="data", compression=zipfile.ZIP_DEFLATED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr(name, data)
    return stream.getvalue()


def bombs():
    """Compressed files that unpack to much, or to nothing that is expected."""
    zeros = bytes(128 << 20)
    member = gzip.compress(zeros, 1)
    yield "gzip", member * 10
    yield "gzip-string", gzip.compress(b"T" + struct.pack("<i", len(zeros)) + zeros, 1)
    yield "gzip-gzip", gzip.compress(member * 10)
    yield "gzip-cut", member[:1000]
    yield "gzip-garbage", gzip.compress(dumps(content())) + b"garbage"
    bomb = zipped(zeros)
    yield "zip", bomb
    yield "zip-bzip2", zipped(zeros, compression=zipfile.ZIP_BZIP2)
    yield "zip-lzma", zipped(zeros[: 100 << 20], compression=zipfile.ZIP_LZMA)
    yield "zip-zip", zipped(bomb)
    size = struct.pack("<I", len(zeros))
    yield "zip-small-size", bomb.replace(size, struct.pack("<I", 100))
    yield "zip-large-size", zipped(b"N.").replace(b"\x02\0\0\0data", b"\xff\xff\xff\x7fdata")
    yield "zip-other-name", zipped(dumps(content()), "checkpoint")
    yield "zip-path", zipped(dumps(content()), "../data")
    yield "zip-cut", zipped(dumps(content()))[:-30]
    good = bytearray(zipped(dumps(content())))
    good[6] |= 1
    good[good.rindex(b"PK\x01\x02") + 8] |= 1
    yield "zip-encrypted", bytes(good)


def layouts():
    """Good pickles that are not checkpoints, or not consistent."""
    v1, v2 = layers(False), layers(True)
    others = {"none": None, "text": "abc", "number": 3, "array": np.ones(3), "dict": {"a": 1}, "list": [1]}
    for name, value in others.items():
        yield f"top-{name}", dumps(value)
        yield f"state-{name}", dumps({"model_state": value, "op": None})
        yield f"layers-{name}", dumps(content(layers=value))
        yield f"layer-{name}", dumps(content(layers=[value]))
        yield f"outputs-{name}", dumps(content(train_outputs=value))
        if name != "none":
            yield f"options-{name}", dumps({**content(), "op": value})
        if name != "number":
            yield f"epoch-{name}", dumps(content(epoch=value))
    for field in ("epoch", "batchnum", "layers"):
        state = content()["model_state"]
        del state[field]
        yield f"no-{field}", dumps({"model_state": state, "op": None})
    yield "input-beyond", dumps(content(layers=[*v1[:3], v1[3] | {"inputs": [99], "inputLayers": []}]))
    yield "input-minus", dumps(content(layers=[*v1[:3], v1[3] | {"inputs": [-1], "inputLayers": []}]))
    yield "input-unknown", dumps(content(layers={"data": v2["data"] | {"inputs": ["dat"]}}))
    yield "input-text", dumps(content(layers=[v1[0] | {"inputs": "data"}]))
    yield "no-id", dumps(content(layers={"data": v1[0]}))
    yield "other-key", dumps(content(layers={"dat": v2["data"]}))
    yield "no-type", dumps(content(layers=[{"name": "a"}]))
    yield "number-key", dumps(content(layers=[v1[0] | {3: 4}]))
    for number, entry in enumerate(
        [(), ({}, 1, 2), ([], 1), ({"a": 1.0}, 1), ({"a": ["b"]}, 1), ({"a": [1.0]}, 1.5)]
    ):
        yield f"outputs-{number}", dumps(content(test_outputs=[entry]))


GROUPS = {
    group.__name__: group
    for group in (calls, instructions, memories, arrays, laughs, depths, lengths, bombs, layouts)
}
