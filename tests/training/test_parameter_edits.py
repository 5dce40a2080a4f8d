"""A parameter file edited before a resume counts from then on; the change is recorded; nothing reverts it."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_runs import (
    FLAT_PARAMS,
    PARAMS,
    arrays,
    flat_options,
    options,
    record,
    resume,
    start,
    train,
    write_pair,
)

from convnet_cfg.errors import CheckpointError, ConfigError, UsageError
from convnet_cfg.training.setup import prepare_again
from convnet_cfg.training.state import state_arrays

FROZEN = FLAT_PARAMS.replace("epsW=0.001", "epsW=0").replace("epsB=0.002", "epsB=0")
SLOWER = FLAT_PARAMS.replace("epsW=0.001", "epsW=0.0001")


@pytest.fixture
def run(flat_pair, data):
    """A run of one epoch."""
    return train(start(flat_pair, flat_options(data, epochs=1)))


def rates(run, **given):
    """Return the learning rates that a resumed run would train with."""
    session = resume(run, **given)
    session.close()
    return {name: group.learning_rate for name, group in session.built.optimizer.groups.items()}


def test_the_copy_in_the_run_directory(run, flat_pair):
    (run / "params.cfg").write_text(FROZEN)
    before = arrays(run)
    train(resume(run, epochs=2))
    after = arrays(run)
    for name in before:
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)
    (change,) = record(run)["changes"]
    assert change["at"] == "1.3"
    assert change["options"] == {"epochs": [1, 2]}
    assert "-epsW=0.001" in change["params"]["diff"]
    assert "+epsW=0" in change["params"]["diff"]
    assert (flat_pair / "net.params.cfg").read_text() == FLAT_PARAMS


def test_the_original_file(run, flat_pair):
    (flat_pair / "net.params.cfg").write_text(SLOWER)
    assert rates(run)["fc10/kernel"] == pytest.approx(1e-4)
    assert (run / "params.cfg").read_text() == SLOWER
    (change,) = record(run)["changes"]
    assert "+epsW=0.0001" in change["params"]["diff"]


def test_another_file_from_now_on(run, tmp_path):
    other = tmp_path / "other.cfg"
    other.write_text(SLOWER)
    assert rates(run, params=other)["fc10/kernel"] == pytest.approx(1e-4)
    assert rates(run)["fc10/kernel"] == pytest.approx(1e-4)
    other.write_text(FROZEN)
    assert rates(run)["fc10/kernel"] == 0
    assert len(record(run)["changes"]) == 2


def test_both_edited(run, flat_pair):
    (run / "params.cfg").write_text(FROZEN)
    (flat_pair / "net.params.cfg").write_text(SLOWER)
    with pytest.raises(UsageError, match="both .* were edited .*--layer-params"):
        prepare_again(run, {})


def test_both_edited_alike(run, flat_pair):
    (run / "params.cfg").write_text(SLOWER)
    (flat_pair / "net.params.cfg").write_text(SLOWER)
    assert rates(run)["fc10/kernel"] == pytest.approx(1e-4)


@pytest.mark.parametrize("choose", ["inside", "outside"])
def test_both_edited_and_one_named(run, flat_pair, choose):
    (run / "params.cfg").write_text(FROZEN)
    (flat_pair / "net.params.cfg").write_text(SLOWER)
    chosen = {"inside": run / "params.cfg", "outside": flat_pair / "net.params.cfg"}[choose]
    rate = {"inside": 0, "outside": 1e-4}[choose]
    assert rates(run, params=chosen)["fc10/kernel"] == pytest.approx(rate)
    assert rates(run)["fc10/kernel"] == pytest.approx(rate)
    assert len(record(run)["changes"]) == 1


def test_an_edit_is_not_reverted_by_the_old_file_outside(run, flat_pair):
    (run / "params.cfg").write_text(FROZEN)
    assert rates(run)["fc10/kernel"] == 0
    assert rates(run)["fc10/kernel"] == 0
    (flat_pair / "net.params.cfg").unlink()
    assert rates(run)["fc10/kernel"] == 0
    assert len(record(run)["changes"]) == 1


def test_options_stay_changed(run):
    assert rates(run, rate_factor=0.1, epochs=5)["fc10/kernel"] == pytest.approx(1e-4)
    assert rates(run)["fc10/kernel"] == pytest.approx(1e-4)
    assert record(run)["options"]["epochs"] == 5
    assert [change["options"] for change in record(run)["changes"]] == [
        {"epochs": [1, 5], "rate_factor": [1.0, 0.1]}
    ]


def test_a_mistake_in_the_edited_file(run):
    (run / "params.cfg").write_text(FLAT_PARAMS.replace("momW", "monW"))
    with pytest.raises(ConfigError, match=r"params.cfg:5:1: \[fc10\] .*momW"):
        prepare_again(run, {})


def test_an_edited_definition_is_refused(run):
    (run / "layers.cfg").write_text((run / "layers.cfg").read_text() + "\n# a comment\n")
    with pytest.raises(CheckpointError, match="was changed since the run began"):
        prepare_again(run, {})


@pytest.mark.parametrize(("before", "now"), [("dropout=0.5", ""), ("wc=0.004", "wc=0.004\ndropout=0.2")])
def test_dropout_that_comes_or_goes(tmp_path, data, before, now):
    """The weights are still those of the network; masks of a layer that had none begin anew."""
    write_pair(tmp_path, params=PARAMS if "dropout" in before else PARAMS.replace("dropout=0.5\n", ""))
    run = train(start(tmp_path, options(data, epochs=1)))
    weights = arrays(run)
    (run / "params.cfg").write_text((run / "params.cfg").read_text().replace(before, now))
    session = resume(run, epochs=2)
    for name in ("conv1/kernel", "fc10/bias/velocity"):
        np.testing.assert_array_equal(state_arrays(session.built)[name], weights[name])
    train(session)
    assert ("conv1/dropout/state" in arrays(run)) is ("dropout" in now)


def test_the_rate_at_the_start_is_kept_for_the_schedule(run, flat_pair):
    """decoupled-schedule: e / e0 follows an edit of the rate, so e0 must stay."""
    session = resume(run, rate_factor=0.1, decay="decoupled-schedule")
    session.close()
    group = session.built.optimizer.groups["fc10/kernel"]
    assert (group.learning_rate, group.base_learning_rate) == pytest.approx((1e-4, 1e-3))
