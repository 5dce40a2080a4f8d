"""Which values differ between two parameter files; comments and order do not count."""

from __future__ import annotations

from convnet_cfg.errors import ConfigError
from convnet_cfg.language.grammar import parse_sections

Values = dict[tuple[str, str], tuple[str, str]]


def changed_values(before: str, now: str) -> list[str]:
    """Return a line for each value that differs: `[fc10] epsW: 0.001 -> 0.0001`."""
    old, new = _values(before), _values(now)
    places = dict.fromkeys([*old, *new])
    return [_line(place, old, new) for place in places if _text(place, old) != _text(place, new)]


def _line(place: tuple[str, str], old: Values, new: Values) -> str:
    key, _ = (new if place in new else old)[place]
    was, is_now = (_text(place, values) for values in (old, new))
    if is_now is None:
        return f"[{place[0]}] {key}: {was} -> gone"
    return f"[{place[0]}] {key}: {'new' if was is None else was} -> {is_now}"


def _text(place: tuple[str, str], values: Values) -> str | None:
    return values[place][1] if place in values else None


def _values(text: str) -> Values:
    """Return key and value as written, by section and lower-cased key; nothing for what cannot be read."""
    try:
        sections = parse_sections(text, "params.cfg")
    except ConfigError:
        return {}
    return {
        (section.name, name): (entry.key, " ".join(entry.text.split()))
        for section in sections.values()
        for name, entry in section.all_entries().items()
    }
