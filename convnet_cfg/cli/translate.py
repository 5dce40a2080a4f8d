"""`convnet translate`: a network as source text that needs nothing of this program."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np

from convnet_cfg.cli.arguments import Pair, find_pair, reading_options
from convnet_cfg.cli.data_sizes import data_sizes, read_sizes
from convnet_cfg.cli.export import Target, check_place
from convnet_cfg.cli.output import print_remarks
from convnet_cfg.cli.quiet import start_tensorflow
from convnet_cfg.data.writing import explaining_failure, whole_file, write_whole
from convnet_cfg.errors import CheckpointError, UsageError, join_words, printable
from convnet_cfg.export.source.shapes import data_shapes
from convnet_cfg.language import Network, Reading, build_network, read_pair
from convnet_cfg.language.params import DECAYS, DEFAULT_DECAY

if TYPE_CHECKING:
    from convnet_cfg.training.trained import Trained


TARGETS = {
    "keras": Target("convnet_cfg.export.source.keras_source:translate", ".py", must_end=True),
    "torch": Target("convnet_cfg.export.source.torch_source:translate", ".py", must_end=True),
}
TITLES = {"keras": "Keras", "torch": "PyTorch"}


class Wanted(NamedTuple):
    """A network to be translated, its files, the shapes of its data, its kind of decay, and its run."""

    network: Network
    files: Pair
    shapes: Sequence[tuple[int, ...]]
    decay: str
    trained: Trained | None


@click.command(short_help="Write a network as source text that needs nothing of this program.")
@click.argument("layers", type=click.Path())
@click.argument("params", type=click.Path(), required=False)
@click.option(
    "--to",
    "target",
    type=click.Choice(list(TARGETS)),
    default="keras",
    show_default=True,
    help="What the file is written for.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="The file to write; by default the network's name in the present directory.",
)
@click.option(
    "--weights",
    "run",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="A run of this network, or a checkpoint in one, whose weights are written too, beside the file.",
)
@click.option(
    "--data-dims",
    callback=read_sizes,
    metavar="N,N,...",
    help="Values for each case of data matrix 0, 1, ...; of the run, or guessed, if not given.",
)
@reading_options
@click.option(
    "--decay",
    type=click.Choice(DECAYS),
    help=f"The kind of weight decay of matrices that name none: that of the run, or {DEFAULT_DECAY}.",
)
@click.option("--force", is_flag=True, help="Overwrite what is there.")
@click.option("-v", "--verbose", is_flag=True, help="Also show what TensorFlow says, and notes on the files.")
def translate(
    layers: str,
    params: str | None,
    target: str,
    output: Path | None,
    run: Path | None,
    data_dims: tuple[int, ...] | None,
    mode: str | None,
    dialect: str | None,
    average_divisor: str | None,
    extensions: tuple[str, ...],
    decay: str | None,
    force: bool,
    verbose: bool,
) -> None:
    """Write the network of LAYERS and PARAMS, or the one of that name that came along, as source text.

    The file has the model, the layers that Keras or PyTorch lacks, a table of rates, momenta and decays, an
    optimizer that follows it, and a function that loads weights. Without PARAMS it has no table and no
    optimizer.
    """
    chosen = TARGETS[target]
    path = output or Path(f"{module_name(Path(layers).stem)}{chosen.suffix}")
    weights = path.with_suffix(".npz") if run is not None else None
    check_place(path, chosen, force)
    if weights is not None:
        check_place(weights, chosen._replace(suffix=weights.suffix), force)
    given = {
        "--data-dims": data_dims,
        "mode": mode,
        "--dialect": dialect,
        "--average-divisor": average_divisor,
    }
    if run is not None:
        _refuse_beside_run({**given, "--extension": extensions})
        start_tensorflow(verbose)
        wanted = _of_run(layers, params, run, decay)
    else:
        reading = Reading(mode or "default", dialect, average_divisor)
        wanted = _of_files(layers, params, reading, data_dims, extensions, decay)
        start_tensorflow(verbose)
    print_remarks(wanted.network.remarks, verbose)
    for line in _write(wanted, target, path, weights):
        click.echo(line)


def module_name(stem: str) -> str:
    """Return the name of a network as a module can be called."""
    name = re.sub(r"\W", "_", stem, flags=re.ASCII)
    return f"_{name}" if not name or name[0].isdigit() else name


def _refuse_beside_run(given: Mapping[str, Any]) -> None:
    """Raise UsageError for what is known of a run, and was given beside it."""
    names = {"mode": f"--{given['mode']}"}
    if strange := [names.get(name, name) for name, value in given.items() if value]:
        raise UsageError(f"{join_words(strange, 'and')}: --weights says that already, as it was in the run")


def _of_files(
    layers: str,
    params: str | None,
    reading: Reading,
    dims: Sequence[int] | None,
    extensions: Sequence[str],
    decay: str | None,
) -> Wanted:
    files = find_pair(layers, params)
    if extensions:
        from convnet_cfg.extend import load_extensions

        load_extensions(extensions)
    pair = read_pair(files.layers, files.params, reading)
    network = build_network(pair, data_sizes(dims, files.recipe, pair).dims)
    return Wanted(network, files, data_shapes(network), decay or DEFAULT_DECAY, None)


def _of_run(layers: str, params: str | None, run: Path, decay: str | None) -> Wanted:
    from convnet_cfg.training.trained import load_trained

    files, trained = find_pair(layers, params), load_trained(run)
    pair = read_pair(files.layers, files.params, trained.options.reading)
    dims = [prod(shape) for shape in trained.form.shapes]
    network = build_network(pair, dims, trained.form.classes)
    _check_weights(network, trained)
    return Wanted(network, files, trained.form.shapes, decay or trained.options.decay, trained)


FIRST_VALUES = ("deviations", "initial_bias", "weight_function", "bias_function")


def _check_weights(network: Network, trained: Trained) -> None:
    """Raise CheckpointError if the run has other weights than the network, or was of other layers.

    How weights began makes no difference.
    """
    other = f"{trained.run.path} is a run of another network: "
    theirs = {owned.name: owned.matrix.shape for owned in trained.built.network.owned()}
    ours = {owned.name: owned.matrix.shape for owned in network.owned()}
    if ours != theirs:
        names = sorted(name for name in ours | theirs if ours.get(name) != theirs.get(name))
        found = [
            f"{name} ({_shape(ours.get(name))} here, {_shape(theirs.get(name))} there)" for name in names
        ]
        raise CheckpointError(other + ", ".join(found))
    here, there = dict(_declared(network)), dict(_declared(trained.built.network))
    if here != there:
        names = [name for name in here | there if here.get(name) != there.get(name)]
        raise CheckpointError(f"{other}{join_words(names, 'and')} had other keys there, see its layers.cfg")


def _declared(network: Network) -> Iterator[tuple[str, tuple[str, Mapping[str, object]]]]:
    """Yield what the layer file says of each layer, but for first values, by its name."""
    for layer in network.layers:
        values = {each.name: getattr(layer.spec, each.name) for each in fields(layer.spec)}
        yield layer.name, (layer.type, {key: values[key] for key in values if key not in FIRST_VALUES})


def _shape(shape: tuple[int, int] | None) -> str:
    return " x ".join(map(str, shape)) if shape else "none"


def _write(wanted: Wanted, target: str, path: Path, weights: Path | None) -> Iterator[str]:
    """Write the file, and that of the weights, or nothing; yield what to say."""
    made, trained = _translated(wanted, TARGETS[target]), wanted.trained
    with explaining_failure(f"cannot write {printable(str(path))}"):
        if weights is None or trained is None:
            write_whole(path, lambda file: file.write(made.text.encode()))
        else:
            arrays = made.arrays({name: each.numpy() for name, each in trained.built.variables.items()})
            with whole_file(weights, ".writing.npz") as temporary:
                with temporary.open("wb") as file:
                    np.savez(file, **arrays)
                write_whole(path, lambda file: file.write(made.text.encode()))
            yield f"{weights}: the weights of {trained.checkpoint}"
    layers = len(wanted.network.layers)
    parameters = sum(layer.parameters for layer in wanted.network.layers)
    yield f"{path}: {layers} layers, {parameters:,} parameters, in {TITLES[target]}"


def _translated(wanted: Wanted, target: Target) -> Any:
    module, name = target.function.split(":")
    make: Callable[..., Any] = getattr(importlib.import_module(module), name)
    trained, files = wanted.trained, wanted.files
    return make(
        wanted.network,
        wanted.shapes,
        title=files.layers.stem,
        files=" and ".join(file.name for file in (files.layers, files.params) if file is not None),
        decay=wanted.decay,
        connections=trained.built.connections if trained is not None else None,
        trained=trained is not None,
    )
