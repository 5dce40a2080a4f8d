"""What is said of keys that a layer does not have (the original ignored all of them)."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from convnet_cfg.errors import Problem, Severity, did_you_mean, shorten
from convnet_cfg.language.dialects import DEAD_KEYS, DIALECTS, Dialect
from convnet_cfg.language.grammar import Section, default_section
from convnet_cfg.language.spec import Report

IGNORED = "the original ignored it: --lenient does the same"


def check_keys(
    section: Section, known: Sequence[str], elsewhere: Sequence[str], dialect: Dialect, report: Report
) -> None:
    """Report the keys of a section that its layer does not have, as errors where they may be meant.

    `known` are its keys in this file, `elsewhere` those that it has in the other one.
    """
    lowered = {name.lower() for name in known}
    for key, entry in section.entries.items():
        if key not in lowered:
            message, severity = _judge(key, entry.key, known, elsewhere, dialect)
            report.about_key(entry, message, severity)


def check_defaults(
    sections: Collection[Section],
    known: Sequence[str],
    elsewhere: Sequence[str],
    dialect: Dialect,
    problems: list[Problem],
) -> None:
    """Report the keys of `[DEFAULT]` that no layer has; the names are those of all layers together."""
    section = default_section(sections)
    if section is not None:
        check_keys(section, known, elsewhere, dialect, Report(problems, section))


def _judge(
    key: str, written: str, known: Sequence[str], elsewhere: Sequence[str], dialect: Dialect
) -> tuple[str, Severity]:
    shown = f"unknown key {shorten(written)!r}"
    if key in dialect.ignored:
        reason, severity = dialect.ignored[key]
        return f"key {written!r} has no effect: {reason}", severity
    if key in DEAD_KEYS:
        return f"key {written!r} had no effect in any program", Severity.WARNING
    if key in {name.lower() for name in elsewhere}:
        return f"key {written!r} belongs in the other file ({IGNORED})", Severity.SUSPECT
    if key in dialect.keys:
        return f"key {written!r} means nothing here", Severity.WARNING
    if owner := next((other for other in DIALECTS.values() if key in other.keys), None):
        return f"{shown}: it belongs to {owner.title} ({IGNORED})", Severity.SUSPECT
    if hint := did_you_mean(written, known):
        return f"{shown}{hint} ({IGNORED})", Severity.SUSPECT
    return f"{shown}, ignored", Severity.WARNING
