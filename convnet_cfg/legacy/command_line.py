"""The options of the original programs, as their checkpoints keep them (spec/training.md section 1)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from convnet_cfg.data import image_shape
from convnet_cfg.data.registry import REGISTRY
from convnet_cfg.language import Network
from convnet_cfg.legacy.values import Expression, Option, OptionParser, Value
from convnet_cfg.training.options import Options

INTEGER, FLAG, TEXT, NUMBER, RANGE = (
    OptionParser(f"{kind}OptionParser") for kind in ("Integer", "Boolean", "String", "Float", "Range")
)
INTEGERS, TEXTS = (OptionParser("ListOptionParser", (item.name,), ",") for item in (INTEGER, TEXT))


class Declaration(NamedTuple):
    """One option of a program: its letters on the command line, how it is read, and its default."""

    letter: str
    parser: OptionParser
    default: Value
    description: str
    excuses: Value = ()
    requires: tuple[str, ...] = ()
    set_once: bool = False


_COMMON = {
    "layer_def": Declaration("layer-def", TEXT, None, "File with the layers"),
    "layer_params": Declaration("layer-params", TEXT, None, "File with the parameters of the layers"),
    "dp_type": Declaration("data-provider", TEXT, None, "Name of the data provider"),
    "data_path": Declaration("data-path", TEXT, None, "Directory of the data"),
    "train_batch_range": Declaration("train-range", RANGE, None, "Batches to train on"),
    "test_batch_range": Declaration("test-range", RANGE, None, "Batches to test on"),
    "num_epochs": Declaration("epochs", INTEGER, 50000, "Epochs to train for"),
    "minibatch_size": Declaration("mini", INTEGER, 128, "Cases for one update"),
    "test_only": Declaration("test-only", FLAG, 0, "Only test"),
    "test_one": Declaration("test-one", FLAG, 1, "Take one batch for each test on the way"),
    "conserve_mem": Declaration("conserve-mem", FLAG, 0, "Free memory of activations early"),
    "conv_to_local": Declaration("conv-to-local", TEXTS, (), "Layers to make local ones of"),
    "unshare_weights": Declaration("unshare-weights", TEXTS, (), "Layers to give matrices of their own"),
    "multiview_test": Declaration("multiview-test", FLAG, 0, "Average tests over several views"),
}
_DATA = ("data_path", "save_path", "train_batch_range", "test_batch_range")
_DATA_V2 = ("data_path", "save_path", "save_file_override", "train_batch_range", "test_batch_range")

_V1 = {
    **_COMMON,
    "load_file": Declaration("f", TEXT, "", "Checkpoint to go on from", excuses="all"),
    "layer_def": _COMMON["layer_def"]._replace(set_once=True),
    "save_path": Declaration("save-path", TEXT, None, "Directory of the runs"),
    "testing_freq": Declaration("test-freq", INTEGER, 50, "Batches from one test to the next"),
    "multiview_test": _COMMON["multiview_test"]._replace(requires=("logreg_name",)),
    "logreg_name": Declaration("logreg-name", TEXT, "", "Cost for tests over several views"),
    "crop_border": Declaration("crop-border", INTEGER, 4, "Pixels cut off at each border", set_once=True),
    "check_grads": Declaration("check-grads", FLAG, 0, "Only check gradients", excuses=_DATA),
    "max_filesize_mb": Declaration("max-filesize", INTEGER, 0, "Megabytes of checkpoints to keep"),
    "zip_save": Declaration("zip-save", FLAG, 0, "Compress checkpoints"),
    "num_gpus": Declaration("num-gpus", INTEGER, 1, "Number of devices"),
    "gpu": Declaration("gpu", INTEGERS, Expression("[-1] * num_gpus"), "Devices, -1 for any"),
}
_V2 = {
    **_COMMON,
    "load_file": Declaration("load-file", TEXT, "", "Checkpoint to go on from", excuses="all"),
    "layer_path": Declaration("layer-path", TEXT, "", "Directory of both files"),
    "save_path": Declaration(
        "save-path", TEXT, None, "Directory of the runs", excuses=("save_file_override",)
    ),
    "save_file_override": Declaration(
        "save-file", TEXT, None, "Directory of the checkpoints", excuses=("save_path",)
    ),
    "testing_freq": Declaration("test-freq", INTEGER, 57, "Batches from one test to the next"),
    "logreg_name": Declaration("logreg-name", TEXT, "", "Cost whose predictions are written"),
    "test_out": Declaration(
        *("test-out", TEXT, "", "Directory for predictions"), requires=("logreg_name", "multiview_test")
    ),
    "inner_size": Declaration("inner-size", INTEGER, 0, "Side of the crops, 0 for none", set_once=True),
    "check_grads": Declaration("check-grads", FLAG, 0, "Only check gradients", excuses=_DATA_V2),
    "force_save": Declaration("force-save", FLAG, 0, "Save at the end, too"),
    "color_noise": Declaration("color-noise", NUMBER, 0.0, "How much noise is added to colours"),
    "scalar_mean": Declaration("scalar-mean", NUMBER, -1, "What is subtracted from all pixels"),
    "write_features": Declaration(
        "write-features", TEXT, "", "Layer whose outputs are written", requires=("feature-path",)
    ),
    "feature_path": Declaration("feature-path", TEXT, "", "Directory for outputs of a layer"),
    "gpu": Declaration("gpu", INTEGERS, None, "Devices"),
}
OPTIONS: Mapping[str, Mapping[str, Declaration]] = {"v1": _V1, "v1+dropout": _V1, "v2": _V2}
"""The options of each program by their internal names."""

# The programs reset these themselves, which marks them as given.
_RESET = ("conv_to_local", "unshare_weights")
# What training with convnet-train may have changed of an imported run; where its data are is another matter.
_OURS = (
    *("train_batch_range", "test_batch_range", "testing_freq", "num_epochs", "minibatch_size"),
    *("test_one", "multiview_test", "max_filesize_mb", "scalar_mean", "color_noise"),
)
# Providers that a program had, beside those for its own tests; a part of the name stands for a number.
_PROVIDERS = {
    "v1": ("cifar", "cifar-cropped", "dummy-cn-n"),
    "v1+dropout": ("cifar", "cifar-cropped", "dummy-cn-n"),
    "v2": ("cifar", "image", "dummy-labeled-n"),
}
_PROVIDER_OPTIONS = ("crop_border", "inner_size", "scalar_mean", "color_noise")


class Places(NamedTuple):
    """Where a program finds the two files, and where it saves."""

    layers: Path
    params: Path
    saves: Path


def option_records(
    program: str,
    options: Options,
    network: Network,
    places: Places,
    kept: Mapping[str, Option] | None = None,
) -> Mapping[str, Option]:
    """Return every option of a program as a checkpoint keeps it.

    Of the options of an original run those stay as they are that say nothing of the training.
    """
    values = _values(program, options, network, places)
    if kept is None:
        declared = OPTIONS[program].items()
        return MappingProxyType({name: _record(name, each, values) for name, each in sorted(declared)})
    ours = {name: values[name] for name in _OURS if name in values}
    return MappingProxyType({name: _updated(option, ours.get(name)) for name, option in kept.items()})


def _record(name: str, declared: Declaration, values: Mapping[str, Value]) -> Option:
    unset = (-1,) if isinstance(declared.default, Expression) else declared.default
    value = values.get(name, unset)
    return Option(
        name=name,
        letter=declared.letter,
        description=declared.description,
        parser=declared.parser,
        default=declared.default,
        value=value,
        given=value != unset or name in _RESET or (name in values and name in _PROVIDER_OPTIONS),
        set_once=declared.set_once,
        saved=True,
        excuses=declared.excuses,
        requires=declared.requires,
        prefixed_letter=f"{'-' if len(declared.letter) == 1 else '--'}{declared.letter}",
        others=MappingProxyType({}),
    )


def _updated(option: Option, value: Value) -> Option:
    return option if value is None or value == option.value else replace(option, value=value, given=True)


def _values(program: str, options: Options, network: Network, places: Places) -> dict[str, Value]:
    """Return the values of the options that have another than their default."""
    values: dict[str, Value] = {
        "layer_def": _path(places.layers),
        "layer_params": _path(places.params),
        "save_path": _path(places.saves),
        "dp_type": options.data_provider,
        "data_path": _path(options.data_path or ""),
        "train_batch_range": options.train_range,
        "test_batch_range": options.test_range,
        "testing_freq": options.test_freq,
        "num_epochs": options.epochs,
        "minibatch_size": options.minibatch,
        "test_one": int(options.test_one),
        "multiview_test": int(options.multiview),
        "max_filesize_mb": options.max_filesize,
    }
    if options.multiview:
        values["logreg_name"] = next(iter(network.classes), "")
    given = dict(options.provider_options)
    if program == "v2" and options.data_provider == "cifar":
        given |= _as_in_v2(options, network)
    values |= {name: given[name] for name in _PROVIDER_OPTIONS if name in given}
    return values | ({"gpu": _devices(network)} if program == "v2" else {})


def _is_plain_cifar(options: Options) -> bool:
    """Return whether a run has whole images as the first program's `cifar` delivers them."""
    return options.data_provider == "cifar" and not {"inner_size", "scalar_mean"} & {
        *options.provider_options
    }


def _as_in_v2(options: Options, network: Network) -> dict[str, Value]:
    """Return the options with which cuda-convnet2's `cifar` delivers the same images to test on.

    Without a size it looks for one that the data do not name, without a number it adds one to each pixel
    (spec/data.md section 4.1).
    """
    image = image_shape(network.data_dims[0]) if network.data_dims else None
    given = options.provider_options.get("inner_size")
    size: dict[str, Value] = {"inner_size": image[0]} if image is not None and not given else {}
    return {**size, "scalar_mean": 0.0} if _is_plain_cifar(options) else size


def _devices(network: Network) -> tuple[int, ...]:
    """Return the devices that layers are on, as many as their numbers ask for."""
    return tuple(range(1 + max(number for layer in network.layers for number in layer.devices)))


def _path(path: str | Path) -> str:
    """Return a path as a string of Python 2 has it."""
    return os.fsencode(path).decode("latin-1")


def unsaid(program: str, options: Options) -> Iterator[str]:
    """Yield what the options of a run say that those of a program cannot."""
    provider = options.data_provider
    registered = provider if provider in REGISTRY else f"{provider.rpartition('-')[0]}-n"
    if registered not in _PROVIDERS[program]:
        yield f"data provider {provider!r}: the program has none of that name unless you add one"
    if program == "v2" and _is_plain_cifar(options):
        yield "data provider 'cifar': the program flips half of the images to train on, this run did not"
    for name, value in options.provider_options.items():
        if name not in OPTIONS[program] and name != "test_views":  # which multiview_test asks for
            yield f"{name}={value}: the program has no such option"
    if options.rate_factor != 1:
        yield (
            f"rate_factor={options.rate_factor:g} is in the learning rates, but the program reads those of "
            "the parameter file when it goes on"
        )
    if options.seed:
        yield f"seed={options.seed}: the program has none"
    for name in ("extensions", "allowed_functions"):
        if given := getattr(options, name):
            yield f"{name}={','.join(given)}: the program does not know them"
