"""The rules of Python 2.7's SafeConfigParser (spec: grammar.md sections 1 to 3), each by a worked value."""

import textwrap

import pytest

from convnet_cfg.errors import ConfigError, UsageError
from convnet_cfg.language.grammar import parse_sections, read_sections


def sections(text):
    return parse_sections(textwrap.dedent(text).lstrip("\n"), "net.cfg")


def value(line, *more):
    """Return the value of the key `x` in a section [a]."""
    entry = sections("\n".join(("[a]", line, *more)))["a"].get("x")
    return entry and entry.text


def test_sections_keep_the_order_of_their_first_appearance():
    found = sections(
        """
        [b]
        x=1
        [a]
        x=2
        [b]
        x=3
        y=4
        """
    )
    assert list(found) == ["b", "a"]
    assert {key: entry.text for key, entry in found["b"].entries.items()} == {"x": "3", "y": "4"}
    assert found["b"].place.line == 1


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("[a]", "a"),
        ("[ a ]", " a "),
        ("[a] behind it", "a"),
        ("[a][b]", "a"),
        ("[a b,c[0]", "a b,c[0"),
        ("[A]", "A"),
        ("[default]", "default"),
    ],
)
def test_a_name_is_everything_up_to_the_bracket(header, name):
    assert list(sections(header)) == [name]


def test_default_is_no_layer_but_its_options_are_in_every_section():
    found = sections("[a]\nx=1\n[DEFAULT]\nx=2\ny=3\n")
    assert list(found) == ["a"]
    assert found["a"].get("x").text == "1"
    assert found["a"].get("y").text == "3"
    assert "y" not in found["a"].entries


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("x=1", "1"),
        ("x = 1", "1"),
        ("x: 1", "1"),
        ("x :1", "1"),
        ("X=1", "1"),
        ("x=a=b:c", "a=b:c"),
        ("x: a=b", "a=b"),
        ("x=", ""),
        ('x=""', ""),
        ('x="1"', '"1"'),
        ("x=''", "''"),
        ("x=1 ; one", "1"),
        ("x=1;one", "1;one"),
        ("x=a;b ; c", "a;b ; c"),
        ("x=1\t;one", "1"),
        ("x=dexp[base=0.01 ;tgtFactor=2]", "dexp[base=0.01"),
        ("x=dexp[base=0.01;tgtFactor=2]", "dexp[base=0.01;tgtFactor=2]"),
        ("x=1 # one", "1 # one"),
        ("x= ;one", ";one"),  # the blank before it belongs to the separator
        ("x=;one ", ""),  # Python looked at the last character for want of one before the first
        ("x=1\r", "1"),
        ("x=1 \f\v", "1"),
        ("x=\u00a01", "\u00a01"),  # a no-break space was no blank
    ],
)
def test_value(line, expected):
    assert value(line) == expected


@pytest.mark.parametrize(
    "comment", ["# x=2", "; x=2", "#x=2", "rem x=2", "REM x=2", "Rem\tx=2", "rem", "", "   ", "\t"]
)
def test_comments_and_blank_lines(comment):
    assert value("x=1", comment) == "1"
    assert value("x=1", comment, "  more") == "1\nmore"


def test_a_word_that_begins_with_rem_is_no_comment():
    assert sections("[a]\nremark=1\nrem=2\n")["a"].get("remark").text == "1"
    assert sections("[a]\nrem=2\n")["a"].get("rem").text == "2"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("  2", "1\n2"),
        ("\t2  ", "1\n2"),
        ("  # no comment", "1\n# no comment"),
        ("  [b]", "1\n[b]"),
        ("  y=2", "1\ny=2"),
        ("  2 ; three", "1\n2 ; three"),
    ],
)
def test_an_indented_line_continues_the_value(line, expected):
    assert value("x=1", line) == expected
    assert value("x=1", "", "# comment", line) == expected


def test_an_indented_line_continues_across_a_header_of_the_same_section_only():
    with pytest.raises(ConfigError, match="must start in the first column"):
        sections("[a]\nx=1\n[b]\n  2\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x=1\n", "net.cfg:1:1: expected a [section] header before the first option"),
        ("\n\n  x=1\n[a]\n", "net.cfg:3:1: expected a [section] header before the first option"),
        ("[a]\n  x=1\n", "net.cfg:2:1: [a] an option must start in the first column, got 'x=1'"),
        ("[a]\nno separator\n", "net.cfg:2:1: [a] expected 'key=value', got 'no separator'"),
        ("[a]\n=1\n", "net.cfg:2:1: [a] expected 'key=value', got '=1'"),
        ("[a]\n[]\n", "net.cfg:2:1: [a] expected a section header like [name], got '[]'"),
    ],
)
def test_bad_line(text, message):
    with pytest.raises(ConfigError) as error:
        parse_sections(text, "net.cfg")
    assert str(error.value) == message


def test_all_bad_lines_are_reported():
    with pytest.raises(ConfigError) as error:
        sections("[a]\none\nx=1\ntwo\n[b\n")
    assert [problem.place.line for problem in error.value.problems] == [2, 4, 5]


def test_options_before_a_header_are_reported_once():
    with pytest.raises(ConfigError) as error:
        sections("x=1\ny=2\n[a]\n")
    assert len(error.value.problems) == 1


def test_places_of_key_and_value():
    entry = sections("[a]\n\nfilterSize =  5\n")["a"].get("FILTERSIZE")
    assert (entry.key, entry.text) == ("filterSize", "5")
    assert str(entry.place) == "net.cfg:3:1"
    assert str(entry.value_place) == "net.cfg:3:15"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%(y)s", "2"),
        ("%(Y)s", "2"),
        ("a%(y)sb%(y)s", "a2b2"),
        ("%(z)s", "<2>"),
        ("%(d)s", "default"),
        ("%%", "%"),
        ("50%%(y)s", "50%(y)s"),
        ("%(__name__)s", "a"),
    ],
)
def test_reference(text, expected):
    found = sections(f"[DEFAULT]\nd=default\n[a]\nx={text}\ny=2\nz=<%(y)s>\n")
    assert found["a"].get("x").text == expected


@pytest.mark.parametrize("text", ["%", "5%", "%d", "%(y", "%(y)", "%(y)d", "%(nothing)s", "%()s", "%(x)s"])
def test_bad_reference(text):
    with pytest.raises(ConfigError):
        value(f"x={text}", "y=2")


def test_references_may_be_ten_deep():
    def chain(length):
        return "\n".join(["[a]", *(f"k{n}=%(k{n + 1})s" for n in range(length)), f"k{length}=end"])

    assert sections(chain(10))["a"].get("k0").text == "end"
    with pytest.raises(ConfigError, match="too deeply"):
        sections(chain(11))["a"].get("k0")


def test_references_cannot_grow_without_limit():
    lines = [f"k{n}={f'%(k{n + 1})s' * 10}" for n in range(9)]
    text = "\n".join(["[a]", *lines, "k9=x"])
    with pytest.raises(ConfigError, match="too long"):
        sections(text)["a"].get("k0")


def test_only_what_is_read_is_interpolated():
    assert sections("[a]\nx=1\ny=5%\n")["a"].get("x").text == "1"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(tmp_path, end):
    path = tmp_path / "net.cfg"
    path.write_bytes(f"[a]{end}x=1{end}{end}[b]{end}x=2".encode())
    assert {name: section.get("x").text for name, section in read_sections(path).items()} == {
        "a": "1",
        "b": "2",
    }


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(("content", "text"), [(b"\xc3\xa4", "ä"), (b"\xe4", "ä")])
def test_encodings(tmp_path, start, content, text):
    path = tmp_path / "net.cfg"
    path.write_bytes(start + b"[a]\nx=" + content)
    assert read_sections(path)["a"].get("x").text == text


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match="cannot read .*nowhere.cfg: No such file"):
        read_sections(tmp_path / "nowhere.cfg")
    with pytest.raises(UsageError, match="Is a directory"):
        read_sections(tmp_path)
