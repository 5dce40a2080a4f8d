"""What an exported model says of itself: whose it is, and what it wants to be given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from convnet_cfg.training.options import Options
from convnet_cfg.training.record import DataForm, read_file
from convnet_cfg.training.run_directory import LAYERS, PARAMS, sha256
from convnet_cfg.training.trained import Trained

Given = Mapping[str, Any]


def about(trained: Trained) -> dict[str, Any]:
    """Return what the metadata say of a run: which network it is, how far it was trained, what it was fed."""
    run, options = trained.run, trained.options
    return {
        "program": f"convnet-cfg {version('convnet-cfg')}",
        "network": network_name(trained),
        "dialect": trained.built.network.dialect.name,
        "position": str(trained.position),
        "sha256": {name: sha256(read_file(run.path / name)) for name in (LAYERS, PARAMS)},
        "preparation": preparation(options, trained.form),
        "data_provider": options.data_provider,
        "provider_options": dict(options.provider_options),
    }


def network_name(trained: Trained) -> str:
    """Return the name of the definition that the run began with."""
    return Path(trained.record["files"][LAYERS]["path"]).stem


def preparation(options: Options, form: DataForm) -> str:
    """Return what the provider of a run makes of the data before a network gets them in tests."""
    known = PREPARATIONS.get(options.data_provider, _of_another)
    return f"{known(options.provider_options, form)} (data provider {options.data_provider!r})"


def _of_another(given: Given, form: DataForm) -> str:
    """Return what is said of random data, and of providers of the user's own."""
    return "as the provider prepares its test cases"


def _crop(form: DataForm) -> str:
    side = form.shapes[0][0]
    return f"the {side} x {side} pixels at the centre of each image"


def _scalar_mean(given: Given) -> float:
    """Return the number that is subtracted, by default -1 (in `image` it stands for the mean image)."""
    found = given.get("scalar_mean")
    return -1.0 if found is None else float(found)


def _cifar(given: Given, form: DataForm) -> str:
    if given.get("inner_size") is None and given.get("scalar_mean") is None:
        return f"{PIXELS} minus the mean image ({MEAN})"
    shift = _scalar_mean(given)
    moved = f"minus {shift:g}" if shift >= 0 else f"plus {-shift:g}"
    return f"{_crop(form)}, {PIXELS} {moved} minus the centre of the mean image ({MEAN})"


def _cifar_cropped(given: Given, form: DataForm) -> str:
    border = given.get("crop_border", 4)
    centre = f"{_crop(form)} (crop border {border})"
    return f"{centre}, {PIXELS} minus the centre of the mean image ({MEAN})"


def _image(given: Given, form: DataForm) -> str:
    shift = _scalar_mean(given)
    less = f"{shift:g}" if shift >= 0 else f"the centre of the mean image ({MEAN})"
    return f"the shorter side of each image as long as the mean image's, {_crop(form)}, {PIXELS} minus {less}"


PIXELS = "values 0 to 255"
MEAN = "data_mean in batches.meta"
PREPARATIONS: dict[str, Callable[[Given, DataForm], str]] = {
    "cifar": _cifar,
    "cifar-cropped": _cifar_cropped,
    "image": _image,
    "digits": lambda given, form: "values 0 to 16 minus the mean image of batches 1 to 3",
    "ring": lambda given, form: "the windows of 6 pixels that begin at each of 12 on a ring, 0 or 1",
}
