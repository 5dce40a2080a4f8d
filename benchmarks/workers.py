"""The other end of the pipes to the workers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.nets import ROOT


class RemoteWorker:
    """Starts a worker and sends it commands; it computes only while one is under way."""

    def __init__(self, side: str, net: str, folder: Path, random_crops: bool = True) -> None:
        self.side = side
        self.log = folder.parent / f"{side}.log"
        crops = "random" if random_crops else "centre"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", side, net, str(folder), crops],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log.open("a"),
            text=True,
            cwd=ROOT,
        )
        self._answer()

    def tell(self, command: str, **keywords: Any) -> Any:
        """Send a command and return its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([command, keywords]) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker of {self.side} ended:\n{self.log.read_text()[-4000:]}")
        return json.loads(line)

    def close(self) -> None:
        """Let it end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def __enter__(self) -> RemoteWorker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
