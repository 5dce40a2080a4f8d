"""Learning rates that change with the progress: how they are written, and values worked by hand."""

import math
import struct

import pytest

from convnet_cfg.language.kinds import ExplainedError, read_value
from convnet_cfg.language.schedules import (
    AX_SCHEDULES,
    EMDRP_SCHEDULES,
    V2_SCHEDULES,
    Progress,
    schedule_kind,
    shape_kind,
)

V2 = schedule_kind(V2_SCHEDULES)
AX = shape_kind(AX_SCHEDULES)


def rate(text, fraction, epochs=1, kind=V2):
    return read_value(kind, "epsW", text).rate(Progress(fraction, epochs))


@pytest.mark.parametrize(
    ("text", "fraction", "expected"),
    [
        ("0.001", 0.7, 0.001),
        (".5", 0.0, 0.5),
        ("12", 1.0, 12),
        ("const[base=0.01]", 0.3, 0.01),
        ("CONST[ Base = 0.01 ]", 0.3, 0.01),
        ("const[base=-1e-3]", 0.3, -1e-3),
        ("linear[base=1;tgtFactor=4]", 0.0, 1.0),
        ("linear[base=1;tgtFactor=4]", 0.5, 0.625),  # half of 1, and half of 1/4
        ("linear[base=1;tgtFactor=4]", 1.0, 0.25),
        ("exp[base=2;tgtFactor=16]", 0.5, 0.5),
        ("exp[base=2;tgtFactor=16]", 1.0, 0.125),
        # params.md section 8
        ("dexp[base=.01;tgtFactor=1000;numSteps=4]", 0.0, 0.01),
        ("dexp[base=.01;tgtFactor=1000;numSteps=4]", 0.25, 0.01),
        ("dexp[base=.01;tgtFactor=1000;numSteps=4]", 0.2500001, 0.001),
        ("dexp[base=.01;tgtFactor=1000;numSteps=4]", 0.5, 0.001),
        ("dexp[base=.01;tgtFactor=1000;numSteps=4]", 0.75, 0.0001),
        ("dexp[base=.01;tgtFactor=1000;numSteps=4]", 0.76, 0.00001),
        ("dexp[base=.01;tgtFactor=250;numSteps=1]", 0.0, 4e-5),
        ("dexp[base=.01;tgtFactor=250;numSteps=0]", 0.9, 4e-5),
    ],
)
def test_v2(text, fraction, expected):
    assert rate(text, fraction) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("steps", "next_one"), [(5, {0.2, 0.4, 0.6, 0.8}), (10, {0.3})])
def test_a_boundary_counts_as_single_precision_has_it(steps, next_one):
    """params.md section 3: with 10 steps 0.3 is beyond its boundary, 0.7 and 0.9 are not."""
    for fraction in (0.2, 0.4, 0.6, 0.8) if steps == 5 else (0.3, 0.7, 0.9):
        step = round(fraction * steps) - (fraction not in next_one)
        wanted = 1000.0 ** (-step / (steps - 1))
        assert rate(f"dexp[base=1;tgtFactor=1000;numSteps={steps}]", fraction) == pytest.approx(wanted)
        (single,) = struct.unpack("f", struct.pack("f", fraction))
        assert (single > fraction) == (fraction in next_one)


@pytest.mark.parametrize(
    ("fraction", "expected"),  # forks.md section 1.3, at a base rate of .01
    [
        (0.3, 0.0015874),
        (0.4, 0.0039842),
        (0.6, 0.00025198),
        (0.7, 0.00063246),
        (0.88, 0.00010040),
        (0.95, 4e-5),
    ],
)
def test_the_smoothed_steps_of_2012(fraction, expected):
    shape = read_value(AX, "schedW", "jdexp[tgtFactor=250,noiseStdev=0,numSteps=4]")
    assert shape.with_base(0.01).rate(Progress(fraction)) == pytest.approx(expected, rel=2e-4)


@pytest.mark.parametrize("text", ["default", "DEFAULT"])
def test_no_schedule_of_2012(text):
    assert read_value(AX, "schedW", text).with_base(0.3).rate(Progress(0.8)) == 0.3


def test_shapes_of_2012_take_their_base_from_elsewhere():
    shape = read_value(AX, "schedW", "exp[tgtFactor=1e2,noiseStdev=0]")
    assert shape.with_base(0.5).rate(Progress(0.5)) == pytest.approx(0.05)
    assert read_value(AX, "x", "linear[tgtFactor=2,noiseStdev=0]").with_base(1).rate(Progress(1.0)) == 0.5


@pytest.mark.parametrize(("fraction", "step"), [(0.0, 0), (0.04, 0), (0.06, 1), (0.5, 10), (1.0, 20)])
def test_steps_by_epochs(fraction, step):
    """10 epochs of 2 steps each make 21 steps, 0.0476 wide; each is a factor e^(-1 / (tau * 2))."""
    found = rate("texp[base=0.1;tau=3;stepsPerEpoch=2]", fraction, 10, schedule_kind(EMDRP_SCHEDULES))
    assert found == pytest.approx(0.1 * math.exp(-step / 6))


def test_shapes_are_compared_without_their_base():
    one, other = (read_value(V2, "x", f"exp[base={base};tgtFactor=3]") for base in (1, 2))
    assert one.same_shape(other)
    assert not one.same_shape(read_value(V2, "x", "exp[base=1;tgtFactor=4]"))
    assert not one.same_shape(read_value(V2, "x", "1"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "1e-3",
            "epsW must be a decimal number such as 0.001 (no sign, no exponent), or",
        ),
        ("-1", "epsW must be a decimal number"),
        ("5.", "epsW must be a decimal number"),
        ("dexq[base=1]", "no schedule 'dexq' (did you mean 'dexp'?): there are const, linear, exp, dexp"),
        (
            "dexp[base=1;numSteps=2;tgtFactor=4]",
            "schedule dexp takes base=, tgtFactor=, numSteps= in this order, got 'base=1, numSteps=2, ",
        ),
        ("linear[base=1]", "schedule linear takes base=, tgtFactor= in this order, got 'base=1'"),
        ("exp[base=1;tgtFactor=0]", "exp's tgtFactor must be a number > 0, got '0'"),
        ("dexp[base=1;tgtFactor=2;numSteps=4.0]", "dexp's numSteps must be an integer, got '4.0'"),
    ],
)
def test_what_is_refused(text, message):
    with pytest.raises(ExplainedError) as error:
        read_value(V2, "epsW", text)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "dexp[250,0,4]",
            "schedule dexp takes tgtFactor=, noiseStdev=, numSteps= in this order, got '250, 0, 4'",
        ),
        ("tanh[tgtFactor=2,noiseStdev=0]", "no schedule 'tanh'"),
        (
            "exp[tgtFactor=2,noiseStdev=0.1]",
            "exp's noiseStdev must be 0 (noise on rates is not",
        ),
    ],
)
def test_what_is_refused_of_2012(text, message):
    with pytest.raises(ExplainedError) as error:
        read_value(AX, "schedW", text)
    assert str(error.value).startswith(message)
