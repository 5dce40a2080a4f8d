"""Charts in plain text, against drawings made by hand."""

from __future__ import annotations

from convnet_cfg.cli.chart import chart_lines


def drawn(curves, **size):
    return list(chart_lines("Error", curves, "steps", **size))


def test_two_curves_that_meet():
    curves = {"up": [(0, 0), (50, 50), (100, 100)], "level": [(0, 50), (100, 50)]}
    assert drawn(curves, width=5, height=3) == [
        "Error",
        " 100% |   oo",
        "      |++#++",
        "   0% |oo",
        "      +-----",
        "       0100 steps",
        "       o up   + level",
    ]


def test_a_column_shows_the_mean_of_its_points():
    lines = drawn({"one": [(1, 0), (1, 100), (4, 100)]}, width=4, height=3)
    assert lines[1:4] == [" 100% |  oo", "      | o", "   0% |"]


def test_no_points_and_a_single_one():
    assert drawn({"none": []}, width=3, height=3)[1:4] == [" 100% |", "      |", "   0% |"]
    assert drawn({"one": [(7, 120)]}, width=3, height=3)[1] == " 100% |  o"
