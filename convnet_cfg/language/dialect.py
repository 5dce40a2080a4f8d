"""What a program's language is made of, and how one is derived from another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from convnet_cfg.errors import Severity
from convnet_cfg.language import neurons as activations
from convnet_cfg.language.kinds import Kind, Syntax, at_least
from convnet_cfg.language.layer_types import LayerSpec
from convnet_cfg.language.neurons import V1_SYNTAX, NeuronType, NumberSyntax, neuron_kind
from convnet_cfg.language.schedules import ScheduleType, constant_kind, schedule_kind
from convnet_cfg.language.spec import Ignored, key, key_names


@dataclass(frozen=True, kw_only=True)
class DeviceList:
    """`gpu` of v2: a replica of the layer on each of these devices."""

    devices: tuple[int, ...] | None = key(
        "gpu",
        at_least(0),
        is_list=True,
        default=None,
        doc=(
            "Devices that have replicas of the layer; without it those of its first input. Everything "
            "is computed on one."
        ),
    )


@dataclass(frozen=True, kw_only=True)
class OneDevice:
    """`gpu` of the 2012 AlexNet program: where the layer was."""

    device: int | None = key(
        "gpu",
        at_least(0),
        default=None,
        doc="Device that has the layer; without it that of its first input. Everything is computed on one.",
    )


@dataclass(frozen=True)
class Extensions:
    """What users added from Python, to all dialects."""

    layer_types: dict[str, type[LayerSpec]] = field(default_factory=dict)
    neurons: dict[str, NeuronType] = field(default_factory=dict)
    schedules: dict[str, ScheduleType] = field(default_factory=dict)


EXTENSIONS = Extensions()


@dataclass(frozen=True)
class Dialect:
    """One program's language.

    `title` is its name for people. `base` is the dialect that it adds to and changes. `placement` declares
    the keys that every layer but data has beside those of its type. `deviations` say what we do otherwise
    than that program.
    """

    name: str
    title: str
    own_types: Mapping[str, type[LayerSpec]]
    neurons: Mapping[str, NeuronType] = field(default_factory=lambda: activations.V1_NEURONS)
    number_syntax: NumberSyntax = V1_SYNTAX
    schedules: Mapping[str, ScheduleType] = field(default_factory=dict)  # none: rates are plain numbers
    shapes: Mapping[str, ScheduleType] = field(default_factory=dict)  # schedules in keys beside the rates
    broadcasts: bool = False  # one value stands for all inputs of a layer
    activations_last: bool = False  # layers made from the key `neuron` come behind all others
    nominal_divisor: bool = (
        False  # gradients are divided by the size of a full minibatch, also in a short one
    )
    nominal_average: bool = False  # averages divide by all pixels of a window, inside the image or not
    shared_rates: bool = True  # each use of a shared matrix has a rate of its own
    shares_biases: bool = False  # `weightSource` shares the bias too
    unused_layers: Severity = Severity.ERROR  # layers that no other layer reads
    placement: type[Any] | None = None
    ignored: Mapping[str, Ignored] = field(default_factory=dict)
    refused: Mapping[str, str] = field(
        default_factory=dict
    )  # types that its parser knew, and why there is no such layer
    deviations: tuple[str, ...] = ()
    base: str | None = None

    @property
    def layer_types(self) -> Mapping[str, type[LayerSpec]]:
        """The layer types by name, those that users added among them."""
        return {**EXTENSIONS.layer_types, **self.own_types}

    @cached_property
    def kinds(self) -> Mapping[Syntax, Kind]:
        """How this program wrote activations and learning rates."""
        neurons = {**EXTENSIONS.neurons, **self.neurons}
        schedules = {**EXTENSIONS.schedules, **self.schedules}
        return {
            Syntax.NEURON: neuron_kind(neurons, self.number_syntax),
            Syntax.REQUIRED_NEURON: neuron_kind(neurons, self.number_syntax, required=True),
            Syntax.RATE: schedule_kind(schedules) if self.schedules else constant_kind(),
        }

    def forget(self) -> None:
        """Work the kinds and keys out anew: a user has added something."""
        for worked_out in ("kinds", "keys"):
            self.__dict__.pop(worked_out, None)

    @cached_property
    def keys(self) -> frozenset[str]:
        """The keys of all layer types in both files, lower-cased."""
        declarations = [self.placement] if self.placement else []
        for spec in self.layer_types.values():
            declarations += [spec, spec.params]
        return frozenset(name.lower() for each in declarations for name in key_names(each, self))


def as_table(*specs: type[LayerSpec]) -> Mapping[str, type[LayerSpec]]:
    """Return the specs by the name of their type."""
    return {spec.type_name: spec for spec in specs}


def derive(base: Dialect, name: str, title: str, *types: type[LayerSpec], **changes: Any) -> Dialect:
    """Return a dialect that adds layer types to another one, or replaces those of the same name."""
    table = {**base.own_types, **as_table(*types)}
    changes = {"own_types": table, "deviations": (), "base": base.name, **changes}
    return replace(base, name=name, title=title, **changes)
