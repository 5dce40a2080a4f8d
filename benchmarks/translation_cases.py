"""What a translated network must compute: values of our own network at lively weights, as arrays in a file.

Gradients are those of training in which nothing is dropped, and all random numbers are NOISE. Updates are
made by the formulas of the reference, in NumPy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from convnet_cfg.export.source import keras_source, torch_source
from convnet_cfg.export.source.frame import Frame, Output
from convnet_cfg.export.source.torch_steps import returned
from convnet_cfg.language import Network
from convnet_cfg.language.fork_types import TransitionSpec
from convnet_cfg.language.layer_types import DataSpec
from convnet_cfg.language.network import Owned
from convnet_cfg.language.params import CostParams
from convnet_cfg.language.schedules import Progress
from convnet_cfg.language.weight_types import ConvSpec
from convnet_cfg.model.assembly import Connections

CASES = 3
STEPS = 2
TOTAL_STEPS = 4  # of a training, of which STEPS are made
EPOCHS = 2  # of the same training
NOISE = 0.25

Arrays = Iterator[tuple[str, np.ndarray]]


def channels_first(array: np.ndarray) -> np.ndarray:
    """Return images and pixels with the channels on the second axis, not on the last; vectors as they are."""
    return np.moveaxis(array, -1, 1)


class Language(NamedTuple):
    """A language, its translator, what translations return, how they have images, and what runs them."""

    title: str
    translate: Callable[..., Any]
    outputs: Callable[[Frame], Sequence[Output]]
    laid_out: Callable[[np.ndarray], np.ndarray]
    child: str


LANGUAGES = {
    "keras": Language(
        "Keras",
        keras_source.translate,
        lambda frame: frame.outputs,
        lambda array: array,
        "translation_child.py",
    ),
    "torch": Language(
        "PyTorch",
        torch_source.translate,
        returned,
        channels_first,
        "translation_child_torch.py",
    ),
}


@dataclass(frozen=True)
class Case:
    """A network with its translation for data of these shapes, and the kind of its decay."""

    name: str
    network: Network
    shapes: tuple[tuple[int, ...], ...]
    decay: str
    source: Any
    language: Language

    @property
    def trains(self) -> bool:
        """Whether there is something to minimize, and the rules for it."""
        counted = [
            cost
            for cost in self.network.costs
            if isinstance(cost.params, CostParams) and cost.params.coefficient
        ]
        return bool(counted and any(self.network.owned()))


def make_case(
    name: str,
    network: Network,
    shapes: Sequence[tuple[int, ...]],
    decay: str = "cuda-convnet",
    to: str = "keras",
    connections: Connections | None = None,
) -> Case:
    """Translate a network."""
    language = LANGUAGES[to]
    source = language.translate(
        network,
        shapes,
        title=name,
        files="two files",
        decay=decay,
        connections=connections,
        trained=True,
    )
    return Case(name, network, tuple(map(tuple, shapes)), decay, source, language)


def write_case(case: Case, folder: Path, dtype: str = "float32") -> str:
    """Write a translation, and its data, weights and all that it has to compute; return its name."""
    stem = module_name(case.name)
    (folder / f"{stem}.py").write_text(case.source.text)
    np.savez(folder / f"{stem}.npz", **dict(_arrays(case, dtype)))
    return stem


def module_name(name: str) -> str:
    """Return a name for a module."""
    letters = "".join(letter if letter.isalnum() else "_" for letter in name)
    return f"net_{letters[:60]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _arrays(case: Case, dtype: str) -> Arrays:
    """Yield data/NAME, weight/PATH, output/NAME, cost, gradient/PATH and stepped/PATH."""
    import keras
    import tensorflow as tf

    from convnet_cfg.model import build

    keras.backend.clear_session()
    rng = np.random.default_rng(0)
    built = build(case.network, case.shapes, functions=MadeUp(), dtype=dtype)
    weights = {}
    for owned in case.network.owned():
        drawn = lively(owned, tuple(built.variables[owned.name].shape), rng)
        weights[owned.name] = drawn.astype(dtype)
        built.variables[owned.name].assign(weights[owned.name])
    yield from _named("weight", case, weights)
    data = [matrix.astype(dtype) for matrix in made_data(case, rng)]
    yield from _named_data(case, data)
    inputs = [tf.constant(data[index]) for index in built.data_indices]
    make_noise_certain(built, dtype)
    yield from _outputs(case, built, inputs)
    if not case.trains:
        return
    drop_nothing(built)
    cost, gradients = _objective(built, inputs)
    yield "cost", cost
    yield from _named("gradient", case, gradients)
    stepped = {
        owned.name: updated(case, owned, weights[owned.name], gradients[owned.name])
        for owned in case.network.owned()
    }
    yield from _named("stepped", case, stepped)


def _named(kind: str, case: Case, arrays: Mapping[str, np.ndarray]) -> Arrays:
    """Yield arrays of all variables under the names that these have in the translation."""
    for path, array in case.source.arrays(arrays).items():
        yield f"{kind}/{path}", array


def _named_data(case: Case, data: Sequence[np.ndarray]) -> Arrays:
    """Yield the data of each data layer; an input gets the whole matrix, a target its own part."""
    frame = case.source.frame
    names = {step.layer.name for step in frame.inputs}
    for layer in case.network.layers:
        if isinstance(layer.spec, DataSpec):
            part = data[layer.spec.data_index]
            if layer.name not in names and layer.output.size < part[0].size:
                part = original_order(part)[:, layer.spec.first :][:, : layer.output.size]
            yield f"data/{frame.data[layer.name]}", case.language.laid_out(part)


def original_order(images: np.ndarray) -> np.ndarray:
    """Return images as vectors (channel, row, column), vectors as they are."""
    return images.transpose(0, 3, 1, 2).reshape(len(images), -1) if images.ndim == 4 else images


def _outputs(case: Case, built: Any, inputs: list[Any]) -> Arrays:
    """Yield what the model returns in tests."""
    import keras

    frame = case.source.frame
    named = dict(
        zip((name for name in built.outputs if not _is_data(case, name)), frame.outputs, strict=False)
    )
    tensors = {output.name: built.outputs[name] for name, output in named.items()}
    names = {step.name: step.layer.name for step in frame.steps}  # the last of one name counts
    for output in frame.outputs[len(named) :]:
        tensors[output.name] = built.values[names[output.name]].tensor
    found = keras.Model(built.model.inputs, tensors)(inputs, training=False)
    for output in case.language.outputs(frame):
        yield f"output/{output.name}", case.language.laid_out(found[output.name].numpy())


def _is_data(case: Case, output: str) -> bool:
    name = output if any(layer.name == output for layer in case.network.layers) else output.rpartition("/")[0]
    return isinstance(case.network[name].spec, DataSpec) and not output.endswith("/logits")


def _objective(built: Any, inputs: list[Any]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the mean cost of the cases, and its gradients by all variables."""
    import tensorflow as tf

    from convnet_cfg.training.objective import cost_sums, objective

    values = {name: variable.value for name, variable in built.variables.items()}
    with tf.GradientTape() as tape:
        outputs = built.model(inputs, training=True)
        sums = [cost_sums(cost, outputs) for cost in built.costs]
        mean = objective(built.costs, sums) / CASES
    found = tape.gradient(mean, list(values.values()), unconnected_gradients=tf.UnconnectedGradients.ZERO)
    gradients = [gradient.numpy() for gradient in found]
    return mean.numpy(), dict(zip(values, gradients, strict=True))


def make_noise_certain(built: Any, dtype: str) -> None:
    """Let all random numbers of activations and images be NOISE."""
    import tensorflow as tf

    from convnet_cfg import nn

    for layer in built.layers.values():
        if isinstance(layer, nn.RandomScale):
            layer.uniform = lambda shape: tf.fill(shape, np.float32(NOISE))
        elif isinstance(layer, nn.RandomActivation):
            uniform = layer.function not in ("nrelu", "softlif")
            noise = np.array(1 - NOISE if uniform else NOISE, dtype)
            layer.draw_noise = lambda shape, noise=noise: tf.fill(shape, noise)


def drop_nothing(built: Any) -> None:
    """Let nothing be dropped in training."""
    from convnet_cfg import nn

    for layer in built.layers.values():
        if isinstance(layer, nn.InvertedDropout):
            layer.rate, layer.keep = 0.0, 1.0
        elif hasattr(layer, "rate"):
            layer.rate = 0.0


def lively(owned: Owned, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return weights that keep values about as large as they are; biases that are small."""
    fan_in = owned.matrix.shape.rows if owned.input is not None else 1
    drawn = rng.standard_normal(shape, dtype=np.float32)
    if owned.input is None:
        return 0.1 * drawn
    if isinstance(owned.layer.spec, TransitionSpec):
        return np.abs(drawn) / np.abs(drawn).sum(axis=0)
    places = prod(shape[:2]) if len(shape) == 6 else 1
    return drawn * np.float32(1.4 / np.sqrt(fan_in / places))


def made_data(case: Case, rng: np.random.Generator) -> list[np.ndarray]:
    """Return made-up matrices: labels where a cost wants labels, probabilities and images otherwise."""
    network = case.network
    specs = {layer.name: layer.spec for layer in network.layers if isinstance(layer.spec, DataSpec)}
    labels = {specs[name].data_index for name in network.labels & specs.keys()}
    classes = min([*network.classes.values(), 2])
    return [
        np.arange(CASES, dtype=np.float32).reshape(-1, 1) % classes
        if index in labels
        else rng.random((CASES, *shape), dtype=np.float32)
        for index, shape in enumerate(case.shapes)
    ]


def updated(case: Case, owned: Owned, weight: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Return a weight after STEPS steps with one gradient, in float64."""
    from convnet_cfg.model import constraint

    rule, limit = owned.matrix.rule, constraint(owned)
    assert rule is not None
    if rule.learning_rate <= 0:
        return weight
    kind = rule.decay or case.decay
    decay = max(rule.weight_decay, 0.0)
    gradient_given, weight, gradient = gradient, weight.astype(float), gradient.astype(float)
    velocity = np.zeros_like(weight)
    period = period_of(case, owned)
    rates = [rule.schedule.rate(Progress(step / TOTAL_STEPS, EPOCHS)) for step in range(STEPS)]
    for step in range(period - 1, STEPS, period):
        rate = rates[step]
        # A matrix gathers e G, other than of a convolution; a convolution and a bias gather G.
        own = owned.input is not None and not isinstance(owned.layer.spec, ConvSpec)
        moved = np.mean(rates[step + 1 - period : step + 1]) if own else rate
        pull = rate * decay * weight if kind in ("cuda-convnet", "l2") else 0.0
        velocity = rule.momentum * velocity - moved * gradient - pull
        share = SHARES.get(kind, lambda *numbers: 0.0)(decay, rate, rule.learning_rate, rule.momentum)
        weight = weight + velocity - share * (weight + velocity if kind == "after-step" else weight)
        if limit is not None:
            weight = np.asarray(limit(weight), float)
    return weight.astype(gradient_given.dtype)


SHARES: Mapping[str, Any] = {
    "decoupled": lambda d, e, e0, m: d,
    "decoupled-lr": lambda d, e, e0, m: e * d,
    "decoupled-schedule": lambda d, e, e0, m: e / e0 * d,
    "decoupled-matched": lambda d, e, e0, m: e / (1 - m) * d,
    "after-step": lambda d, e, e0, m: d,
}


def period_of(case: Case, owned: Owned) -> int:
    """Return how many minibatches make an update of a weight.

    The file counts parts of a minibatch, of which a layer gets fewer the more devices it is on.
    """
    network, rule = case.network, owned.matrix.rule
    assert rule is not None
    counts = network.replica_counts
    return max(rule.period * counts[-1] // counts[0], 1)


class MadeUp:
    """Stands for init functions that are not there."""

    def call(self, layer: Any, key: str, call: Any, *arguments: Any) -> Any:
        """Return an array of the shape that is wanted."""
        return np.zeros(arguments[-1], np.float32)
