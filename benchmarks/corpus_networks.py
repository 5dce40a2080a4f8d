"""Builds the network of every accepted pair of the corpus, and trains it for one minibatch of four cases.

Looked at are: finite values and gradients, every parameter in one group, no gradient that is zero throughout
where there should be one. Networks of more than LIMIT bytes of values and weights are built, but not run.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.corpus import ROOT, folder, pairs
from benchmarks.corpus_comparison import read
from convnet_cfg.errors import ConfigError
from convnet_cfg.language import Network
from convnet_cfg.language.layer_types import DataSpec
from convnet_cfg.language.params import CostParams

CASES = 4
LIMIT = 400_000_000


class Trial(NamedTuple):
    """What became of a network; `problems` is empty if everything was as it should be."""

    name: str
    ran: bool
    bytes: int
    problems: tuple[str, ...]
    seconds: float
    refused: str = ""  # why we do not build what the original accepted


def needed_bytes(network: Network) -> int:
    """Return the bytes of all values of a minibatch and of all weights."""
    values = sum(layer.output.size for layer in network.layers) * CASES
    return 4 * (values + sum(layer.parameters for layer in network.layers))


def fingerprint(network: Network) -> str:
    """Return what two networks have in common that differ in names and numbers of the parameter file only."""
    numbers = {layer.name: index for index, layer in enumerate(network.layers)}
    facts = [
        (
            layer.type,
            [numbers[source.name] for source in layer.inputs],
            layer.output.size,
            repr(layer.spec.neuron),
            [tuple(matrix.shape) for matrix in layer.matrices],
            [bool(matrix.source) for matrix in layer.matrices],
            type(layer.params).__name__,
        )
        for layer in network.layers
    ]
    return hashlib.sha256(json.dumps([network.dialect.name, facts], default=str).encode()).hexdigest()


def made_data(network: Network, scale: float, seed: int = 0) -> list[np.ndarray]:
    """Return made-up matrices: labels where a cost wants labels, distributions for targets, else noise."""
    rng = np.random.default_rng(seed)
    specs = {layer.name: layer.spec for layer in network.layers if isinstance(layer.spec, DataSpec)}
    labels = {specs[name].data_index for name in network.labels & specs.keys()}
    classes = min([*network.classes.values(), 2])
    return [
        np.array([[0], [0], [0], [classes - 1]], np.float32)
        if index in labels
        else scale * rng.random((CASES, dim), dtype=np.float32)
        for index, dim in enumerate(network.data_dims)
    ]


def trial(name: str, network: Network) -> Trial:
    """Build a network, and train it for one minibatch if it is small enough."""
    start = time.perf_counter()
    needed = needed_bytes(network)
    problems: tuple[str, ...] = ()
    refused = ""
    try:
        if needed > LIMIT:
            _build_symbolically(network)
        else:
            problems = _problems(network)
    except ConfigError as error:
        refused = error.problems[0].message
    ran = needed <= LIMIT and not refused
    return Trial(name, ran, needed, problems, time.perf_counter() - start, refused)


def _problems(network: Network) -> tuple[str, ...]:
    # Networks for checking gradients have weights so large that a probability may round to zero.
    problems = tuple(_train(network, 1.0))
    if any("inf" in problem or "nan" in problem for problem in problems):
        return tuple(_train(network, 0.01))
    return problems


def _build_symbolically(network: Network) -> None:
    """Put the model together without memory for its weights."""
    import keras

    from convnet_cfg.model import assemble

    assemble(network, [(dim,) for dim in network.data_dims])
    keras.backend.clear_session()


def _train(network: Network, scale: float) -> Iterator[str]:
    import keras
    import tensorflow as tf

    from convnet_cfg.model import build
    from convnet_cfg.training.objective import cost_sums, objective

    keras.backend.clear_session()
    data = made_data(network, scale)
    built = build(network, [array.shape[1:] for array in data], functions=MadeUp())
    assert built.optimizer is not None
    for owned in network.owned():
        if owned.input is None:  # a bias below zero may silence a layer behind which relu comes
            bias = built.variables[owned.name]
            bias.assign(np.maximum(bias.numpy(), 0))
    grouped = {id(variable) for group in built.optimizer.groups.values() for variable in group.variables}
    if {id(variable) for variable in built.model.trainable_variables} != grouped:
        yield "a parameter is in no group"
    variables = built.optimizer.active_variables
    with tf.GradientTape() as tape:
        outputs = built.model([tf.constant(data[index]) for index in built.data_indices], training=True)
        sums = [cost_sums(cost, outputs) for cost in built.costs]
        total = objective(built.costs, sums)
    layers = _reached(network)
    reached = {id(built.variables[owned.name]) for owned in network.owned() if owned.layer.name in layers}
    gradients = tape.gradient(total, [variable.value for variable in variables])
    for cost, values in zip(built.costs, sums, strict=True):
        if not np.isfinite(values.numpy()).all():
            yield f"{cost.name} is {values.numpy()}"
    for variable, gradient in zip(variables, gradients, strict=True):
        if gradient is not None and not np.isfinite(gradient.numpy()).all():
            yield f"the gradient of {variable.path} is not finite"
        elif id(variable) in reached and (gradient is None or not np.any(gradient.numpy())):
            yield f"no gradient reaches {variable.path}"
    pairs = zip(gradients, variables, strict=True)
    built.optimizer.apply([tf.zeros_like(v.value) if g is None else g for g, v in pairs], variables)
    for variable in built.model.trainable_variables:
        if not np.isfinite(variable.numpy()).all():
            yield f"{variable.path} is not finite after an update"


def _reached(network: Network) -> set[str]:
    """Return the layers to which a cost sends its gradient: those with a coefficient of zero send none."""
    names = {
        cost.name
        for cost in network.costs
        if not (isinstance(cost.params, CostParams) and cost.params.coefficient == 0)
    }
    for layer in reversed(network.layers):
        if layer.name in names:
            names |= {source.name for source in layer.inputs}
    return names


class MadeUp:
    """Stands for init functions that are not there: small normal numbers instead of what they would make."""

    def call(self, layer: Any, key: str, call: Any, *arguments: Any) -> Any:
        """Return an array of the shape that is wanted."""
        return 0.01 * np.random.default_rng(0).standard_normal(arguments[-1], dtype=np.float32)


def distinct(corpus: Path) -> Mapping[str, tuple[Network, list[str]]]:
    """Return one network for each structure among the accepted pairs, and the names of all that have it."""
    found: dict[str, tuple[Network, list[str]]] = {}
    for pair, oracle in pairs(corpus):
        if oracle["primary"]["status"] == "ok" and (network := read(pair, oracle).network) is not None:
            found.setdefault(fingerprint(network), (network, []))[1].append(pair.name)
    return found


def report(results: Mapping[str, tuple[Trial, list[str]]], seconds: float) -> str:
    """Return docs/corpus-networks.md."""
    trials = [(trial, names) for trial, names in results.values()]
    trained = [each for each in trials if each[0].ran and not each[0].problems]
    built = [each for each in trials if not each[0].ran and not each[0].refused]
    refused = [each for each in trials if each[0].refused]
    wrong = [each for each in trials if each[0].problems]
    lines = [
        "# The networks of the corpus",
        "",
        "`make corpus-networks` builds the network of every accepted pair (docs/compatibility.md). Those",
        f"of up to {LIMIT // 10**6} MB of values and weights, at a minibatch of {CASES}, train for one",
        "minibatch of made-up data: costs, gradients and updated weights must be finite, every parameter",
        "in one group, and no gradient zero throughout where a cost sends one. Larger ones are put together",
        "without memory for their weights. Pairs that differ only in names and in numbers of the parameter",
        "file are one network. Biases that begin below zero begin at zero here: some silence all of a layer.",
        "",
        f"| networks | pairs | it took {seconds / 60:.0f} minutes |",
        "| ---: | ---: | --- |",
        *(
            f"| {len(group)} | {sum(len(names) for _, names in group)} | {what} |"
            for group, what in (
                (trained, "trained, as it should be"),
                (built, "built"),
                (refused, "refused, for the reasons below"),
                (wrong, "not as it should be"),
            )
        ),
        "",
        *(
            f"- `{name}`: {trial.refused or '; '.join(trial.problems)}"
            for trial, names in (*refused, *wrong)
            for name in names
        ),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Try every network, and write the report; exit status 1 if something is not as it should be."""
    results: dict[str, tuple[Trial, list[str]]] = {}
    start = time.perf_counter()
    for network, names in distinct(folder()).values():
        result = trial(names[0], network)
        results[names[0]] = result, names
        what = result.refused or "; ".join(result.problems) or ("trained" if result.ran else "built")
        print(f"{result.seconds:6.2f} s {result.bytes / 1e6:8.1f} MB {names[0]}: {what}", flush=True)
    (ROOT / "docs" / "corpus-networks.md").write_text(report(results, time.perf_counter() - start))
    sys.exit(any(trial.problems for trial, _ in results.values()))


if __name__ == "__main__":
    main()
