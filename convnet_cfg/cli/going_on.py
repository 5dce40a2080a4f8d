"""`convnet train -f`: going on with a run, testing it, or saying that nothing is left to train."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from convnet_cfg.cli.describe import describe_again
from convnet_cfg.cli.output import say
from convnet_cfg.cli.running import make_lines, say_what_next, test_again, train_again
from convnet_cfg.cli.values import run_changes
from convnet_cfg.training.record import recorded_final_test
from convnet_cfg.training.setup import PreparedAgain, modules_of, prepare_again
from convnet_cfg.training.transforming import Wishes, transform


def go_on(path: Path, values: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Go on with the run at a path, or test it; `given` are the options on the command line."""
    if "save_path" in given:
        say("note: no effect: --save-path (-f goes on in the run directory)")
    params = values["layer_params"] or values["params"]
    wishes = Wishes(values["conv_to_local"], values["unshare_weights"])
    with modules_of(path):
        path = _transformed(path, wishes, values, given) if wishes else path
        again = prepare_again(
            path,
            run_changes(path, given),
            Path(params) if params else None,
            training=not values["test_only"],
        )
        if values["test_only"]:
            test_again(again, _test_batches(again, given), values)
        elif again.is_done:
            _say_done(again, values)
        else:
            describe_again(again, values["verbose"])
            session = train_again(again, values).session
            say_what_next(session.run_directory.path, session.position.epoch)


def _transformed(path: Path, wishes: Wishes, values: Mapping[str, Any], given: Mapping[str, Any]) -> Path:
    """Make the run that is asked for, if all else can be done too, and return its directory."""
    again = prepare_again(path, run_changes(path, given), training=not values["test_only"])
    again.run.lock.release()
    made = transform(path, wishes)
    for line in made.done:
        click.echo(line)
    click.echo(f"new run    {made.path}")
    return made.path


def _test_batches(again: PreparedAgain, given: Mapping[str, Any]) -> tuple[int, ...]:
    """Return what `--test-only` tests: the first batch as in the original, all of them for several views."""
    options = again.prepared.options
    one = options.test_one and ("test_one" in given or not given.get("multiview"))
    return options.test_range[:1] if one else options.test_range


def _say_done(again: PreparedAgain, values: Mapping[str, Any]) -> None:
    """Say that nothing is left to train; make the final test if it is not in the record.

    No option is recorded but with that test.
    """
    options, provider = again.prepared.options, again.prepared.provider
    click.echo(f"nothing is left to train to epoch {options.epochs}: batch {again.position} is done")
    views = provider.views if options.multiview else 1
    known = recorded_final_test(again.record, again.position, options, views, again.params)
    if known is not None:
        make_lines(values["log_format"], options.epochs).tested(known, None)
        again.run.lock.release()
    else:
        test_again(again, options.test_range, {**values, "recorded": again.in_place})
    say_what_next(again.run.path, max(options.epochs, again.position.epoch))
