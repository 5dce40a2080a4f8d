"""The sizes of the data, where nobody says them: guessed from what the layers accept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from convnet_cfg.errors import Problem
from convnet_cfg.language.alexnet_types import HalfSpec
from convnet_cfg.language.builder import MODES, Pair
from convnet_cfg.language.cost_types import (
    BinaryCrossEntropySpec,
    CostSpec,
    CrossEntropySpec,
    PairCostSpec,
)
from convnet_cfg.language.declaring import Declared
from convnet_cfg.language.fork_costs import RankSpec
from convnet_cfg.language.layer_types import DataSpec, ImageSpec, MaxSpec, NeuronSpec, SumSpec
from convnet_cfg.language.spec import count
from convnet_cfg.language.v2_types import DropoutSpec, InvertedDropoutSpec
from convnet_cfg.language.weight_types import FilterSpec
from convnet_cfg.language.wiring import Wired, wire_layers

SMALL_SIDES = (32, 24, 28)
LARGE_SIDES = (224, 227)
OTHER_SIDES = (64, 48, 20, 96, 128, 192, 256, 110, 112, 56, 120, 60, 16)
ANY_SIDES = range(4, 301)
MAX_EFFORT = 60_000  # a quarter of a second: there are no more attempts
DEFAULT_CHANNELS = 3
EQUAL_INPUTS = (SumSpec, MaxSpec, CrossEntropySpec, BinaryCrossEntropySpec, PairCostSpec, RankSpec)
SAME_SHAPE = (NeuronSpec, SumSpec, MaxSpec, InvertedDropoutSpec, DropoutSpec, HalfSpec)
DEFAULT_SIZE = DEFAULT_CHANNELS * SMALL_SIDES[0] ** 2


class Guess(NamedTuple):
    """Sizes of the data matrices, in words what they are, and whether the layers accept them."""

    dims: tuple[int, ...]
    reasons: tuple[str, ...]
    fits: bool

    def __str__(self) -> str:
        sizes = ",".join(map(str, self.dims))
        reasons = "; ".join(self.reasons)
        if self.fits:
            return f"--data-dims was not given: assumed {sizes} ({reasons})"
        return (
            f"--data-dims was not given, and no usual size is accepted: the problems are those "
            f"with {sizes} ({reasons})"
        )


def guess_dims(pair: Pair, classes: int | None = None) -> Guess:
    """Return the first usual sizes that a pair accepts, else those with the fewest problems."""
    guesser = _Guesser(pair, classes)
    best: tuple[int, Guess] | None = None
    for side in guesser.sides():
        problems, guess = guesser.attempt(side)
        if best is None or problems < best[0]:
            best = problems, guess
        solved = problems <= guesser.other_problems
        if solved or not guesser.channels or guesser.effort > MAX_EFFORT:
            break
    assert best is not None
    return best[1]


class _Guesser:
    """What can be told of the data matrices from the layers that read them."""

    def __init__(self, pair: Pair, classes: int | None) -> None:
        self.pair = pair
        self.classes = classes
        self.layers = list(pair.declarations.values())
        self.effort = 0  # layers and their inputs, in all attempts together
        self.indices = {
            layer.name: layer.spec.data_index for layer in self.layers if isinstance(layer.spec, DataSpec)
        }
        self.labels = {
            self.indices[layer.spec.inputs[number]]
            for layer in self.layers
            if isinstance(layer.spec, CostSpec)
            for number in (*layer.spec.label_inputs, *layer.spec.single_inputs)
            if layer.spec.inputs[number : number + 1] and layer.spec.inputs[number] in self.indices
        }
        self.channels = dict(reversed(list(self._channels())))
        unknown_sizes = len(self.indices)
        self.other_problems = self._wire({})[0] - unknown_sizes  # that no size solves

    def sides(self) -> Iterator[int]:
        """Yield sides of images, the likeliest first: who strides over the data expects large ones."""
        large = any(
            set(layer.spec.strides) != {1} and self.indices.keys() & set(layer.spec.inputs)
            for layer in self.layers
            if isinstance(layer.spec, FilterSpec)
        )
        usual = LARGE_SIDES + SMALL_SIDES if large else SMALL_SIDES + LARGE_SIDES
        hopeless = self.other_problems > 0 or any(layer.spec is None for layer in self.layers)
        yield from dict.fromkeys((*usual, *OTHER_SIDES, *(() if hopeless else ANY_SIDES)))

    def attempt(self, side: int) -> tuple[int, Guess]:
        """Return how many problems images of this side lead to, and the sizes of all matrices."""
        known = dict.fromkeys(self.labels, 1)
        reasons = []
        for index, channels in sorted(self.channels.items()):
            known.setdefault(index, channels * side**2)
            reasons.append(f"{count(channels, 'channel')} of {side} x {side}")
        reasons += self._add_others(known)
        problems, _ = self._wire(known)
        dims = tuple(known.get(index, 1) for index in range(max(known, default=-1) + 1))
        return problems, Guess(dims, tuple(dict.fromkeys(reasons)) or ("labels only",), problems == 0)

    def _add_others(self, known: dict[int, int]) -> list[str]:
        """Add the sizes of matrices that are neither labels nor images, and return the reasons."""
        others: dict[int, list[str]] = defaultdict(list)
        for name, index in self.indices.items():
            if index not in known:
                others[index].append(name)
        reasons = []
        for index, names in others.items():
            known[index], reason = self._other_size(names, known)
            reasons.append(reason)
        return reasons

    def _wire(self, known: Mapping[int, int]) -> tuple[int, Mapping[str, Wired]]:
        problems: list[Problem] = []
        self.effort += sum(1 + len(layer.input_names or ()) for layer in self.layers)
        wired = wire_layers(self.pair.declarations, self.pair.dialect, known.get, self.classes, problems)
        return sum(problem.severity in MODES[self.pair.reading.mode] for problem in problems), wired

    def _channels(self) -> Iterator[tuple[int, int]]:
        """Yield data matrices with the channels that their readers see, the first reader first."""
        carried = dict(self.indices)
        for layer in self.layers:
            for position, name in enumerate(layer.input_names or ()):
                if name not in carried:
                    continue
                if isinstance(layer.spec, FilterSpec):
                    yield carried[name], layer.spec.channels[position]
                elif isinstance(layer.spec, ImageSpec):
                    yield carried[name], layer.spec.channels
                elif isinstance(layer.spec, SAME_SHAPE):
                    carried.setdefault(layer.name, carried[name])

    def _other_size(self, names: Sequence[str], known: Mapping[int, int]) -> tuple[int, str]:
        """Return the size, and why, of a matrix of these layers: that of what is compared with it."""
        readers = list(self._element_wise_readers(names))
        _, wired = self._wire(known) if readers else (0, {})
        for layer, name in readers:
            for partner in layer.input_names or ():
                other = wired.get(partner)
                if other is not None and other.output is not None:
                    return other.output.size, f"{name!r} has the size of {partner!r}"
        return DEFAULT_SIZE, f"any size will do for {names[0]!r}"

    def _element_wise_readers(self, names: Sequence[str]) -> Iterator[tuple[Declared, str]]:
        for layer in self.layers:
            if isinstance(layer.spec, EQUAL_INPUTS):
                yield from ((layer, name) for name in names if name in layer.spec.inputs)
