"""What becomes of every pair of the corpus: agreement with the original's parser, and each exception.

`make corpus-report` writes docs/compatibility.md from it; the tests hold it to what it says.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.corpus_comparison import differences, read
from convnet_cfg.language.network import refused_functions

ROOT = Path(__file__).parents[1]
DEFAULT_FOLDER = ROOT.parent / "shared" / "corpus"
GPU_ONLY = re.compile(r"must be divisible by (4|16)\b")  # the end of the sentence in the original's messages

KERNELS_ONLY = "only the kernels of the GPU needed it"
OLDER = "the keys are those of an earlier year than the parser it was tried with: read as historic-v1"
TREE = "treefc takes a tree of classes from the data of that program"

AGREES, REFUSED, ACCEPTED, MISSING, WRONG = "agrees", "refused", "accepted", "names what is missing", "WRONG"


class Verdict(NamedTuple):
    """What became of one pair; `detail` is the message, or the reason for an exception."""

    name: str
    dialect: str  # the oracle's
    ours: str  # the dialect that we recognized, "" if the pair was refused
    expected: str  # ok, config, environment
    outcome: str
    detail: str


def folder() -> Path:
    """Return where the corpus is."""
    return Path(os.environ.get("CONVNET_CORPUS", DEFAULT_FOLDER))


def pairs(corpus: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield the folder and the oracle of each pair."""
    for path in sorted(corpus.glob("pairs/*/oracle.json")):
        yield path.parent, json.loads(path.read_text())


def judge(pair: Path, oracle: Mapping[str, Any]) -> Verdict:
    """Return what becomes of one pair."""
    primary = oracle["primary"]
    expected = "ok" if primary["status"] == "ok" else primary["error_kind"]
    network, message = read(pair, oracle)
    if network is None:
        outcome = WRONG if expected == "ok" else REFUSED
        return Verdict(pair.name, oracle["dialect"], "", expected, outcome, message)
    found = Verdict(pair.name, oracle["dialect"], network.dialect.name, expected, WRONG, "")
    if expected == "ok":
        wrong = [
            f"{layer}.{key}: {our!r}, not {their!r}"
            for layer, key, our, their in differences(network, oracle)
        ]
        return found._replace(outcome=WRONG if wrong else AGREES, detail="; ".join(wrong))
    if expected == "environment":
        missing = "; ".join(problem.message for problem in refused_functions(network, ()))
        return found._replace(outcome=MISSING if missing else WRONG, detail=missing)
    reason = _why_accepted(network.dialect.name, primary["error"])
    return found._replace(outcome=ACCEPTED if reason else WRONG, detail=reason or primary["error"])


def _why_accepted(dialect: str, error: str) -> str:
    """Return why a pair is accepted that the original's parser refused; "" if there is no reason."""
    if GPU_ONLY.search(error):
        return KERNELS_ONLY
    return OLDER if dialect == "historic-v1" else ""


def report(verdicts: list[Verdict], seconds: float) -> str:
    """Return docs/compatibility.md."""
    good = [verdict for verdict in verdicts if verdict.outcome != WRONG]
    lines = [
        "# Compatibility",
        "",
        f"`make corpus-report` reads {len(verdicts)} pairs of configuration files from public repositories,",
        "and compares what comes of each with what the original's own parser made of it: every layer, shape",
        "and parameter.",
        "",
        f"{len(good)} of {len(verdicts)} are as they should be; it took {seconds:.0f} seconds.",
        "",
        *_table(verdicts),
        "",
        "*agree*: accepted by both, the same in every field of every layer. *refused*: by both.",
        "*missing*: the original could not read the pair because a module, a saved network or part of the",
        "data was missing; here the error names it. *accepted*: refused by the original, accepted here,",
        "listed below.",
        "",
        "## Accepted, though the original refused them",
        "",
        *_listed(verdicts, ACCEPTED),
        "",
        "## Something outside the files is missing",
        "",
        *_listed(verdicts, MISSING),
        *[
            f"- `{verdict.name}`: {_first_line(verdict.detail)}"
            for verdict in verdicts
            if verdict.expected == "environment" and verdict.outcome == REFUSED
        ],
    ]
    if len(good) < len(verdicts):
        lines += ["", "## Not as it should be", "", *_listed(verdicts, WRONG)]
    return "\n".join(lines) + "\n"


def _table(verdicts: list[Verdict]) -> Iterator[str]:
    columns = (AGREES, REFUSED, MISSING, ACCEPTED, WRONG)
    yield "| recorded as | read as | pairs | agree | refused | missing | accepted | not as it should be |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for dialect in sorted({verdict.dialect for verdict in verdicts}):
        mine = [verdict for verdict in verdicts if verdict.dialect == dialect]
        counts = Counter(verdict.outcome for verdict in mine)
        read_as = ", ".join(sorted({verdict.ours for verdict in mine if verdict.ours}))
        numbers = " | ".join(str(counts[column] or "") for column in columns)
        yield f"| {dialect} | {read_as} | {len(mine)} | {numbers} |"


def _listed(verdicts: list[Verdict], outcome: str) -> list[str]:
    return [
        f"- `{verdict.name}`: {_first_line(verdict.detail)}"
        for verdict in verdicts
        if verdict.outcome == outcome
    ]


def _first_line(detail: str) -> str:
    """Return the first line of a message, without the path of the file."""
    return re.sub(r"^\S*/(layers|params)\.cfg:", r"\1.cfg:", detail.splitlines()[0] if detail else "")


def main() -> None:
    """Write the report; exit status 1 if a pair is not as it should be."""
    corpus = folder()
    start = time.perf_counter()
    verdicts = [judge(pair, oracle) for pair, oracle in pairs(corpus)]
    if not verdicts:
        sys.exit(f"no pairs in {corpus} (set CONVNET_CORPUS to where they are)")
    text = report(verdicts, time.perf_counter() - start)
    (ROOT / "docs" / "compatibility.md").write_text(text)
    print(text.split("## ")[0])
    sys.exit(any(verdict.outcome == WRONG for verdict in verdicts))


if __name__ == "__main__":
    main()
