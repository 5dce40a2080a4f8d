"""The costs that a checkpoint recorded, as the lines of a run's log (spec/checkpoints.md section 3.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from convnet_cfg.legacy.run_options import recorded
from convnet_cfg.legacy.values import Checkpoint, Outputs
from convnet_cfg.training.observer import Result
from convnet_cfg.training.position import Position, batches_done

if TYPE_CHECKING:
    from convnet_cfg.model import Cost

TRAINING, TESTS = "train_outputs", "test_outputs"


class Log(NamedTuple):
    """The lines of a log, in the order of the training, and what of the histories is not in it."""

    lines: list[dict[str, Any]]
    notes: list[str]


def log_of(checkpoint: Checkpoint, costs: Sequence[Cost]) -> Log:
    """Return the costs as means over the cases, each with the batch that it is of.

    The file has no positions: they are counted, which is right only if there are just as many batches as a
    training over the range of the file has had by then; and tests, as the batches between tests ask for.
    Otherwise no line is made.
    """
    train_range, test_freq = (recorded(checkpoint, name) for name in ("train_range", "test_freq"))
    notes: list[str] = []
    batches = _counted_batches(checkpoint, _batches_done(checkpoint, train_range), notes)
    tests = _entries(checkpoint, TESTS)
    if tests and (not batches or test_freq is None or len(tests) != len(batches) // test_freq):
        placed = bool(batches) and test_freq is not None
        expected = (
            f"they are not one after every {test_freq} batches"
            if placed
            else "no telling when they were made"
        )
        notes.append(f"{len(tests)} test costs: {expected}")
        tests = ()
    others = checkpoint.histories.keys() - {TRAINING, TESTS}
    notes += [f"{name}: a log here has no such costs" for name in sorted(others)]
    known = {cost.name: cost for cost in costs}
    lines = [
        _result(kind, position, outputs, checkpoint, known).to_json()
        for kind, position, outputs in _in_order(batches, tests, train_range or (), test_freq)
    ]
    return Log(lines, notes)


def _counted_batches(checkpoint: Checkpoint, done: int | None, notes: list[str]) -> tuple[Outputs, ...]:
    """Return the costs of the batches that were done, none if there are more of them or fewer."""
    batches = _entries(checkpoint, TRAINING)
    # cuda-convnet2 wrote in the background: the batch that followed may have come into the list by then.
    late = len(batches) - done if done is not None and checkpoint.program == "v2" else 0
    if late == 1:
        last = f"the last of {len(batches)} training costs"
        notes.append(f"{last}: its batch came after the weights were saved")
        return batches[:-1]
    if not batches or len(batches) == done:
        return batches
    expected = "no telling which batches they are of" if done is None else f"{done} batches were done by then"
    notes.append(f"{len(batches)} training costs: {expected}")
    return ()


def _entries(checkpoint: Checkpoint, name: str) -> tuple[Outputs, ...]:
    return checkpoint.histories.get(name, ())


def _batches_done(checkpoint: Checkpoint, train_range: Sequence[int] | None) -> int | None:
    """Return how many batches a training over a range has done, None if it cannot have come to this one."""
    if checkpoint.batch not in (train_range or ()):
        return None
    return batches_done(checkpoint.epoch, checkpoint.batch, train_range or ())


def _in_order(
    batches: Sequence[Outputs], tests: Sequence[Outputs], train_range: Sequence[int], test_freq: int | None
) -> Iterator[tuple[str, Position, Outputs]]:
    """Yield kind, position and costs of each batch and each test, a test behind its batch."""
    for number, outputs in enumerate(batches):
        epoch, place = divmod(number, len(train_range))
        position = Position(epoch + 1, train_range[place])
        yield "train", position, outputs
        test, rest = divmod(number + 1, test_freq or len(batches) + 1)
        if rest == 0 and test <= len(tests):
            yield "test", position, tests[test - 1]


def _result(
    kind: str, position: Position, outputs: Outputs, checkpoint: Checkpoint, costs: dict[str, Cost]
) -> Result:
    """Return an entry as our own runs have it; which batches a test was on is not recorded."""
    names = sorted(outputs.costs, key=lambda name: list(costs).index(name) if name in costs else len(costs))
    found = {
        name: outputs.costs[name]
        if checkpoint.outputs_are_means
        else _means(outputs.costs[name], outputs.cases, costs.get(name))
        for name in names
    }
    return Result(kind, position, found, outputs.cases)


def _means(sums: tuple[float, ...], cases: int, cost: Cost | None) -> tuple[float, ...]:
    """Return what is reported of sums over the cases, in which those of child costs are."""
    from convnet_cfg.training.reporting import summarized

    if cost is not None and cost.size == len(sums):
        return summarized(cost, np.array(sums), max(cases, 1))
    return tuple(value / max(cases, 1) for value in sums)
