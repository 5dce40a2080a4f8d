"""`convnet test`: evaluate a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from convnet_cfg.cli.arguments import RANGE, own_options, with_provider_options


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("run", metavar="RUN")
@click.option("--multiview", is_flag=True, help="Average predictions over nine or ten views of each case.")
@click.option("--test-range", type=RANGE, metavar="A-B", help="Batches to test on; else those of the run.")
@click.option("--data-provider", metavar="NAME", help="The data provider, if not that of the run.")
@click.option("--data-path", metavar="DIR", help="Where the data are, if not where they were.")
@with_provider_options
@own_options
@click.option(
    "--dropconnect-samples",
    "samples",
    type=click.IntRange(1),
    metavar="N",
    help="Layers of type fcdropcf: the mean of N draws, not the mean network.",
)
@click.option("--log-format", type=click.Choice(["plain", "convnet"]), default="plain", help="How to print.")
@click.option("-v", "--verbose", is_flag=True, help="Also show what TensorFlow says.")
@click.pass_context
def test(
    ctx: click.Context, /, run: str, samples: int | None, log_format: str, verbose: bool, **changes: Any
) -> None:
    """Test a RUN, from its newest checkpoint or the given checkpoint file, on all batches of its test range.

    Nothing in the run directory is changed.
    """
    from convnet_cfg.cli.values import given_values, run_changes
    from convnet_cfg.training.setup import modules_of, prepare_again

    with modules_of(Path(run)):
        given = run_changes(Path(run), given_values(ctx, changes))
        again = prepare_again(Path(run), given, training=False)

        from convnet_cfg.cli.running import test_again

        values = {"log_format": log_format, "verbose": verbose, "samples": samples}
        test_again(again, again.prepared.options.test_range, values)
