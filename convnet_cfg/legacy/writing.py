"""Checkpoints as the original programs read them: pickles of Python 2 (spec/checkpoints.md)."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from convnet_cfg.data.unpickling import PickledClass, PickledObject
from convnet_cfg.data.writing import Pickler, write_whole
from convnet_cfg.errors import CheckpointError, shorten
from convnet_cfg.legacy.options import ATTRIBUTES
from convnet_cfg.legacy.values import Array, Checkpoint, Expression, Layer, Option, OptionParser, Value

MODULES = {"v1": "options", "v1+dropout": "options", "v2": "python_util.options"}
"""Where the option classes are, by the names of `Checkpoint.program`."""

_LARGEST_ARRAY = (1 << 31) - 1  # bytes, of a string in a pickle of Python 2


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint that its program can load; the file is there when all of it is on the disk.

    Raises:
        CheckpointError: it cannot be written, or holds what no checkpoint can; what was there before still
            is, and nothing else.
    """
    data = CONTAINERS[checkpoint.container](_pickled(checkpoint))
    try:
        write_whole(path, lambda file: file.write(data))
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error.strerror or error}") from None


def _pickled(checkpoint: Checkpoint) -> bytes:
    stream = io.BytesIO()
    Pickler(stream).dump(_Thawer(checkpoint).content())
    return stream.getvalue()


def _zipped(data: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data", data)
    return stream.getvalue()


CONTAINERS: Mapping[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "zip": _zipped,
    "gzip": lambda data: gzip.compress(data, mtime=0),
}
"""How a pickle is stored, by the names of `Checkpoint.container`."""


class _Thawer:
    """Turns the frozen values of a checkpoint into what its program had: lists, bytes, references."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.module = MODULES[checkpoint.program]
        self.classes: dict[str, PickledClass] = {}
        self.layers: dict[str, dict[bytes, Any]] = {layer.name: {} for layer in checkpoint.layers}

    def content(self) -> dict[bytes, Any]:
        """Return the whole of the file."""
        for layer in self.checkpoint.layers:
            self.layers[layer.name].update(self._layer(layer))
        state = {
            "epoch": self.checkpoint.epoch,
            "batchnum": self.checkpoint.batch,
            **{name: self.value(value) for name, value in self.checkpoint.others.items()},
        }
        return {
            b"model_state": {
                **{_text(name): value for name, value in state.items()},
                **{_text(name): self._history(name) for name in self.checkpoint.histories},
                b"layers": self._container(),
            },
            b"op": self._object("OptionsParser", options=self._options()),
        }

    def _container(self) -> list[Any] | dict[bytes, Any]:
        if self.checkpoint.program == "v2":
            return {_text(name): fields for name, fields in self.layers.items()}
        return list(self.layers.values())

    def _layer(self, layer: Layer) -> dict[bytes, Any]:
        """Return the fields of a layer, its inputs as the dictionaries of those layers."""
        fields = {_text(name): self.value(value) for name, value in layer.values.items()}
        references = layer.values.get("inputLayers")
        if isinstance(references, tuple):
            fields[b"inputLayers"] = [self.layers[str(name)] for name in references]
        return fields

    def _history(self, name: str) -> list[tuple[dict[bytes, list[float]], int]]:
        return [
            ({_text(cost): list(values) for cost, values in entry.costs.items()}, entry.cases)
            for entry in self.checkpoint.histories[name]
        ]

    def _options(self) -> dict[bytes, PickledObject]:
        return {_text(name): self._option(option) for name, option in self.checkpoint.options.items()}

    def _option(self, option: Option) -> PickledObject:
        known = {key: getattr(option, field) for key, (field, _) in ATTRIBUTES.items()}
        attributes = {key: self.value(value) for key, value in {**known, **option.others}.items()}
        return self._object("Option", **attributes)

    def _object(self, cls: str, **attributes: Any) -> PickledObject:
        return PickledObject(self._class(cls), attributes)

    def _class(self, name: str) -> PickledClass:
        return self.classes.setdefault(name, PickledClass(self.module, name))

    def value(self, value: Value) -> Any:
        """Return a value as the program had it."""
        if isinstance(value, Mapping):
            return {_text(name): self.value(item) for name, item in value.items()}
        return _THAWERS.get(type(value), lambda _self, same: same)(self, value)

    def _items(self, value: tuple[Value, ...]) -> list[Any]:
        return [self.value(item) for item in value]

    def _parser(self, parser: OptionParser) -> PickledClass | PickledObject:
        if not parser.items:
            return self._class(parser.name)
        items = [self._class(name) for name in parser.items]
        separator = self.value(parser.separator)
        return self._object(parser.name, parsers=items[0] if len(items) == 1 else items, sepchar=separator)

    def _array(self, array: Array) -> Any:
        if array.data.nbytes > _LARGEST_ARRAY:
            raise CheckpointError(
                f"an array of {array.data.nbytes:,} bytes is more than a checkpoint can hold"
            )
        return array.data


def _text(text: str) -> bytes:
    """Return a string of Python 2; what was read as latin-1 is written as that.

    Raises:
        CheckpointError: it has other letters.
    """
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        raise CheckpointError(
            f"{shorten(text)!r} has letters that a checkpoint cannot hold: expected those of Latin-1"
        ) from None


_THAWERS: Mapping[type, Callable[[_Thawer, Any], Any]] = {
    str: lambda _self, value: _text(value),
    tuple: _Thawer._items,
    Array: _Thawer._array,
    Expression: lambda self, value: self._object("OptionExpression", expr=_text(value.text)),
    OptionParser: _Thawer._parser,
}
