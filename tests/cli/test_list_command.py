"""`convnet list`, and `convnet reproduce` without a recipe: what comes along."""

from __future__ import annotations

import pytest

from convnet_cfg.cli import main
from convnet_cfg.zoo import names


@pytest.mark.parametrize("command", ["list", "reproduce"])
def test_every_network_has_its_row(runner, command):
    done = runner.invoke(main, [command])
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    rows = {line.split()[0]: line for line in lines[2 : 2 + len(names())]}
    assert tuple(rows) == names()
    for word in (" cifar ", " 26% error ", " 145,578 ", "80 s published"):
        assert word in rows["cifar10-80sec"]
    assert " cifar-cropped " in rows["cifar10-conv-local-13pct"]
    assert "%" not in rows["digits"]
    assert any(line.startswith("convnet reproduce NAME ") for line in lines)


def test_a_narrow_terminal_wraps_words_and_cuts_nothing(runner, monkeypatch):
    monkeypatch.setattr("convnet_cfg.cli.output.is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "110")
    printed = runner.invoke(main, ["list"]).stdout
    assert "…" not in printed
    assert "─" in printed
    assert set(names()) <= set(printed.split())
    assert max(map(len, printed.splitlines())) <= 110
