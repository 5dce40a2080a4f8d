"""Every layer type in every format, in the format's own runtime, against the original's numbers and ours."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
from every_layer import (
    ON_COLOURS,
    ON_IMAGES,
    ON_PIXELS,
    ON_TWO,
    ON_VECTORS,
    RANDOM,
    every_layer,
    random_layers,
)
from golden_cases import MISSING
from golden_inference import TOLERANCE, GoldenInference, names

from convnet_cfg import nn
from convnet_cfg.errors import ExportError
from convnet_cfg.export.formats import ABOUT, ABOUT_KEY, FORMATS, OPSET
from convnet_cfg.export.targets import export
from convnet_cfg.serializable import CLASSES

pytestmark = pytest.mark.slow
each_format = pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
ABOUT_TEST = {"network": "a test"}


def test_no_layer_is_left_out():
    tables = (ON_IMAGES, ON_COLOURS, ON_VECTORS, ON_PIXELS, ON_TWO, RANDOM)
    tried = {type(layer).__name__ for table in tables for layer in table.values()}
    constraints = {"Chain", "ColumnNorm", "ColumnNormLimit", "ColumnSpread", "NonNegativeColumns"}
    assert tried - {"Softmax", "UnitNormalization"} == set(CLASSES["nn"]) - constraints
    functions = {layer.function for layer in ON_VECTORS.values() if isinstance(layer, nn.Activation)}
    assert functions == set(nn.ACTIVATIONS)


@pytest.fixture(scope="module")
def golden():
    chosen = names()
    if not chosen:
        pytest.skip(MISSING)
    assert len(chosen) >= 150
    return GoldenInference(chosen)


@each_format
def test_the_runtime_computes_what_the_original_did(golden, form, tmp_path):
    path = tmp_path / f"golden{form.ending}"
    form.write(golden.inference, path, ABOUT_TEST)
    found = golden.differences(form.load(golden.inference, path)(golden.data))
    assert max(found.values()) <= TOLERANCE, {name: found[name] for name in found if found[name] > TOLERANCE}


@each_format
def test_every_layer_can_be_exported(form, tmp_path):
    path = tmp_path / f"layers{form.ending}"
    assert export(form, every_layer(), path, ABOUT_TEST) < 1e-6
    assert [child.name for child in tmp_path.iterdir()] == [path.name]
    assert TOLD[form.title.split()[0]](path)["network"] == "a test"


def told_by_keras(path):
    with zipfile.ZipFile(path) as members:
        return json.loads(members.read(ABOUT))


def told_by_onnx(path):
    import onnx

    model = onnx.load(path)
    assert [opset.version for opset in model.opset_import if not opset.domain] == [OPSET]
    ends = (*model.graph.input, *model.graph.output)
    assert {end.type.tensor_type.shape.dim[0].dim_param for end in ends} == {"cases"}
    return json.loads({each.key: each.value for each in model.metadata_props}[ABOUT_KEY])


def told_by_litert(path):
    from ai_edge_litert.schema_py_generated import Model

    model = Model.GetRootAs(path.read_bytes())
    custom = [model.OperatorCodes(n).CustomCode() for n in range(model.OperatorCodesLength())]
    assert set(custom) == {None}, "operations that are not LiteRT's own"
    entries = [model.Metadata(n) for n in range(model.MetadataLength())]
    buffers = {entry.Name().decode(): entry.Buffer() for entry in entries}
    return json.loads(model.Buffers(buffers[ABOUT_KEY]).DataAsNumpy().tobytes())


TOLD = {
    "Keras": told_by_keras,
    "SavedModel": lambda path: json.loads((path / "assets.extra" / ABOUT).read_text()),
    "ONNX": told_by_onnx,
    "LiteRT": told_by_litert,
}


@each_format
def test_random_numbers_in_tests(form, tmp_path):
    """Formats that have random generators draw the same numbers; the others are refused."""
    inference = random_layers()
    inference.model({"vector": np.ones((1, 12))})  # as a run has drawn some already
    if form.is_random:
        assert export(form, inference, tmp_path / f"random{form.ending}", ABOUT_TEST) < 1e-6
        return
    with pytest.raises(
        ExportError, match="express \\[random_activation.*\\] and \\[random_.*: random numbers"
    ):
        export(form, inference, tmp_path / f"random{form.ending}", ABOUT_TEST)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["onnx", "litert"])
def test_a_layer_that_a_format_cannot_express_is_named(name, tmp_path):
    """As a layer type of the user's might be, of which nobody can know in advance."""
    import keras
    from every_layer import inference

    class Random(keras.layers.Layer):
        def call(self, inputs):
            return inputs + keras.random.normal(keras.ops.shape(inputs), seed=1)

    data = keras.Input((12,), name="vector")
    made = inference({"vector": data}, {"y": Random(name="odd")(nn.Dense(3, name="dense")(data))})
    with pytest.raises(ExportError, match="cannot express \\[odd\\]: "):
        export(FORMATS[name], made, tmp_path / f"odd{FORMATS[name].ending}", ABOUT_TEST)
    assert not list(tmp_path.iterdir())


def test_what_keras_would_not_load_is_named(tmp_path):
    import keras
    from every_layer import inference

    data = keras.Input((12,), name="vector")
    made = inference({"vector": data}, {"y": keras.layers.Lambda(lambda x: x + 1, name="odd")(data)})
    with pytest.raises(ExportError, match="Keras cannot express \\[odd\\]: .*lambda"):
        export(FORMATS["keras"], made, tmp_path / "odd.keras", ABOUT_TEST)
    assert not list(tmp_path.iterdir())
