"""Two files to a `Network`, or to one error that lists every problem of both (spec: grammar.md section 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from convnet_cfg.errors import ConfigError, Place, Problem, Severity
from convnet_cfg.language.activations import name_activations
from convnet_cfg.language.assembly import assemble, data_dims
from convnet_cfg.language.declaring import Declarations, declare_layers
from convnet_cfg.language.dialects import Dialect, recognize
from convnet_cfg.language.grammar import Section, read_sections
from convnet_cfg.language.network import Network
from convnet_cfg.language.parameters import read_parameters
from convnet_cfg.language.params import LayerParams
from convnet_cfg.language.wiring import DataDims, wire_layers

# What each way of reading makes of the severities: the ones that are errors.
MODES: Mapping[str, frozenset[Severity]] = {
    "lenient": frozenset({Severity.ERROR}),
    "default": frozenset({Severity.ERROR, Severity.SUSPECT}),
    "strict": frozenset({Severity.ERROR, Severity.SUSPECT, Severity.WARNING}),
}


def load_network(
    layers: str | Path,
    params: str | Path | None = None,
    *,
    data_dims: DataDims | Sequence[int],
    classes: int | None = None,
    mode: str = "default",
) -> Network:
    """Read a layer definition, and the layer parameters if given, into a checked network.

    `data_dims` has the values for each case of every data matrix (`dataIdx`), as a sequence or a function
    that returns None for "unknown"; `classes` is the number of labels that the data have; `mode` is one of
    `MODES`.

    Raises:
        UsageError: a file cannot be read.
        ConfigError: everything that is wrong with the files.
    """
    return build_network(read_pair(layers, params), data_dims, classes, mode)


@dataclass(frozen=True)
class Pair:
    """What both files say of each layer on its own, and the problems in that."""

    layers_path: str
    dialect: Dialect
    recognized_by: str
    declarations: Declarations
    activations: Mapping[str, str]
    params: Mapping[str, LayerParams | None] | None  # None: no parameter file
    problems: tuple[Problem, ...]


def read_pair(layers: str | Path, params: str | Path | None = None) -> Pair:
    """Read a layer definition, and the layer parameters if given, without regard to the data.

    Raises:
        UsageError: a file cannot be read.
        ConfigError: the files are no configuration files, or are for a program not supported yet.
    """
    problems: list[Problem] = []
    layer_sections = _read(layers, problems)
    param_sections = _read(params, problems) if params is not None else {}
    if layer_sections is None:
        raise ConfigError(problems)
    if not layer_sections:
        raise ConfigError([Problem(Place(str(layers), 1), None, "no [layer] in this file"), *problems])
    dialect, reason = _recognize(layer_sections, param_sections or {}, problems)
    declarations = declare_layers(layer_sections, dialect, problems)
    activations = name_activations(declarations, problems)
    values = None
    if params is not None and param_sections is not None:
        values = read_parameters(param_sections, str(params), declarations, activations, dialect, problems)
    return Pair(str(layers), dialect, reason, declarations, activations, values, tuple(problems))


def build_network(
    pair: Pair, dims: DataDims | Sequence[int], classes: int | None = None, mode: str = "default"
) -> Network:
    """Return the network that a pair describes for data of the given sizes; see `load_network`."""
    problems = list(pair.problems)
    layers = wire_layers(pair.declarations, as_function(dims), classes, problems)
    problems.sort(key=_reading_order(pair.layers_path))
    reported = [_as_reported(problem, mode) for problem in problems]
    if any(problem.severity is Severity.ERROR for problem in reported):
        raise ConfigError([problem for problem in reported if problem.severity is not Severity.NOTE])
    finished = assemble(layers, pair.activations, pair.params or {})
    return Network(
        dialect=pair.dialect,
        recognized_by=pair.recognized_by,
        layers=finished,
        data_dims=data_dims(finished),
        remarks=tuple(reported),
        has_params=pair.params is not None,
    )


def _as_reported(problem: Problem, mode: str) -> Problem:
    """Return a problem as the error, warning or note that the mode makes of it."""
    if problem.severity in MODES[mode]:
        return problem._replace(severity=Severity.ERROR)
    return problem if problem.severity is Severity.NOTE else problem._replace(severity=Severity.WARNING)


def as_function(dims: DataDims | Sequence[int]) -> DataDims:
    """Return sizes of data matrices as a function of the matrix number."""
    if callable(dims):
        return dims
    return lambda index: dims[index] if index < len(dims) else None


def _recognize(
    layers: Mapping[str, Section], params: Mapping[str, Section], problems: Sequence[Problem]
) -> tuple[Dialect, str]:
    recognized = recognize(layers, params)
    if isinstance(recognized, Problem):
        raise ConfigError([recognized, *problems])
    dialect, found = recognized
    return dialect, f"[{found.section}] has {found.what} ({found.place})" if found else "only v1 keys"


def _reading_order(first_file: str) -> Callable[[Problem], tuple[bool, str, int, int]]:
    return lambda problem: (problem.place.file != first_file, *problem.place)


def _read(path: str | Path, problems: list[Problem]) -> Mapping[str, Section] | None:
    try:
        return read_sections(path)
    except ConfigError as error:
        problems.extend(error.problems)
        return None
