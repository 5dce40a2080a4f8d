"""`convnet export`: a trained network for another program."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import click

from convnet_cfg.cli.quiet import silenced_stderr, start_tensorflow
from convnet_cfg.errors import UsageError, join_words, printable
from convnet_cfg.training.checkpoints import SUFFIX


class Target(NamedTuple):
    """One format: the function that writes it, `module:function`, and how the default name of its file ends.

    The function takes the run (`training.trained.Trained`), the path to write, and the options of this format
    by name; it returns the lines to print, and writes the whole file or nothing. `extra` is what of
    pyproject.toml's extras it needs. With `must_end` no other suffix will do; `marker` is the file by which a
    directory of this format is known, None where it is a file.
    """

    function: str
    suffix: str
    options: tuple[str, ...] = ()
    into_folder: bool = False  # the path is a folder too, and the function is told whether to overwrite
    extra: str | None = None
    must_end: bool = False
    marker: str | None = None


TARGETS: dict[str, Target] = {
    "cuda-convnet": Target(
        "convnet_cfg.legacy.exporting:export", ".cuda-convnet", ("version",), into_folder=True
    ),
    "keras": Target("convnet_cfg.export.targets:keras_file", ".keras", must_end=True),
    "savedmodel": Target("convnet_cfg.export.targets:savedmodel", ".savedmodel", marker="saved_model.pb"),
    "onnx": Target("convnet_cfg.export.targets:onnx", ".onnx", extra="onnx"),
    "litert": Target("convnet_cfg.export.targets:litert", ".tflite", extra="litert"),
}
EXTRAS = {
    "onnx": {"onnx": "onnx", "onnxruntime": "onnxruntime", "tf2onnx": "tf2onnx"},
    "litert": {"ai_edge_litert": "ai-edge-litert"},
}
"""The modules of each extra, and the packages that they come in."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--to", "target", type=click.Choice(list(TARGETS)), required=True, help="The format.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="The file or directory to write; without it one here, named after RUN.",
)
@click.option(
    "--as",
    "version",
    type=click.Choice(["v1", "v2"]),
    help="The version of cuda-convnet; without it that of the network's two files.",
)
@click.option("--force", is_flag=True, help="Overwrite what is there.")
@click.option("-v", "--verbose", is_flag=True, help="Also show what TensorFlow says.")
def export(run: Path, target: str, output: Path | None, force: bool, verbose: bool, **options: Any) -> None:
    """Write the network of RUN, a run directory or a checkpoint in one, for another program."""
    given = {name: value for name, value in options.items() if value is not None}
    chosen = TARGETS[target]
    if strange := sorted(set(given) - set(chosen.options)):
        raise UsageError(f"{_flag(strange[0])} has no meaning for --to {target}")
    path = output or default_path(run, chosen)
    check_extra(target, chosen.extra)
    if chosen.into_folder:
        given["force"] = force
    else:
        check_place(path, chosen, force)
    from convnet_cfg.training.setup import locate
    from convnet_cfg.training.trained import load_trained

    locate(run)
    start_tensorflow(verbose)
    module, name = chosen.function.split(":")
    with nullcontext() if verbose else silenced_stderr():
        write: Callable[..., list[str]] = getattr(importlib.import_module(module), name)
        lines = write(load_trained(run), path, **given)
    for line in lines:
        click.echo(line)


def default_path(run: Path, target: Target) -> Path:
    """Return where a run is written by default, in the working directory; a checkpoint of it is named too."""
    place = run.resolve()
    if not place.is_file():
        return Path(f"{place.name}{target.suffix}")
    checkpoint = "" if target.into_folder else f"-{place.name.removesuffix(SUFFIX)}"
    return Path(f"{place.parent.name}{checkpoint}{target.suffix}")


def check_extra(target: str, extra: str | None) -> None:
    """Raise UsageError if packages are missing that a target needs."""
    missing = [name for module, name in EXTRAS.get(extra or "", {}).items() if find_spec(module) is None]
    if missing:
        raise UsageError(
            f"--to {target} needs {join_words(missing, 'and')}: pip install 'convnet-cfg[{extra}]'"
        )


def check_place(path: Path, target: Target, force: bool) -> None:
    """Raise UsageError if nothing of this format can be written there, or it must not be.

    A directory is overwritten only by a target that writes one, and only if it is one of the same kind. A
    link is there, wherever it points to. What cannot be looked at, writing will say why.
    """
    shown = printable(str(path))
    if target.must_end and path.suffix != target.suffix:
        raise UsageError(f"{shown} must end with {target.suffix}, or it will not be loaded")
    if not os.path.isdir(path.parent):
        raise UsageError(f"there is no directory {printable(str(path.parent))}")
    if not os.path.lexists(path):
        return
    if target.marker is None and os.path.isdir(path):
        raise UsageError(f"{shown} is a directory")
    if target.marker is None and os.path.exists(path) and not os.path.isfile(path):
        raise UsageError(f"{shown} is a device, not a file")
    if target.marker is not None and not os.path.isfile(path / target.marker):
        raise UsageError(f"{shown} is there already, and has no {target.marker}: it is not overwritten")
    if not force:
        raise UsageError(f"{shown} is there already: give --force to overwrite it")
    if path.name in ("", ".."):
        raise UsageError(f"{shown} cannot be overwritten from inside: go elsewhere and give its name")


def _flag(name: str) -> str:
    """Return how an option is written on the command line."""
    options = click.get_current_context().command.params
    return next(option.opts[0] for option in options if option.name == name)
