"""The first command that anybody tries."""

from __future__ import annotations

import re

import pytest


@pytest.mark.slow
def test_the_demo_learns_digits_and_says_what_next(convnet, the_run):
    printed = convnet("train", "digits").stdout
    (error,) = re.findall(r"final test .* error (.*)%  \(batch 4;", printed)
    assert float(error) <= 3
    run = f"runs/{the_run().name}"
    assert printed.splitlines()[-4:] == [
        f"The run directory is {run}",
        f"  test it again:      convnet test {run}",
        f"  train it further:   convnet-train -f {run} --epochs 25",
        f"  change its rates:   edit {run}/params.cfg, then train it further",
    ]
