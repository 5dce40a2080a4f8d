"""Write docs/reference.md."""

from __future__ import annotations

from pathlib import Path

from benchmarks.reference.built import examples
from benchmarks.reference.page import page

FILE = Path(__file__).parents[2] / "docs" / "reference.md"

if __name__ == "__main__":
    FILE.write_text(page(examples()))
