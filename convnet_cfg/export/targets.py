"""Writes a trained network in one of FORMATS: checked in the program that it is for, whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import keras

from convnet_cfg import nn
from convnet_cfg.data.writing import TEMPORARY, whole_file, whole_folder
from convnet_cfg.errors import ExportError, join_words, printable
from convnet_cfg.export.about import about, preparation
from convnet_cfg.export.formats import FORMATS, ConversionError, Format, reason
from convnet_cfg.export.inference import Inference, Port, make_inference, ports
from convnet_cfg.export.parity import BATCHES, LIMIT, greatest_difference
from convnet_cfg.extend import FROM_FILE
from convnet_cfg.serializable import PACKAGE
from convnet_cfg.training.trained import Trained


def write(name: str, trained: Trained, path: Path) -> list[str]:
    """Write the network of a run in the format of that name, and return what is to be said about it.

    Raises:
        ExportError: the format cannot express the network, what was written computes something else, or it
            cannot be written. What was there before still is, and nothing else.
    """
    form, description = FORMATS[name], about(trained)
    inference = make_inference(trained.built, description["network"])
    ends = {"inputs": _forms(inference.inputs), "outputs": _forms(inference.outputs)}
    difference = export(form, inference, path, {**description, **ends})
    return [
        f"wrote {printable(str(path))}: {form.title}, {description['network']} at {trained.position}",
        *(f"input {port.name}: {port.form}" for port in inference.inputs),
        *(f"output {port.name}: {port.form}" for port in inference.outputs),
        f"prepare inputs as the tests of the run do: {preparation(trained.options, trained.form)}",
        *_remarks(form, inference),
        f"checked in {form.loaded_in} on {join_words([*map(str, BATCHES)], 'and')} random cases: "
        + (f"off by at most {difference:.1e} of an output's greatest value" if difference else "equal")
        + f" (limit {LIMIT:g})",
    ]


keras_file = partial(write, "keras")
savedmodel = partial(write, "savedmodel")
onnx = partial(write, "onnx")
litert = partial(write, "litert")


def _forms(ends: tuple[Port, ...]) -> dict[str, str]:
    return {port.name: port.form for port in ends}


def _remarks(form: Format, inference: Inference) -> Iterator[str]:
    if inference.copied:
        yield f"shared weights are in it as copies: {join_words(inference.copied, 'and')}"
    if form.needs_classes and (modules := needed_modules(inference.model.layers)):
        yield f"to be loaded by keras.saving.load_model after import {', '.join(modules)}"


def needed_modules(layers: Iterable[keras.layers.Layer]) -> list[str]:
    """Return what a program has to import, beside Keras, before it loads a model of these layers."""
    return sorted({_module(layer) for layer in layers} - {"keras"})


def _module(layer: keras.layers.Layer) -> str:
    """Return the module of a layer, or of the function that it calls; of Keras and of us, the package."""
    what = layer.function if isinstance(layer, keras.layers.Lambda) else type(layer)
    name = str(what.__module__)
    package = name.partition(".")[0]
    if package in ("keras", PACKAGE):
        return package
    return Path(name).stem if name.startswith(FROM_FILE) else name


def export(form: Format, inference: Inference, path: Path, description: dict[str, Any]) -> float:
    """Write a model in a format, and return how far it is from the network (`greatest_difference`).

    Raises:
        ExportError: as `write`.
    """
    _refuse_random(form, inference)
    temporary = f"{TEMPORARY}-{path.name}{form.ending}"
    place = whole_folder(path) if form.is_folder else whole_file(path, temporary)
    with _explaining_failure(path), place as written:
        try:
            return _written(form, inference, written, description)
        except ConversionError as error:
            layers = _inexpressible(form, inference)
            refused = f"{form.title} cannot express {join_words(layers, 'and')}" if layers else _cannot(path)
            raise ExportError(f"{refused}: {error}") from error


def _written(form: Format, inference: Inference, path: Path, description: dict[str, Any]) -> float:
    """Write a model at a path, load it, and compare it with the network.

    Both begin with the first random numbers of the seeds: a `.keras` file does not say how many were drawn.
    """
    for layer in inference.model.layers:
        if isinstance(layer, nn.RandomLayer):
            layer.restart()
    form.write(inference, path, description)
    return greatest_difference(inference, form.load(inference, path))


def _refuse_random(form: Format, inference: Inference) -> None:
    if form.is_random:
        return
    random = [layer.name for layer in inference.model.layers if isinstance(layer, nn.RandomActivation)]
    if random:
        named = join_words([inference.described(name) for name in random], "and")
        raise ExportError(f"{form.title} cannot express {named}: random numbers are drawn there in tests too")


@contextmanager
def _explaining_failure(path: Path) -> Iterator[None]:
    """Turn what no network is the reason of into an ExportError: the disk, the permissions, the memory."""
    try:
        yield
    except OSError as error:
        raise ExportError(f"{_cannot(path)}: {error.strerror or reason(error)}") from error
    except MemoryError as error:
        raise ExportError(f"{_cannot(path)}: not enough memory") from error


def _cannot(path: Path) -> str:
    return f"cannot write {printable(str(path))}"


def _inexpressible(form: Format, inference: Inference) -> list[str]:
    """Return the layers, as messages call them, that cannot be exported alone; none if nothing can be."""
    found: list[str] = []
    if not _can_be_written(form, keras.layers.Identity(), (keras.Input((1,)),)):
        return found

    def alone(layer: Any, *arguments: Any, **named: Any) -> Any:
        if not _can_be_written(form, layer, arguments):
            found.append(inference.described(layer.name))
        return layer(*arguments, **named)

    keras.models.clone_model(inference.model, clone_function=lambda layer: layer, call_function=alone)
    return found


def _can_be_written(form: Format, layer: Any, arguments: tuple[Any, ...]) -> bool:
    tensors = keras.tree.flatten(arguments)
    inputs = {
        f"x{n}": keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=f"x{n}")
        for n, tensor in enumerate(tensors)
    }
    outputs = {"y": layer(*keras.tree.pack_sequence_as(arguments, list(inputs.values())))}
    single = Inference(keras.Model(inputs, outputs), ports(inputs), ports(outputs), {})
    with tempfile.TemporaryDirectory() as folder:
        try:
            _written(form, single, Path(folder) / f"model{form.ending}", {})
        except ConversionError:
            return False
        except ExportError:
            return True  # its weights are no finite numbers
    return True
