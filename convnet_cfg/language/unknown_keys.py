"""What is said of keys that a layer does not have (the original ignored all of them)."""

from __future__ import annotations

from typing import Any

from convnet_cfg.errors import Severity, did_you_mean
from convnet_cfg.language.dialects import DEAD_KEYS, FOREIGN_KEYS, Dialect
from convnet_cfg.language.grammar import Section
from convnet_cfg.language.kinds import shorten
from convnet_cfg.language.spec import Report, key_names

IGNORED = "the original ignored it: --lenient does the same"
ALWAYS_KNOWN = ("type",)  # of the definition file; no layer's declaration has it


def check_keys(
    section: Section, declarations: type[Any], other_file: type[Any], dialect: Dialect, report: Report
) -> None:
    """Report the keys of a section that its layer does not have, as errors where they may be meant.

    `declarations` has the keys of this file, `other_file` those that the layer has in the other one.
    """
    known = [*ALWAYS_KNOWN, *key_names(declarations)]
    for key, entry in section.entries.items():
        if key not in {name.lower() for name in known}:
            message, severity = _judge(key, entry.key, known, other_file, dialect)
            report.about_key(entry, message, severity)


def _judge(
    key: str, written: str, known: list[str], other_file: type[Any], dialect: Dialect
) -> tuple[str, Severity]:
    shown = f"unknown key {shorten(written)!r}"
    if key in DEAD_KEYS:
        return f"key {written!r} had no effect in any program", Severity.WARNING
    if key in {name.lower() for name in key_names(other_file)}:
        return f"key {written!r} belongs in the other file ({IGNORED})", Severity.SUSPECT
    if key in dialect.keys:
        return f"key {written!r} means nothing here", Severity.WARNING
    if key in FOREIGN_KEYS:
        return f"{shown}: it belongs to {FOREIGN_KEYS[key]} ({IGNORED})", Severity.SUSPECT
    if hint := did_you_mean(written, known):
        return f"{shown}{hint} ({IGNORED})", Severity.SUSPECT
    return f"{shown}, ignored", Severity.WARNING
