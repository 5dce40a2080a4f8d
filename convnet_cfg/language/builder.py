"""Two files to a `Network`, or to one error that lists every problem of both (spec: grammar.md section 5)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from convnet_cfg.errors import ConfigError, Place, Problem, Severity, UsageError, did_you_mean
from convnet_cfg.language.activations import name_activations
from convnet_cfg.language.assembly import assemble
from convnet_cfg.language.declaring import Declarations, declare_layers
from convnet_cfg.language.dialect import DeviceList, Dialect
from convnet_cfg.language.dialects import DIALECTS
from convnet_cfg.language.grammar import Section, read_sections
from convnet_cfg.language.layer_types import DataSpec
from convnet_cfg.language.markers import recognize
from convnet_cfg.language.network import Layer, Network
from convnet_cfg.language.parameters import read_parameters
from convnet_cfg.language.params import LayerParams
from convnet_cfg.language.replicas import check_periods, check_replicas
from convnet_cfg.language.spec import Report
from convnet_cfg.language.wiring import DataDims, Wired, wire_layers

# What each way of reading makes of the severities: the ones that are errors.
MODES: Mapping[str, frozenset[Severity]] = {
    "lenient": frozenset({Severity.ERROR}),
    "default": frozenset({Severity.ERROR, Severity.SUSPECT}),
    "strict": frozenset({Severity.ERROR, Severity.SUSPECT, Severity.WARNING}),
}

# What averages over windows may divide by.
DIVISORS = ("existing", "nominal")

# What an error says of a key that the original ignored.
REFUSED_KEYS: Mapping[str, str] = {
    "default": " (the original ignored it: --lenient does the same)",
    "strict": " (the original ignored it)",
}


@dataclass(frozen=True)
class Reading:
    """How two files are read.

    `mode` is one of `MODES`. `dialect` is the name of one of `DIALECTS`; None: it is recognized. Averages
    over windows at the border divide by the `average_divisor`: the `existing` pixels, or the `nominal` number
    of pixels of a window; None: as the dialect has it. `ignore_devices`: a network whose layers were spread
    over devices is one plain network.

    Raises:
        UsageError: there is no such mode, dialect or divisor.
    """

    mode: str = "default"
    dialect: str | None = None
    average_divisor: str | None = None
    ignore_devices: bool = False

    def __post_init__(self) -> None:
        _check_word("mode", self.mode, MODES)
        if self.average_divisor is not None:
            _check_word("average divisor", self.average_divisor, DIVISORS)
        if self.dialect is not None:
            _check_word("dialect", self.dialect, DIALECTS)


def _check_word(what: str, word: str, known: Collection[str]) -> None:
    if word not in known:
        raise UsageError(f"no {what} {word!r}{did_you_mean(word, known)}: there are {', '.join(known)}")


def load_network(
    layers: str | Path,
    params: str | Path | None = None,
    *,
    data_dims: DataDims | Sequence[int],
    classes: int | None = None,
    reading: Reading = Reading(),
) -> Network:
    """Read a layer definition, and the layer parameters if given, into a checked network.

    `data_dims` has the values for each case of every data matrix (`dataIdx`), as a sequence or a function
    that returns None for "unknown"; `classes` is the number of labels that the data have.

    Raises:
        UsageError: a file cannot be read.
        ConfigError: everything that is wrong with the files.
    """
    return build_network(read_pair(layers, params, reading), data_dims, classes)


@dataclass(frozen=True)
class Pair:
    """What both files say of each layer on its own, and the problems in that."""

    layers_path: str
    reading: Reading
    dialect: Dialect
    recognized_by: str
    declarations: Declarations
    activations: Mapping[str, str]
    params: Mapping[str, LayerParams | None] | None  # None: no parameter file
    param_sections: Mapping[str, Section]
    problems: tuple[Problem, ...]


def read_pair(layers: str | Path, params: str | Path | None = None, reading: Reading = Reading()) -> Pair:
    """Read a layer definition, and the layer parameters if given, without regard to the data.

    Raises:
        UsageError: a file cannot be read.
        ConfigError: the files are no configuration files, or are for a program that is not supported.
    """
    problems: list[Problem] = []
    layer_sections = _read(layers, problems)
    param_sections = _read(params, problems) if params is not None else {}
    if layer_sections is None:
        raise ConfigError(problems)
    if not layer_sections:
        raise ConfigError([Problem(Place(str(layers), 1), None, "no [layer] in this file"), *problems])
    if params is not None and param_sections is not None:
        _check_order(str(layers), str(params), layer_sections, param_sections)
    dialect, reason = _recognize(layer_sections, param_sections or {}, reading.dialect, problems)
    declarations = declare_layers(layer_sections, param_sections or {}, dialect, problems)
    activations = name_activations(declarations, problems)
    values = None
    if params is not None and param_sections is not None:
        values = read_parameters(param_sections, str(params), declarations, activations, dialect, problems)
    return Pair(
        layers_path=str(layers),
        reading=reading,
        dialect=dialect,
        recognized_by=reason,
        declarations=declarations,
        activations=activations,
        params=values,
        param_sections=param_sections or {},
        problems=tuple(problems),
    )


def build_network(pair: Pair, dims: DataDims | Sequence[int], classes: int | None = None) -> Network:
    """Return the network that a pair describes for data of the given sizes; see `load_network`."""
    problems = list(pair.problems)
    layers = wire_layers(pair.declarations, pair.dialect, as_function(dims), classes, problems)
    if pair.dialect.placement is DeviceList:
        check_replicas(layers, problems)
        if not pair.reading.ignore_devices:
            check_periods(layers, pair.params or {}, pair.param_sections, problems)
    _check_params(pair, layers, problems)
    problems.sort(key=_reading_order(pair.layers_path))
    reported = [_as_reported(problem, pair.reading.mode) for problem in problems]
    if any(problem.severity is Severity.ERROR for problem in reported):
        raise ConfigError([problem for problem in reported if problem.severity is not Severity.NOTE])
    divisor = pair.reading.average_divisor
    return Network(
        dialect=pair.dialect,
        recognized_by=pair.recognized_by,
        layers=_finished(pair, layers),
        data_dims=_used_dims(layers, as_function(dims)),
        nominal_average=divisor == "nominal" if divisor else pair.dialect.nominal_average,
        remarks=tuple(reported),
        has_params=pair.params is not None,
    )


def _finished(pair: Pair, wired: Mapping[str, Wired]) -> tuple[Layer, ...]:
    layers = assemble(wired, pair.activations, pair.params or {}, pair.dialect.shares_biases)
    return tuple(replace(layer, devices=()) for layer in layers) if pair.reading.ignore_devices else layers


def _check_params(pair: Pair, layers: Mapping[str, Wired], problems: list[Problem]) -> None:
    """Report what only the inputs of a layer show to be wrong in its parameters."""
    for layer in layers.values():
        params = (pair.params or {}).get(layer.name)
        if layer.declared.spec is None or layer.inputs is None or params is None:
            continue
        section = pair.param_sections.get(layer.name, layer.declared.section)
        layer.declared.spec.check_params(params, layer.inputs, Report(problems, section))


def _used_dims(layers: Mapping[str, Wired], dims: DataDims) -> tuple[int, ...]:
    """Return the size of each data matrix that is read; 0 for those that are not."""
    specs = [layer.declared.spec for layer in layers.values()]
    used = {spec.data_index for spec in specs if isinstance(spec, DataSpec)}
    return tuple((dims(index) or 0) if index in used else 0 for index in range(max(used, default=-1) + 1))


def _as_reported(problem: Problem, mode: str) -> Problem:
    """Return a problem as the error, warning or note that the mode makes of it, in the words for that."""
    if problem.severity in MODES[mode]:
        advice = REFUSED_KEYS[mode] if problem.ignored else ""
        return problem._replace(severity=Severity.ERROR, message=problem.message + advice)
    if problem.severity is Severity.NOTE:
        return problem
    consequence = ", ignored" if problem.ignored else ""
    return problem._replace(severity=Severity.WARNING, message=problem.message + consequence)


def as_function(dims: DataDims | Sequence[int]) -> DataDims:
    """Return sizes of data matrices as a function of the matrix number."""
    if callable(dims):
        return dims
    return lambda index: dims[index] if index < len(dims) else None


def _recognize(
    layers: Mapping[str, Section],
    params: Mapping[str, Section],
    given: str | None,
    problems: Sequence[Problem],
) -> tuple[Dialect, str]:
    if given is not None:
        return DIALECTS[given], "as asked for"
    recognized = recognize(layers, params)
    if isinstance(recognized, Problem):
        raise ConfigError([recognized, *problems])
    return recognized


def _reading_order(first_file: str) -> Callable[[Problem], tuple[bool, str, int, int]]:
    return lambda problem: (problem.place.file != first_file, *problem.place)


def _check_order(
    layers: str, params: str, layer_sections: Mapping[str, Section], param_sections: Mapping[str, Section]
) -> None:
    """Raise ConfigError if one file was given twice, or the two in the wrong order."""
    place = Place(layers, 1)
    if Path(layers).samefile(params):
        message = "this file is given twice: the definition and the parameters are two files"
        raise ConfigError([Problem(place, None, message)])
    if _has_types(param_sections) and not _has_types(layer_sections):
        message = f"no layer has a type here, but there are types in {params}: are the two files swapped?"
        raise ConfigError([Problem(place, None, message)])


def _has_types(sections: Mapping[str, Section]) -> bool:
    return any("type" in section.all_entries() for section in sections.values())


def _read(path: str | Path, problems: list[Problem]) -> Mapping[str, Section] | None:
    try:
        return read_sections(path)
    except ConfigError as error:
        problems.extend(error.problems)
        return None
