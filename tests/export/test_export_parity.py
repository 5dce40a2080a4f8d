"""How two outputs are compared, by values worked by hand."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from convnet_cfg.errors import ExportError
from convnet_cfg.export.inference import Inference, ports
from convnet_cfg.export.parity import BATCHES, LIMIT, greatest_difference, random_inputs, relative_difference

NAN, INF = np.nan, np.inf


@pytest.mark.parametrize(
    ("found", "wanted", "difference"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        ([1.0, 2.5], [1.0, 2.0], 0.25),
        ([1.0, -4.5], [1.0, -4.0], 0.125),
        ([0.0, 0.0], [0.0, 0.0], 0.0),
        ([1.0, NAN], [1.0, 2.0], INF),
        ([1.0, NAN], [1.0, NAN], 0.0),
        ([1.0, 2.0], [1.0, NAN], INF),
        ([INF, 3.0], [INF, 2.0], 0.5),
        ([-INF, 2.0], [INF, 2.0], INF),
        ([INF, 2.0], [1.0, 2.0], INF),
        ([NAN, NAN], [NAN, NAN], 0.0),
        ([[1.0, 2.0]], [1.0, 2.0], INF),
    ],
)
def test_the_difference_of_two_outputs(found, wanted, difference):
    assert relative_difference(np.array(found), np.array(wanted)) == difference


def exported(function):
    inputs = {"x": keras.Input((3,), name="x")}
    outputs = {"y": function(inputs["x"])}
    return Inference(keras.Model(inputs, outputs), ports(inputs), ports(outputs), {})


def test_inputs_are_of_all_sizes_and_scales_and_always_the_same():
    inference = exported(keras.ops.square)
    all_inputs = [inputs["x"] for inputs in random_inputs(inference)]
    assert sorted({len(inputs) for inputs in all_inputs}) == sorted(BATCHES)
    assert {1, 7} <= set(BATCHES)
    largest = [inputs for inputs in all_inputs if len(inputs) == max(BATCHES)]
    assert largest[0].std() == pytest.approx(1, rel=0.3)
    assert largest[1].std() == pytest.approx(64, rel=0.3)
    again = [inputs["x"] for inputs in random_inputs(inference)]
    assert all(np.array_equal(*pair) for pair in zip(all_inputs, again, strict=True))


def test_equal_and_nearly_equal_outputs():
    inference = exported(lambda x: x + 0)
    assert greatest_difference(inference, lambda arrays: {"y": arrays["x"]}) == 0
    near = greatest_difference(inference, lambda arrays: {"y": arrays["x"] * np.float32(1 + LIMIT / 2)})
    assert near == pytest.approx(LIMIT / 2, rel=0.01)


def test_another_output_is_refused():
    inference = exported(lambda x: x + 0)
    with pytest.raises(ExportError, match="computes something else than the network: y is off by 2.0e-04"):
        greatest_difference(inference, lambda arrays: {"y": arrays["x"] * np.float32(1 + 2 * LIMIT)})
    with pytest.raises(ExportError, match="y is off by inf"):
        greatest_difference(inference, lambda arrays: {"y": np.full_like(arrays["x"], NAN)})


def test_a_network_of_nothing_but_nan_is_refused():
    inference = exported(lambda x: x * NAN)
    with pytest.raises(ExportError, match="not finite numbers: its training has gone astray"):
        greatest_difference(inference, lambda arrays: {"y": arrays["x"] * NAN})
