"""`convnet train`, also known as `convnet-train`: the main job."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convnet_cfg.cli.arguments import (
    FACTOR,
    NAMES,
    RANGE,
    OldStyleCommand,
    Pair,
    Switch,
    find_pair,
    own_options,
    reading_options,
    with_provider_options,
)
from convnet_cfg.cli.completeness import missing
from convnet_cfg.cli.output import say
from convnet_cfg.cli.values import given_values, make_options, with_recipe
from convnet_cfg.errors import UsageError
from convnet_cfg.language.params import DECAYS, DEFAULT_DECAY

if TYPE_CHECKING:
    from convnet_cfg.training.setup import Prepared

NO_EFFECT = {
    "conserve_mem": "--conserve-mem (memory is managed by TensorFlow)",
    "zip_save": "--zip-save (checkpoints are safetensors files)",
    "gpu": "--gpu (devices are those that TensorFlow finds; CUDA_VISIBLE_DEVICES chooses)",
    "num_gpus": "--num-gpus (a network runs on one device)",
    "logreg_name": "--logreg-name (every cost.logreg layer is averaged over the views)",
}
OF_A_RUN = {"conv_to_local": "--conv-to-local", "unshare_weights": "--unshare-weights"}

HELP = """Train the network that LAYERS and PARAMS describe.

LAYERS and PARAMS are cuda-convnet's two configuration files. LAYERS alone may be the name of a network that
came along, such as digits or cifar10-80sec; its recipe then says what data it wants.

The command lines of cuda-convnet are taken as they were:
convnet-train --layer-def=L --layer-params=P --data-provider=cifar --data-path=DIR --train-range=1-5 ...

Exit codes: 0 done, 2 usage, 3 configuration, 4 data, 5 diverged, 6 checkpoint,
130 or 143 interrupted, after saving.
"""


@click.command(cls=OldStyleCommand, help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("layers", required=False)
@click.argument("params", required=False)
@click.option("--layer-def", metavar="FILE", help="The layer definition: LAYERS in the original's way.")
@click.option("--layer-params", metavar="FILE", help="The layer parameters; with -f, those from now on.")
@click.option(
    "-f", "--load-file", metavar="RUN", help="Go on with a run: its directory, or one of its checkpoints."
)
@click.option(
    "--data-provider",
    metavar="NAME",
    help="cifar, cifar-cropped, image, digits, dummy-cn-N, dummy-labeled-N or module.Class.",
)
@click.option("--data-path", metavar="DIR", help="Where the data batches are.")
@click.option("--train-range", type=RANGE, metavar="A-B", help="Numbers of the batches to train on.")
@click.option("--test-range", type=RANGE, metavar="A-B", help="Numbers of the batches to test on.")
@click.option(
    "--epochs",
    type=click.IntRange(1),
    default=50000,
    show_default=True,
    help="Train until this epoch is done.",
)
@click.option(
    "--mini", "minibatch", type=click.IntRange(1), default=128, show_default=True, help="Cases per update."
)
@click.option(
    "--test-freq",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    help="Batches between tests and checkpoints.",
)
@click.option(
    "--test-one",
    type=Switch(),
    default=True,
    help="0: each test takes the whole test range; 1: its next batch (1).",
)
@click.option(
    "--multiview-test",
    "multiview",
    type=Switch(),
    default=False,
    help="1: average predictions over nine or ten views.",
)
@click.option("--test-only", type=Switch(), default=False, help="1: test and leave; with -f.")
@click.option(
    "--check-grads",
    type=Switch(),
    default=False,
    help="1: check every gradient by finite differences and leave.",
)
@with_provider_options
@own_options
@click.option(
    "--save-path", default="runs", show_default=True, metavar="DIR", help="Where the run directory is made."
)
@click.option(
    "--max-filesize",
    type=click.IntRange(0),
    default=0,
    metavar="MB",
    help="Checkpoints to keep; 0: the newest only.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="For first weights, crops and dropout.",
)
@click.option(
    "--decay",
    type=click.Choice(DECAYS),
    default=DEFAULT_DECAY,
    show_default=True,
    help="The kind of weight decay that wc means.",
)
@click.option(
    "--rate-factor",
    type=FACTOR,
    default=1.0,
    metavar="NUMBER",
    help="Multiply all learning rates of the parameter file.",
)
@click.option(
    "--log-format",
    type=click.Choice(["plain", "convnet"]),
    default="plain",
    help="Print cuda-convnet's own lines.",
)
@reading_options
@click.option(
    "--ignore-gpu",
    is_flag=True,
    help="Train layers that gpu= spread over devices as one plain network.",
)
@click.option(
    "--allow-init-func",
    "allowed_functions",
    multiple=True,
    metavar="MODULE.FUNCTION",
    help="Let the files call this function.",
)
@click.option(
    "--conv-to-local",
    type=NAMES,
    default=(),
    metavar="LAYERS",
    help="With -f: make these convolutions local layers, in a new run.",
)
@click.option(
    "--unshare-weights",
    type=NAMES,
    default=(),
    metavar="LAYERS",
    help="With -f: give these layers (or conv3[0], a matrix) weights of their own, in a new run.",
)
@click.option("--logreg-name", default="", hidden=True)
@click.option("--conserve-mem", type=Switch(), default=False, hidden=True)
@click.option("--zip-save", type=Switch(), default=False, hidden=True)
@click.option("--gpu", default="", hidden=True)
@click.option("--num-gpus", default="", hidden=True)
@click.option("-v", "--verbose", is_flag=True, help="Also show notes, and what TensorFlow says.")
@click.version_option(package_name="convnet-cfg")
@click.pass_context
def train(ctx: click.Context, /, **values: Any) -> None:
    """Do what the command line asks for; `values` are the parameters above by name."""
    given = given_values(ctx, values)
    for name, meaning in NO_EFFECT.items():
        if name in given:
            say(f"note: no effect: {meaning}")
    for name, option in OF_A_RUN.items():
        if values[name] and not values["load_file"]:
            raise UsageError(f"{option} needs a run to change: -f RUN")
    layers, params = _files(values)
    if values["check_grads"]:
        _check_gradients(layers, params, values, given)
    elif values["load_file"]:
        if layers is not None:
            raise UsageError(f"-f goes on with a run and its own definition: leave out {layers}")
        from convnet_cfg.cli.going_on import go_on

        go_on(Path(values["load_file"]), values, given)
    elif values["test_only"]:
        raise UsageError("--test-only needs a run to test: -f RUN")
    else:
        _begin(layers, params, values, given)


def _files(values: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the two files, given in either way."""
    for argument, option in (("layers", "layer_def"), ("params", "layer_params")):
        if values[argument] and values[option]:
            raise UsageError(f"{values[argument]} and --{option.replace('_', '-')} name the same file twice")
    return values["layers"] or values["layer_def"], values["params"] or values["layer_params"]


def _pair(layers: str | None, params: str | None, values: Mapping[str, Any]) -> Pair:
    """Return the files that the arguments name.

    Raises:
        UsageError: there are none, with all else that is missing; or they do not exist.
    """
    if layers is None:
        raise UsageError(missing({**values, "layers": None, "params": params}))
    return find_pair(layers, params)


def _begin(
    layers: str | None, params: str | None, values: Mapping[str, Any], given: Mapping[str, Any]
) -> None:
    """Begin a new run."""
    pair = _pair(layers, params, values)
    prepared = prepare_pair(pair, with_recipe(pair, values, given))

    from convnet_cfg.cli.running import say_what_next, train_new

    shipped = pair.recipe is not None and params is None
    trained = train_new(prepared, Path(values["save_path"]), shipped, values)
    say_what_next(trained.session.run_directory.path, trained.session.position.epoch)


def prepare_pair(pair: Pair, values: Mapping[str, Any]) -> Prepared:
    """Read the two files and the data, and say what will be done with them."""
    lacking = missing({**values, **pair._asdict()})
    if lacking or pair.params is None:
        raise UsageError(lacking)

    from convnet_cfg.cli.describe import describe, describe_check
    from convnet_cfg.training.setup import prepare

    prepared = prepare(pair.layers, pair.params, make_options(values))
    if values.get("log_format") != "quiet":
        (describe_check if values.get("check_grads") else describe)(prepared, values["verbose"])
    return prepared


def _check_gradients(
    layers: str | None, params: str | None, values: Mapping[str, Any], given: Mapping[str, Any]
) -> None:
    """Compare the gradients of every layer with finite differences; exit code 1 if some differ."""
    if values["load_file"]:
        raise UsageError("--check-grads takes LAYERS and PARAMS, not -f")
    usual = {**values, "train_range": (1,), "test_range": (1,)}
    pair = _pair(layers, params, usual)
    prepared = prepare_pair(pair, with_recipe(pair, usual, given))

    from convnet_cfg.cli.running import check_gradients

    if check_gradients(prepared, values["verbose"]):
        sys.exit(1)
