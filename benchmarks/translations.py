"""Translates every network of the corpus, and compares what the files compute with what we do.

`make translations` writes docs/translations.md, about Keras; with the argument torch, about PyTorch. The
files are imported where convnet_cfg is not importable. Networks of more than LIMIT MB of values and
weights, or of the number of MB given as an argument, are translated, but not run.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from benchmarks.corpus import ROOT, folder, pairs
from benchmarks.corpus_comparison import read
from benchmarks.corpus_networks import needed_bytes
from benchmarks.translation_cases import LANGUAGES, Case, Language, make_case, write_case
from convnet_cfg.errors import ConfigError
from convnet_cfg.export.source.shapes import data_shapes
from convnet_cfg.language import Network

LIMIT = 400  # MB
TOLERANCE = 1e-5
PRECISE = 1e-9  # in double precision
IN_A_PROCESS = 1_200_000_000  # bytes of networks that one process runs
KINDS = ("output", "cost", "gradient", "stepped")
SINGLE = dict.fromkeys(KINDS, TOLERANCE)
DOUBLE = dict.fromkeys(KINDS, PRECISE) | {"stepped": 1e-7}  # rates that change are single precision always
HERE = Path(__file__).parent


class Comparison(NamedTuple):
    """What came of one network: errors by array, or why it failed."""

    name: str
    errors: dict[str, float]
    failed: str = ""

    def worst(self, kind: str) -> float:
        """Return the largest error of the arrays of a kind: output, cost, gradient, stepped."""
        return max(
            (error for key, error in self.errors.items() if key.partition("/")[0] == kind), default=0.0
        )


def compare(cases: Sequence[Case], folder: Path, dtype: str = "float32") -> Iterator[Comparison]:
    """Yield what comes of networks, in one process in which convnet_cfg cannot be imported."""
    for child in {case.language.child for case in cases}:
        yield from run_child({write_case(case, folder, dtype): case.name for case in cases}, folder, child)


def run_child(
    names: Mapping[str, str], folder: Path, child: str = LANGUAGES["keras"].child
) -> Iterator[Comparison]:
    """Yield what comes of the translations in a folder; `names` are those of the networks by file."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    command = [
        sys.executable,
        "-W",
        "error",
        "-W",
        "ignore:__array__:DeprecationWarning",
        str(HERE / child),
        str(folder),
        *names,
    ]
    with (
        (folder / "errors").open("w") as said,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True, env=environment) as process,
    ):
        assert process.stdout is not None
        left = dict(names)
        for answer in (json.loads(line) for line in process.stdout if line.startswith("{")):
            name = left.pop(answer["name"])
            yield Comparison(name, answer.get("errors", {}), answer.get("failed", ""))
    for name in left.values():
        why = f"{(folder / 'errors').read_text()[-2000:]}\nthe process ended with {process.returncode}"
        yield Comparison(name, {}, why)


# -- the corpus


class Verdict(NamedTuple):
    """What became of a network of the corpus; `problem` is empty if its translation is right."""

    names: list[str]
    bytes: int
    lines: int
    comparison: Comparison | None
    problem: str = ""
    refused: str = ""
    rounded: str = ""  # what differs in single precision, and not in double precision


def structure(network: Network) -> str:
    """Return what two networks have in common whose translations differ in names and numbers only."""
    numbers = {layer.name: index for index, layer in enumerate(network.layers)}
    facts = [
        (
            repr(replace(layer.spec, inputs=(), neuron=None)),
            layer.spec.neuron and layer.spec.neuron.text,
            [numbers[source.name] for source in layer.inputs],
            layer.output.size,
            [tuple(matrix.shape) for matrix in layer.matrices],
            type(layer.params).__name__,
            bool(layer.params and layer.params.dropout),
        )
        for layer in network.layers
    ]
    return hashlib.sha256(repr([network.nominal_average, facts]).encode()).hexdigest()


def distinct(corpus: Path) -> list[tuple[Network, list[str]]]:
    """Return one network for each structure among the accepted pairs, and the names of all that have it.

    The smallest come first.
    """
    found: dict[str, tuple[Network, list[str]]] = {}
    for pair, oracle in pairs(corpus):
        if oracle["primary"]["status"] == "ok" and (network := read(pair, oracle).network) is not None:
            found.setdefault(structure(network), (network, []))[1].append(pair.name)
    return sorted(found.values(), key=lambda each: needed_bytes(each[0]))


def judge(networks: Sequence[tuple[Network, list[str]]], to: str, limit: int) -> Iterator[Verdict]:
    """Yield what becomes of some networks, all in one process but for those of more than `limit` MB."""
    cases, verdicts = [], {}
    for network, names in networks:
        needed = needed_bytes(network)
        try:
            case = make_case(names[0], network, data_shapes(network), to=to)
        except ConfigError as error:
            yield Verdict(names, needed, 0, None, refused=error.problems[0].message)
            continue
        verdicts[case.name] = Verdict(names, needed, case.source.text.count("\n"), None)
        if needed > limit * 10**6:
            yield verdicts[case.name]
        else:
            cases.append(case)
    with tempfile.TemporaryDirectory(prefix="convnet-translations-") as place:
        for found in compare(cases, Path(place)):
            verdict = verdicts[found.name]._replace(comparison=found, problem=problem_of(found, SINGLE))
            differs = verdict.problem and not found.failed
            yield again(verdict, cases) if differs else verdict


def again(verdict: Verdict, cases: Sequence[Case]) -> Verdict:
    """Return what becomes of a network in double precision, where rounding cannot be what differs.

    It has a folder of its own, as the others of its process go on meanwhile.
    """
    (case,) = (case for case in cases if case.name == verdict.names[0])
    with tempfile.TemporaryDirectory(prefix="convnet-translations-") as place:
        (found,) = compare([case], Path(place), "float64")
    problem = problem_of(found, DOUBLE)
    return verdict._replace(rounded="" if problem else verdict.problem, problem=problem)


def problem_of(found: Comparison, tolerances: Mapping[str, float]) -> str:
    """Return what is wrong with what a translation computes; `tolerances` are those of each kind of array."""
    if found.failed:
        return found.failed.strip().splitlines()[-1]
    wrong = [f"{kind} {found.worst(kind):.1e}" for kind in KINDS if not found.worst(kind) <= tolerances[kind]]
    return ", ".join(wrong)


def groups(networks: Sequence[tuple[Network, list[str]]]) -> Iterator[list[tuple[Network, list[str]]]]:
    """Yield the networks in groups that one process can run."""
    group: list[tuple[Network, list[str]]] = []
    for each in networks:
        if group and sum(needed_bytes(network) for network, _ in (*group, each)) > IN_A_PROCESS:
            yield group
            group = []
        group.append(each)
        if len(group) == 16:
            yield group
            group = []
    if group:
        yield group


def main() -> None:
    """Translate every network; exit status 1 if a translation is not right."""
    start = time.perf_counter()
    networks = distinct(folder())
    to = next((each for each in sys.argv[1:] if each in LANGUAGES), "keras")
    limit = next((int(each) for each in sys.argv[1:] if each not in LANGUAGES), LIMIT)
    verdicts = []
    for group in groups(networks):
        for verdict in judge(group, to, limit):
            verdicts.append(verdict)
            print(line(verdict), flush=True)
    page = ROOT / "docs" / PAGES[to]
    command = " ".join(["python -m benchmarks.translations", *sys.argv[1:]])
    page.write_text(report(verdicts, time.perf_counter() - start, LANGUAGES[to], limit, command))
    sys.exit(any(verdict.problem for verdict in verdicts))


PAGES = {"keras": "translations.md", "torch": "translations-to-pytorch.md"}


def report(verdicts: Sequence[Verdict], seconds: float, language: Language, limit: int, command: str) -> str:
    """Return the page that `command` writes; networks of up to `limit` MB were run."""
    rounded = [verdict for verdict in verdicts if verdict.rounded]
    right = [verdict for verdict in verdicts if verdict.comparison and not verdict.problem]
    compared = [verdict for verdict in right if not verdict.rounded]
    written = [verdict for verdict in verdicts if not verdict.comparison and not verdict.refused]
    refused = [verdict for verdict in verdicts if verdict.refused]
    wrong = [verdict for verdict in verdicts if verdict.problem]
    sizes = sorted(verdict.lines for verdict in verdicts if verdict.lines)
    lines = [
        f"# The networks of the corpus, translated into {language.title}",
        "",
        f"`{command}` translates the network of every accepted pair",
        "(docs/compatibility.md), as `convnet translate` does, and imports the files in processes in which",
        "this package cannot be imported. Each gets weights and made-up data of three cases, and must",
        f"compute what our own network computes, to {TOLERANCE:g} of the largest value of each array in",
        "single precision: the outputs in tests; the cost and its gradients by all",
        "weights, with nothing dropped; and the weights after two",
        "steps of its optimizer, which are compared with the formulas in NumPy. Networks of more than",
        f"{limit} MB of values and weights are translated and not run. Pairs whose definitions",
        "differ in names and in first values only are one network.",
        "",
        f"| networks | pairs | it took {seconds / 60:.0f} minutes |",
        "| ---: | ---: | --- |",
        *(
            f"| {len(group)} | {sum(len(verdict.names) for verdict in group)} | {what} |"
            for group, what in (
                (compared, "agree"),
                (rounded, "agree in double precision only: in single precision rounding differs by more"),
                (written, "translated, not run"),
                (refused, "refused, for the reasons below"),
                (wrong, "do not agree"),
            )
        ),
        "",
        f"The files have {sizes[0]} to {sizes[-1]} lines, half of them up to {sizes[len(sizes) // 2]}. The",
        "differences, in units of the largest value of each array:",
        "",
        "| of | half of the networks | nine of ten | all that agree |",
        "| --- | ---: | ---: | ---: |",
        *(_quantiles(kind, compared) for kind in KINDS),
        "",
        *(
            f"- `{name}`: {verdict.refused or verdict.problem or f'{verdict.rounded} in single precision'}"
            for verdict in (*refused, *wrong, *rounded)
            for name in verdict.names
        ),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _quantiles(kind: str, verdicts: Sequence[Verdict]) -> str:
    errors = sorted(verdict.comparison.worst(kind) for verdict in verdicts if verdict.comparison)
    chosen = (errors[len(errors) // 2], errors[len(errors) * 9 // 10], errors[-1])
    names = {"output": "outputs", "cost": "the cost", "gradient": "gradients", "stepped": "updated weights"}
    return f"| {names[kind]} | {' | '.join(f'{error:.1e}' for error in chosen)} |"


def line(verdict: Verdict) -> str:
    """Return what is printed of a network."""
    found = verdict.comparison
    errors = " ".join(f"{found.worst(kind):.1e}" for kind in KINDS) if found and not found.failed else ""
    what = (
        verdict.refused
        and f"refused: {verdict.refused}"
        or verdict.problem
        or (verdict.rounded and f"agrees in double precision; {verdict.rounded}")
        or ("agrees" if found else "written")
    )
    return f"{verdict.bytes / 1e6:7.1f} MB {errors:31} {verdict.names[0]}: {what}"


if __name__ == "__main__":
    main()
