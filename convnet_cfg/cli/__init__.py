"""The commands `convnet` and `convnet-train`; each command's module is imported when it is asked for."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import click

from convnet_cfg.errors import ConvnetError, did_you_mean

INTERRUPTED = 130  # what a shell expects of a program that Ctrl-C ended


class Entry(NamedTuple):
    """Where a command is, `module:attribute`, and its line in the list of commands."""

    target: str
    help: str


COMMANDS = {
    "check": Entry("check:check", "Read a configuration and say what it describes, or what is wrong."),
    "data": Entry("data:data", "Make data batches: from folders of images."),
    "inspect": Entry("inspect:inspect", "Say what is in a checkpoint of cuda-convnet."),
    "list": Entry("list:list_networks", "List the networks that come along, and their recipes."),
    "reproduce": Entry("reproduce:reproduce", "Train a published network through the stages of its recipe."),
    "test": Entry("test:test", "Evaluate a trained network."),
    "train": Entry("train:train", "Train the network that a configuration describes."),
    "translate": Entry(
        "translate:translate", "Write a network as a file of Keras that needs nothing of ours."
    ),
}


def load_command(name: str) -> click.Command:
    """Import one command; whatever Keras is set to, it will compute in TensorFlow."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    module, attribute = COMMANDS[name].target.split(":")
    command: click.Command = getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
    return command


@contextmanager
def explaining() -> Iterator[None]:
    """Turn what the user can put right into a message and an exit code; our own faults stay tracebacks."""
    try:
        yield
    except ConvnetError as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        sys.exit(INTERRUPTED)


class Commands(click.Group):
    """A group that imports no command before it is called."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that the command line asks for."""
        with explaining():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments begin with, or say which one is near."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"No such command {args[0]!r}{did_you_mean(args[0], COMMANDS)}.", ctx)
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of that name, if there is one."""
        return load_command(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by the help of the table, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="convnet-cfg")
def main() -> None:
    """Read cuda-convnet's configuration files and train their networks in TensorFlow."""


def train_main() -> None:
    """Run `convnet train` as a program of its own."""
    with explaining():
        load_command("train").main(prog_name="convnet-train")
