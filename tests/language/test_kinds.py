"""How values are read (spec: grammar.md section 4), and what is said of wrong ones."""

import pytest

from convnet_cfg.errors import shorten
from convnet_cfg.language.kinds import (
    FLAG,
    FUNCTION,
    INTEGER,
    NUMBER,
    SOURCE,
    SPARSE,
    ExplainedError,
    FunctionCall,
    SourceRef,
    at_least,
    number_between,
    one_of,
    read_list,
    read_value,
)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (INTEGER, "3", 3),
        (INTEGER, " -3 ", -3),
        (INTEGER, "+03", 3),
        (NUMBER, "1e-3", 0.001),
        (NUMBER, ".5", 0.5),
        (NUMBER, "5.", 5.0),
        (NUMBER, "-1E+2", -100.0),
        (FLAG, "Yes", True),
        (FLAG, "1", True),
        (FLAG, "TRUE", True),
        (FLAG, "on", True),
        (FLAG, "Off", False),
        (FLAG, "0", False),
        (FLAG, "no", False),
        (FLAG, "false", False),
        (SPARSE, "1", True),
        (SPARSE, "true", True),
        (SPARSE, "0", False),
        (SPARSE, "", False),
        (SOURCE, "", None),
        (SOURCE, "fc1", SourceRef("fc1", 0)),
        (SOURCE, "fc1[2]", SourceRef("fc1", 2)),
        (FUNCTION, "", None),
        (FUNCTION, "m.f", FunctionCall("m", "f", ())),
        (FUNCTION, "m.f(a, b)", FunctionCall("m", "f", ("a", " b"))),
        (at_least(1), "1", 1),
        (number_between(0.5, 2), "2", 2.0),
        (one_of("max", "avg"), "avg", "avg"),
    ],
)
def test_value(kind, text, value):
    assert read_value(kind, "key", text) == value


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        (INTEGER, ["", "1.0", "1e3", "0x10", "1_000", "1L", "one", "1 2", "٣", "9" * 19]),
        (NUMBER, ["", "1,2", "1_0", "nan", "inf", "-Infinity", "1e999", "one", "１", "0x1p3"]),
        (FLAG, ["", "2", "y", "t", "yess"]),
        (SPARSE, ["2", "yes"]),
        (SOURCE, ["fc 1", "fc1[]", "fc1[x]", "fc1[-1]", "[1]", "fc1[1]x"]),
        (FUNCTION, ["f", "m.", ".f", "m.f()", "m.f(a,)", "a.b.c", "m.f(a", "m. f"]),
        (at_least(1), ["0", "-1"]),
        (number_between(0.5, 2), ["0.49", "2.01", "nan"]),
        (one_of("max", "avg"), ["Max", "", "max "]),
    ],
)
def test_wrong_values(kind, texts):
    for text in texts:
        with pytest.raises(ExplainedError, match="^key must be "):
            read_value(kind, "key", text)


def test_list():
    assert read_list(INTEGER, "key", "1, 2,\n3") == (1, 2, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,x", "key must be a list of integers, got 'x' (value 2 of 2)"),
        ("1,", "key must be a list of integers, got '' (value 2 of 2)"),
        ("x", "key must be an integer, got 'x'"),
    ],
)
def test_wrong_list(text, message):
    with pytest.raises(ExplainedError) as error:
        read_list(INTEGER, "key", text)
    assert str(error.value) == message


def test_words_suggest_the_nearest():
    with pytest.raises(ExplainedError) as error:
        read_value(one_of("max", "avg"), "pool", "maxx")
    assert str(error.value) == "pool must be max or avg, got 'maxx' (did you mean 'max'?)"


@pytest.mark.parametrize(
    ("kind", "text", "hint"),
    [
        (FLAG, "flase", " (did you mean 'false'?)"),
        (NUMBER, "a numbr", ""),
        (at_least(1), "an integer", ""),
        (FUNCTION, "module.function or", ""),
    ],
)
def test_only_words_are_suggested(kind, text, hint):
    with pytest.raises(ExplainedError) as error:
        read_value(kind, "key", text)
    assert str(error.value) == f"key must be {kind.expected}, got {text!r}{hint}"


def test_long_texts_are_shortened():
    assert len(shorten("x" * 10_000)) < 60
