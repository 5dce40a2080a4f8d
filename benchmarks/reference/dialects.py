"""The dialects: how each is recognized, and what it changes in the one that it is based on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from benchmarks.reference.built import files
from benchmarks.reference.dialect_sets import base_of, family
from benchmarks.reference.keys import rows
from benchmarks.reference.markdown import as_sentence, bullets, link, names, table
from convnet_cfg.errors import Severity
from convnet_cfg.language.dialect import Dialect
from convnet_cfg.language.dialects import DEAD_KEYS, DIALECTS
from convnet_cfg.language.markers import MARKERS, recognize
from convnet_cfg.language.neurons import NumberSyntax
from convnet_cfg.language.spec import Ignored, declared_keys

Reason = TypeVar("Reason", str, Ignored)

RULES: Mapping[str, Mapping[Any, str]] = {
    "broadcasts": {
        False: "Keys with one value per input have just so many values.",
        True: "One value stands for all inputs of a layer, but not where *exactly one per input* is said.",
    },
    "activations_last": {
        False: "Layers made from the key `neuron` are listed right behind the layers that have it.",
        True: "Layers made from the key `neuron` are listed behind all others.",
    },
    "nominal_divisor": {
        False: "Gradients are divided by the number of cases of their minibatch, also in a short one.",
        True: "Gradients are divided by the size of a full minibatch, also in a short one.",
    },
    "nominal_average": {
        False: "`pool=avg` and `cnorm` divide by the number of pixels of a window inside the image.",
        True: "`pool=avg` and `cnorm` divide by the number of pixels of a whole window, also at the border.",
    },
    "shared_rates": {
        True: "Each use of a shared matrix counts with the learning rate of its own layer.",
        False: "A matrix that conv layers or layers on several devices share is trained at its owner's rate.",
    },
    "shares_biases": {
        False: "`weightSource` does not share biases.",
        True: "`weightSource` shares the biases too, if it names another layer for the first input.",
    },
    "unused_layers": {
        Severity.ERROR: "A layer that no other reads, and is no cost, is an error.",
        Severity.WARNING: "A layer that no other reads, and is no cost, is worth a warning.",
    },
}
"""What the values of a dialect's fields mean."""

TOLD = frozenset(
    {
        "name",
        "title",
        "base",
        "own_types",
        "neurons",
        "number_syntax",
        "schedules",
        "shapes",
        "placement",
        "ignored",
        "refused",
        "deviations",
        *RULES,
    }
)
"""The fields of a dialect that this module tells of; a test holds it to all of them."""

SPELLED = {
    name.lower(): name
    for dialect in DIALECTS.values()
    for spec in dialect.layer_types.values()
    for declarations in (spec, spec.params)
    for key in declared_keys(declarations).values()
    for name in key.names
}


def sections() -> Iterator[str]:
    """Yield the overview, the markers, and a section for each dialect."""
    yield "## Dialects"
    yield (
        "A dialect is the language of one program: what it adds to and changes in the dialect that it is "
        "based on. A dialect with all that are based on it is its family."
    )
    yield table(("dialect", "program", "based on", "family"), map(_overview, DIALECTS.values()))
    yield from _recognition()
    for dialect in DIALECTS.values():
        yield f"### {dialect.name}"
        yield f"The language of {dialect.title}."
        yield bullets(_facts(dialect))


def _overview(dialect: Dialect) -> tuple[str, ...]:
    others = family(dialect.name) - {dialect.name}
    listed = names(name for name in DIALECTS if name in others) if dialect.base else "all others"
    base = link(dialect.base) if dialect.base else ""
    return link(dialect.name), dialect.title, base, listed


def _recognition() -> Iterator[str]:
    yield "### How a dialect is recognized"
    yield (
        "`--dialect NAME` gives it. Else the first of these that is found in a pair of files decides; where "
        f"none is, it is {link(_without_any().name)}. A *type*, *key* or *value* is looked for in the "
        "definition file, a *parameter* in the sections of the parameter file that have a layer."
    )
    yield table(("", "found", "dialect"), _markers())
    yield f"Keys that had no effect in any program: {names(sorted(DEAD_KEYS))}."


def _without_any() -> Dialect:
    """Return the dialect of files that have nothing special."""
    dialect, *_ = recognize({}, {})
    assert isinstance(dialect, Dialect)
    return dialect


def _spelled(words: str) -> str:
    """Return words with keys, which markers have in lower case, in the usual one."""
    return re.sub(r"`(\w+)`", lambda match: f"`{SPELLED.get(match[1], match[1])}`", words)


def _markers() -> Iterator[tuple[str, ...]]:
    for number, marker in enumerate(MARKERS, start=1):
        decided = marker.dialect
        words = (
            link(decided.name)
            if isinstance(decided, Dialect)
            else f"none: {decided.title} is not supported, for {decided.reason}"
        )
        yield str(number), _spelled(marker.finder.words), words


def _facts(dialect: Dialect) -> Iterator[str]:
    base = base_of(dialect)
    if base is not None:
        yield f"Based on {link(base.name)}."
    numbers = [str(number) for number, marker in enumerate(MARKERS, start=1) if marker.dialect is dialect]
    fallback = " or by none" if dialect is _without_any() else ""
    yield f"Recognized by: {', '.join(numbers)}{fallback} of {link('How a dialect is recognized', 'these')}."
    yield from _changed("Layer types", base, dialect, lambda each: each.layer_types)
    yield from _changed("Activations", base, dialect, lambda each: each.neurons)
    if base is None or dialect.number_syntax != base.number_syntax:
        yield _numbers(dialect.number_syntax)
    yield from _changed("Learning rates", base, dialect, lambda each: each.schedules)
    yield from _changed("Learning rates in `schedW` and `schedB`", base, dialect, lambda each: each.shapes)
    if dialect.placement and (base is None or dialect.placement != base.placement):
        for row in rows(dialect.placement, dialect):
            yield f"Every layer but data may have {names(row.names)}: {row.value}."
    for rule, words in RULES.items():
        if base is None or getattr(dialect, rule) != getattr(base, rule):
            yield words[getattr(dialect, rule)]
    for ignored, keys in _by_reason(dialect.ignored, base.ignored if base else {}).items():
        severity = "worth a warning" if ignored.severity is Severity.WARNING else "noted"
        yield f"Keys without effect: {_spelled(names(keys))}. {as_sentence(ignored.reason)} ({severity})."
    for reason, refused in _by_reason(dialect.refused, base.refused if base else {}).items():
        yield f"Types that are refused: {names(refused)}. {as_sentence(reason)}."
    for deviation in dialect.deviations:
        yield f"Differs from that program: {deviation}."
    first, second = files(dialect.name)
    yield f"Example: [{first.name}](examples/{first.name}), [{second.name}](examples/{second.name})."


def _changed(
    title: str, base: Dialect | None, dialect: Dialect, table_of: Callable[[Dialect], Mapping[str, Any]]
) -> Iterator[str]:
    """Yield what is new or declared anew in a table of the dialect."""
    before: Mapping[str, Any] = table_of(base) if base else {}
    now = table_of(dialect)
    if added := [name for name in now if name not in before]:
        yield f"{title}{' beside those of ' + base.name if base and before else ''}: {names(added)}."
    if changed := [name for name in now if name in before and now[name] is not before[name]]:
        yield f"{title} declared anew: {names(changed)}."
    if gone := [name for name in before if name not in now]:
        yield f"{title} that are gone: {names(gone)}."


def _by_reason(now: Mapping[str, Reason], before: Mapping[str, Reason]) -> dict[Reason, list[str]]:
    """Return the names for each reason that the base does not have."""
    found: dict[Reason, list[str]] = {}
    for name, reason in now.items():
        if before.get(name) != reason:
            found.setdefault(reason, []).append(name)
    return found


def _numbers(syntax: NumberSyntax) -> str:
    exponents = "may" if syntax.values.fullmatch("1e-3") else "may not"
    brackets = "square or round brackets" if syntax.brackets.fullmatch("tanh(1)") else "square brackets"
    return f"The numbers of an activation stand in {brackets}, and {exponents} have an exponent."
