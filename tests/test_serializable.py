"""Keras finds our classes in saved models once the package is imported, which imports nothing for that."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys

import keras
import pytest

from convnet_cfg import optim, serializable


def test_every_class_that_is_registered_has_its_stand_in():
    rooms = {room: importlib.import_module(f"convnet_cfg.{room}") for room in serializable.CLASSES}
    expected = {
        f"convnet_cfg>{name}": getattr(rooms[room], name)
        for room, names in serializable.CLASSES.items()
        for name in names
    }
    registered = keras.saving.get_custom_objects()
    assert {name: registered[name] for name in registered if name.startswith("convnet_cfg>")} == expected
    assert all(isinstance(cls, type) for cls in expected.values())


PROGRAM = """
import json, sys
if sys.argv[1] == "keras":
    import keras, convnet_cfg
else:
    import convnet_cfg, keras
model = keras.saving.load_model(sys.argv[2])
loaded = sorted(name for name in sys.modules if name.count(".") == 1 and name.startswith("convnet_cfg."))
print(json.dumps([
    keras.backend.backend(), type(model.optimizer).__name__, int(model.optimizer.iterations), loaded,
    "tensorflow" in sys.modules, type(sys.meta_path[0]).__name__,
]))
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A model of Keras' layers with our optimizer, trained for two steps."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="fc")])
    rate = optim.Exponential(base=0.1, target_factor=10)
    groups = [
        optim.Group("fc/kernel", learning_rate=rate, momentum=0.9),
        optim.Group("*/bias", learning_rate=0.1),
    ]
    model.compile(optim.GroupedOptimizer(groups, total_steps=10), "mse")
    model.fit(keras.ops.ones((4, 3)), keras.ops.ones((4, 2)), batch_size=2, verbose=0)
    path = tmp_path_factory.mktemp("model") / "model.keras"
    model.save(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "first"),
    [("tensorflow", "keras"), ("jax", "convnet_cfg"), ("jax", "keras"), ("torch", "convnet_cfg")],
)
def test_a_compiled_model_is_loaded_in_another_process(compiled, backend, first, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    ran = subprocess.run([sys.executable, "-c", PROGRAM, first, compiled], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
    name, optimizer, steps, loaded, has_tensorflow, finder = json.loads(ran.stdout.splitlines()[-1])
    assert (name, optimizer, steps) == (backend, "GroupedOptimizer", 2)
    assert "convnet_cfg.nn" not in loaded
    assert has_tensorflow == (backend == "tensorflow")
    assert finder != "_KerasFinder"


FINDER = """
import importlib.util, sys
import convnet_cfg
first = importlib.util.find_spec("keras")
assert first is not None and "keras" not in sys.modules
kept = [type(finder).__name__ for finder in sys.meta_path].count("_KerasFinder")
sys.path[:] = [path for path in sys.path if "site-packages" not in path]
sys.path_importer_cache.clear()
try:
    import keras
except ModuleNotFoundError as error:
    print(kept, error, "convnet_cfg.serializable" in sys.modules)
"""


def test_looking_for_keras_does_not_import_it_and_its_absence_is_as_always():
    ran = subprocess.run([sys.executable, "-c", FINDER], capture_output=True, text=True)
    assert ran.stdout.splitlines() == ["1 No module named 'keras' False"], ran.stderr


FOUND_AGAIN = """
import importlib, sys
import convnet_cfg
importlib.reload(convnet_cfg)
from importlib.util import find_spec, module_from_spec
other = find_spec("keras")
sys.path.insert(0, sys.argv[1])
for _ in range(2):
    try:
        import keras
    except RuntimeError as error:
        print(error)
del sys.path[0]
import keras
known = keras.saving.get_custom_objects()
first = sum(name.startswith("convnet_cfg>") for name in known)
finders = {type(finder).__name__ for finder in sys.meta_path}
other.loader.exec_module(module_from_spec(other))
print(first, "_KerasFinder" in finders)
"""


@pytest.mark.slow
def test_keras_that_fails_at_first_and_is_found_twice(tmp_path):
    (tmp_path / "keras").mkdir()
    (tmp_path / "keras" / "__init__.py").write_text("raise RuntimeError('half-way')")
    ran = subprocess.run([sys.executable, "-c", FOUND_AGAIN, tmp_path], capture_output=True, text=True)
    count = sum(map(len, serializable.CLASSES.values()))
    assert ran.stdout.splitlines() == ["half-way", "half-way", f"{count} False"], ran.stderr


A_FOLDER = """
import sys
import convnet_cfg
sys.path[:] = [sys.argv[1], *(path for path in sys.path if "site-packages" not in path)]
sys.path_importer_cache.clear()
import keras
print(list(keras.__path__))
"""


def test_a_folder_named_keras_where_there_is_no_keras(tmp_path):
    (tmp_path / "keras").mkdir()
    ran = subprocess.run([sys.executable, "-c", A_FOLDER, tmp_path], capture_output=True, text=True)
    assert ran.stdout == f"{[str(tmp_path / 'keras')]}\n", ran.stderr


IN_JAX = """
import convnet_cfg, keras
names = {"class_name": "Nailbed", "registered_name": "convnet_cfg>Nailbed", "module": "x"}
layer = {**names, "config": {"strides": 2}}
try:
    keras.saving.deserialize_keras_object(layer)
except ValueError as error:
    print(error)
"""


def test_layers_are_not_loaded_for_another_backend(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    ran = subprocess.run([sys.executable, "-c", IN_JAX], capture_output=True, text=True)
    assert ran.stdout == (
        "convnet_cfg.nn.Nailbed computes in TensorFlow, Keras in jax: "
        "set KERAS_BACKEND=tensorflow before Keras is imported\n"
    ), ran.stderr
