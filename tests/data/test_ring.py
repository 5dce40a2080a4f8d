"""16 shapes on a ring of 12 pixels, against drawings made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from convnet_cfg.data import open_provider
from convnet_cfg.data.ring import all_cases, windows
from convnet_cfg.errors import DataError, UsageError


def drawn(ring):
    return "".join(str(int(pixel)) for pixel in ring)


def found(cases):
    return {
        (int(shape), int(position)) for shape, position in zip(cases.shapes, cases.positions, strict=True)
    }


def test_every_shape_is_in_every_position_once_and_no_two_cases_look_the_same():
    cases = all_cases()
    assert found(cases) == {(shape, position) for shape in range(16) for position in range(12)}
    assert len({drawn(ring) for ring in cases.rings}) == len(cases.rings) == 192


@pytest.mark.parametrize(
    ("shape", "position", "ring"),
    [
        (0, 0, "100001000000"),
        (15, 6, "000000111111"),
        # Hinton's two examples of 0011 (Connectionists list, 22 February 1996).
        (0b0011, 3, "000100111000"),
        (0b0011, 1, "010011100000"),
        # Round the end.
        (0b0011, 8, "110000001001"),
        (0b0100, 11, "010010000001"),
    ],
)
def test_a_shape_is_two_bright_pixels_and_four_binary_digits_between(shape, position, ring):
    cases = all_cases()
    (index,) = np.flatnonzero((cases.shapes == shape) & (cases.positions == position))
    assert drawn(cases.rings[index]) == ring


def test_a_step_round_the_ring_is_a_rotation():
    cases = all_cases()
    rings = cases.rings.reshape(16, 12, 12)
    for position in range(12):
        np.testing.assert_array_equal(rings[:, (position + 1) % 12], np.roll(rings[:, position], 1, axis=1))


def test_windows_begin_at_each_pixel_and_go_round_the_end():
    (seen,) = windows(np.arange(12)[np.newaxis])
    expected = [[(start + step) % 12 for step in range(6)] for start in range(12)]
    np.testing.assert_array_equal(seen.reshape(12, 6), expected)


@pytest.mark.parametrize("split", [0, 1, 2])
def test_ten_positions_of_each_shape_are_for_training_and_no_case_is_in_both_batches(split):
    provider = open_provider("ring", split=split)
    trained, held_out = (found(provider.cases(number)) for number in (1, 2))
    assert trained.isdisjoint(held_out)
    assert (len(trained), len(held_out)) == (160, 32)
    for shape in range(16):
        assert sum(each == shape for each, _ in held_out) == 2


def test_the_split_is_the_same_for_the_same_number_and_another_for_another():
    splits = [found(open_provider("ring", split=split).cases(2)) for split in (3, 3, 4)]
    assert splits[0] == splits[1] != splits[2]
    # Drawn once; other numbers would be another experiment under the same name.
    assert sorted(position for shape, position in splits[0] if shape == 0) == [4, 11]


def test_arrays():
    provider = open_provider("ring", sweeps=3)
    rng = np.random.default_rng(0)
    seen, labels = provider.training_arrays(1, rng)
    assert (seen.shape, seen.dtype, labels.shape, labels.dtype) == ((480, 72), np.float32, (480,), np.int32)
    once = open_provider("ring").training_arrays(1, rng)
    for repeated, plain in zip((seen, labels), once, strict=True):
        np.testing.assert_array_equal(repeated, np.concatenate([plain] * 3))
    assert [len(array) for array in provider.test_arrays(2)] == [32, 32]
    assert (provider.shapes, provider.num_classes) == (((72,), (1,)), 16)


def test_what_there_is_not():
    with pytest.raises(DataError, match="3"):
        open_provider("ring").test_arrays(3)
    for wrong in ({"split": -1}, {"sweeps": 0}):
        with pytest.raises(UsageError, match="split must be 0 or more, sweeps 1 or more"):
            open_provider("ring", **wrong)
