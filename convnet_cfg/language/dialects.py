"""Which program a pair of files was written for, and what that program knew.

A dialect is a table of layer types. Which one a pair is in is decided by `MARKERS`: the first marker found
in the files decides (spec: forks.md section 0, differences.md section 2).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from convnet_cfg.errors import Place, Problem
from convnet_cfg.language import layer_types
from convnet_cfg.language.grammar import Entry, Section
from convnet_cfg.language.layer_types import LayerSpec, as_table
from convnet_cfg.language.old_types import OldContrastNormSpec, OldCrossMapNormSpec, OldResponseNormSpec
from convnet_cfg.language.spec import key_names
from convnet_cfg.language.weight_types import ConvSpec, FullSpec, LocalSpec

Sections = Mapping[str, Section]


@dataclass(frozen=True)
class Dialect:
    """One program's language; `title` is its name for people, `deviation` what we do otherwise."""

    name: str
    title: str
    layer_types: Mapping[str, type[LayerSpec]]
    deviation: str | None = None

    @cached_property
    def keys(self) -> frozenset[str]:
        """The keys of all layer types in both files, lower-cased."""
        return frozenset(
            name.lower()
            for spec in self.layer_types.values()
            for name in (*key_names(spec), *key_names(spec.params))
        )


V1_TYPES = as_table(
    layer_types.DataSpec,
    FullSpec,
    ConvSpec,
    LocalSpec,
    layer_types.SoftmaxSpec,
    layer_types.SumSpec,
    layer_types.MaxSpec,
    layer_types.NeuronSpec,
    layer_types.PoolSpec,
    layer_types.ResponseNormSpec,
    layer_types.ContrastNormSpec,
    layer_types.CrossMapNormSpec,
    layer_types.NailbedSpec,
    layer_types.BlurSpec,
    layer_types.ResizeSpec,
    layer_types.YuvSpec,
    layer_types.LabSpec,
    layer_types.LogregSpec,
    layer_types.SquaresSpec,
)

V1 = Dialect("v1", "cuda-convnet", V1_TYPES)
V1_DROPOUT = Dialect("v1+dropout", "cuda-convnet with dropout", V1_TYPES)
ARCHAIC = Dialect(
    "archaic-v1",
    "cuda-convnet before 2012-06",
    {**V1_TYPES, **as_table(OldResponseNormSpec, OldContrastNormSpec, OldCrossMapNormSpec)},
    deviation="average pooling and cnorm divide by the pixels inside the image, as since 2012-07-17; "
    "programs before that date divided by the nominal window",
)

HISTORIC = "cuda-convnet of 2011"
V2 = "cuda-convnet2"
ALEXNET = "the 2012 AlexNet program"
DROPCONNECT = "the DropConnect branch"
NIN = "the Network in Network fork"


class Found(NamedTuple):
    """What a marker saw, and where."""

    what: str
    place: Place
    section: str


Finder = Callable[[Sections, Sections], Found | None]


class Marker(NamedTuple):
    """The dialect, or the title of a program not supported yet, that a finding decides for."""

    dialect: Dialect | str
    find: Finder


def _entries(sections: Sections) -> Iterator[tuple[Section, str, Entry]]:
    for section in sections.values():
        for key, entry in section.all_entries().items():
            yield section, key, entry


def _type_of(section: Section) -> str:
    entry = section.all_entries().get("type")
    return entry.text if entry else ""


def _has_keys(layers: Sections, if_any: str | None, unless_any: str | None) -> bool:
    """Return whether some layer has the key `if_any`, and none has `unless_any`."""
    present = {key for _, key, _ in _entries(layers)}
    return unless_any not in present and (if_any is None or if_any in present)


def types(*names: str, if_any: str | None = None, unless_any: str | None = None) -> Finder:
    """Find a layer of one of the types."""

    def find(layers: Sections, params: Sections) -> Found | None:
        if not _has_keys(layers, if_any, unless_any):
            return None
        for section, key, entry in _entries(layers):
            if key == "type" and entry.text in names:
                return Found(f"type {entry.text!r}", entry.value_place, section.name)
        return None

    return find


def keys(
    *names: str, of: tuple[str, ...] | None = None, if_any: str | None = None, unless_any: str | None = None
) -> Finder:
    """Find a key of the definition file, lower-cased; `of`: only in layers of these types."""

    def find(layers: Sections, params: Sections) -> Found | None:
        if not _has_keys(layers, if_any, unless_any):
            return None
        for section, key, entry in _entries(layers):
            if key in names and (of is None or _type_of(section) in of):
                return Found(f"key {entry.key!r}", entry.place, section.name)
        return None

    return find


def values(key_name: str, pattern: str) -> Finder:
    """Find a value of the definition file that matches a pattern."""

    def find(layers: Sections, params: Sections) -> Found | None:
        for section, key, entry in _entries(layers):
            if key == key_name and re.match(pattern, entry.text):
                return Found(f"{entry.key} {entry.text!r}", entry.value_place, section.name)
        return None

    return find


def param_keys(*names: str, pattern: str = "", of: tuple[str, ...] | None = None) -> Finder:
    """Find a key of the parameter file, in a section that has a layer, whose value matches a pattern."""

    def find(layers: Sections, params: Sections) -> Found | None:
        for section, key, entry in _entries(params):
            layer = layers.get(section.name.removesuffix("_neuron"))
            if layer is None or (of is not None and _type_of(layer) not in of):
                continue
            if key in names and re.search(pattern, entry.text):
                return Found(f"key {entry.key!r}", entry.place, section.name)
        return None

    return find


def keys_anywhere(*names: str) -> Finder:
    """Find a key of either file, even where it has no effect: the author's program had it."""

    def find(layers: Sections, params: Sections) -> Found | None:
        for section, key, entry in (*_entries(params), *_entries(layers)):
            if key in names:
                return Found(f"key {entry.key!r}", entry.place, section.name)
        return None

    return find


NORMS = ("rnorm", "cnorm", "cmrnorm")
AX_SCHEDULE = r"^\w+$|^\w+\[\w+=[^,\]]+(,\w+=[^,\]]+)*\]$"
NO_AX_SCHEDULE = rf"^(?!{AX_SCHEDULE})"

MARKERS: tuple[Marker, ...] = (
    Marker(NIN, types("cccp", "ffc", "cost.gsinlabel")),
    Marker(NIN, values("neuron", r"dropout\s*\[")),
    Marker(NIN, param_keys("k", of=NORMS)),
    Marker(DROPCONNECT, types("fcdropo", "fcdropc", "fcdropcf", "fcdrop")),
    Marker("the fork alemagnani/cuda-convnet", types("union")),
    Marker("the fork zixu1986/Doubly_Stochastic_Gradients", types("randft", "sep")),
    Marker("the fork civilman628/pyconvnet", types("eltconcat")),
    Marker("the fork Cysu/cuda-convnet", types("condprob", "cost.binxent")),
    Marker("the fork elhuhdron/emdrp", types("cost.ice", "cost.normp")),
    Marker("the fork zhaofang0627/cuda-convnet-for-hashing", types("cost.locrank")),
    Marker(
        ALEXNET,
        types("hs", "treefc", "cost.crossent2", "cost.rflickr", "cost.msm", "cost.gsum2", "cost.tica"),
    ),
    Marker(ALEXNET, param_keys("schedw", "schedb", pattern=AX_SCHEDULE)),
    Marker(ALEXNET, param_keys("quantf", "quantb")),
    # `linear[1,1]`, as two published files have it, was refused by that program and ignored by v1.
    Marker(V1, param_keys("schedw", "schedb", pattern=NO_AX_SCHEDULE)),
    Marker(ALEXNET, keys("gpu", if_any="partialsum", unless_any="sumwidth")),
    Marker(
        "the fork civilman628/pyconvnet", types("dropout", "dropout2", if_any="partialsum", unless_any="gpu")
    ),
    Marker(HISTORIC, keys("numfilters", "numoutputs", "subsx", "crossmap")),
    Marker(HISTORIC, values("neuron", r"abstanh\s*\[|tanh\s*\(")),
    Marker(HISTORIC, types("sum", unless_any="gpu")),
    Marker(V2, keys("gpu", "sumwidth", "modulesx")),
    Marker(
        V2, types("sfc", "sum", "cmpool", "href", "crop", "concat", "pass", "dropout", "dropout2", "rscale")
    ),
    Marker(V2, types("cost.crossent", "cost.bce", "cost.dce")),
    Marker(V2, values("pool", r"maxabs$")),
    Marker(V2, keys("sum", of=("pool",))),
    Marker(V2, keys("start", "end", of=("data",))),
    Marker(V2, values("neuron", r"(log|drelu)\s*\[|nrelu$")),
    Marker(V2, param_keys("epsw", "epsb", pattern=r"\[")),
    Marker(V2, param_keys("updateperiod", "wball", "wcnormmin", "wcnormmax", "mindiv", "topk")),
    Marker(V2, param_keys("keep", "enable", "posweight", "coeffs")),
    Marker(ARCHAIC, keys("sizex", "scale", "pow", of=NORMS)),
    Marker(V1_DROPOUT, keys_anywhere("dropout")),
)

DEAD_KEYS = frozenset({"supereps", "supermom", "sched", "wcnorm"})

# Keys that decide nothing by themselves, and which program reads them.
FOREIGN_KEYS: Mapping[str, str] = {
    "numfilters": HISTORIC,
    "numoutputs": HISTORIC,
    "subsx": HISTORIC,
    "crossmap": HISTORIC,
    "initfunc": HISTORIC,
    "rate": DROPCONNECT,
    "in_nodes": NIN,
    "out_nodes": NIN,
    "k": NIN,
    "schedw": ALEXNET,
    "schedb": ALEXNET,
    "quantf": ALEXNET,
    "quantb": ALEXNET,
    "gpu": V2,
    "sumwidth": V2,
    "modulesx": V2,
    "end": V2,
    "sum": V2,
    "parts": V2,
    "children": V2,
    "keep": V2,
    "enable": V2,
    "topk": V2,
    "mindiv": V2,
    "wball": V2,
    "wcnormmin": V2,
    "wcnormmax": V2,
    "updateperiod": V2,
    "posweight": V2,
}


def recognize(layers: Sections, params: Sections) -> tuple[Dialect, Found | None] | Problem:
    """Return the dialect of a pair and what decided it, or the problem that it is not supported yet."""
    for marker in MARKERS:
        found = marker.find(layers, params)
        if found is not None:
            if isinstance(marker.dialect, Dialect):
                return marker.dialect, found
            message = f"not supported yet: {found.what} ({marker.dialect})"
            return Problem(found.place, found.section, message)
    return V1, None
