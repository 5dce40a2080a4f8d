"""How command lines are read: cuda-convnet's option syntax beside today's (spec: training.md section 1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from convnet_cfg.cli import explaining
from convnet_cfg.language.kinds import BATCHES, NUMBER, POSITIVE, Kind, read_number
from convnet_cfg.zoo import find_config, find_layers, load_recipe
from convnet_cfg.zoo.recipes import Recipe

# The original's options that are 0 or 1; here their bare form means 1.
SWITCHES = (
    "--test-only",
    "--test-one",
    "--multiview-test",
    "--check-grads",
    "--conserve-mem",
    "--zip-save",
)

# The long options of cuda-convnet v1: a beginning that only one of them has means that one.
ORIGINAL = (
    *SWITCHES,
    "--train-range",
    "--test-range",
    "--data-provider",
    "--data-path",
    "--save-path",
    "--layer-def",
    "--layer-params",
    "--test-freq",
    "--epochs",
    "--mini",
    "--logreg-name",
    "--crop-border",
    "--conv-to-local",
    "--unshare-weights",
    "--max-filesize",
    "--gpu",
    "--num-gpus",
)


def normalized(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with a value behind each switch: `--check-grads` becomes `--check-grads=1`."""
    result: list[str] = []
    following = [*arguments[1:], ""]
    for argument, after in zip(arguments, following, strict=False):
        bare = argument in SWITCHES and after not in ("0", "1")
        result.append(f"{argument}=1" if bare else argument)
    return result


class OldStyleCommand(click.Command):
    """A command that also takes the original's switches, and unique beginnings of its long options."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, also where it is a program of its own."""
        with explaining():
            return super().invoke(ctx)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Bring the arguments into the form that click knows, then parse them."""
        longs = [name for param in self.params for name in param.opts if name.startswith("--")]
        return super().parse_args(ctx, normalized([_completed(argument, longs) for argument in args]))


def _completed(argument: str, longs: Sequence[str]) -> str:
    name, equals, value = argument.partition("=")
    if not name.startswith("--") or name in longs or len(name) == 2:
        return argument
    for known in (longs, ORIGINAL):
        matches = [long for long in known if long.startswith(name)]
        if len(matches) == 1:
            return f"{matches[0]}{equals}{value}"
    return argument


class Value(click.ParamType):
    """A value of a kind that the files have too, made into a Python type."""

    name = "value"

    def __init__(self, kind: Kind, make: Callable[[Any], Any]) -> None:
        self.kind = kind
        self.make = make

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the value; what is no text is one already."""
        if not isinstance(value, str):
            return value
        try:
            return self.make(self.kind.convert(value))
        except (ValueError, OverflowError):
            self.fail(f"expected {self.kind.expected}, got {value!r}", param, ctx)


def _not_negative(text: str) -> float:
    if (number := read_number(text)) < 0:
        raise ValueError(text)
    return number


RANGE = Value(BATCHES, tuple)
FACTOR = Value(POSITIVE, float)
ANY_NUMBER = Value(NUMBER, float)
AMOUNT = Value(Kind(_not_negative, "a number >= 0"), float)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))


NAMES = Value(Kind(_names, "names of layers"), tuple)

# The options that are the data provider's, and no matter of the training.
PROVIDER_OPTIONS = {
    "crop_border": click.option(
        "--crop-border", type=click.IntRange(0), help="Pixels cut from each side by cifar-cropped (4)."
    ),
    "inner_size": click.option(
        "--inner-size",
        type=click.IntRange(0),
        metavar="PIXELS",
        help="Side of the crops of cifar, as cuda-convnet2 took them, and of image; 0: all.",
    ),
    "scalar_mean": click.option(
        "--scalar-mean",
        type=ANY_NUMBER,
        metavar="NUMBER",
        help="Subtracted from each pixel: by cifar beside the mean image (-1), by image in its place.",
    ),
    "color_noise": click.option(
        "--color-noise",
        type=AMOUNT,
        metavar="NUMBER",
        help="How much colour noise image adds in training; the published networks took 0.1.",
    ),
}


def with_provider_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of data providers to a command."""
    for option in reversed(PROVIDER_OPTIONS.values()):
        command = option(command)
    return command


class Switch(click.ParamType):
    """`0` or `1`, as the original had them."""

    name = "0/1"

    def convert(self, value: Any, param: Any, ctx: Any) -> bool:
        """Return the truth value."""
        if isinstance(value, bool):
            return value
        if value not in ("0", "1"):
            self.fail(f"expected 0 or 1, got {value!r}", param, ctx)
        return str(value) == "1"


def _absolute_files(
    context: click.Context, option: click.Parameter, names: tuple[str, ...]
) -> tuple[str, ...]:
    return tuple(str(Path(name).resolve()) if name.endswith(".py") else name for name in names)


Command = TypeVar("Command", bound=Callable[..., Any])


own_options = click.option(
    "--provider-option",
    "own_options",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of your own data provider: a keyword argument.",
)


def _set_mode(ctx: click.Context, option: click.Parameter, given: bool) -> None:
    """Make `--lenient` and `--strict` the value `mode`; they are flags of their own to be told apart."""
    before = ctx.params.setdefault("mode", None)
    if given and before:
        raise click.UsageError("--lenient and --strict contradict each other")
    if given:
        ctx.params["mode"] = option.name
        ctx.set_parameter_source("mode", click.core.ParameterSource.COMMANDLINE)


def reading_options(command: Command) -> Command:
    """Add the options that say how the two files are read."""
    options = (
        click.option(
            "--lenient",
            is_flag=True,
            expose_value=False,
            callback=_set_mode,
            help="Take likely mistakes in the files for warnings, as the original did.",
        ),
        click.option(
            "--strict",
            is_flag=True,
            expose_value=False,
            callback=_set_mode,
            help="Take warnings about the files for errors.",
        ),
        click.option(
            "--dialect",
            metavar="NAME",
            help="Read the files as of this program: v1, v2, alexnet-2012, nin, ...",
        ),
        click.option(
            "--average-divisor",
            type=click.Choice(["existing", "nominal"]),
            help="Averages divide by the pixels inside the image, or by all of a window (before July 2012).",
        ),
        click.option(
            "--extension",
            "extensions",
            multiple=True,
            callback=_absolute_files,
            metavar="MODULE",
            help="Python module or file with layer types, neurons, costs or schedules of your own.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


class Pair(NamedTuple):
    """The two files of a network, and its recipe if it came along."""

    layers: Path
    params: Path | None
    recipe: Recipe | None


def find_pair(layers: str, params: str | None) -> Pair:
    """Return the files that the arguments name: paths, or the name of a network that came along.

    Raises:
        UsageError: there is neither such a file nor such a network.
    """
    if Path(layers).exists() and not Path(layers).is_dir():
        return Pair(Path(layers), Path(params) if params else None, None)
    shipped = find_layers(layers)
    recipe = load_recipe(find_config(shipped[0].stem))
    return Pair(shipped[0], Path(params) if params else shipped[1], recipe)


def absolute(path: str | None) -> str | None:
    """Return a path that means the same from any directory."""
    return str(Path(path).resolve()) if path else None
