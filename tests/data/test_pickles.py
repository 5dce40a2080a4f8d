import builtins
import collections
import contextlib
import gc
import gzip
import operator
import os
import pickle
import struct
import weakref
import zipfile

import numpy as np
import pytest

from convnet_cfg.data import pickles, unpickling
from convnet_cfg.data.pickles import load_pickle
from convnet_cfg.data.unpickling import PickledClass
from convnet_cfg.errors import DataError

ONLY = "only arrays, strings, numbers and containers are read"


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.fixture
def refused(tmp_path):
    """Load bytes as a pickle, and return the message after the file's name."""

    def refused(data, name="bad"):
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(DataError) as error:
            load_pickle(path)
        message = str(error.value)
        assert message.startswith(f"{path}: ")
        return message.removeprefix(f"{path}: ")

    return refused


CONTENT = {
    "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "bytes": np.arange(200, dtype=np.uint8),
    "big endian": np.array([1, 2, 300]).astype(">i2"),
    "texts": np.array(["ab", "c"]),
    "byte texts": np.array([b"ab", b"c"]),
    "no cases": np.zeros((0, 3), np.float32),
    "one number": np.array(5.0),
    "numpy number": np.float32(3.5),
    "numpy integer": np.int64(-7),
    "ordered": collections.OrderedDict(b=1, a=2),
    "raw": b"\x00\xff",
    "others": [1, 2.5, None, True, (1, "ü"), {3: 4}, 1 << 80, float("inf")],
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_numbers_texts_and_containers_come_back(dump, protocol):
    content = dict(CONTENT)
    if protocol < 3:
        del content["no cases"]  # Python 3 writes empty bytes as a call of `bytes` there
    loaded = load_pickle(dump("good", content, protocol))
    assert list(loaded) == list(content)
    for key, value in content.items():
        same = np.array_equal if isinstance(value, np.ndarray) else operator.eq
        assert same(loaded[key], value), key
        if isinstance(value, np.ndarray):
            assert loaded[key].dtype == value.dtype.newbyteorder("=")
    assert loaded["columns"].flags.f_contiguous
    assert list(loaded["ordered"]) == ["b", "a"]


@pytest.mark.parametrize("package", ["numpy.core", "numpy._core"])
def test_names_of_numpy_1_and_2(tmp_path, package):
    data = pickle.dumps(np.arange(5), 2)
    for written in (b"numpy._core.multiarray", b"numpy.core.multiarray"):
        data = data.replace(written, package.encode() + b".multiarray")
    (tmp_path / "array").write_bytes(data)
    assert load_pickle(tmp_path / "array").tolist() == [0, 1, 2, 3, 4]


def test_python_2_strings_are_latin_1(tmp_path):
    (tmp_path / "text").write_bytes(b"\x80\x02U\x03a\xe9\xff.")
    assert load_pickle(tmp_path / "text") == "a\xe9\xff"


def test_an_array_held_twice_is_one_object(dump):
    array = np.arange(3)
    first, second = load_pickle(dump("twice", [array, array]))
    assert first is second


def test_plain_array_without_copying(dump):
    array = load_pickle(dump("array", np.arange(3)))
    assert type(np.asarray(array)) is np.ndarray
    assert np.shares_memory(np.asarray(array), array)


def test_memory_is_given_back_at_once(dump, monkeypatch):
    """A reader in a reference cycle would keep copies of a batch until the next collection."""
    readers = weakref.WeakSet()

    class Reader(pickles.Reader):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            readers.add(self)

    path = dump("array", {"data": np.arange(9), "raw": b"abc"})
    monkeypatch.setattr(pickles, "Reader", Reader)
    gc.disable()
    try:
        load_pickle(path)
        assert len(readers) == 0
    finally:
        gc.enable()


def test_gzip_and_zip(tmp_path):
    data = pickle.dumps([1, 2, 3], 2)
    (tmp_path / "zipped").write_bytes(gzip.compress(data))
    with zipfile.ZipFile(tmp_path / "archive", "w") as archive:
        archive.writestr("data", data)
    assert load_pickle(tmp_path / "zipped") == [1, 2, 3]
    assert load_pickle(tmp_path / "archive") == [1, 2, 3]


@pytest.mark.parametrize(
    ("calls", "name"),
    [
        (Calls(os.system, "touch /tmp/convnet-cfg-was-here"), f"{os.name}.system"),
        (Calls(eval, "1"), "__builtin__.eval"),
        (Calls(getattr, "a", "upper"), "__builtin__.getattr"),
        (Calls(np.load, "x"), "numpy.load"),
        (Calls(builtins.__import__, "os"), "__builtin__.__import__"),
        (np.array([1, "a"], object), "numpy.dtype 'O8'"),
        (np.zeros(2, [("a", "O")]), "numpy.dtype 'V8'"),
        (np.zeros(2, "M8[s]"), "numpy.dtype 'M8'"),
        (Calls(np.ndarray, (1 << 40,)), "numpy.ndarray with a size"),
        ({1: Calls(np.dtype, "O")}, "numpy.dtype 'O'"),
    ],
)
def test_anything_else_is_refused_by_name(refused, calls, name):
    assert refused(pickle.dumps(calls, 2)) == f"refused: it asks for {name}; {ONLY}"
    assert not os.path.exists("/tmp/convnet-cfg-was-here")


def test_codecs_encode_only_to_latin_1(refused):
    data = b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x05\x00\x00\x00rot13tR."
    assert refused(data) == f"refused: it asks for _codecs.encode to 'rot13'; {ONLY}"


def test_functions_and_types_cannot_be_changed(refused):
    setattr_state = b"N}X\x04\x00\x00\x00nameK\x01s\x86b."
    assert (
        refused(b"c_codecs\nencode\n" + setattr_state)
        == f"refused: it asks for a change to a function; {ONLY}"
    )


def test_an_element_type_cannot_get_fields(refused):
    state = b"(K\x03U\x01<NU\x01aNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb."
    assert (
        refused(b"cnumpy\ndtype\nU\x02f4\x85R" + state)
        == f"refused: it asks for numpy.dtype with fields; {ONLY}"
    )


def array_pickle(shape, raw):
    """A pickle of a uint8 array that claims a shape, and brings the raw bytes as a Python 2 string."""
    start = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
    dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    return start + shape + dtype + b"\x89" + b"T" + struct.pack("<i", len(raw)) + raw + b"tb."


def test_an_array_has_the_bytes_of_its_shape(tmp_path, refused):
    (tmp_path / "good").write_bytes(array_pickle(b"K\x03\x85", b"abc"))
    assert load_pickle(tmp_path / "good").tolist() == [97, 98, 99]
    assert refused(array_pickle(b"J\xff\xff\xff\x7f\x85", b"abc")) == (
        "is not a pickle, or damaged (ValueError: shape (2147483647,) and type uint8 do not take 3 bytes)"
    )
    negative = b"J\xff\xff\xff\xffJ\xfd\xff\xff\xff\x86"
    assert "shape (-1, -3) and type uint8 do not take 3 bytes" in refused(array_pickle(negative, b"abc"))


def test_one_string_cannot_become_much_memory(refused):
    text = b"X" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20) + b"q\x010"
    encoded = b"c_codecs\nencode\nh\x01X\x06\x00\x00\x00latin1\x86R"
    assert refused(text + b"(" + encoded * 5 + b"t.") == (
        f"refused: it asks for more memory than its size explains; {ONLY}"
    )


def test_huge_numbers_do_not_take_memory(tmp_path, refused):
    (tmp_path / "memo").write_bytes(b"\x80\x02K\x01r\xff\xff\xff\xff.")
    assert load_pickle(tmp_path / "memo") == 1
    for claim in (b"T\xff\xff\xff\x7f", b"\x8e" + b"\xff" * 7 + b"\x0f", b"\x96" + b"\xff" * 7 + b"\x0f"):
        assert refused(b"\x80\x05" + claim + b"abc") == (
            f"ends too early, after {len(claim) + 5} bytes: copy or make it again"
        )


@pytest.mark.parametrize("kept", [1, 2, 10, 100, 1000, 1200])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_truncated(refused, kept, protocol):
    data = pickle.dumps({"data": np.arange(1100, dtype=np.uint8), "labels": [1, 2]}, protocol)[:-1]
    data = data[:kept]
    assert refused(data) == f"ends too early, after {len(data)} bytes: copy or make it again"


@pytest.mark.parametrize(
    "data",
    [
        b"hello",
        b"<html>\n</html>\n",
        b"\x89HDF\r\n",
        b"version https://git-lfs\n",
        b"\x80\x63.",
        b"N" * 10 + b"R.",
    ],
)
def test_not_a_pickle(refused, data):
    assert refused(data).startswith(("is not a pickle, or damaged (", "ends too early", "refused"))


def test_any_damage_is_a_data_error(tmp_path):
    rng = np.random.default_rng(1)
    for protocol in 400 * [0, 2, 3, 4]:
        data = bytearray(pickle.dumps(CONTENT, protocol))
        for place in rng.integers(0, len(data), rng.integers(1, 6)):
            data[place] = rng.integers(0, 256)
        (tmp_path / "damaged").write_bytes(data)
        with contextlib.suppress(DataError):
            load_pickle(tmp_path / "damaged")


def test_missing_empty_and_folder(tmp_path, refused):
    with pytest.raises(DataError, match="/nothing: no such file$"):
        load_pickle(tmp_path / "nothing")
    with pytest.raises(DataError, match=": is not a file$"):
        load_pickle(tmp_path)
    assert refused(b"") == "is empty"


def test_damaged_compression(tmp_path, refused):
    data = gzip.compress(pickle.dumps(list(range(1000)), 2))
    assert refused(data[:200]) == "the compressed data end too early: copy or make it again"
    assert refused(data[:100] + b"\x00" * 10 + data[110:]).startswith("cannot be read (")
    assert refused(b"PK\x03\x04 nothing") == "cannot be read (File is not a zip file)"
    with zipfile.ZipFile(tmp_path / "other", "w") as archive:
        archive.writestr("other", "text")
    assert refused((tmp_path / "other").read_bytes()) == "is a zip archive without a member 'data'"


def test_too_large(monkeypatch, refused):
    monkeypatch.setattr(pickles, "MAXIMUM_BYTES", 1 << 20)
    data = pickle.dumps(bytes(1 << 21), 3)
    for stored in (data, gzip.compress(data)):
        assert refused(stored) == "holds more than 0.000976562 GiB"


# Python 2's way to write an instance of an old-style class with one attribute
OLD_INSTANCE = b"(ioptions\nOption\np1\n(dp2\nS'name'\np3\nI7\nsb."


def test_classes_that_may_be_mentioned(tmp_path):
    (tmp_path / "checkpoint").write_bytes(OLD_INSTANCE)
    loaded = load_pickle(tmp_path / "checkpoint", ["options Option"])
    assert loaded.cls == PickledClass("options", "Option")
    assert loaded.attributes == {"name": 7}
    with pytest.raises(DataError, match="it asks for options.Option;"):
        load_pickle(tmp_path / "checkpoint")


def test_a_class_cannot_be_changed(tmp_path):
    (tmp_path / "checkpoint").write_bytes(b"coptions\nOption\nN}X\x04\x00\x00\x00nameK\x01s\x86b.")
    with pytest.raises(DataError, match="refused: it asks for a change to a class;"):
        load_pickle(tmp_path / "checkpoint", ["options Option"])


@pytest.mark.parametrize(
    ("data", "asked"),
    [
        (b"\x80\x02P1\n.", "the pickle instruction PERSID"),
        (b"\x80\x02\x82\x01.", "the pickle instruction EXT1"),
        (b"\x80\x04\x8f.", "the pickle instruction EMPTY_SET"),
        (b"(" * 300 + b"t" * 300 + b".", "more than 200 levels of nesting"),
        (b"}))" + b"s.", "a dictionary whose keys are not strings or numbers"),
        (b"N)R.", "a call of a NoneType"),
        (b"NNa.", "an item of a NoneType"),
        (b"NN}s.", "an item of a NoneType"),
        (b"]}b.", "a change to a list"),
    ],
)
def test_what_no_data_need_is_refused(refused, data, asked):
    assert refused(data) == f"refused: it asks for {asked}; {ONLY}"


def test_steps_are_counted(refused, monkeypatch):
    monkeypatch.setattr(unpickling, "MAXIMUM_STEPS", 1000)
    assert refused(b"]" * 170 + b".") == f"refused: it asks for more steps than any data take; {ONLY}"
    assert refused(b"N" * 1100 + b".") == f"refused: it asks for more steps than any data take; {ONLY}"


def test_the_same_items_many_times_are_counted(refused):
    pairs = b"(" + b"U\x01aN\x86" * 40_000 + b"tq\x01"
    again = b"ccollections\nOrderedDict\nh\x01\x85R0"
    assert refused(pairs + again * 100 + b".") == (
        f"refused: it asks for more memory than its size explains; {ONLY}"
    )


def test_what_is_compressed_too_well(refused):
    data = pickle.dumps(bytes(80 << 20), 3)
    packed = gzip.compress(data)
    assert refused(packed) == "unpacks to more than 20 times its size"


def test_a_zip_archive_is_compressed_with_deflate(tmp_path, refused):
    with zipfile.ZipFile(tmp_path / "other", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("data", pickle.dumps([1], 2))
    message = "is a zip archive not compressed with deflate, but method 12"
    assert refused((tmp_path / "other").read_bytes()) == message


def test_names_of_attributes_may_be_bytes():
    """So Python 3 writes an object that it read with encoding="bytes"."""
    found = PickledClass("options", "Option")()
    found.__setstate__({b"name": b"mini", "value": 3})
    assert found.attributes == {"name": b"mini", "value": 3}
    with pytest.raises(unpickling.Refused, match="without named attributes"):
        found.__setstate__({3: "mini"})
