"""Changes some values of a configuration file, and leaves the rest of it as it is, byte for byte."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping

from convnet_cfg.language.grammar import BLANKS, HEADER, OPTION, is_comment

Changes = Mapping[str, Mapping[str, str | None]]
"""New texts by section and lower-cased key; None: the key goes."""


def edited(content: bytes, changes: Changes) -> bytes:
    """Return a file with other values; a key that a section does not have comes behind its header.

    Comments stay, those between the lines of a value too.
    """
    bom = codecs.BOM_UTF8 if content.startswith(codecs.BOM_UTF8) else b""
    encoding = _encoding(content)
    text = content.removeprefix(bom).decode(encoding)
    end = "\n" if "\n" in text else "\r"
    return bom + end.join(_edited(text.split(end), changes)).encode(encoding)


def _encoding(content: bytes) -> str:
    try:
        content.decode()
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def _edited(lines: list[str], changes: Changes) -> Iterator[str]:
    lacking = {name: dict(keys) for name, keys in changes.items()}
    _forget_found(lines, lacking)
    done: set[tuple[str, str]] = set()
    for line, section, key in _located(lines):
        if key is None:
            yield line
            if section is not None and HEADER.match(line):
                ending = line[len(line.rstrip("\r")) :]
                added = lacking.pop(section, {})
                yield from (f"{name}={text}{ending}" for name, text in added.items() if text is not None)
        elif key not in changes.get(section or "", {}):
            yield line
        elif (section or "", key) not in done:
            done.add((section or "", key))
            text = changes[section or ""][key]
            if text is not None:
                yield _with_value(line, text)


def _forget_found(lines: list[str], lacking: dict[str, dict[str, str | None]]) -> None:
    """Leave only those keys that no line has."""
    for _, section, key in _located(lines):
        if key is not None:
            lacking.get(section or "", {}).pop(key, None)


def _located(lines: list[str]) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield each line with its section, and the lower-cased key that it is of, if it is of one."""
    section: str | None = None
    key: str | None = None
    for line in lines:
        if not line.strip(BLANKS) or is_comment(line):
            yield line, section, None
        elif line[0] in BLANKS and key is not None:
            yield line, section, key
        elif header := HEADER.match(line):
            section, key = header["name"], None
            yield line, section, None
        else:
            option = OPTION.match(line)
            key = option["key"].rstrip(BLANKS).lower() if option else None
            yield line, section, key


def _with_value(line: str, text: str) -> str:
    """Return the line of an option with another value; how the key is written stays."""
    option = OPTION.match(line)
    assert option is not None
    ending = line[len(line.rstrip("\r")) :]
    return f"{line[: option.start('value')]}{text}{ending}"
