"""Pickles as Python 2 wrote them, and files that are never half written."""

import pickle
import pickletools

import numpy as np
import pytest

from convnet_cfg.data.pickles import load_pickle
from convnet_cfg.data.writing import whole_folder, write_pickle, write_whole
from convnet_cfg.errors import DataError

JPEG = bytes(range(256)) * 5
CONTENT = {
    "data": [JPEG, b"short", JPEG],
    "labels": [[0], [70000], [-1]],
    "mean": np.arange(6, dtype=np.float32).reshape(-1, 1),
    "pca": (np.arange(3.0), np.arange(9.0).reshape(3, 3)),
    "names": ["caf\u00e9", "dog", ""],
    "number": 0.5,
}


@pytest.fixture
def path(tmp_path):
    write_pickle(tmp_path / "file", CONTENT)
    return tmp_path / "file"


def test_our_reader_reads_it(path):
    content = load_pickle(path)
    assert [text.encode("latin-1") for text in content["data"]] == CONTENT["data"]
    assert content["labels"] == CONTENT["labels"]
    assert np.array_equal(content["mean"], CONTENT["mean"])
    assert content["mean"].dtype == np.float32
    assert content["mean"].shape == (6, 1)
    for array, expected in zip(content["pca"], CONTENT["pca"], strict=True):
        assert np.array_equal(array, expected)
    assert content["names"] == CONTENT["names"]
    assert content["number"] == 0.5


def test_strings_are_those_of_python_2(path):
    """What Python 2 called a string is bytes for Python 3, if it is asked for them."""
    content = pickle.loads(path.read_bytes(), encoding="bytes")
    assert content[b"data"] == CONTENT["data"]
    assert content[b"names"] == ["caf\u00e9", b"dog", b""]
    opcodes = list(pickletools.genops(path.read_bytes()))
    assert max(opcode.proto for opcode, _, _ in opcodes) == 2
    names = {argument for opcode, argument, _ in opcodes if opcode.name == "GLOBAL"}
    assert names == {"numpy.core.multiarray _reconstruct", "numpy ndarray", "numpy dtype"}
    assert [argument for opcode, argument, _ in opcodes if opcode.name == "BINUNICODE"] == ["caf\u00e9"]


def test_bytes_take_no_more_room_than_they_are(tmp_path):
    write_pickle(tmp_path / "file", [JPEG[:-1]] + [bytes([case]) * 2000 for case in range(100)])
    assert (tmp_path / "file").stat().st_size < len(JPEG) + 100 * 2010


def test_a_file_is_not_there_before_it_is_whole(path):
    before = path.read_bytes()

    def fail(file):
        file.write(b"half")
        assert path.read_bytes() == before
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left on device"):
        write_whole(path, fail)
    assert [child.name for child in path.parent.iterdir()] == ["file"]
    assert path.read_bytes() == before
    write_whole(path, lambda file: file.write(b"new"))
    assert path.read_bytes() == b"new"
    assert [child.name for child in path.parent.iterdir()] == ["file"]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"^cannot write .*/nowhere/file: No such file or directory$"):
        write_pickle(tmp_path / "nowhere" / "file", CONTENT)


def write_folder(path, text, **options):
    with whole_folder(path, **options) as folder:
        (folder / "file").write_text(text)


def test_a_folder_takes_the_place_of_another_only_if_it_may(tmp_path):
    write_folder(tmp_path / "folder", "old")
    with pytest.raises(FileExistsError):
        write_folder(tmp_path / "folder", "new", replace=False)
    assert (tmp_path / "folder" / "file").read_text() == "old"
    write_folder(tmp_path / "folder", "new")
    assert (tmp_path / "folder" / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_folder_never_takes_the_place_of_a_file(tmp_path):
    (tmp_path / "thesis").write_text("all of it")
    with pytest.raises(NotADirectoryError):
        write_folder(tmp_path / "thesis", "new")
    assert (tmp_path / "thesis").read_text() == "all of it"
    assert [path.name for path in tmp_path.iterdir()] == ["thesis"]


@pytest.mark.parametrize("there", [True, False])
def test_a_link_to_a_folder_stays(tmp_path, there):
    (tmp_path / "disk").mkdir()
    if there:
        write_folder(tmp_path / "disk" / "folder", "old")
    (tmp_path / "link").symlink_to("disk/folder")
    write_folder(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "disk" / "folder" / "file").read_text() == "new"
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert found == {"disk", "disk/folder", "disk/folder/file", "link"}
