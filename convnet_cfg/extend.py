"""Layer types, neurons, costs, schedules and data providers of one's own.

A module that uses this is named with `--extension`; docs/extending.md has a whole example.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from convnet_cfg.data import DataProvider, register, working_directory_on_path
from convnet_cfg.errors import Problem, UsageError
from convnet_cfg.language.dialect import EXTENSIONS
from convnet_cfg.language.dialects import DIALECTS
from convnet_cfg.language.grammar import parse_sections
from convnet_cfg.language.kinds import FLAG, INTEGER, NAME, NUMBER, POSITIVE, Kind, at_least, in_range, one_of
from convnet_cfg.language.layer_types import LayerSpec
from convnet_cfg.language.markers import recognize
from convnet_cfg.language.neurons import NeuronType
from convnet_cfg.language.own_types import OwnCostSpec, OwnImageSpec, OwnSpec
from convnet_cfg.language.params import CostParams, LayerParams
from convnet_cfg.language.schedules import Progress, ScheduleType
from convnet_cfg.language.shapes import Image, Input, Output
from convnet_cfg.language.spec import Report, key

__all__ = [
    "FLAG",
    "INTEGER",
    "NAME",
    "NUMBER",
    "POSITIVE",
    "CostParams",
    "DataProvider",
    "Image",
    "Input",
    "LayerParams",
    "Output",
    "OwnCostSpec",
    "OwnImageSpec",
    "OwnSpec",
    "Progress",
    "Report",
    "at_least",
    "in_range",
    "key",
    "layer_type",
    "load_extensions",
    "neuron",
    "one_of",
    "register",
    "schedule",
]

Spec = TypeVar("Spec", bound=type[LayerSpec])
Function = TypeVar("Function", bound=Callable[..., Any])


def layer_type(spec: Spec) -> Spec:
    """Add a layer type or cost, a class derived from `OwnSpec`, `OwnImageSpec` or `OwnCostSpec`, by its name.

    Raises:
        ValueError: there is a type of that name in some dialect, or files that have it are refused.
    """
    name = spec.type_name
    _check_name("layer type", name, r"[\w.-]+")
    recognized = recognize(parse_sections(f"[x]\ntype={name}", name), {})
    if isinstance(recognized, Problem):
        raise ValueError(recognized.message)
    _check_free("layer type", name, (dialect.layer_types for dialect in DIALECTS.values()))
    EXTENSIONS.layer_types[name] = spec
    _forget()
    return spec


def neuron(name: str, *parameters: str, formula: str = "") -> Callable[[Function], Function]:
    """Add a neuron: a decorator for a function of a tensor and, by keyword, the parameters.

    Raises:
        ValueError: there is a neuron of that name in some dialect, or it cannot be written in a file.
    """

    def add(function: Function) -> Function:
        _check_name("neuron", name)
        _check_free("neuron", name, (dialect.neurons for dialect in DIALECTS.values()))
        kind = NeuronType(parameters, formula or f"{name}(x)", uses_inputs=True, function=function)
        _check_free("neuron", name, [EXTENSIONS.neurons])
        EXTENSIONS.neurons[name] = kind
        _forget()
        return function

    return add


def schedule(name: str, parameters: Mapping[str, Kind], formula: str = "") -> Callable[[Function], Function]:
    """Add a schedule: a decorator for a function of base rate, `Progress` and the values of the parameters.

    It is written `name[base=b;parameter=value]`, in the dialects that have schedules in `epsW`.

    Raises:
        ValueError: there is a schedule of that name, in any case, or it cannot be written in a file.
    """

    def add(function: Function) -> Function:
        _check_name("schedule", name)
        for parameter in parameters:
            _check_name(f"parameter of schedule {name!r}", parameter)
        tables = [EXTENSIONS.schedules, *(dialect.schedules for dialect in DIALECTS.values())]
        known = {each.lower(): each for table in tables for each in table}
        _check_free("schedule", known.get(name.lower(), name), tables)
        EXTENSIONS.schedules[name] = ScheduleType(parameters, formula or f"{name}(base, progress)", function)
        _forget()
        return function

    return add


def _check_name(what: str, name: str, pattern: str = r"\w+") -> None:
    if not re.fullmatch(pattern, name, re.ASCII):
        also = ", _, . and -" if "-" in pattern else " and _"
        raise ValueError(f"the name of a {what} has only letters, digits{also}, got {name!r}")


def _check_free(what: str, name: str, tables: Iterable[Mapping[str, Any]]) -> None:
    if any(name in table for table in tables):
        raise ValueError(f"there is already a {what} {name!r}")


def _forget() -> None:
    for dialect in DIALECTS.values():
        dialect.forget()


FROM_FILE = "extension "
"""How the names of modules begin that are read from a file: with a blank, as no other module's do."""
_loaded: set[str] = set()


def load_extensions(names: Iterable[str]) -> None:
    """Import modules that add something: `package.module`, or the path of a Python file; each one once.

    Raises:
        UsageError: one cannot be imported, or what it adds is there already.
    """
    for name in names:
        if name not in _loaded:
            try:
                _import(name)
            except Exception as error:
                # A module of the user's may raise anything.
                raise UsageError(
                    f"cannot load extension {name!r}: {type(error).__name__}: {error}"
                ) from error
            _loaded.add(name)


def _import(name: str) -> None:
    path = Path(name)
    if path.suffix != ".py":
        with working_directory_on_path():
            importlib.import_module(name)
        return
    # Dataclasses look up the module that they stand in.
    specification = importlib.util.spec_from_file_location(f"{FROM_FILE}{path.resolve()}", path)
    assert specification is not None
    assert specification.loader is not None
    module = sys.modules[specification.name] = importlib.util.module_from_spec(specification)
    try:
        specification.loader.exec_module(module)
    except BaseException:
        del sys.modules[specification.name]
        raise
