"""A network in the language of another program: the same layers, by the types and keys that it has.

What the other program has not is a problem where it changes what is computed, and a note where it only says
what is reported.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from math import isqrt
from typing import Any, NamedTuple

from convnet_cfg.language.cost_types import DetectionCrossEntropySpec
from convnet_cfg.language.dialect import Dialect
from convnet_cfg.language.dialects import V1, V1_DROPOUT, V2
from convnet_cfg.language.kinds import Kind
from convnet_cfg.language.layer_types import DataSpec, LayerSpec, PoolSpec, SumSpec
from convnet_cfg.language.network import Layer, Matrix, Network
from convnet_cfg.language.params import LayerParams, SumParams, WeightParams
from convnet_cfg.language.spec import REQUIRED, Key, declared_keys, key_names
from convnet_cfg.language.v2_types import SumV2Spec
from convnet_cfg.language.weight_types import ConvSpec, FilterSpec

LANGUAGES: Mapping[str, Dialect] = {"v1": V1, "v1+dropout": V1_DROPOUT, "v2": V2}
"""The languages of the programs that wrote checkpoints, by the names of `Checkpoint.program`."""

_KNOWN_TYPES = frozenset(spec for language in LANGUAGES.values() for spec in language.own_types.values())
# What a program asks for that tunes its kernels, and others do not say.
_TUNING = {"partial_sum": 0, "sum_width": 1}


class Translation(NamedTuple):
    """A network in another language, and what cannot be said in it: problems, and mere notes."""

    network: Network
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def translate(network: Network, program: str) -> Translation:
    """Return the network in the language of a program."""
    translator = _Translator(network, LANGUAGES[program])
    layers = tuple(map(translator.layer, network.layers))
    translator.check_network()
    translated = dataclasses.replace(network, dialect=translator.language, layers=layers)
    return Translation(translated, tuple(translator.problems), tuple(translator.notes))


class _Translator:
    """Translates the layers of one network, and gathers what cannot be said."""

    def __init__(self, network: Network, language: Dialect) -> None:
        self.network = network
        self.language = language
        self.problems: list[str] = []
        self.notes: list[str] = []

    def refuse(self, layer: Layer, message: str) -> None:
        """Add a problem of a layer."""
        self.problems.append(f"[{layer.name}] {message}")

    def layer(self, layer: Layer) -> Layer:
        """Return a layer in the other language; as it is if it has no such layer."""
        target = self.language.own_types.get(layer.type)
        if target is None or type(layer.spec) not in _KNOWN_TYPES:
            whose = f" of {self.network.dialect.title}" if target else ""
            self.refuse(layer, f"type={layer.type}{whose}: {self.language.title} has no such layer")
            return layer
        if isinstance(layer.spec, DetectionCrossEntropySpec):
            self.refuse(layer, f"type={layer.type}: what its program needs to report it is not known")
        spec = self._converted(layer, layer.spec, target)
        self._check_neuron(layer)
        self._check_rates(layer)
        if isinstance(spec, PoolSpec) and spec.pool == "avg" and self.network.nominal_average:
            self.refuse(layer, f"pool=avg over all of a window: {self.language.title} has none such")
        translated = dataclasses.replace(
            layer, spec=spec, params=self._params(layer, target), devices=self._devices(layer)
        )
        return _with_coefficients(translated, layer) if isinstance(spec, SumSpec) else translated

    def check_network(self) -> None:
        """Add the problems that are not of one layer."""
        if self.language is not V2 and len(self.network.replica_counts) > 1:
            self.problems.append(
                f"layers are on different numbers of devices, which train on parts of a minibatch: "
                f"{self.language.title} has one device"
            )

    def _params(self, layer: Layer, target: type[LayerSpec]) -> LayerParams | None:
        if layer.params is None and not target.params.required:
            return None
        params: LayerParams = self._converted(
            layer, layer.params or LayerParams(dropout=0.0), LayerParams if layer.implicit else target.params
        )
        return params

    def _converted(self, layer: Layer, values: Any, target: type[Any]) -> Any:
        """Return what one of the two files says of a layer, by the declarations of the other language."""
        known = set(key_names(target, self.language))
        for field, key in declared_keys(type(values)).items():
            value = getattr(values, field)
            if key.name not in known and not _says_nothing(key, value):
                self._lost(layer, key, value)
        if type(values) is target:
            return values
        inputs = len(layer.inputs)
        made = {field: _value(values, field, key, inputs) for field, key in declared_keys(target).items()}
        for field, key in declared_keys(target).items():
            self._check_word(layer, key, made[field])
        return target(**made)

    def _check_word(self, layer: Layer, key: Key, value: Any) -> None:
        if (
            isinstance(value, str)
            and isinstance(key.kind, Kind)
            and value not in (key.kind.words or (value,))
        ):
            self.refuse(layer, f"{key.name}={value}: {self.language.title} has {key.kind.expected}")

    def _lost(self, layer: Layer, key: Key, value: Any) -> None:
        if key.name in _REPORTED:
            text = f"[{layer.name}] {key.name}={_text(value)}: {self.language.title} does not report that"
            self.notes.append(text)
        elif not _SAME_WITHOUT.get(key.name, _never)(self.network, layer, value):
            self.refuse(layer, f"{key.name}={_text(value)}: {self.language.title} has no such key")

    def _check_neuron(self, layer: Layer) -> None:
        neuron = layer.spec.neuron
        if neuron is not None and neuron.name not in self.language.neurons and not layer.implicit:
            self.refuse(layer, f"neuron={neuron.text}: {self.language.title} has no such activation")

    def _check_rates(self, layer: Layer) -> None:
        if not isinstance(layer.params, WeightParams):
            return
        schedules = [rate.name for rate in (*layer.params.weight_rates, layer.params.bias_rate)]
        for name in sorted(set(schedules) - {"const", *self.language.schedules}):
            self.refuse(layer, f"schedule {name}: {self.language.title} has no such schedule")
        if self.language.shared_rates != self.network.dialect.shared_rates:
            self._check_shared_rates(layer)

    def _check_shared_rates(self, layer: Layer) -> None:
        """The programs differ in whose rate counts where a convolution uses the matrix of another."""
        for matrix in layer.matrices:
            owner = _owner(self.network, matrix)
            if isinstance(layer.spec, ConvSpec) and matrix.rule and owner.rule:
                rates = matrix.rule.learning_rate, owner.rule.learning_rate
                if rates[0] != rates[1]:
                    self.refuse(
                        layer,
                        f"epsW={rates[0]:g} of a shared matrix whose owner has {rates[1]:g}: "
                        f"{self.language.title} would train it otherwise",
                    )

    def _devices(self, layer: Layer) -> tuple[int, ...]:
        if self.language is not V2 or isinstance(layer.spec, DataSpec):
            return ()
        return layer.devices or (0,)


def _owner(network: Network, matrix: Matrix) -> Matrix:
    return matrix if matrix.source is None else network[matrix.source.layer].matrices[matrix.source.number]


def _value(values: Any, field: str, key: Key, inputs: int) -> Any:
    """Return the value of a key, and where the other language has none what stands for it."""
    if hasattr(values, field):
        return getattr(values, field)
    default = _TUNING[field] if key.default is REQUIRED else key.default
    return (default,) * inputs if key.per_input else default


def _says_nothing(key: Key, value: Any) -> bool:
    """Return whether a layer is the same without a key."""
    items = value if key.per_input else (value,)
    return all(item == key.default for item in items)


def _with_coefficients(translated: Layer, layer: Layer) -> Layer:
    """Return eltsum with its coefficients in the file where the language has them."""
    assert isinstance(layer.spec, SumSpec)
    coefficients = layer.spec.coefficients_with(layer.params)
    if isinstance(translated.spec, SumV2Spec):
        params = SumParams(dropout=0.0, coefficients=coefficients)
        return dataclasses.replace(translated, params=params)
    spec = dataclasses.replace(translated.spec, coefficients=coefficients)  # type: ignore[call-arg]
    return dataclasses.replace(translated, spec=spec)


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _never(_network: Network, _layer: Layer, _value: Any) -> bool:
    return False


def _always(_network: Network, _layer: Layer, _value: Any) -> bool:
    return True


def _is_automatic(_network: Network, layer: Layer, _value: Any) -> bool:
    """Return whether filters would be applied as often without `modulesX`."""
    spec, image = layer.spec, layer.output.image
    assert isinstance(spec, FilterSpec)
    assert image is not None
    automatic = dataclasses.replace(spec, modules=0)
    sides = [isqrt(source.output.size // spec.channels[i]) for i, source in enumerate(layer.inputs)]
    return {automatic.output_side(side, i) for i, side in enumerate(sides)} == {image.side}


def _is_whole(network: Network, layer: Layer, _value: Any) -> bool:
    """Return whether a data layer reads all of its matrix."""
    assert isinstance(layer.spec, DataSpec)
    return layer.output.size == network.data_dims[layer.spec.data_index]


# Keys that only say what is reported.
_REPORTED = ("topk", "children")
# Keys without which a layer computes the same, if what the function asks for holds.
_SAME_WITHOUT: Mapping[str, Callable[[Network, Layer, Any], bool]] = {
    "partialSum": _always,
    "sumWidth": _always,
    "coeffs": _always,  # they stand in the other file
    "modulesX": _is_automatic,
    "start": _is_whole,
    "end": _is_whole,
    "updatePeriod": lambda _network, _layer, value: value <= 1,
}
