"""What differs between two parameter files, in words."""

from __future__ import annotations

import pytest

from convnet_cfg.training.parameter_changes import changed_values

BEFORE = "[fc]\nepsW=0.1\nmomW=0.9,0.8\n"


@pytest.mark.parametrize(
    ("now", "lines"),
    [
        (BEFORE, []),
        ("# new\n[fc]\nmomW = 0.9,0.8 ; old\nEPSW: 0.1\n", []),
        (BEFORE.replace("0.1", "0.01"), ["[fc] epsW: 0.1 -> 0.01"]),
        (BEFORE + "wc=1\n", ["[fc] wc: new -> 1"]),
        ("[fc]\nepsW=0.1\n", ["[fc] momW: 0.9,0.8 -> gone"]),
        (BEFORE + "[DEFAULT]\nwc=2\n", ["[fc] wc: new -> 2"]),
        (BEFORE + "[other]\nwc=\n", ["[other] wc: new -> "]),
        ("[fc]\nmomW=0.9,\n  0.8\nepsw=1\n", ["[fc] epsw: 0.1 -> 1", "[fc] momW: 0.9,0.8 -> 0.9, 0.8"]),
        ("what is this", ["[fc] epsW: 0.1 -> gone", "[fc] momW: 0.9,0.8 -> gone"]),
    ],
)
def test_changed_values(now, lines):
    assert changed_values(BEFORE, now) == lines
