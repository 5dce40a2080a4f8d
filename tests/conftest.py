"""What all tests share: the folders of material beside the repository, and a runner for commands."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"


def shared_folder(variable: str, name: str) -> Path:
    """Return a folder of test material, or skip the test that wants it."""
    folder = Path(os.environ.get(variable, SHARED / name))
    if not folder.is_dir():
        pytest.skip(f"no folder {folder} (set {variable} to where it is)")
    return folder


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Real configurations with what the original's parser made of them."""
    return shared_folder("CONVNET_CORPUS", "corpus")


@pytest.fixture(scope="session")
def golden() -> Path:
    """Numbers computed by the original's kernels."""
    return shared_folder("CONVNET_GOLDEN", "golden")


@pytest.fixture(scope="session")
def checkpoints() -> Path:
    """Checkpoint files written by the original programs."""
    return shared_folder("CONVNET_CHECKPOINTS", "checkpoints")


@pytest.fixture
def runner() -> CliRunner:
    """Runs commands in this process."""
    return CliRunner()
