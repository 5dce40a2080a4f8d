"""Runs whose convolutions become local layers, or whose shared matrices become copies.

Source: spec/training.md section 7. What is changed begins without a velocity, as in the original.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from convnet_cfg.errors import UsageError, did_you_mean
from convnet_cfg.language import Network
from convnet_cfg.language.declaring import definition_keys
from convnet_cfg.language.editing import Changes, edited
from convnet_cfg.language.kinds import SourceRef
from convnet_cfg.language.layout import Images, layout_of, output_side
from convnet_cfg.language.network import Layer, Owned
from convnet_cfg.language.spec import count, key_names
from convnet_cfg.language.weight_types import ConvSpec, WeightSpec
from convnet_cfg.training.building import read_network
from convnet_cfg.training.checkpoints import (
    VELOCITY,
    checkpoint_path,
    write_checkpoint,
)
from convnet_cfg.training.position import Position
from convnet_cfg.training.record import DataForm, read_file, record_new_files
from convnet_cfg.training.run_directory import KEPT, LAYERS, LOG, PARAMS, branch_of
from convnet_cfg.training.setup import modules_of
from convnet_cfg.training.trained import read_run

LOCAL = "local"
_MATRIX = re.compile(r"(?P<layer>.+?)(?:\[(?P<number>[0-9]{1,9})\])?")


@dataclass(frozen=True)
class Wishes:
    """What is to become of a run: layers that become local, and matrices that are shared no more.

    Each of `unshared` is the name of a layer, or of one of its matrices: `conv3`, `conv3[0]`.
    """

    to_local: tuple[str, ...] = ()
    unshared: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.to_local or self.unshared)


class Transformed(NamedTuple):
    """A run that was made of another one: its directory, and a line for each thing that was done."""

    path: Path
    done: tuple[str, ...]


def transform(path: Path, wishes: Wishes) -> Transformed:
    """Make a new run of a run, or of one of its checkpoints; the old one stays as it is.

    A layer that shares a matrix with one that becomes local becomes local too.

    Raises:
        UsageError: a layer is not there, is no convolution, or does not share; all of them.
        ConfigError: the files, changed, are no network.
        CheckpointError: there is no run, or none can be written.
    """
    run, checkpoint, arrays, counters, record, options, form, network = read_run(path)
    changes = _Changes(network, wishes)
    files = edited(read_file(run.layers), changes.layers), edited(read_file(run.params), changes.params)
    with modules_of(path), TemporaryDirectory() as folder:
        new = Path(folder) / LAYERS, Path(folder) / PARAMS
        for file, content in zip(new, files, strict=True):
            file.write_bytes(content)
        changed = read_network(*new, form, options)
        images = _images(network, form), _images(changed, form)
    made, position = changed_arrays(network, changed, arrays, images), Position(*counters["position"])
    branch = branch_of(run, *files, (LOG, *KEPT))
    with branch.lock.released_on_failure():
        write_checkpoint(checkpoint_path(branch.path, position), made, counters)
        branch.cut_log(counters["log_size"])
        record.update(branched_from=str(checkpoint.resolve()), final_tests=[])
        done = {"conv_to_local": list(wishes.to_local), "unshare_weights": list(wishes.unshared)}
        record_new_files(record, files, done, position)
        branch.write_record(record)
    branch.lock.release()
    return Transformed(branch.path, tuple(changes.lines()))


class _Changes:
    """What becomes of the two files."""

    def __init__(self, network: Network, wishes: Wishes) -> None:
        self.network = network
        self.named = {layer.name: layer for layer in network.layers}
        problems: list[str] = []
        self.local = self._sharers_of(self._convolutions(wishes.to_local, problems))
        self.free = self._shared(wishes.unshared, problems)
        if problems:
            raise UsageError("\n".join(problems))

    def _convolutions(self, names: Sequence[str], problems: list[str]) -> set[str]:
        found = {name for name in names if self._layer(name, "--conv-to-local", problems) is not None}
        for name in names:
            if name in found and not isinstance(self.named[name].spec, ConvSpec):
                problems.append(f"--conv-to-local: {name!r} is {self.named[name].type}, not conv")
        return found

    def _layer(self, name: str, option: str, problems: list[str]) -> Layer | None:
        layer = self.named.get(name)
        if layer is None:
            problems.append(f"{option}: there is no layer {name!r}{did_you_mean(name, self.named)}")
        return layer

    def _sharers_of(self, names: set[str]) -> set[str]:
        """Return the layers with all that share a matrix with one of them."""
        groups = [
            {layer.name, *(matrix.source.layer for matrix in layer.matrices if matrix.source)}
            for layer in self.network.layers
        ]
        while (more := names.union(*(group for group in groups if group & names))) != names:
            names = more
        return names

    def _shared(self, texts: Sequence[str], problems: list[str]) -> set[tuple[str, int]]:
        """Return the matrices that are shared no more: layer and number."""
        return {found for text in texts for found in self._unshared(text, problems)}

    def _unshared(self, text: str, problems: list[str]) -> Iterator[tuple[str, int]]:
        match = _MATRIX.fullmatch(text)
        name = text if match is None or text in self.named else match["layer"]
        layer = self._layer(name, "--unshare-weights", problems)
        if layer is None:
            return
        chosen = int(match["number"]) if match and name != text and match["number"] else None
        numbers = range(len(layer.matrices)) if chosen is None else [chosen]
        if chosen is not None and chosen >= len(layer.matrices):
            there = count(len(layer.matrices), "matrix", "matrices")
            problems.append(f"--unshare-weights: {name!r} has {there}, numbered from 0")
            return
        shared = [number for number in numbers if layer.matrices[number].source is not None]
        if not shared:
            problems.append(f"--unshare-weights: {text!r} takes no matrix from another layer")
        yield from ((name, number) for number in shared)

    @property
    def layers(self) -> Changes:
        """The changes of the layer definition."""
        found: dict[str, dict[str, str | None]] = {name: self._to_local(name) for name in self.local}
        for name in {layer for layer, _ in self.free}:
            spec = self.named[name].spec
            assert isinstance(spec, WeightSpec)
            left = [
                None if (name, number) in self.free else source for number, source in enumerate(spec.sources)
            ]
            text = ",".join(map(_source_text, left)) if any(left) else None
            found.setdefault(name, {})["weightsource"] = text
        return found

    def _to_local(self, name: str) -> dict[str, str | None]:
        """Return the change of a convolution: its type, and the keys that a local layer has not."""
        dialect = self.network.dialect
        types = dialect.layer_types[self.named[name].type], dialect.layer_types[LOCAL]
        before, after = ({key.lower() for key in definition_keys(each, dialect)} for each in types)
        return {"type": LOCAL, **dict.fromkeys(before - after)}

    @property
    def params(self) -> Changes:
        """The changes of the layer parameters."""
        dialect = self.network.dialect
        after = {key.lower() for key in key_names(dialect.layer_types[LOCAL].params, dialect)}
        return {
            name: dict.fromkeys(
                {key.lower() for key in key_names(dialect.layer_types[self.named[name].type].params, dialect)}
                - after
            )
            for name in self.local
        }

    def lines(self) -> Iterator[str]:
        """Yield what was done, a line for each layer and matrix."""
        for layer in self.network.layers:
            if layer.name in self.local:
                yield f"layer {layer.name!r} is local now"
            for number in range(len(layer.matrices)):
                if (layer.name, number) in self.free:
                    yield f"matrix {number} of layer {layer.name!r} is its own now"


def _source_text(source: SourceRef | None) -> str:
    if source is None:
        return ""
    name = source.layer.replace("%", "%%")
    return f"{name}[{source.number}]" if source.number else name


# -- weights


def _images(network: Network, form: DataForm) -> Images:
    """Return what inputs of fully connected layers are to us, on which the order of their weights depends."""
    from convnet_cfg.model import assemble

    return assemble(network, form.shapes).kernel_images


def changed_arrays(
    before: Network, after: Network, arrays: Mapping[str, np.ndarray], images: tuple[Images, Images]
) -> dict[str, np.ndarray]:
    """Return the arrays of a checkpoint for a network that was made of another one.

    What stays as it is keeps everything; the rest gets the weights that it had, and velocities of zero.
    `images` are those of both networks (language/layout.py).
    """
    owners = {(owned.layer.name, owned.input): owned.name for owned in before.owned()}
    names = set(owners.values())
    found = {name: array for name, array in arrays.items() if not {name, name.rpartition("/")[0]} & names}
    for owned in after.owned():
        old = before[owned.layer.name]
        layer, number = _owner(old, owned.input)
        name = owners[layer, number]
        if name == owned.name and not _is_spread(old, owned):
            found |= {each: arrays[each] for each in arrays if name in (each, each.rpartition("/")[0])}
            continue
        if _is_spread(old, owned):
            found[owned.name] = _spread(arrays[name], owned)
        else:
            # The owner's input may be an image to us where that of this layer is a vector.
            matrix = layout_of(before[layer], number, images[0]).to_matrix(arrays[name])
            found[owned.name] = layout_of(owned.layer, owned.input, images[1]).to_kernel(matrix)
        found[owned.name + VELOCITY] = np.zeros_like(found[owned.name])
    return found


def _owner(layer: Layer, number: int | None) -> tuple[str, int | None]:
    """Return the layer and number of the matrix that a layer uses for an input, or of its bias (None)."""
    matrix = layer.bias if number is None else layer.matrices[number]
    if matrix is None or matrix.source is None:
        return layer.name, number
    return matrix.source.layer, None if matrix.source.number < 0 else matrix.source.number


def _is_spread(old: Layer, owned: Owned) -> bool:
    """Return whether there was one matrix, or bias of each filter, where there is now one for each place."""
    if not isinstance(old.spec, ConvSpec) or isinstance(owned.layer.spec, ConvSpec):
        return False
    return owned.input is not None or old.spec.shared_biases


def _spread(array: np.ndarray, owned: Owned) -> np.ndarray:
    """Return filters, or their biases, once for each place."""
    side = output_side(owned.layer)
    return np.ascontiguousarray(np.broadcast_to(array, (side, side, *array.shape)))
