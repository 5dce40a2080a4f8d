"""The parts of every run: its data provider, opened; its network, read; its Keras model, built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convnet_cfg.data import DataProvider, open_provider, working_directory_on_path
from convnet_cfg.errors import CheckpointError, ConfigError, ConvnetError, Place, Problem, UsageError
from convnet_cfg.language import Network, load_network, refused_decay, refused_functions
from convnet_cfg.language.layer_types import DataSpec
from convnet_cfg.language.v2_types import BlockSpec
from convnet_cfg.language.weight_types import FullSpec
from convnet_cfg.training.options import Options
from convnet_cfg.training.record import DataForm

if TYPE_CHECKING:
    from convnet_cfg.model import BuiltNetwork


def form_of(provider: DataProvider) -> DataForm:
    """Return the form of what a provider delivers."""
    return DataForm(tuple(map(tuple, provider.shapes)), int(provider.num_classes))


def recorded_form(record: Mapping[str, Any], options: Options) -> DataForm:
    """Return the form of the data that a run is trained on, as its record has it.

    Raises:
        CheckpointError: the record is damaged.
        UsageError, DataError: a run of an earlier version did not record it, and the data are not there.
    """
    if "data" in record:
        return DataForm.from_json(record["data"])
    return form_of(open_checked_provider(options))


def check_form(network: Network, before: DataForm, now: DataForm) -> None:
    """Check that fully connected layers get values in the order in which they learned them.

    Images are to us in another order than vectors are, and rows of a kernel follow it.

    Raises:
        CheckpointError: one reads a data matrix, as it is, that has another shape than it had.
    """
    changed = [one != other for one, other in zip(before.shapes, now.shapes, strict=False)]
    as_they_are: set[str] = set()
    for layer in network.layers:
        spec, reads = layer.spec, any(source.name in as_they_are for source in layer.inputs)
        if isinstance(spec, DataSpec):
            as_they_are |= {layer.name} if any(changed[spec.data_index : spec.data_index + 1]) else set()
        elif reads and isinstance(spec, FullSpec) and not isinstance(spec, BlockSpec):
            raise CheckpointError(
                f"layer {layer.name!r} reads data as they are, and they are of another form: "
                f"{list(now.shapes)}, the run began with {list(before.shapes)}"
            )
        elif reads and layer.output.image is None:
            as_they_are.add(layer.name)


def read_network(layers: Path, params: Path, form: DataForm, options: Options) -> Network:
    """Read the two files of a network that data of this form go through, and that can be trained.

    Raises:
        ConfigError: the files have errors, or do not fit the data.
    """
    network = load_network(
        layers,
        params,
        data_dims=[prod(shape) for shape in form.shapes],
        classes=form.classes,
        reading=options.reading,
    )
    problems = [
        *refused_functions(network, options.allowed_functions),
        *refused_decay(network, options.decay),
    ]
    if not any(network.owned()):
        problems.append(
            Problem(Place(str(layers), 1), None, "no layer has weights: there is nothing to train")
        )
    if not network.costs:
        problems.append(Problem(Place(str(layers), 1), None, "there is no cost: nothing is to be minimized"))
    if problems:
        raise ConfigError(problems)
    return network


def open_checked_provider(options: Options) -> DataProvider:
    """Open the data provider of a run, and check what it says of its data.

    Raises:
        UsageError: there is none of that name, it cannot be opened, or says what cannot be.
        DataError: data are missing or damaged.
    """
    name = options.data_provider
    try:
        provider = open_provider(name, options.data_path, **options.provider_options)
    except ConvnetError:
        raise
    except Exception as error:
        # A class of the user's own may raise anything.
        raise UsageError(
            f"data provider {name!r} cannot be opened: {type(error).__name__}: {error}"
        ) from error
    if missing := [needed for needed in ("shapes", "num_classes") if not hasattr(provider, needed)]:
        raise UsageError(f"data provider {name!r} does not say its {' and '.join(missing)}")
    shapes = provider.shapes
    if not isinstance(shapes, (tuple, list)) or not shapes or not all(map(_is_shape, shapes)):
        raise UsageError(
            f"data provider {name!r}: each of its shapes must be (n,) or (side, side, channels), "
            f"got {shapes!r:.80}"
        )
    if not isinstance(provider.num_classes, (int, np.integer)) or provider.num_classes < 1:
        raise UsageError(
            f"data provider {name!r}: num_classes must be an integer >= 1, got {provider.num_classes!r:.80}"
        )
    return provider


def _is_shape(shape: Any) -> bool:
    """Return whether this is the shape of one case: a vector or a square image."""
    if not isinstance(shape, (tuple, list)) or not all(isinstance(size, (int, np.integer)) for size in shape):
        return False
    square = len(shape) == 3 and shape[0] == shape[1]
    return (len(shape) == 1 or square) and all(size > 0 for size in shape)


def build_network(
    network: Network,
    shapes: Sequence[tuple[int, ...]],
    options: Options,
    counters: Mapping[str, Any] | None = None,
) -> BuiltNetwork:
    """Build a network for data of these shapes; `counters` are those of the checkpoint that it goes on from.

    Raises:
        ConfigError: an init function is not allowed, or does not return what it should.
    """
    from convnet_cfg.model import InitFunctions, build
    from convnet_cfg.training.devices import strategy_for

    strategy = strategy_for(network)
    with working_directory_on_path(), strategy.scope() if strategy is not None else nullcontext():
        built = build(
            network,
            shapes,
            seed=options.seed,
            decay=options.decay,
            functions=InitFunctions(frozenset(options.allowed_functions)),
            connections=_known_connections(counters),
        )
    built.strategy = strategy
    assert built.optimizer is not None
    for name, group in built.optimizer.groups.items():
        base = (counters or {}).get("base_rates", {}).get(name, 0.0)
        if base > 0:
            group.base_learning_rate = base
        group.learning_rate = group.learning_rate * options.rate_factor
    return built


def _known_connections(counters: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if counters is None:
        return None
    return {
        name: tuple(tuple(chosen) if chosen is not None else None for chosen in layer)
        for name, layer in counters["connections"].items()
    }
