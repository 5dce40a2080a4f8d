"""What is about to be trained, on what, and how: the lines before a training."""

from __future__ import annotations

import click

from convnet_cfg.cli.lines import batch_list
from convnet_cfg.cli.output import print_remarks
from convnet_cfg.language.traps import traps
from convnet_cfg.optim import DECAYS
from convnet_cfg.training.setup import Prepared

LETTERS = "e, m, d: eps, mom, wc"


def describe(prepared: Prepared, verbose: bool) -> None:
    """Print the remarks on the files, and the lines."""
    network, options = prepared.network, prepared.options
    found = traps(network, options.decay, options.epochs)
    print_remarks((*network.remarks, *found), verbose)
    parameters = sum(layer.parameters for layer in network.layers)
    click.echo(f"network    {len(network.layers)} layers, {parameters:,} parameters; {network.dialect.title}")
    where = f" in {options.data_path}" if options.data_path else ""
    ranges = f"train on {batch_list(options.train_range)}, test on {batch_list(options.test_range)}"
    click.echo(f"data       {options.data_provider}{where}: {ranges}")
    factor = f", rates times {options.rate_factor:g}" if options.rate_factor != 1 else ""
    click.echo(
        f"training   to epoch {options.epochs}, minibatch {options.minibatch}, seed {options.seed}{factor}"
    )
    own = sorted(
        {
            matrix.rule.decay
            for layer in network.layers
            for matrix in layer.matrices
            if matrix.rule and matrix.rule.decay
        }
    )
    others = f"; by the parameter file also {', '.join(own)}" if own else ""
    click.echo(f"decay      {options.decay}: {DECAYS[options.decay].formula} ({LETTERS}){others}")
    counts = network.replica_counts
    if len(counts) > 1:
        many, few = counts[0], counts[-1]
        click.echo(
            f"parts      layers on {few} of {many} devices take a minibatch in {many // few} parts "
            "(--ignore-gpu: in one)"
        )
    for deviation in network.deviations:
        click.echo(f"deviation  {deviation}")
