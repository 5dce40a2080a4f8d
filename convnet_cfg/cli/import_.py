"""`convnet import`: a checkpoint of cuda-convnet as a run, to test, to train on or to export."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convnet_cfg.cli.arguments import RANGE, absolute
from convnet_cfg.cli.inspect import CONTAINERS, TITLES
from convnet_cfg.cli.lines import batch_list
from convnet_cfg.cli.quiet import start_tensorflow
from convnet_cfg.errors import printable, shell_word
from convnet_cfg.legacy import load_checkpoint

if TYPE_CHECKING:
    from convnet_cfg.legacy.importing import Imported, PreparedImport

RUNS = Path("runs")


@click.command("import", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="The run directory to make; else one below runs, named as the folder of the checkpoint.",
)
@click.option("--force", is_flag=True, help="Replace the run directory that is there.")
@click.option("--data-provider", metavar="NAME", help="The data provider, if not the one in the file.")
@click.option("--data-path", metavar="DIR", help="Where the data are now.")
@click.option(
    "--train-range", type=RANGE, metavar="A-B", help="Batches to train on, if not those in the file."
)
@click.option("--test-range", type=RANGE, metavar="A-B", help="Batches to test on, if not those in the file.")
@click.option("--lenient", is_flag=True, help="Take a network that has likely mistakes, as the original did.")
@click.option("-v", "--verbose", is_flag=True, help="Also show what TensorFlow says.")
def import_(
    checkpoint: Path, output: Path | None, force: bool, lenient: bool, verbose: bool, **options: Any
) -> None:
    """Make a run of CHECKPOINT, a file of cuda-convnet or the directory that has it.

    The network, its weights and velocities, the options and the costs so far are carried over: convnet test
    and convnet-train -f take the run as one of their own. Nothing in the file is run.
    """
    from convnet_cfg.legacy.importing import prepare_import, write_import

    found = load_checkpoint(checkpoint)
    target = output or RUNS / (found.path.resolve().parent.name or "imported")
    options["mode"] = "lenient" if lenient else None
    given = {name: value for name, value in options.items() if value is not None}
    if "data_path" in given:
        given["data_path"] = absolute(given["data_path"])
    prepared = prepare_import(found, target, given, force=force)
    _describe(prepared)
    start_tensorflow(verbose)
    _say_what_next(write_import(prepared, command=sys.argv), given)


def _describe(prepared: PreparedImport) -> None:
    checkpoint, options, layers = prepared.checkpoint, prepared.options, prepared.network.layers
    program = f"{checkpoint.program} ({TITLES[checkpoint.program]})"
    click.echo(f"checkpoint  {printable(str(checkpoint.path))} ({CONTAINERS[checkpoint.container]})")
    click.echo(f"program     {program}, saved after batch {checkpoint.batch} of epoch {checkpoint.epoch}")
    parameters = sum(layer.parameters for layer in layers)
    click.echo(f"network     {len(layers)} layers, {parameters:,} parameters, read as {options.dialect}")
    shapes = ", ".join(" x ".join(map(str, shape)) for shape in prepared.form.shapes)
    click.echo(f"data        {options.data_provider}: {shapes}; {prepared.form.classes} classes")
    click.echo(
        f"options     train on {batch_list(options.train_range)}, test on {batch_list(options.test_range)}, "
        f"{options.epochs} epochs, minibatch {options.minibatch}"
    )


def _say_what_next(imported: Imported, given: Mapping[str, Any]) -> None:
    from convnet_cfg.cli.running import command
    from convnet_cfg.data import needs_path

    if imported.notes:
        click.echo("\nNot carried over:")
        for note in imported.notes:
            click.echo(f"  {printable(note)}")
    path, options = imported.path, imported.prepared.options
    data = " --data-path DIR" if needs_path(options.data_provider) and "data_path" not in given else ""
    run = shell_word(path)
    click.echo(f"\nThe run directory is {printable(str(path))}")
    click.echo(f"  test it:            {command('convnet')} test {run}{data}")
    done = imported.prepared.position.epoch
    further = f" --epochs {done + 1}" if options.epochs <= done else ""
    click.echo(f"  train it further:   {command('convnet-train')} -f {run}{data}{further}")
    dims = ",".join(str(prod(shape)) for shape in imported.prepared.form.shapes)
    files = f"{shell_word(path / 'layers.cfg')} {shell_word(path / 'params.cfg')}"
    click.echo(f"  look at it:         {command('convnet')} check {files} --data-dims {dims}")
