"""The formats: how a model is written in each, and how the program that it is for loads and runs it.

Keras, TensorFlow, tf2onnx and LiteRT's converter do the writing. A `load_...` returns a function from input
arrays by name to output arrays by name. Where one of these programs fails, that is a ConversionError.
"""

from __future__ import annotations

import errno
import json
import os
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from convnet_cfg.errors import ExportError, printable
from convnet_cfg.export.inference import Inference

Arrays = Mapping[str, np.ndarray]
Run = Callable[[Arrays], Arrays]
ABOUT = "convnet-cfg.json"  # the file, or the key, that says what a model is
ABOUT_KEY = ABOUT.removesuffix(".json")
OPSET = 17
FULL = os.strerror(errno.ENOSPC)


class Format(NamedTuple):
    """One format: its name, and the functions that write one at a path and that load it.

    `ending` is how a file has to end to be written and loaded; `runtime` is the package that loads it.
    """

    title: str
    ending: str
    runtime: str
    write: Callable[[Inference, Path, Mapping[str, Any]], None]
    load: Callable[[Inference, Path], Run]
    is_folder: bool = False
    is_random: bool = False  # it has random numbers, the same ones as the network has
    needs_classes: bool = False  # those of the layers, to be loaded

    @property
    def loaded_in(self) -> str:
        """The program that loads it, with its version."""
        return f"{self.runtime} {version(self.runtime)}"


class ConversionError(ExportError):
    """A converter or a runtime failed, or what it made computes something else; a layer may be the reason."""


@contextmanager
def library() -> Iterator[None]:
    """Turn what converters and runtimes raise into a ConversionError, without warnings of their own code.

    Raises:
        OSError, MemoryError: as they are, and a full disk as TensorFlow has it; no network is the reason.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except (OSError, MemoryError):
            raise
        except Exception as error:
            if FULL in str(error):
                raise OSError(errno.ENOSPC, FULL) from error
            raise ConversionError(reason(error)) from error


def reason(error: Exception) -> str:
    """Return the kind of an error and the first line that says what it was."""
    # Keras puts the whole configuration before it, or a line that names the function, and makes it bold.
    text = re.sub(r"\x1b\[\d*m", "", str(error)).rpartition("Exception encountered: ")[2]
    lines = (line.strip() for line in text.splitlines())
    said = [line for line in lines if line and not line.startswith("Exception encountered when calling")]
    return f"{type(error).__name__}: {printable(said[0])}" if said else type(error).__name__


def _signature(inference: Inference) -> list[dict[str, keras.InputSpec]]:
    """Return what the model is called with: any number of cases."""
    return [
        {
            port.name: keras.InputSpec(port.dtype, (None, *port.shape), name=port.name)
            for port in inference.inputs
        }
    ]


def _text(about: Mapping[str, Any]) -> str:
    return json.dumps(about, indent=1)


# -- Keras


def write_keras(inference: Inference, path: Path, about: Mapping[str, Any]) -> None:
    """Write a `.keras` file, with a member that says what it is."""
    with library():
        inference.plain_model.save(path)
    with zipfile.ZipFile(path, "a") as members:
        members.writestr(ABOUT, _text(about))


def load_keras(inference: Inference, path: Path) -> Run:
    """Load a `.keras` file as Keras does unless told otherwise: in safe mode."""
    with library():
        model = keras.saving.load_model(path)

    @library()
    def run(arrays: Arrays) -> Arrays:
        given = arrays if len(inference.inputs) > 1 else next(iter(arrays.values()))
        found = model(given, training=False)
        found = found if len(inference.outputs) > 1 else {inference.outputs[0].name: found}
        return {name: np.asarray(value) for name, value in found.items()}

    return run


# -- SavedModel


def write_saved_model(inference: Inference, path: Path, about: Mapping[str, Any]) -> None:
    """Write a SavedModel into a directory; `assets.extra` is where others may put files.

    `Model.export` would write every variable twice, as one of the model and as one that the function uses.
    """
    serve, signature = partial(inference.model, training=False), _signature(inference)
    with library():
        archive = keras.export.ExportArchive()
        archive.add_endpoint("serve", serve, signature)
        archive.write_out(path, verbose=False)
    extra = path / "assets.extra"
    extra.mkdir()
    (extra / ABOUT).write_text(_text(about))


def load_saved_model(inference: Inference, path: Path) -> Run:
    """Load a SavedModel with TensorFlow, as a server does: by its signature."""
    import tensorflow as tf

    with library():
        serve = tf.saved_model.load(path).signatures["serving_default"]

    @library()
    def run(arrays: Arrays) -> Arrays:
        found = serve(**{name: tf.constant(array) for name, array in arrays.items()})
        return {name: value.numpy() for name, value in found.items()}

    return run


# -- ONNX


def write_onnx(inference: Inference, path: Path, about: Mapping[str, Any]) -> None:
    """Write an ONNX file; the first axis of all inputs and outputs is called `cases`."""
    with library():
        import onnx

    options = {"verbose": False, "opset_version": OPSET, "input_signature": _signature(inference)}
    with library():
        inference.model.export(path, format="onnx", **options)
        model = onnx.load(path)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "cases"
    onnx.helper.set_model_props(model, {ABOUT_KEY: _text(about)})
    with library():
        onnx.checker.check_model(model)
        onnx.save(model, path)


def load_onnx(inference: Inference, path: Path) -> Run:
    """Load an ONNX file with onnxruntime, on the CPU."""
    with library():
        import onnxruntime

        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    @library()
    def run(arrays: Arrays) -> Arrays:
        return dict(zip(names, session.run(None, dict(arrays)), strict=True))

    return run


# -- LiteRT


def write_litert(inference: Inference, path: Path, about: Mapping[str, Any]) -> None:
    """Write a LiteRT (TensorFlow Lite) file that needs LiteRT's own operations only."""
    import tensorflow as tf

    own = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    with library():
        inference.model.export(path, format="litert", verbose=False, target_spec=own)
    path.write_bytes(_with_metadata(path.read_bytes(), _text(about)))


def _with_metadata(content: bytes, text: str) -> bytes:
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(content)
    entry, buffer = schema.MetadataT(), schema.BufferT()
    entry.name, entry.buffer = ABOUT_KEY, len(model.buffers)
    buffer.data = np.frombuffer(text.encode(), np.uint8)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or ()), entry]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def load_litert(inference: Inference, path: Path) -> Run:
    """Load a LiteRT file with LiteRT's interpreter."""
    with library():
        from ai_edge_litert.interpreter import Interpreter

        runner = Interpreter(str(path)).get_signature_runner()

    @library()
    def run(arrays: Arrays) -> Arrays:
        return dict(runner(**arrays))

    return run


FORMATS = {
    "keras": Format("Keras", ".keras", "keras", write_keras, load_keras, is_random=True, needs_classes=True),
    "savedmodel": Format(
        "SavedModel", "", "tensorflow", write_saved_model, load_saved_model, is_folder=True, is_random=True
    ),
    "onnx": Format(f"ONNX (opset {OPSET})", ".onnx", "onnxruntime", write_onnx, load_onnx),
    "litert": Format("LiteRT", ".tflite", "ai-edge-litert", write_litert, load_litert),
}
