"""The two configuration files of the network that a checkpoint holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import NamedTuple

from convnet_cfg.errors import CheckpointError, printable, shorten
from convnet_cfg.language.dialect import Dialect
from convnet_cfg.language.kinds import SourceRef
from convnet_cfg.language.layer_types import MAX_DATA_INDEX, DataSpec, LayerSpec, NeuronSpec
from convnet_cfg.language.weight_types import WeightSpec
from convnet_cfg.legacy.cfg_text import is_read_back, section_text
from convnet_cfg.legacy.choosing import choose_dialect
from convnet_cfg.legacy.fields import entries, functions
from convnet_cfg.legacy.refusing import refuse
from convnet_cfg.legacy.values import Checkpoint, Layer
from convnet_cfg.legacy.wiring import Sources, Wiring, ordered


class Definition(NamedTuple):
    """A network as two files and the dialect in which they are written.

    `dims` are the values for each case of every data matrix. `notes` say what the files do not.
    """

    layers: str
    params: str
    dialect: Dialect
    dims: tuple[int, ...]
    notes: tuple[str, ...]


def define(checkpoint: Checkpoint) -> Definition:
    """Return the files of the network of a checkpoint.

    Layers stand behind those that they read. Activations that the original split off are again keys of their
    layers. Functions that made first values are comments: the weights are known.

    Raises:
        CheckpointError: some layers cannot be expressed; all problems.
    """
    writer = _Writer(checkpoint, choose_dialect(checkpoint))
    sections = [writer.sections(layer) for layer in writer.order()]
    refuse(writer.problems, "the network cannot be written as configuration files")
    title = (
        f"# The network of a checkpoint of {writer.dialect.title}, "
        f"saved after batch {checkpoint.batch} of epoch {checkpoint.epoch}.\n"
    )
    return Definition(
        "\n".join([title, *(layers for layers, _ in sections)]),
        "\n".join([title, *(params for _, params in sections if params)]),
        writer.dialect,
        writer.dims,
        tuple(writer.notes),
    )


class _Writer:
    """Writes the sections of each layer, collecting what is wrong."""

    def __init__(self, checkpoint: Checkpoint, dialect: Dialect) -> None:
        self.checkpoint = checkpoint
        self.dialect = dialect
        self.problems = [
            f"{layer.name!r} cannot be the name of a layer in a configuration file"
            for layer in checkpoint.layers
            if not _is_name(layer.name)
        ]
        self.notes: list[str] = []
        self.wiring = Wiring({layer.name: layer for layer in checkpoint.layers})
        written = [layer for layer in checkpoint.layers if layer.name not in self.wiring.owners]
        self.sources = {layer.name: self._sources(layer) for layer in written}

    @cached_property
    def dims(self) -> tuple[int, ...]:
        """The values for each case of every data matrix, 0 for those that no layer has."""
        ends: dict[int, int] = {}
        for layer in self.checkpoint.layers:
            index, end = layer.values.get("dataIdx"), layer.values.get("end", layer.values.get("outputs"))
            if type(index) is int and type(end) is int and 0 <= index <= MAX_DATA_INDEX:
                ends[index] = max(end, ends.get(index, 0))
        return tuple(ends.get(index, 0) for index in range(max(ends, default=-1) + 1))

    def order(self) -> list[Layer]:
        """Return the layers that have sections, each behind those it needs, else as the file has them."""
        layers = self.wiring.layers
        found, circle = ordered({name: self._needed(layers[name]) for name in self.sources})
        if circle:
            self.problems.append(f"layers need each other in a circle: {', '.join(circle[:10])}")
        return [layers[name] for name in found]

    def _needed(self, layer: Layer) -> set[str]:
        """Return its inputs, other layers whose matrices it uses, and costs that are parts of it."""
        children = layer.values.get("children")
        parts = {each for each in children if isinstance(each, str)} if isinstance(children, tuple) else set()
        owners = {source.layer for source in self.sources[layer.name] if source is not None}
        others = owners - {layer.name} | parts & self.sources.keys() - {layer.name}
        return {*self.wiring.inputs(layer), *others}

    def _sources(self, layer: Layer) -> Sources:
        if not issubclass(self.dialect.layer_types[layer.type], WeightSpec):
            return ()
        try:
            return self.wiring.sources(layer)
        except CheckpointError as error:
            self.problems.append(str(error))
            return ()

    def sections(self, layer: Layer) -> tuple[str, str]:
        """Return a layer's sections in both files, the second empty if it needs none."""
        spec = self.dialect.layer_types[layer.type]
        arguments = (self._with_whole_matrix(layer), spec, self.dialect, self.problems)
        definition = {"type": layer.type, **self._wiring(layer), **entries(spec, *arguments)}
        if self.dialect.placement is not None and not issubclass(spec, DataSpec):
            definition |= entries(self.dialect.placement, *arguments)
        self._check_text(layer.name, definition)
        activations = self.wiring.activations.get(layer.name, ())
        params = [self._params(layer, spec), *map(self._params, activations)]
        comments = list(self._functions(layer, spec))
        return section_text(layer.name, definition, comments), "\n".join(filter(None, params))

    def _params(self, layer: Layer, spec: type[LayerSpec] = NeuronSpec) -> str:
        """Return the section of a layer in the parameter file, empty if it needs none."""
        found = entries(spec.params, layer, spec, self.dialect, self.problems)
        self._check_text(layer.name, found)
        return section_text(layer.name, found) if found or spec.params.required else ""

    def _with_whole_matrix(self, layer: Layer) -> Layer:
        """Return a data layer without its end, if that is the end of the matrix."""
        index, end = layer.values.get("dataIdx"), layer.values.get("end")
        if type(index) is not int or not 0 <= index < len(self.dims) or end != self.dims[index]:
            return layer
        values = {name: value for name, value in layer.values.items() if name != "end"}
        return replace(layer, values=MappingProxyType(values))

    def _wiring(self, layer: Layer) -> dict[str, str]:
        found = {"inputs": ",".join(self.wiring.inputs(layer))} if layer.inputs else {}
        if any(self.sources[layer.name]):
            found["weightSource"] = ",".join(map(_source_text, self.sources[layer.name]))
        return found

    def _check_text(self, name: str, section: Mapping[str, str]) -> None:
        for key, text in section.items():
            if not (text.isprintable() and is_read_back("x", {key: text})):
                self.problems.append(f"layer {name!r}: {key}={text!r} cannot stand in a configuration file")

    def _functions(self, layer: Layer, spec: type[LayerSpec]) -> Iterator[str]:
        for key, text in functions(layer, spec):
            shown = printable(shorten(text, 200))
            yield f"{key}={shown} made the first values"
            self.notes.append(f"layer {layer.name!r}: {key}={shown}: the weights are those of the checkpoint")


def _is_name(name: str) -> bool:
    """Return whether a name can head a section, and stand in a list of inputs."""
    return name.isprintable() and "," not in name and name == name.strip() and is_read_back(name, {})


def _source_text(source: SourceRef | None) -> str:
    if source is None:
        return ""
    return f"{source.layer}[{source.number}]" if source.number else source.layer
