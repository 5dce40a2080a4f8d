"""Remarks on what has misled people before, each by a file worked by hand."""

import pytest

from convnet_cfg.language.traps import traps

NET = """
[data]
type=data
dataIdx=0
[fc]
type=fc
inputs=data
outputs=4
initW=0.1
[cost]
type=cost.sum2
inputs=fc
"""


def messages(load, weights="epsW=0.001\nwc=0.004\n", coefficient=1, decay="cuda-convnet", **options):
    params = f"[fc]\nepsB=0.001\nmomW=0.9\nmomB=0.9\n{weights}[cost]\ncoeff={coefficient}\n"
    return [remark.message for remark in traps(load(NET, params), decay, **options)]


@pytest.mark.parametrize("decay", ["cuda-convnet", "decoupled", "decoupled-lr", "none"])
def test_usual_numbers_are_no_trap(load, decay):
    assert messages(load, decay=decay) == []


@pytest.mark.parametrize(
    ("decay", "share"),  # of wc=4 at a rate of 0.5 and a momentum of 0.9
    [
        ("decoupled", 4),
        ("decoupled-schedule", 4),
        ("after-step", 4),
        ("decoupled-lr", 2),
        ("decoupled-matched", 20),
    ],
)
def test_a_decay_that_takes_everything(load, decay, share):
    (message,) = messages(load, "epsW=0.5\nwc=4\n", decay=decay)
    assert message.startswith(f"decay {decay!r} takes {share} times the weights off in each step: wc=4")
    (own,) = messages(load, f"epsW=0.5\nwc=4\ndecay={decay}\n")
    assert own == message


@pytest.mark.parametrize("decay", ["cuda-convnet", "l2", "none"])
def test_coupled_decays_take_nothing_off(load, decay):
    assert messages(load, "epsW=0.4\nwc=4\n", decay=decay) == []


def test_a_rate_of_one_with_a_coefficient(load):
    (message,) = messages(load, "epsW=1\nwc=0.00001\n", coefficient=0.1)
    assert message == (
        "the gradient counts with 1 times coeff=0.1, 0.1; a step decays by epsW times wc, 1e-05: "
        "change epsW, coeff and wc together only"
    )


def test_schedules_count_the_epochs(load):
    weights = "epsW=dexp[base=0.01;tgtFactor=250;numSteps=4]\nwc=0.0005\n"
    (message,) = messages(load, weights)
    assert message.endswith("as dexp does: they depend on --epochs (50000 if it is not given)")
    (message,) = messages(load, weights, epochs=90)
    assert message.endswith("they depend on --epochs=90")


def test_a_frozen_matrix_is_no_trap(load):
    assert messages(load, "epsW=0\nwc=4\n", decay="decoupled") == []
