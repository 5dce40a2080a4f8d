"""`weightSource`: matrices that belong to another layer or another input (spec: layers.md section 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from convnet_cfg.errors import did_you_mean
from convnet_cfg.language.kinds import SourceRef, shorten
from convnet_cfg.language.layer_types import LayerSpec
from convnet_cfg.language.network import Matrix
from convnet_cfg.language.spec import Report, count
from convnet_cfg.language.weight_types import FilterSpec, WeightSpec


class Sharer(NamedTuple):
    """What can be said of a layer that is to lend a matrix; `matrices` is None where they are unknown."""

    type: str
    spec: LayerSpec | None
    matrices: tuple[Matrix, ...] | None


def resolve_sources(
    name: str,
    spec: WeightSpec,
    matrices: tuple[Matrix, ...],
    above: Mapping[str, Sharer],
    report: Report,
) -> tuple[Matrix, ...]:
    """Return the matrices of a layer, those it shares marked with the layer that owns them."""
    known = dict(above)
    resolved: tuple[Matrix, ...] = ()
    for index, (matrix, ref) in enumerate(zip(matrices, spec.sources, strict=True)):
        known[name] = Sharer(spec.type_name, spec, resolved)
        if ref is not None:
            owner = _owner(_Request(name, spec, index, matrix, ref), known, report)
            matrix = replace(matrix, source=owner)
        resolved += (matrix,)
    return resolved


class _Request(NamedTuple):
    """One item of a `weightSource`, and the matrix that it is for."""

    layer: str
    spec: WeightSpec
    number: int
    matrix: Matrix
    ref: SourceRef


def _owner(request: _Request, known: Mapping[str, Sharer], report: Report) -> SourceRef | None:
    """Return the matrix, itself no sharer, that the item leads to, or report why there is none."""
    source = known.get(request.ref.layer)
    problem = _problem(request, source, known)
    if problem:
        report.error(f"weightSource {problem}", "weightSource")
    if problem or source is None or source.matrices is None:
        return None
    return source.matrices[request.ref.number].source or request.ref


def _problem(request: _Request, source: Sharer | None, known: Mapping[str, Sharer]) -> str | None:
    ref = request.ref
    shown = f"{shorten(ref.layer)}[{ref.number}]"
    if source is None:
        return f"{shorten(ref.layer)!r} is not defined above{did_you_mean(ref.layer, known)}"
    if source.type and source.type != request.spec.type_name:
        return f"{shorten(ref.layer)!r} is {source.type}, not {request.spec.type_name}"
    if source.matrices is None:
        return None  # the source has errors of its own
    if ref.number >= len(source.matrices):
        if ref.layer == request.layer:
            return f"{shown} is not above matrix {request.number} of this layer"
        number = count(len(source.matrices), "matrix", "matrices")
        return f"{shorten(ref.layer)!r} has {number}, no number {ref.number}"
    return _misfit(request, source, source.matrices[ref.number], shown)


def _misfit(request: _Request, source: Sharer, owner: Matrix, shown: str) -> str | None:
    if owner.shape != request.matrix.shape:
        theirs, ours = (" x ".join(map(str, shape)) for shape in (owner.shape, request.matrix.shape))
        return f"{shown} is {theirs}, this matrix is {ours}"
    if not (isinstance(request.spec, FilterSpec) and request.spec.sparse[request.number]):
        return None
    same = isinstance(source.spec, FilterSpec) and (
        _sparsity(source.spec, request.ref.number) == _sparsity(request.spec, request.number)
    )
    return None if same else f"{shown} must have randSparse, and the same groups, channels and filterChannels"


def _sparsity(spec: FilterSpec, index: int) -> tuple[bool, int, int, int]:
    return spec.sparse[index], spec.groups[index], spec.channels[index], spec.filter_channels(index)
