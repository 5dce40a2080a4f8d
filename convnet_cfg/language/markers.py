"""Which program a pair of files was written for: the first marker found in them decides.

Source: forks.md section 0, differences.md section 2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from convnet_cfg.errors import ConfigError, Place, Problem, printable, shorten
from convnet_cfg.language.dialect import Dialect
from convnet_cfg.language.dialects import ALEXNET, DROPCONNECT, FORKS, HISTORIC, NIN, V1, V1_DROPOUT, V2
from convnet_cfg.language.grammar import Entry, Section

Sections = Mapping[str, Section]


class Found(NamedTuple):
    """What a marker saw, and where."""

    what: str
    place: Place
    section: str


class Finder(NamedTuple):
    """What looks for something in both files, and in words what that is."""

    words: str
    find: Callable[[Sections, Sections], Found | None]


class Refusal(NamedTuple):
    """A program that is not supported, and why."""

    title: str
    reason: str


class Marker(NamedTuple):
    """The dialect that a finding decides for, or why there is none."""

    dialect: Dialect | Refusal
    finder: Finder


def _entry(section: Section, key: str) -> Entry | None:
    """Return the entry of a key, its references replaced where they can be."""
    try:
        return section.get(key)
    except ConfigError:
        return section.find(key)


def _entries(sections: Sections, *keys: str) -> Iterator[tuple[Section, Entry]]:
    for section in sections.values():
        for key in keys:
            if (entry := _entry(section, key)) is not None:
                yield section, entry


def _type_of(section: Section) -> str:
    entry = _entry(section, "type")
    return entry.text if entry else ""


def _has_keys(layers: Sections, if_any: str | None, unless_any: str | None) -> bool:
    """Return whether some layer has the key `if_any`, and none has `unless_any`."""
    return (if_any is None or any(_entries(layers, if_any))) and not (
        unless_any and any(_entries(layers, unless_any))
    )


def _words(kind: str, names: tuple[str, ...], *conditions: str) -> str:
    return " ".join([kind, ", ".join(f"`{name}`" for name in names), *filter(None, conditions)])


def _if_keys(if_any: str | None, unless_any: str | None) -> str:
    conditions = [f"with `{if_any}` in some layer"] if if_any else []
    conditions += [f"without `{unless_any}` in any layer"] if unless_any else []
    return " and ".join(conditions)


def _of_types(names: tuple[str, ...] | None) -> str:
    return _words("in a layer of type", names) if names else ""


def types(*names: str, if_any: str | None = None, unless_any: str | None = None) -> Finder:
    """Find a layer of one of the types."""

    def find(layers: Sections, params: Sections) -> Found | None:
        if not _has_keys(layers, if_any, unless_any):
            return None
        for section, entry in _entries(layers, "type"):
            if entry.text in names:
                return Found(f"type={entry.text}", entry.value_place, section.name)
        return None

    return Finder(_words("type", names, _if_keys(if_any, unless_any)), find)


def keys(
    *names: str, of: tuple[str, ...] | None = None, if_any: str | None = None, unless_any: str | None = None
) -> Finder:
    """Find a key of the definition file, lower-cased; `of`: only in layers of these types."""

    def find(layers: Sections, params: Sections) -> Found | None:
        if not _has_keys(layers, if_any, unless_any):
            return None
        for section, entry in _entries(layers, *names):
            if of is None or _type_of(section) in of:
                return Found(entry.key, entry.place, section.name)
        return None

    return Finder(_words("key", names, _of_types(of), _if_keys(if_any, unless_any)), find)


def values(key_name: str, pattern: str, *examples: str) -> Finder:
    """Find a value of the definition file that matches a pattern; the examples are for readers."""

    def find(layers: Sections, params: Sections) -> Found | None:
        for section, entry in _entries(layers, key_name):
            if re.match(pattern, entry.text):
                return Found(f"{entry.key}={entry.text}", entry.value_place, section.name)
        return None

    return Finder(_words("value", tuple(f"{key_name}={example}" for example in examples)), find)


def param_keys(*names: str, pattern: str = "", of: tuple[str, ...] | None = None, value: str = "") -> Finder:
    """Find a key of the parameter file, in a section that has a layer, whose value matches a pattern.

    `value` says for readers what the pattern is.
    """

    def find(layers: Sections, params: Sections) -> Found | None:
        for section, entry in _entries(params, *names):
            layer = layers.get(section.name.removesuffix("_neuron"))
            if layer is None or (of is not None and _type_of(layer) not in of):
                continue
            if re.search(pattern, entry.text):
                return Found(entry.key, entry.place, section.name)
        return None

    return Finder(_words("parameter", names, value, _of_types(of)), find)


def keys_anywhere(*names: str) -> Finder:
    """Find a key of either file, even where it has no effect: the author's program had it."""

    def find(layers: Sections, params: Sections) -> Found | None:
        for section, entry in (*_entries(params, *names), *_entries(layers, *names)):
            return Found(entry.key, entry.place, section.name)
        return None

    return Finder(_words("key", names, "in either file, also where it has no effect"), find)


NORMS = ("rnorm", "cnorm", "cmrnorm")
AX_SCHEDULE = r"^\w+$|^\w+\[[^\]=]*\w=[^\]]*\]$|^j?dexp"
WITH_AX_SCHEDULE = "with a name, `name[key=value,...]`, or `dexp...`, `jdexp...`"
NO_AX_SCHEDULE = rf"^(?!{AX_SCHEDULE})"
RANDOM_FEATURES = Refusal(
    "zixu1986/Doubly_Stochastic_Gradients",
    "its random features come from the generator of a GPU, and its list of weights grows while it trains",
)

MARKERS: tuple[Marker, ...] = (
    Marker(NIN, types("cccp", "ffc", "cost.gsinlabel")),
    Marker(NIN, values("neuron", r"dropout\s*\[", "dropout[...]")),
    Marker(NIN, param_keys("k", of=NORMS)),
    Marker(DROPCONNECT, types("fcdropo", "fcdropc", "fcdropcf", "fcdrop")),
    Marker(DROPCONNECT, values("neuron", r"power\s*\[", "power[...]")),
    Marker(FORKS["alemagnani"], types("union")),
    Marker(RANDOM_FEATURES, types("randft", "sep")),
    Marker(FORKS["civilman628"], types("eltconcat")),
    Marker(FORKS["Cysu"], types("condprob", "cost.binxent")),
    Marker(FORKS["elhuhdron"], types("cost.ice", "cost.normp")),
    Marker(
        FORKS["elhuhdron"], param_keys("epsw", "epsb", pattern=r"(?i)texp\s*\[", value="with `texp[...]`")
    ),
    Marker(FORKS["zhaofang0627"], types("cost.locrank")),
    Marker(FORKS["hunse"], types("cost.hingeloss")),
    Marker(
        FORKS["hunse"],
        values("neuron", r"softlif(alpha|alpharc)?\b", "softlif", "softlifalpha", "softlifalpharc"),
    ),
    Marker(FORKS["stephenyan1231"], types("logsoftmax", "cost.reg", "normalize", "concatenate", "scaling")),
    Marker(FORKS["stephenyan1231"], param_keys("wcb")),
    Marker(FORKS["s9xie"], types("cost.tasklogreg")),
    Marker(FORKS["zbhzxyld"], types("cost.l2-sn", "cost.l2-reg", "cost.fisher2", "shift")),
    Marker(FORKS["tund"], keys("dropoutprob", of=("dropout",))),
    Marker(
        ALEXNET,
        types("hs", "treefc", "cost.crossent2", "cost.rflickr", "cost.msm", "cost.gsum2", "cost.tica"),
    ),
    Marker(ALEXNET, param_keys("schedw", "schedb", pattern=AX_SCHEDULE, value=WITH_AX_SCHEDULE)),
    Marker(ALEXNET, param_keys("quantf", "quantb")),
    # `linear[1,1]`, as two published files have it, was refused by that program and ignored by v1.
    Marker(V1, param_keys("schedw", "schedb", pattern=NO_AX_SCHEDULE, value="with anything else")),
    Marker(ALEXNET, keys("gpu", if_any="partialsum", unless_any="sumwidth")),
    Marker(FORKS["civilman628"], types("dropout", "dropout2", if_any="partialsum", unless_any="gpu")),
    Marker(HISTORIC, keys("numfilters", "numoutputs", "subsx", "crossmap")),
    Marker(HISTORIC, values("neuron", r"abstanh\s*\[|tanh\s*\(", "abstanh[...]", "tanh(...)")),
    Marker(HISTORIC, keys("sizex", "scale", of=NORMS)),
    Marker(HISTORIC, types("sum", unless_any="gpu")),
    Marker(V2, keys("gpu", "sumwidth", "modulesx")),
    Marker(V2, types("sfc", "sum", "cmpool", "href", "crop", "concat", "pass", "dropout", "dropout2")),
    Marker(V2, types("cost.crossent", "cost.bce", "cost.dce")),
    Marker(V2, values("pool", r"maxabs$", "maxabs")),
    Marker(V2, keys("sum", of=("pool",))),
    Marker(V2, keys("start", "end", of=("data",))),
    Marker(V2, values("neuron", r"(log|drelu)\s*\[|nrelu$", "log[...]", "drelu[...]", "nrelu")),
    Marker(V2, param_keys("epsw", "epsb", pattern=r"\[", value="with `[`")),
    Marker(V2, param_keys("updateperiod", "wball", "wcnormmin", "wcnormmax", "mindiv", "topk")),
    Marker(V2, param_keys("keep", "enable", "posweight", "coeffs", "supereps", "supermom")),
    Marker(HISTORIC, keys("pow", of=NORMS)),
    Marker(V1_DROPOUT, keys_anywhere("dropout")),
)


def recognize(layers: Sections, params: Sections) -> tuple[Dialect, str] | Problem:
    """Return the dialect of a pair and what decided it, or the problem that it is not supported."""
    for marker in MARKERS:
        found = marker.finder.find(layers, params)
        if found is None:
            continue
        if isinstance(marker.dialect, Dialect):
            place = f"{found.place.file}:{found.place.line}"
            return marker.dialect, printable(f"{shorten(found.section)} has {shorten(found.what)} ({place})")
        message = f"not supported: {shorten(found.what)} ({marker.dialect.title}): {marker.dialect.reason}"
        return Problem(found.place, found.section, message)
    return V1, "only v1 keys"
