"""Where a training stands, which batch comes next, and in which order checkpoints are."""

from __future__ import annotations

import pytest

from convnet_cfg.training.position import Position, batches_done


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("0.0", Position()),
        ("12.3", Position(12, 3)),
        ("1.6+256", Position(1, 6, 256)),
        ("1.6+0", Position(1, 6, 0)),
    ],
)
def test_names(text, position):
    assert str(position) == text
    assert Position.parse(text) == position


@pytest.mark.parametrize("text", ["", "1", "1.2.3", "best", "1.x", "1.2+", "1.2+x"])
def test_what_is_no_name(text):
    with pytest.raises(ValueError, match="unpack|invalid literal"):
        Position.parse(text)


def test_order():
    names = ["0.0", "1.2+64", "1.2+128", "1.2", "1.10", "2.1+0", "9.5", "10.2"]
    assert sorted(map(Position.parse, reversed(names)), key=lambda found: found.order) == [
        *map(Position.parse, names)
    ]


@pytest.mark.parametrize(
    ("done", "batches", "following"),
    [
        ("0.0", (4, 5), (1, 4)),
        ("1.4", (4, 5), (1, 5)),
        ("1.5", (4, 5), (2, 4)),
        ("3.5+64", (4, 5), (3, 5)),
        ("3.2", (4, 5), (3, 4)),
        ("3.2+64", (4, 5), (3, 4)),
        ("3.2", (1, 3), (3, 3)),
        ("3.3", (1, 2), (4, 1)),
        ("3.3+64", (1, 2), (4, 1)),
        ("3.6", (6,), (4, 6)),
    ],
)
def test_the_next_batch(done, batches, following):
    assert Position.parse(done).next_batch(batches) == following


def test_positions_only_grow():
    batches = (1, 2, 3, 4)
    ranges = [batches[first:last] for first in range(4) for last in range(first + 1, 5)]
    for done in ("0.0", *(f"2.{number}{part}" for number in batches for part in ("", "+8"))):
        position = Position.parse(done)
        for following in ranges:
            assert Position(*position.next_batch(following)).order > position.order


def test_how_many_batches_are_done():
    assert [batches_done(1, 3, (3, 4, 5)), batches_done(1, 5, (3, 4, 5)), batches_done(4, 4, (3, 4, 5))] == [
        1,
        3,
        11,
    ]
