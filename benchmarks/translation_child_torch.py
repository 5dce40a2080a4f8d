"""Runs translations to PyTorch where only that is: `python translation_child_torch.py FOLDER NAME...`.

Neither TensorFlow nor convnet_cfg can be imported there. As translation_child.py it prints a line of JSON for
each NAME.py and NAME.npz.
"""

import importlib.util
import inspect
import json
import sys
import traceback
from pathlib import Path

import numpy as np
import torch

NOISE, STEPS, TOTAL_STEPS, EPOCHS = 0.25, 2, 4, 2  # as in translation_cases.py
FORBIDDEN = ("convnet_cfg", "keras", "tensorflow")


def main():
    sys.modules.update(dict.fromkeys(FORBIDDEN))
    make_noise_certain()
    folder = Path(sys.argv[1])
    for name in sys.argv[2:]:
        try:
            found = {"errors": compare(folder, name)}
        except Exception:
            found = {"failed": traceback.format_exc(limit=-4)}
        print(json.dumps({"name": name, **found}), flush=True)


def compare(folder, name):
    """Return the errors of all arrays by name."""
    with np.load(folder / f"{name}.npz") as file:
        arrays = dict(file)
    module = import_file(folder / f"{name}.py")
    weights = part(arrays, "weight")
    model = network_of(module).eval()
    if any(each.dtype == np.float64 for each in arrays.values()):
        model.double()
    assert {path for path, _ in model.named_parameters()} == set(weights)
    np.savez(folder / "weights.npz", **weights)
    module.load_weights(model, folder / "weights.npz")
    data = {key: torch.from_numpy(value.copy()) for key, value in part(arrays, "data").items()}
    inputs = [data[key] for key in inspect.signature(model.forward).parameters]
    with torch.no_grad():
        outputs = model(*inputs)
    if not isinstance(outputs, dict):
        (only,) = part(arrays, "output")
        outputs = {only: outputs}
    found = {f"output/{key}": value.numpy() for key, value in outputs.items()}
    if "cost" in arrays:
        found |= train(module, model, inputs, data)
    assert set(found) | {key for key in arrays if key.startswith(("data/", "weight/"))} == set(arrays)
    return {key: error(value, arrays[key]) for key, value in found.items()}


def import_file(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def network_of(module):
    """Return the network: it is of the last class in the file."""
    classes = [each for each in vars(module).values() if isinstance(each, type)]
    return [each for each in classes if each.__module__ == module.__name__][-1]()


def part(arrays, kind):
    return {key.partition("/")[2]: value for key, value in arrays.items() if key.startswith(f"{kind}/")}


def error(value, wanted):
    assert value.shape == wanted.shape, (value.shape, wanted.shape)
    largest = np.abs(wanted).max(initial=0.0)
    return float(np.abs(value - wanted).max(initial=0.0) / (largest if largest > 0 else 1.0))


def train(module, model, inputs, data):
    """Return the cost, its gradients, and the weights after some steps with them; nothing is dropped."""
    model.train()
    drop_nothing(model)
    cost = module.objective(model(*inputs), *targets_of(module, data))
    cost.backward()
    found = {"cost": cost.detach().numpy()}
    parameters = dict(model.named_parameters())
    for path, weight in parameters.items():
        gradient = torch.zeros_like(weight) if weight.grad is None else weight.grad
        found[f"gradient/{path}"] = gradient.numpy().copy()
    if hasattr(module, "make_optimizer"):
        take_steps(module, model)
    return found | {f"stepped/{path}": weight.detach().numpy() for path, weight in parameters.items()}


def make_noise_certain():
    """Let all random numbers of activations and images be NOISE."""
    torch.rand = lambda *size, dtype=None: torch.full(size, NOISE, dtype=dtype)
    torch.rand_like = torch.randn_like = lambda x: torch.full_like(x, NOISE)


def drop_nothing(model):
    """Let nothing be dropped in training."""
    for layer in model.modules():
        for rate in {"rate", "p"} & vars(layer).keys():
            setattr(layer, rate, 0.0)
        if hasattr(layer, "kept"):
            layer.kept = sys.maxsize


def targets_of(module, data):
    """Return what the objective takes beside the outputs; class numbers as PyTorch wants them."""
    words = inspect.getdoc(module.objective)
    names = list(inspect.signature(module.objective).parameters)[1:]
    return [data[name][:, 0].long() if f"{name}: class numbers" in words else data[name] for name in names]


def take_steps(module, model):
    """Make some steps of the optimizer, all with the gradients that are there."""
    gradients = {weight: weight.grad for weight in model.parameters()}
    in_epochs = "epochs" in inspect.signature(module.make_optimizer).parameters
    length = {"epochs": EPOCHS} if in_epochs else {}
    optimizer = module.make_optimizer(model, **length)
    for step in range(STEPS):
        for weight, gradient in gradients.items():
            weight.grad = gradient
        if hasattr(module, "set_learning_rates"):
            module.set_learning_rates(optimizer, model, step / TOTAL_STEPS, **length)
        optimizer.step()


if __name__ == "__main__":
    main()
