"""Changing values of a file: what is asked for changes, every other byte stays."""

import pytest

from convnet_cfg.language.editing import edited
from convnet_cfg.language.grammar import decode, parse_sections

FILE = b"""# a net
[conv1]
Type = conv
; between
weightSource=conv0,
   conv2
partialSum=4

[conv2]
type=conv
"""


@pytest.mark.parametrize(
    ("changes", "before", "after"),
    [
        ({"conv1": {"type": "local"}}, b"Type = conv\n;", b"Type = local\n;"),
        ({"conv1": {"partialsum": None}}, b"partialSum=4\n", b""),
        ({"conv1": {"weightsource": "x"}}, b"weightSource=conv0,\n   conv2\n", b"weightSource=x\n"),
        ({"conv1": {"weightsource": None}}, b"weightSource=conv0,\n   conv2\n", b""),
        ({"conv2": {"type": None}}, b"[conv2]\ntype=conv\n", b"[conv2]\n"),
        ({"conv2": {"gpu": "0"}}, b"[conv2]\n", b"[conv2]\ngpu=0\n"),
        ({"conv2": {"gpu": None}}, b"", b""),
        ({"conv3": {"gpu": "0"}}, b"", b""),
        ({}, b"", b""),
    ],
)
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_one_change(changes, before, after, end):
    file, before, after = (text.replace(b"\n", end) for text in (FILE, before, after))
    assert file.count(before) == 1 or not before
    assert edited(file, changes) == file.replace(before, after, 1 if before else 0)


def test_comments_between_the_lines_of_a_value_stay():
    file = b"[a]\nx=1,\n# why\n  2\ny=3\n"
    assert edited(file, {"a": {"x": None}}) == b"[a]\n# why\ny=3\n"
    assert edited(file, {"a": {"x": "5"}}) == b"[a]\nx=5\n# why\ny=3\n"


def test_a_key_that_is_there_twice_is_there_once():
    file = b"[a]\nx=1\ny=2\nX: 3\n[b]\nx=4\n[a]\nx=5\n"
    assert edited(file, {"a": {"x": "6"}}) == b"[a]\nx=6\ny=2\n[b]\nx=4\n[a]\n"
    assert edited(file, {"a": {"x": None}}) == b"[a]\ny=2\n[b]\nx=4\n[a]\n"


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["é".encode(), b"\xe9"])
def test_any_encoding(start, name):
    file = start + b"[" + name + b"]\nx=1\n"
    assert edited(file, {"é": {"x": "2"}}) == start + b"[" + name + b"]\nx=2\n"


def test_what_is_read_is_what_was_meant():
    changed = parse_sections(decode(edited(FILE, {"conv1": {"type": "local", "partialsum": None}})), "file")
    entries = {key: entry.text for key, entry in changed["conv1"].entries.items()}
    assert entries == {"type": "local", "weightsource": "conv0,\nconv2"}
