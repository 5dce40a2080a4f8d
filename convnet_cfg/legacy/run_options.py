"""The options that a checkpoint's run was started with, as those of a run of ours.

Source: spec/training.md section 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from convnet_cfg.data import is_registered, options_of, takes_path, views_of
from convnet_cfg.errors import printable, shorten
from convnet_cfg.legacy.refusing import refuse
from convnet_cfg.legacy.values import Checkpoint, Value
from convnet_cfg.training.options import Options


class Known(NamedTuple):
    """An option of ours: its name in the file, what it may be, the words for that, and its type here."""

    name: str
    fits: Callable[[Any], bool]
    expected: str
    make: Callable[[Any], Any] = int


def _is_number(least: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and value >= least


def _is_range(value: Any) -> bool:
    return (
        isinstance(value, tuple)
        and bool(value)
        and all(map(_is_number(0), value))
        and (list(value) == sorted(set(value)))
    )


def _is_flag(value: Any) -> bool:
    return isinstance(value, int) and value in (0, 1)


BATCHES = "numbers of batches, in order"
OPTIONS: Mapping[str, Known] = {
    "train_range": Known("train_batch_range", _is_range, BATCHES, tuple),
    "test_range": Known("test_batch_range", _is_range, BATCHES, tuple),
    "epochs": Known("num_epochs", _is_number(1), "an integer >= 1"),
    "minibatch": Known("minibatch_size", _is_number(1), "an integer >= 1"),
    "test_freq": Known("testing_freq", _is_number(1), "an integer >= 1"),
    "test_one": Known("test_one", _is_flag, "0 or 1", bool),
    "multiview": Known("multiview_test", _is_flag, "0 or 1", bool),
    "max_filesize": Known("max_filesize_mb", _is_number(0), "an integer >= 0"),
}
NEEDED = {"train_range": "--train-range", "test_range": "--test-range"}
# Keyword arguments of our data providers that go by the same names in the files.
OF_PROVIDERS = ("crop_border", "inner_size", "scalar_mean", "color_noise")
# What a run of ours has no use for: places, devices, and what was done once.
OF_NO_USE = frozenset(
    ("dp_type", "data_path", "load_file", "save_path", "save_file_override", "layer_def", "layer_params")
    + ("layer_path", "gpu", "num_gpus", "conserve_mem", "zip_save", "logreg_name", "check_grads", "test_only")
    + ("conv_to_local", "unshare_weights", "force_save", "test_out", "write_features", "feature_path")
    + ("max_test_err",)
)


class Carried(NamedTuple):
    """The options of a run, and what of the file's is not among them."""

    options: Options
    notes: list[str]


def carry_options(checkpoint: Checkpoint, given: Mapping[str, Any], dialect: str) -> Carried:
    """Return the options of the run that a checkpoint becomes; those `given`, by our names, count first.

    Raises:
        CheckpointError: some are of no use, or lack and are not given; all of them.
        UsageError: no data provider of the given name comes along, or it is one of the user's own that fails.
    """
    problems: list[str] = []
    values = {name: given[name] for name in OPTIONS if name in given}
    values |= _of_file(checkpoint, [name for name in OPTIONS if name not in given], problems)
    provider = given.get("data_provider") or _provider(checkpoint, problems)
    refuse(problems, "the options of the checkpoint cannot be those of a run")
    notes = _without_views(values, checkpoint, provider)
    options = Options(
        **values,
        data_provider=provider,
        data_path=_path(given.get("data_path") or _value(checkpoint, "data_path"), provider),
        provider_options=_provider_options(checkpoint, provider, values.get("multiview", False)),
        dialect=dialect,
        mode=given.get("mode", "default"),
    )
    return Carried(options, [*notes, *_left(checkpoint)])


def _of_file(checkpoint: Checkpoint, names: Sequence[str], problems: list[str]) -> dict[str, Any]:
    """Return those options that the file has, adding what is wrong with them to the problems."""
    found: dict[str, Any] = {}
    for name in names:
        known = OPTIONS[name]
        if known.name not in checkpoint.options:
            if name in NEEDED:
                problems.append(f"the file has no option {known.name}: give {NEEDED[name]}")
        elif not known.fits(value := checkpoint.options[known.name].value):
            problems.append(f"option {known.name} must be {known.expected}, got {_shown(value)}")
        else:
            found[name] = known.make(value)
    return found


def recorded(checkpoint: Checkpoint, name: str) -> Any:
    """Return what the file says of an option of ours, None if it says nothing of use."""
    known = OPTIONS[name]
    value = _value(checkpoint, known.name)
    return value if known.fits(value) else None


def _value(checkpoint: Checkpoint, name: str) -> Value:
    return checkpoint.options[name].value if name in checkpoint.options else None


def _provider(checkpoint: Checkpoint, problems: list[str]) -> str:
    """Return the data provider that the file names; it does not decide what is imported."""
    name = _value(checkpoint, "dp_type")
    if not isinstance(name, str) or not name:
        problems.append("the file does not name its data provider: give --data-provider")
        return ""
    if not is_registered(name):
        problems.append(f"the data provider {name!r} does not come along: give --data-provider")
    return name


def _path(path: Value, provider: str) -> str | None:
    return path if isinstance(path, str) and path and takes_path(provider) else None


def _provider_options(checkpoint: Checkpoint, provider: str, multiview: bool) -> dict[str, Any]:
    known = options_of(provider)
    values = {name: _value(checkpoint, name) for name in OF_PROVIDERS if name in known}
    found: dict[str, Any] = {name: value for name, value in values.items() if isinstance(value, int | float)}
    return {**found, "test_views": views_of(provider)} if multiview else found


def _without_views(values: dict[str, Any], checkpoint: Checkpoint, provider: str) -> list[str]:
    """Drop the test of several views where the provider has one; return what to say of it.

    The provider `cifar` has views in cuda-convnet2 only, which had an inner size.
    """
    known = options_of(provider)
    cuts = "inner_size" not in known or "inner_size" in checkpoint.options
    if not values.get("multiview") or ("test_views" in known and cuts):
        return []
    values["multiview"] = False
    return [f"--multiview-test: data provider {provider!r} has one view of each case"]


def _left(checkpoint: Checkpoint) -> list[str]:
    """Return the options that the run was given and that nothing here has a use for."""
    known = {*(each.name for each in OPTIONS.values()), *OF_PROVIDERS, *OF_NO_USE}
    return [
        f"--{option.letter}={_shown(option.value)}: no such option here"
        for name, option in checkpoint.options.items()
        if option.given and name not in known
    ]


def _shown(value: Value) -> str:
    return printable(shorten(str(list(value) if isinstance(value, tuple) else value)))
