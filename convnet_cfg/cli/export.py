"""`convnet export`: a trained network for another program."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click

from convnet_cfg.cli.quiet import start_tensorflow
from convnet_cfg.errors import UsageError, printable


class Target(NamedTuple):
    """One format: the function that writes it, `module:function`, and how the default name of its file ends.

    The function takes the run (`training.trained.Trained`), the path to write, and the options of this format
    by name; it returns the lines to print, and writes the whole file or nothing.
    """

    function: str
    suffix: str
    options: tuple[str, ...] = ()
    into_folder: bool = False  # the path is a folder too, and the function is told whether to overwrite


TARGETS: dict[str, Target] = {
    "cuda-convnet": Target(
        "convnet_cfg.legacy.exporting:export", ".cuda-convnet", ("version",), into_folder=True
    ),
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--to", "target", type=click.Choice(list(TARGETS)), required=True, help="The format.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="PATH", help="The file to write.")
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
    path = output or Path(f"{run.resolve().name}{chosen.suffix}")
    if chosen.into_folder:
        given["force"] = force
    elif path.exists() and not force:
        raise UsageError(f"{printable(str(path))} is there already: give --force to overwrite it")
    start_tensorflow(verbose)
    from convnet_cfg.training.trained import load_trained

    module, name = chosen.function.split(":")
    write: Callable[..., list[str]] = getattr(importlib.import_module(module), name)
    for line in write(load_trained(run), path, **given):
        click.echo(line)


def _flag(name: str) -> str:
    """Return how an option is written on the command line."""
    options = click.get_current_context().command.params
    return next(option.opts[0] for option in options if option.name == name)
