"""A trained network as a checkpoint of cuda-convnet (spec/checkpoints.md)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from convnet_cfg.data.writing import whole_folder
from convnet_cfg.errors import CheckpointError, UsageError, printable, shell_word
from convnet_cfg.language.dialect import DeviceList
from convnet_cfg.language.layout import Layout, layout_of
from convnet_cfg.language.network import Layer as NetworkLayer
from convnet_cfg.language.network import Matrix, Network
from convnet_cfg.language.params import DEFAULT_DECAY
from convnet_cfg.language.spec import declared_keys
from convnet_cfg.language.weight_types import FullSpec, WeightSpec
from convnet_cfg.legacy.command_line import Places, option_records, unsaid
from convnet_cfg.legacy.kept import read_kept
from convnet_cfg.legacy.layer_fields import frozen, layer_fields
from convnet_cfg.legacy.outputs import histories_of
from convnet_cfg.legacy.reading import FILE_NAME
from convnet_cfg.legacy.translation import LANGUAGES, translate
from convnet_cfg.legacy.values import Array, Checkpoint, Layer, Value
from convnet_cfg.legacy.writing import write_checkpoint
from convnet_cfg.training.trained import Trained

# What an original run knew better than a network can: books of memory, texts of what was long done.
_KEPT_FIELDS = frozenset(
    {
        *("usesActs", "usesInputs", "forceOwnActs", "actsTarget", "actsGradTarget", "conserveMem"),
        *("initW", "initB", "initWFunc", "initBFunc", "initCFunc", "weightSource"),
        *("id", "outputFilter", "superEps", "superMom", "requiresParams"),
    }
)


def export(trained: Trained, path: Path, *, force: bool = False, version: str | None = None) -> list[str]:
    """Write a trained network as a checkpoint of cuda-convnet, and return what is to be said of that.

    The path is a folder, in which the file gets the name that the original would give it, unless it ends in
    such a name or is a file. `version` is "v1" or "v2"; None: that of the network's two files.

    Raises:
        UsageError: the program has no such network, or the file cannot be there, or is without `force`.
        CheckpointError: it cannot be written; nothing is left of it then.
    """
    is_file = os.path.isfile(path) or (FILE_NAME.fullmatch(path.name) and not os.path.isdir(path))
    file = path if is_file else path / f"{trained.position.epoch}.{trained.position.batch}"
    _check_place(file, force)
    kept = read_kept(trained.run.path)
    made = checkpoint_of(trained, kept, program_of(trained.built.network, kept, version), file)
    _write(file, made.checkpoint)
    program = made.checkpoint.program
    option = "--load-file=" if program == "v2" else "-f "
    return [
        f"wrote {printable(str(file))}, a checkpoint of {LANGUAGES[program].title}",
        f"to go on there: python convnet.py {option}{shell_word(_loadable(file))}",
        *(f"note: {note}" for note in made.notes),
    ]


def _check_place(file: Path, force: bool) -> None:
    """Raise UsageError if the file cannot be there, or must not be: at most one folder is made for it."""
    if os.path.isdir(file):
        raise UsageError(f"{printable(str(file))} is a directory")
    if os.path.lexists(file) and not force:
        raise UsageError(f"{printable(str(file))} is there already: give --force to overwrite it")
    folder = file.parent
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise UsageError(f"{printable(str(folder))} is no directory")
    if not os.path.isdir(folder) and not os.path.isdir(folder.parent):
        raise UsageError(f"there is no directory {printable(str(folder.parent))}")


def _write(file: Path, checkpoint: Checkpoint) -> None:
    """Write the file, and its folder if there is none: whole or not at all."""
    if os.path.isdir(file.parent):
        write_checkpoint(file, checkpoint)
        return
    try:
        with whole_folder(file.parent, replace=False) as folder:
            write_checkpoint(folder / file.name, checkpoint)
    except OSError as error:
        raise CheckpointError(f"cannot make {file.parent}: {error.strerror or error}") from None


def _loadable(file: Path) -> Path:
    """Return what to load: the folder, if there is but this file, else the original might take another.

    It must be absolute, or the first version would save elsewhere (spec/training.md section 5).
    """
    alone = [path.name for path in file.parent.iterdir()] == [file.name]
    return (file.parent if alone else file).resolve()


class Export(NamedTuple):
    """A checkpoint, and what is not in it that a user should know."""

    checkpoint: Checkpoint
    notes: tuple[str, ...]


def program_of(network: Network, kept: Checkpoint | None, version: str | None) -> str:
    """Return the program that a checkpoint is for: of version "v1" or "v2", None for that of the files."""
    version = version or ("v2" if network.dialect.placement is DeviceList else "v1")
    if version == "v2":
        return "v2"
    drops = any(layer.params is not None and layer.params.dropout for layer in network.layers)
    forked = "v1+dropout" in (network.dialect.name, kept.program if kept else None)
    return "v1+dropout" if drops or forked else "v1"


def checkpoint_of(trained: Trained, kept: Checkpoint | None, program: str, path: Path) -> Export:
    """Return a trained network as the checkpoint of a program that is to be at a path.

    `kept` is what is left of the checkpoint that the run was imported from, in which arrays may be missing:
    what the network does not know is as it was there.

    Raises:
        UsageError: the program has no such network, or the checkpoint could not say what this one does.
    """
    network, notes = _translated(trained, program)
    kept_too = kept if kept is not None and (kept.program == "v2") == (program == "v2") else None
    layers = _layers(trained, network, program, kept_too)
    options = option_records(
        program,
        trained.options,
        network,
        Places(trained.run.layers.resolve(), trained.run.params.resolve(), path.resolve().parent.parent),
        kept_too.options if kept_too else None,
    )
    checkpoint = Checkpoint(
        path=path,
        container=kept_too.container if kept_too and program != "v2" else "plain",
        program=program,
        epoch=trained.position.epoch,
        batch=trained.position.batch,
        layers=layers,
        options=options,
        histories=histories_of(trained, network, program, kept),
        others=kept_too.others if kept_too else MappingProxyType({}),
    )
    written_otherwise = _about_parameters(trained, network, checkpoint, kept_too)
    more = (*written_otherwise, *unsaid(program, trained.options), *_gathered(trained))
    return Export(checkpoint, (*notes, *more))


def _translated(trained: Trained, program: str) -> tuple[Network, tuple[str, ...]]:
    """Return the network in the program's language, and notes; refuse all that cannot be said, at once."""
    translation = translate(trained.built.network, program)
    problems = [*_state_problems(trained), *translation.problems]
    if problems:
        title = LANGUAGES[program].title
        listed = "\n".join(f"  {problem}" for problem in problems)
        raise UsageError(f"this cannot be a checkpoint of {title}:\n{listed}")
    return translation.network, translation.notes


def _state_problems(trained: Trained) -> Iterator[str]:
    position = trained.position
    if position.epoch == 0:
        yield "nothing is trained yet: a checkpoint is of a moment after a batch"
    if position.cases is not None:
        yield f"it stands at {position}, in the middle of a batch: a checkpoint is of a moment after one"
    for owned in trained.built.network.owned():
        rule = owned.matrix.rule
        decay = (rule.decay if rule else None) or trained.options.decay
        if rule is not None and rule.weight_decay > 0 and decay != DEFAULT_DECAY:
            yield f"[{owned.layer.name}] decay={decay}: the program has no weight decay but {DEFAULT_DECAY}"


def _about_parameters(
    trained: Trained, network: Network, checkpoint: Checkpoint, kept: Checkpoint | None
) -> Iterator[str]:
    """Yield what is to be known of the parameter file, which a program reads again when it goes on."""
    before = trained.built.network.dialect
    if (before.placement is DeviceList) != (checkpoint.program == "v2"):
        yield f"{trained.run.params} is in the words of {before.title}: give the program one in its own"
    known = {layer.name: layer.values for layer in kept.layers} if kept else {}
    changed = [
        layer.name
        for layer in checkpoint.layers
        if any(
            layer.values[key] != known[layer.name][key]
            for key in _parameters(network[layer.name])
            if key in layer.values and key in known.get(layer.name, ())
        )
    ]
    if kept is not None and changed:
        file = kept.options["layer_params"].value if "layer_params" in kept.options else "the file"
        yield f"{file} has other values than were trained with: for {', '.join(changed)}"


def _parameters(layer: NetworkLayer) -> set[str]:
    return {key.name for key in declared_keys(type(layer.params)).values()} if layer.params else set()


def _gathered(trained: Trained) -> Iterator[str]:
    """Yield what was gathered for updates to come."""
    optimizer = trained.built.optimizer
    assert optimizer is not None
    for name, variable in trained.built.variables.items():
        gathering = optimizer.gathering(variable)
        if gathering is not None and (count := int(gathering.count.numpy())):
            yield f"{name}: {count} minibatches gathered for its next update are left out"


# -- layers


def _layers(trained: Trained, network: Network, program: str, kept: Checkpoint | None) -> tuple[Layer, ...]:
    known = {layer.name: layer for layer in kept.layers} if kept else {}
    made = _Arrays(trained)
    layers = []
    for name, fields in layer_fields(network, program).items():
        layer = network[name]
        values = {**_with_factor(fields, trained.options.rate_factor), **made.of(name, program)}
        if name in known:
            values = _merged(values, known[name].values, both=kept is not None and kept.program == program)
        inputs = tuple(source.name for source in layer.inputs)
        layers.append(Layer(name, layer.type, inputs, MappingProxyType(dict(sorted(values.items())))))
    if program == "v2":
        layers.sort(key=lambda layer: layer.values["id"])  # type: ignore[arg-type,return-value]
    return tuple(layers)


def _merged(ours: Mapping[str, Value], kept: Mapping[str, Value], both: bool) -> dict[str, Value]:
    """Return the fields of an imported layer; `both`: those that its program had, and no others."""
    names = set(kept) if both else set(kept) | set(ours)
    return {
        name: kept[name] if name in kept and (name in _KEPT_FIELDS or name not in ours) else ours[name]
        for name in names
    }


def _with_factor(fields: Mapping[str, Value], factor: float) -> dict[str, Value]:
    """Return the fields with learning rates multiplied."""
    rates = {name: _scaled(fields[name], factor) for name in ("epsW", "epsB") if name in fields}
    return {**fields, **rates} if factor != 1 else dict(fields)


def _scaled(rate: Any, factor: float) -> Value:
    if isinstance(rate, tuple):
        return tuple(_scaled(item, factor) for item in rate)
    if isinstance(rate, Mapping):
        params = {**rate["params"], "base": rate["params"]["base"] * factor}
        return frozen({**rate, "params": params})
    return float(rate * factor)


class _Arrays:
    """The matrices and velocities of a trained network, in the original's order.

    What layers share is one object.
    """

    def __init__(self, trained: Trained) -> None:
        self.built = trained.built
        self.made: dict[tuple[str, int | None], tuple[Array, Array]] = {
            (owned.layer.name, owned.input): self._pair(owned.name, owned.layer, owned.input)
            for owned in trained.built.network.owned()
        }

    def of(self, name: str, program: str) -> dict[str, Value]:
        """Return the fields of a layer that training made."""
        layer = self.built.network[name]
        if not isinstance(layer.spec, WeightSpec):
            return {}
        matrices = [self._matrix(layer, number, each) for number, each in enumerate(layer.matrices)]
        biases, velocity = self.made[name, None]
        values: dict[str, Value] = {
            "weights": tuple(weights for weights, _ in matrices),
            "weightsInc": tuple(increments for _, increments in matrices),
            "biases": biases,
            "biasesInc": velocity,
        }
        chosen = self.built.connections.get(name)
        if program != "v2" and chosen is not None:
            values["filterConns"] = tuple(channels or () for channels in chosen)
        return values

    def _matrix(self, layer: NetworkLayer, number: int, matrix: Matrix) -> tuple[Array, Array]:
        owner = (matrix.source.layer, matrix.source.number) if matrix.source else (layer.name, number)
        return self.made[owner]

    def _pair(self, name: str, layer: NetworkLayer, number: int | None) -> tuple[Array, Array]:
        assert self.built.optimizer is not None
        weight = self.built.variables[name]
        layout = layout_of(layer, number, self.built.kernel_images)
        order = "F" if isinstance(layer.spec, FullSpec) else "C"
        velocity = self.built.optimizer.velocity(weight)
        return _array(weight, layout, order), _array(velocity, layout, order)


def _array(variable: Any, layout: Layout, order: str) -> Array:
    data = np.array(layout.to_matrix(variable.numpy()), np.float32, order=order)  # type: ignore[call-overload]
    data.flags.writeable = False
    return Array(data)
