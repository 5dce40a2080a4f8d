"""Runs translated networks where convnet_cfg cannot be imported: `python translation_child.py FOLDER NAME...`

For each NAME.py and NAME.npz (translation_cases.py) it prints a line of JSON: the largest difference of each
array in units of its largest value.
"""

import gc
import importlib.util
import inspect
import json
import sys
import traceback
from pathlib import Path

NOISE, STEPS = 0.25, 2  # as in translation_cases.py
LENGTHS = {"total_steps": 4, "epochs": 2}  # as TOTAL_STEPS and EPOCHS there


class Blocker:
    """Refuses to import convnet_cfg."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "convnet_cfg":
            raise ModuleNotFoundError(f"{name} is not for translated networks")


def main():
    sys.meta_path.insert(0, Blocker())
    folder = Path(sys.argv[1])
    for name in sys.argv[2:]:
        try:
            found = {"errors": compare(folder, name)}
        except Exception:
            found = {"failed": traceback.format_exc(limit=-4)}
        print(json.dumps({"name": name, **found}), flush=True)


def compare(folder, name):
    """Return the errors of all arrays by name."""
    import keras
    import numpy as np

    keras.backend.clear_session()
    gc.collect()
    with np.load(folder / f"{name}.npz") as file:
        arrays = dict(file)
    keras.config.set_floatx(
        "float64" if any(each.dtype == "float64" for each in arrays.values()) else "float32"
    )
    module = import_file(folder / f"{name}.py")
    model = module.build_model()
    weights = part(arrays, "weight")
    np.savez(folder / "weights.npz", **weights)
    module.load_weights(model, folder / "weights.npz")
    assert {variable.path for variable in model.trainable_variables} == set(weights)
    data = part(arrays, "data")
    names = [tensor.name for tensor in model.inputs]
    inputs = data[names[0]] if len(names) == 1 else {each: data[each] for each in names}
    make_noise_certain()
    outputs = model(inputs, training=False)
    found = {f"output/{key}": np.asarray(value) for key, value in outputs.items()}
    assert set(found) == {key for key in arrays if key.startswith("output/")}
    if "cost" in arrays:
        found |= train(module, model, inputs, data)
    if given := part(arrays, "given"):
        found |= pull_back(model, {key: data[key] for key in names}, given)
    wanted = {key for key in arrays if not key.startswith(("data/", "weight/", "given/"))}
    assert wanted <= set(found), wanted - set(found)
    return {key: error(found[key], arrays[key]) for key in wanted}


def import_file(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def part(arrays, kind):
    return {key.partition("/")[2]: value for key, value in arrays.items() if key.startswith(f"{kind}/")}


def error(value, wanted):
    import numpy as np

    assert value.shape == wanted.shape, (value.shape, wanted.shape)
    largest = np.abs(wanted).max(initial=0.0)
    return float(np.abs(value - wanted).max(initial=0.0) / (largest if largest > 0 else 1.0))


def train(module, model, inputs, data):
    """Return the cost, its gradients, and the weights after some steps with them."""
    import numpy as np
    import tensorflow as tf

    drop_nothing(model)
    targets = [data[name] for name in list(inspect.signature(module.objective).parameters)[1:]]
    variables = model.trainable_variables
    with tf.GradientTape() as tape:
        cost = module.objective(model(inputs, training=True), *targets)
    gradients = tape.gradient(
        cost, [variable.value for variable in variables], unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    found = {"cost": np.asarray(cost)}
    found |= {f"gradient/{v.path}": np.asarray(g) for v, g in zip(variables, gradients, strict=True)}
    wanted = inspect.signature(module.make_optimizer).parameters
    lengths = {name: value for name, value in LENGTHS.items() if name in wanted}
    optimizer = module.make_optimizer(model, **lengths)
    for _ in range(STEPS):
        optimizer.apply(gradients, variables)
    return found | {f"stepped/{v.path}": np.asarray(v) for v in variables}


def pull_back(model, data, given):
    """Return the gradients by data and weights, where those by outputs are given."""
    import numpy as np
    import tensorflow as tf

    drop_nothing(model)
    inputs = {key: tf.constant(value) for key, value in data.items()}
    variables = model.trainable_variables
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = model(inputs if len(inputs) > 1 else next(iter(inputs.values())), training=True)
        total = sum(tf.reduce_sum(outputs[key] * value) for key, value in given.items())
    by_data, by_weights = tape.gradient(total, [inputs, [variable.value for variable in variables]])
    found = {
        f"input_gradient/{key}": np.asarray(value) for key, value in by_data.items() if value is not None
    }
    return found | {
        f"gradient/{v.path}": np.asarray(g)
        for v, g in zip(variables, by_weights, strict=True)
        if g is not None
    }


def make_noise_certain():
    """Let all random numbers be NOISE."""
    import keras
    from keras import ops

    def constant(shape, *arguments, dtype=None, **options):
        return ops.full(shape, NOISE, dtype=dtype)

    keras.random.uniform = keras.random.normal = constant


def drop_nothing(model):
    """Let nothing be dropped in training."""
    for layer in model.layers:
        if hasattr(layer, "rate"):
            layer.rate = 0.0
        if hasattr(layer, "kept"):
            layer.kept = layer.output.shape[-1]


if __name__ == "__main__":
    main()
