"""`weightSource`: matrices that belong to another layer or another input (spec: layers.md section 2)."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import replace
from typing import NamedTuple

from convnet_cfg.errors import shorten
from convnet_cfg.language.kinds import SourceRef
from convnet_cfg.language.layer_types import LayerSpec
from convnet_cfg.language.network import Matrix
from convnet_cfg.language.spec import Report, count
from convnet_cfg.language.weight_types import FilterSpec, WeightSpec


class Sharer(NamedTuple):
    """What can be said of a layer that is to lend a matrix; `matrices` is None where they are unknown."""

    type: str
    spec: LayerSpec | None
    matrices: tuple[Matrix, ...] | None
    devices: tuple[int, ...] = ()


class Borrower(NamedTuple):
    """A layer with a `weightSource`; `where` says in words why a name is not known above it."""

    name: str
    spec: WeightSpec
    devices: tuple[int, ...]
    where: Callable[[str], str]


def resolve_sources(
    borrower: Borrower, matrices: tuple[Matrix, ...], above: MutableMapping[str, Sharer], report: Report
) -> tuple[Matrix, ...]:
    """Return the matrices of a layer, those it shares marked with the layer that owns them."""
    known = ChainMap({}, above)
    spec = borrower.spec
    resolved: list[Matrix] = []
    for index, (matrix, ref) in enumerate(zip(matrices, spec.sources, strict=True)):
        if ref is not None:
            known[borrower.name] = Sharer(spec.type_name, spec, tuple(resolved), borrower.devices)
            owner = _owner(_Request(borrower, index, matrix, ref), known, report)
            matrix = replace(matrix, source=owner)
        resolved.append(matrix)
    return tuple(resolved)


class _Request(NamedTuple):
    """One item of a `weightSource`, and the matrix that it is for."""

    borrower: Borrower
    number: int
    matrix: Matrix
    ref: SourceRef


def _owner(request: _Request, known: Mapping[str, Sharer], report: Report) -> SourceRef | None:
    """Return the matrix, itself no sharer, that the item leads to, or report why there is none."""
    source = known.get(request.ref.layer)
    problem = _problem(request, source)
    if problem:
        report.error(f"weightSource {problem}", "weightSource")
    if problem or source is None or source.matrices is None:
        return None
    if set(source.devices) != set(request.borrower.devices):
        report.note("weightSource is on another device: the GPU program refused to share", "weightSource")
    return source.matrices[request.ref.number].source or request.ref


def _problem(request: _Request, source: Sharer | None) -> str | None:
    ref, borrower = request.ref, request.borrower
    shown = f"{shorten(ref.layer)}[{ref.number}]"
    if source is None:
        return f"{shorten(ref.layer)!r} is not defined above{borrower.where(ref.layer)}"
    if source.type and source.type != borrower.spec.type_name:
        return f"{shorten(ref.layer)!r} is {source.type}, not {borrower.spec.type_name}"
    if source.matrices is None:
        return None  # the source has errors of its own
    if ref.number >= len(source.matrices):
        if ref.layer == borrower.name:
            return f"{shown} must come before matrix {request.number} of this layer"
        number = count(len(source.matrices), "matrix", "matrices")
        return f"{shown} is not there: {shorten(ref.layer)!r} has {number}, numbered from 0"
    theirs, ours = (max(len(each.devices), 1) for each in (source, borrower))
    if theirs != ours:
        return (
            f"{shorten(ref.layer)!r} is on {count(theirs, 'device')}, this layer on {count(ours, 'device')}"
        )
    return _misfit(request, source, source.matrices[ref.number], shown)


def _misfit(request: _Request, source: Sharer, owner: Matrix, shown: str) -> str | None:
    if owner.shape != request.matrix.shape:
        theirs, ours = (" x ".join(map(str, shape)) for shape in (owner.shape, request.matrix.shape))
        return f"{shown} is {theirs}, this matrix is {ours}"
    spec = request.borrower.spec
    if not (isinstance(spec, FilterSpec) and spec.sparse[request.number]):
        return None
    same = isinstance(source.spec, FilterSpec) and (
        _sparsity(source.spec, request.ref.number) == _sparsity(spec, request.number)
    )
    return None if same else f"{shown} must have randSparse, and the same groups, channels and filterChannels"


def _sparsity(spec: FilterSpec, index: int) -> tuple[bool, int, int, int]:
    return spec.sparse[index], spec.groups[index], spec.channels[index], spec.filter_channels(index)
