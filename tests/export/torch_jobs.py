"""Runs translated networks in a process of its own, where only PyTorch is: `python torch_jobs.py FOLDER`.

Neither TensorFlow nor anything of ours can be imported there. FOLDER has jobs.json, a list of jobs, and for
each of them NAME.py, the translation, perhaps NAME.npz, its weights, and NAME.arrays.npz, what it is given.
The results are put into NAME.results.npz.
"""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import torch

FORBIDDEN = ("convnet_cfg", "keras", "tensorflow")


def import_file(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def network_of(module):
    """Return the network: the last class of the file."""
    classes = [each for each in vars(module).values() if isinstance(each, type)]
    return [each for each in classes if each.__module__ == module.__name__][-1]()


class Job:
    def __init__(self, folder, entry):
        self.entry = entry
        self.module = import_file(folder / f"{entry['name']}.py")
        self.dtype = getattr(torch, entry["dtype"])
        with np.load(folder / f"{entry['name']}.arrays.npz") as arrays:
            self.arrays = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
        self.model = network_of(self.module)
        if (folder / f"{entry['name']}.npz").exists():
            self.module.load_weights(self.model)
        self.model.to(self.dtype).train(entry["training"])
        torch.manual_seed(0)
        self.results = {}

    def tensors(self, kind):
        """Return the arrays of one kind, floats in the type of the job."""
        found = {
            name.partition("/")[2]: array
            for name, array in self.arrays.items()
            if name.startswith(kind + "/")
        }
        return {
            name: array.to(self.dtype) if array.is_floating_point() else array
            for name, array in found.items()
        }

    def in_order(self, kind):
        return [tensor for _, tensor in sorted(self.tensors(kind).items())]

    def run(self):
        with torch.no_grad():
            for path, weight in self.tensors("weight").items():
                self.model.get_parameter(path).copy_(weight)
        draw(self.in_order("mask"))
        if self.entry["minibatch"]:
            self.train()
        else:
            self.differentiate()
        return {name: tensor.detach().numpy() for name, tensor in self.results.items()}

    def differentiate(self):
        """Keep outputs, objective, and the gradients of both."""
        inputs = [tensor.requires_grad_() for tensor in self.in_order("input")]
        found = self.model(*inputs)
        outputs = found if isinstance(found, dict) else {"output": found}
        self.results |= {f"output/{name}": value for name, value in outputs.items()}
        given = self.tensors("gradient")
        ends = [(outputs[name] * gradient.view_as(outputs[name])).sum() for name, gradient in given.items()]
        if self.entry["objective"]:
            value = self.module.objective(found, *self.in_order("target"))
            self.results["objective"] = value
            ends.append(value)
        if ends:
            sum(ends).backward()
            named = dict(self.model.named_parameters(remove_duplicate=False))
            self.results |= {f"gradient/{path}": w.grad for path, w in named.items() if w.grad is not None}
            self.results |= {
                f"input_gradient/{number}": tensor.grad
                for number, tensor in enumerate(inputs)
                if tensor.grad is not None
            }

    def train(self):
        """Keep the weights and velocities after each minibatch."""
        optimizer = self.module.make_optimizer(self.model)
        paths = {weight: path for path, weight in self.model.named_parameters()}
        rates = {weight: group["lr"] for group in optimizer.param_groups for weight in group["params"]}
        for path, velocity in self.tensors("velocity").items():
            weight = self.model.get_parameter(path)
            if hasattr(self.module, "VelocitySGD"):
                optimizer.state[weight]["velocity"] = velocity
            elif weight in rates:
                optimizer.state[weight]["momentum_buffer"] = velocity / -rates[weight]
        mini = self.entry["minibatch"]
        data = [*self.in_order("input"), *self.in_order("target")]
        inputs = len(self.tensors("input"))
        for step in range(self.entry["steps"]):
            part = [tensor[step * mini : (step + 1) * mini] for tensor in data]
            if hasattr(self.module, "set_learning_rates"):
                self.module.set_learning_rates(optimizer, self.model, self.entry["progress"][step])
            optimizer.zero_grad()
            self.module.objective(self.model(*part[:inputs]), *part[inputs:]).backward()
            optimizer.step()
            for weight, path in paths.items():
                self.results[f"weight{step + 1}/{path}"] = weight.detach().clone()
                if weight in optimizer.state:
                    self.results[f"velocity{step + 1}/{path}"] = self.velocity(optimizer, weight).clone()

    def velocity(self, optimizer, weight):
        """Return the velocity V of a weight, whatever the optimizer keeps."""
        state = optimizer.state[weight]
        if "velocity" in state:
            return state["velocity"]
        (rate,) = (group["lr"] for group in optimizer.param_groups if group["params"][0] is weight)
        return -rate * state["momentum_buffer"]


def draw(masks):
    """Make the random draws those of the masks, one after the other."""
    queue = list(masks)
    original = torch.Tensor.bernoulli_

    def bernoulli_(tensor, *arguments):
        return tensor.copy_(queue.pop(0).view_as(tensor)) if queue else original(tensor, *arguments)

    torch.Tensor.bernoulli_ = bernoulli_


def main(folder):
    sys.modules.update(dict.fromkeys(FORBIDDEN))
    for entry in json.loads((folder / "jobs.json").read_text()):
        results = Job(folder, entry).run()
        np.savez(folder / f"{entry['name']}.results.npz", **results)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
