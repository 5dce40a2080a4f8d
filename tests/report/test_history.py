"""The costs of epochs from lines of a log, with means worked by hand."""

import pytest

from convnet_cfg.report.history import EpochCosts, chosen, epoch_costs


def line(kind, epoch, batch, cases, *values):
    return {"kind": kind, "epoch": epoch, "batch": batch, "cases": cases, "costs": {"logprob": values}}


def test_means_over_cases():
    """Batches of 30 and 10 cases: (30 x 2 + 10 x 1) / 40 = 1.75, (30 x 0.5 + 10 x 0.1) / 40 = 0.4."""
    lines = line("train", 1, 1, 30, 2, 0.5), line("train", 1, 2, 10, 1, 0.1), line("test", 2, 1, 5, 3, 0.25)
    assert epoch_costs(lines) == [
        EpochCosts(1, {"logprob": (1.75, pytest.approx(0.4))}, {}),
        EpochCosts(2, {}, {"logprob": (3, 0.25)}),
    ]


def test_a_cost_that_was_infinite():
    (only,) = epoch_costs([line("train", 1, 1, 2, None), line("train", 1, 2, 2, 1)])
    assert only.train == {"logprob": (float("inf"),)}


def test_no_cases():
    """Checkpoints of other programs may have entries without cases."""
    (only,) = epoch_costs([line("train", 1, 1, 0, 2.5)])
    assert only.train == {"logprob": (0,)}


def test_no_lines():
    assert epoch_costs([]) == []


@pytest.mark.parametrize(
    ("epochs", "most", "expected"), [(3, 20, [1, 2, 3]), (20, 6, [4, 8, 12, 16, 20]), (7, 1, [7]), (0, 5, [])]
)
def test_evenly_spaced(epochs, most, expected):
    rows = [EpochCosts(number, {}, {}) for number in range(1, epochs + 1)]
    assert [row.epoch for row in chosen(rows, most)] == expected
