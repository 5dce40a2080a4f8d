"""What an update costs: `python -m benchmarks.optimizers` compares the optimizer with its peers, in turns.

(a) The 61 million parameters of AlexNet in 16 variables: bound by memory. The floor is the time in which a
    gradient, a velocity and a weight are read, and the last two written, at the measured speed of a copy.
(b) 5,000 small variables in 50 groups: bound by what an operation costs.

Gradients are constants, one for each shape, and a call makes several steps, so that nothing but the update
is timed. In each round the order changes.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
import torch

from convnet_cfg.optim import Group, GroupedOptimizer

RATE, MOMENTUM, DECAY = 0.01, 0.9, 0.0005
ALEXNET = [
    shape
    for kernel in (
        (11, 11, 3, 96),
        (5, 5, 48, 256),
        (3, 3, 256, 384),
        (3, 3, 192, 384),
        (3, 3, 192, 256),
        (9216, 4096),
        (4096, 4096),
        (4096, 1000),
    )
    for shape in (kernel, kernel[-1:])
]
SMALL = [(16, 16)] * 5000
FLOOR = "floor: read 3, write 2"

STEPS = 5
"""How many steps a call makes."""

Step = Callable[[], None]


class Case(NamedTuple):
    """Variables, and how many groups they are in."""

    shapes: Sequence[tuple[int, ...]]
    groups: int


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.optimizers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    print("(a) 61 million parameters, 16 variables, 16 groups")
    case = Case(ALEXNET, len(ALEXNET))
    large = measure({**large_sides(case), "copy": copy_step(case)}, options.rounds)
    numbers = sum(int(np.prod(shape)) for shape in ALEXNET)
    floor = [seconds * 5 / 2 for seconds in large.pop("copy")]
    report({FLOOR: floor, **large}, FLOOR, numbers)
    print("(b) 5,000 variables of 16 x 16, 50 groups")
    case = Case(SMALL, 50)
    small = measure(small_sides(case), options.rounds)
    report(small, "MultiOptimizer", sum(int(np.prod(shape)) for shape in SMALL))
    print("(c) 5,000 variables of 16 x 16, ours")
    groups = {f"{count} groups": ours(Case(SMALL, count), "decoupled-lr") for count in (1, 50, 500)}
    report(measure(groups, options.rounds), "1 groups", sum(int(np.prod(shape)) for shape in SMALL))


def large_sides(case: Case) -> dict[str, Step]:
    """Return a step of each side over the variables of a case, with and without decay."""
    return {
        "ours, no decay": ours(case, "none"),
        "ours, decoupled-lr": ours(case, "decoupled-lr"),
        "ours, cuda-convnet": ours(case, "cuda-convnet"),
        "Keras SGD, no decay": keras_sgd(case, None),
        "Keras SGD, decoupled-lr": keras_sgd(case, DECAY),
        "MultiOptimizer, no decay": multi(case, None),
        "MultiOptimizer, decoupled-lr": multi(case, DECAY),
        "PyTorch foreach, no decay": foreach(case, 0),
        "PyTorch foreach, coupled": foreach(case, DECAY),
    }


def small_sides(case: Case) -> dict[str, Step]:
    """Return a step of each side over small variables."""
    return {
        "MultiOptimizer": multi(case, None),
        "MultiOptimizer, decoupled-lr": multi(case, DECAY),
        "Keras SGD": keras_sgd(case, None),
        "Keras SGD, decoupled-lr": keras_sgd(case, DECAY),
        "PyTorch foreach": foreach(case, 0),
        "PyTorch foreach, coupled": foreach(case, DECAY),
        "ours": ours(case, "none"),
        "ours, decoupled-lr": ours(case, "decoupled-lr"),
        "ours, cuda-convnet": ours(case, "cuda-convnet"),
    }


def variables_of(case: Case) -> list[Any]:
    """Return variables of ones, v0, v1 ..., in TensorFlow."""
    return [keras.Variable(np.ones(shape, np.float32), name=f"v{i}") for i, shape in enumerate(case.shapes)]


def share(items: Sequence[Any], groups: int) -> list[list[Any]]:
    """Deal items out to groups."""
    return [list(items[number::groups]) for number in range(groups)]


def compiled(optimizer: Any, variables: Sequence[Any]) -> Step:
    """Return steps of a Keras optimizer, a loop in a graph."""
    optimizer.build(variables)
    of_shape = {tuple(variable.shape): tf.fill(variable.shape, 1e-3) for variable in variables}
    gradients = [of_shape[tuple(variable.shape)] for variable in variables]

    @tf.function
    def steps(count: Any) -> Any:
        for _ in tf.range(count):
            optimizer.apply(gradients, variables)
        return count

    return lambda: steps(tf.constant(STEPS)).numpy()


def ours(case: Case, decay: str) -> Step:
    """Return a step of GroupedOptimizer."""
    variables = variables_of(case)
    groups = [
        Group(
            part,
            learning_rate=RATE,
            momentum=MOMENTUM,
            weight_decay=DECAY,
            decay=decay,
            name=f"group {number}",
        )
        for number, part in enumerate(share(variables, case.groups))
    ]
    return compiled(GroupedOptimizer(groups), variables)


def keras_sgd(case: Case, decay: float | None) -> Step:
    """Return a step of one Keras SGD over all variables."""
    return compiled(keras.optimizers.SGD(RATE, momentum=MOMENTUM, weight_decay=decay), variables_of(case))


def multi(case: Case, decay: float | None) -> Step:
    """Return a step of Keras' MultiOptimizer over as many SGDs as there are groups."""
    variables = variables_of(case)
    optimizers = {}
    for part in share(variables, case.groups):
        sgd = keras.optimizers.SGD(RATE, momentum=MOMENTUM, weight_decay=decay)
        optimizers |= {variable.path: sgd for variable in part}
    return compiled(keras.optimizers.MultiOptimizer(lambda v: optimizers[v.path]), variables)


def foreach(case: Case, decay: float) -> Step:
    """Return a step of PyTorch's SGD over parameter groups, a kernel for lists of tensors."""
    parameters = [torch.nn.Parameter(torch.ones(shape)) for shape in case.shapes]
    for parameter in parameters:
        parameter.grad = torch.full(parameter.shape, 1e-3)
    groups = [{"params": part} for part in share(parameters, case.groups)]
    optimizer = torch.optim.SGD(groups, lr=RATE, momentum=MOMENTUM, weight_decay=decay, foreach=True)
    return lambda: repeat(optimizer.step)


def copy_step(case: Case) -> Step:
    """Return a copy of as many numbers, by all processors: it reads them once and writes them once."""
    numbers = sum(int(np.prod(shape)) for shape in case.shapes)
    source, target = torch.ones(numbers), torch.zeros(numbers)
    return lambda: repeat(lambda: target.copy_(source))


def repeat(step: Callable[[], Any]) -> None:
    """Do something as often as a call of the others makes steps."""
    for _ in range(STEPS):
        step()


def measure(sides: dict[str, Step], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each side in each round, after a round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    names = list(sides)
    for number in range(rounds + 1):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            begin = time.perf_counter()
            sides[name]()
            if number:
                seconds[name].append((time.perf_counter() - begin) / STEPS)
    return seconds


def report(seconds: dict[str, list[float]], base: str, numbers: int) -> None:
    """Print a line for each side: its median, per parameter, and as a multiple of one side's."""
    width = max(map(len, seconds))
    for name, times in seconds.items():
        ratios = sorted(mine / theirs for mine, theirs in zip(times, seconds[base], strict=True))
        each = f"{1e3 * median(times):7.2f} ms  {1e9 * median(times) / numbers:6.3f} ns/parameter"
        spread = f"({quartile(ratios, 1):.2f}-{quartile(ratios, 3):.2f})"
        print(f"  {name:{width}}  {each}  {median(ratios):5.2f} x {base.split(':')[0]} {spread}", flush=True)


def quartile(ordered: Sequence[float], number: int) -> float:
    """Return the first or third quartile of sorted numbers."""
    return ordered[number * (len(ordered) - 1) // 4]


if __name__ == "__main__":
    main()
