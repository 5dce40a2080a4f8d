"""What is said of keys that a layer does not have (the original ignored all of them)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from convnet_cfg.errors import Problem, Severity, did_you_mean, shorten
from convnet_cfg.language.dialect import Dialect
from convnet_cfg.language.dialects import DEAD_KEYS, DIALECTS
from convnet_cfg.language.grammar import Section, default_section
from convnet_cfg.language.spec import Report


class Judgement(NamedTuple):
    """What is said of a key, how much it matters, and whether it is ignored unless that is an error."""

    message: str
    severity: Severity = Severity.WARNING
    ignored: bool = False


def check_keys(
    section: Section, known: Sequence[str], elsewhere: Sequence[str], dialect: Dialect, report: Report
) -> None:
    """Report the keys of a section that its layer does not have, as errors where they may be meant.

    `known` are its keys in this file, `elsewhere` those that it has in the other one.
    """
    lowered = {name.lower() for name in known}
    for key, entry in section.entries.items():
        if key not in lowered:
            report.about_key(entry, *_judge(key, entry.key, known, elsewhere, dialect))


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
) -> Judgement:
    shown = f"unknown key {shorten(written)!r}"
    if key in dialect.ignored:
        reason, severity = dialect.ignored[key]
        return Judgement(f"key {written!r} has no effect: {reason}", severity)
    if key in DEAD_KEYS:
        return Judgement(f"key {written!r} has no effect")
    if key in {name.lower() for name in elsewhere}:
        return Judgement(f"key {written!r} belongs in the other file", Severity.SUSPECT, ignored=True)
    if key in dialect.keys:
        return Judgement(f"key {written!r} means nothing here")
    if owner := next((other for other in DIALECTS.values() if key in other.keys), None):
        return Judgement(f"{shown}: it belongs to {owner.title}", Severity.SUSPECT, ignored=True)
    if hint := did_you_mean(written, known):
        return Judgement(f"{shown}{hint}", Severity.SUSPECT, ignored=True)
    return Judgement(shown, ignored=True)
