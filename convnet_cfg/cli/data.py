"""`convnet data`: make data batches."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from convnet_cfg.cli import INTERRUPTED
from convnet_cfg.cli.arguments import Value
from convnet_cfg.cli.lines import batch_list, progress_bar
from convnet_cfg.cli.output import is_terminal, say
from convnet_cfg.data.conversion import BatchFile, Conversion, ConversionObserver, Settings
from convnet_cfg.language.kinds import Kind, read_number


def _read_fraction(text: str) -> float:
    if not 0 <= (number := read_number(text)) < 1:
        raise ValueError(text)
    return number


FRACTION = Value(Kind(_read_fraction, "a number from 0 to below 1"), float)
HELP = {"help_option_names": ["-h", "--help"]}


@click.group(context_settings=HELP, short_help="Make data batches: from folders of images.")
def data() -> None:
    """Make data batches."""


@data.command(context_settings=HELP, short_help="Make batches of JPEG strings from folders of images.")
@click.argument("source", metavar="SRC", type=click.Path(path_type=Path))
@click.argument("destination", metavar="DST", type=click.Path(path_type=Path))
@click.option(
    "--val",
    "validation",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Class folders of the images to test on; else SRC/val, if it is there.",
)
@click.option(
    "--held-out",
    type=FRACTION,
    default=0.0,
    metavar="FRACTION",
    help="Choose this part of the images at random to test on.",
)
@click.option(
    "--size",
    type=click.IntRange(8, 4096),
    default=256,
    show_default=True,
    metavar="PIXELS",
    help="Shorter side of every image.",
)
@click.option("--crop-to-square", is_flag=True, help="Keep the centre of each image only.")
@click.option(
    "--batch-size", type=click.IntRange(1), default=3072, show_default=True, help="Images of one batch."
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="For the order of the images to train on.",
)
@click.option("--jobs", type=click.IntRange(1), help="Images at work at once; else one on each processor.")
@click.option("-v", "--verbose", is_flag=True, help="Also show what TensorFlow says.")
def imagenet(
    source: Path, destination: Path, validation: Path | None, jobs: int | None, verbose: bool, **settings: Any
) -> None:
    """Make batches of JPEG strings, for the data provider `image`, from images in a folder for each class.

    The images are in SRC/train/CLASS/ and, to test on, SRC/val/CLASS/; or all in SRC/CLASS/. A conversion
    that was stopped, in whatever way, goes on when the same command is given again.
    """
    conversion = Conversion(source, destination, Settings(**settings), validation)
    _describe(conversion)
    if not conversion.is_done:
        _run(conversion, jobs, verbose)
    _say_result(conversion)


def _describe(conversion: Conversion) -> None:
    tree = conversion.tree
    classes = len(tree.label_names)
    click.echo(
        f"images     {len(tree.training):,} of {classes} classes to train on, "
        f"{len(tree.validation):,} to test on"
    )
    click.echo(f"batches    {_batches(conversion)}, in {conversion.folder.path}")
    if conversion.is_done:
        click.echo("nothing to do: this conversion is done")
    elif conversion.done:
        click.echo(f"going on   after {conversion.done:,} images")


def _batches(conversion: Conversion) -> str:
    parts = ((conversion.batches(True), "to train on"), (conversion.batches(False), "to test on"))
    return ", ".join(f"{batch_list(numbers)} {purpose}" for numbers, purpose in parts if numbers)


def _run(conversion: Conversion, jobs: int | None, verbose: bool) -> None:
    from convnet_cfg.cli.quiet import start_tensorflow

    if not verbose:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what is wrong with an image is said once
    start_tensorflow(verbose)
    lines = Lines(conversion)
    try:
        conversion.run(lines, jobs)
    except KeyboardInterrupt:
        lines.close()
        say("interrupted; the same command goes on")
        sys.exit(INTERRUPTED)
    finally:
        lines.close()


def _say_result(conversion: Conversion) -> None:
    from convnet_cfg.cli.running import command

    progress = conversion.progress
    click.echo(f"\n{progress.images:,} images in {_batches(conversion)}")
    if progress.left_out:
        click.echo(f"{len(progress.left_out):,} left out: see {conversion.folder.path}/conversion.json")
    training, test = (conversion.batches(kind) for kind in (True, False))
    ranges = f"--train-range {batch_list(training)}" + (f" --test-range {batch_list(test)}" if test else "")
    where = f"--data-provider image --data-path {conversion.folder.path}"
    click.echo(f"  train on them:  {command('convnet-train')} LAYERS PARAMS {where} {ranges}")


class Lines(ConversionObserver):
    """A line for each batch; on a terminal, a progress bar below them."""

    def __init__(self, conversion: Conversion, progress: bool | None = None) -> None:
        self.conversion = conversion
        self.files = {file.batch: file for file in conversion.files}  # the last one of each batch
        self.bar = progress_bar() if (is_terminal() if progress is None else progress) else None
        self.task: Any = None
        self.images = 0
        self.began = time.monotonic()
        if self.bar is not None:
            self.bar.start()
            self.task = self.bar.add_task("images", total=conversion.images, completed=conversion.done)

    def converted(self, images: int) -> None:
        """Move the bar."""
        self.images += images
        if self.bar is not None:
            self.bar.advance(self.task, images)

    def left_out(self, path: Path, why: str) -> None:
        """Say which image is missing in the batches."""
        self.say(f"left out   {path}: {why}", to_stderr=True)

    def written(self, file: BatchFile) -> None:
        """Print a line when all of a batch is on the disk."""
        if file == self.files[file.batch]:
            speed = self.images / max(time.monotonic() - self.began, 1e-9)
            done = f"{self.conversion.done:,} of {self.conversion.images:,} images"
            self.say(f"{file.batch:>7}  {done} ({speed:,.0f} images/s)")

    def say(self, line: str, to_stderr: bool = False) -> None:
        """Print a line, above the bar if there is one."""
        if self.bar is not None:
            self.bar.console.print(line, highlight=False, markup=False, soft_wrap=True)
        else:
            click.echo(line, err=to_stderr)

    def close(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.stop()
