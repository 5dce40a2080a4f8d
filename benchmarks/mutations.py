"""Configurations changed at random: each must be accepted, or refused with words, quickly and in little room.

`python -m benchmarks.mutations --count 100000` tries so many and prints what came of them; `--show NUMBER`
prints the files of one. The numbers decide everything: a number means the same files on every machine.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import resource
import signal
import sys
import tempfile
import time
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from math import isfinite, prod
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from benchmarks.mutators import MUTATORS, Draft, Lines, junk
from convnet_cfg.errors import ConfigError, Problem, Severity, UsageError
from convnet_cfg.language import (
    MODES,
    Network,
    Reading,
    build_network,
    guess_dims,
    read_pair,
    refused_decay,
    refused_functions,
)
from convnet_cfg.language.describe import describe
from convnet_cfg.language.layout import layout_of
from convnet_cfg.language.schedules import Progress

ROOT = Path(__file__).parents[1]
FOLDERS = (ROOT / "tests" / "corpus" / "seeds", ROOT / "layers")

MAX_SECONDS = 1.0  # of a processor, for all that `convnet check` does
MAX_GROWTH = 200.0  # megabytes, of all cases of a process together
PATIENCE = 30.0  # seconds of a processor after which a case is given up
MAX_MESSAGE = 1000  # characters
USUAL_DIMS = (3072, 1)
JUNK_SHARE = 0.1
CHUNK = 250

Result = TypeVar("Result")

ACCEPTED, REFUSED, FAILED = "accepted", "refused", "FAILED"


class Seed(NamedTuple):
    """A good pair of files, as lines."""

    name: str
    layers: Lines
    params: Lines


class Case(NamedTuple):
    """A pair that something was done to, and how it is read."""

    number: int
    story: str
    layers: bytes
    params: bytes
    mode: str = "default"
    classes: int | None = None
    with_params: bool = True


class Outcome(NamedTuple):
    """What came of a case; `detail` says of a failure what is wrong."""

    case: Case
    result: str
    dialect: str
    seconds: float
    detail: str = ""


class Unacceptable(Exception):
    """An answer that nobody should get."""


class Overtime(BaseException):
    """A case takes so long that it is given up."""


@cache
def seeds() -> Sequence[Seed]:
    """Return all good pairs."""
    found = []
    for folder in FOLDERS:
        for params in sorted(folder.glob("*.params.cfg")):
            # Parameters of a later stage of a recipe go with the definition of the first.
            name = params.name.removesuffix(".params.cfg").partition(".stage")[0]
            texts = ((folder / f"{name}.cfg").read_text(), params.read_text())
            found.append(Seed(name, *(text.splitlines() for text in texts)))
    return found


@cache
def known_values() -> Mapping[str, Sequence[str]]:
    """Return what the good pairs say of each key, lower-cased."""
    values: dict[str, list[str]] = defaultdict(list)
    for seed in seeds():
        for line in (*seed.layers, *seed.params):
            key, sign, value = line.partition("=")
            if sign and key.strip():
                values[key.strip().lower()].append(value.strip())
    return values


def make(number: int) -> Case:
    """Return the case of a number: one of the good pairs, changed one to six times."""
    chance = random.Random(number)
    seed = chance.choice(seeds())
    pairs = [(seed.layers, seed.params) for seed in seeds()]
    draft = Draft(list(seed.layers), list(seed.params), known_values(), pairs)
    weights = [weight for _, weight in MUTATORS.values()]
    names = chance.choices(list(MUTATORS), weights, k=chance.choice((1, 1, 1, 1, 2, 2, 3, 6)))
    for name in names:
        MUTATORS[name][0](draft, chance)
    files = ["\n".join(lines).encode() for lines in (draft.layers, draft.params)]
    if chance.random() < JUNK_SHARE:
        which = chance.randrange(2)
        files[which] = junk(files[which], chance)
        names.append("junk")
    return Case(
        number,
        f"{seed.name}: {', '.join(names)}",
        *files,
        mode=chance.choice(list(MODES)),
        classes=chance.choice((None, None, 10)),
        with_params=chance.random() < 0.9,
    )


def judge(case: Case, folder: Path) -> Outcome:
    """Return what comes of a case, of the faster of two attempts; its files are written to a folder."""
    outcome = _attempt(case, folder)
    return _attempt(case, folder) if outcome.seconds > MAX_SECONDS else outcome


def _attempt(case: Case, folder: Path) -> Outcome:
    paths = [folder / "net.cfg", folder / "net.params.cfg"]
    for path, content in zip(paths, (case.layers, case.params), strict=True):
        path.write_bytes(content)
    clock = Clock()
    network, detail = None, ""
    try:
        with _patience():
            network = _check(case, *paths, clock)
    except Unacceptable as error:
        detail = str(error)
    except (Exception, Overtime) as error:
        detail = f"{type(error).__name__}: {str(error)[:300]}"
    seconds = clock.seconds
    if not detail and seconds > MAX_SECONDS:
        detail = f"took {seconds:.2f} s"
    result = FAILED if detail else ACCEPTED if network else REFUSED
    return Outcome(case, result, network.dialect.name if network else "", seconds, detail)


@contextmanager
def _patience() -> Iterator[None]:
    def give_up(number: int, frame: Any) -> None:
        raise Overtime(f"more than {PATIENCE:g} s")

    before = signal.signal(signal.SIGVTALRM, give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


class Clock:
    """Knows the seconds of a processor that calls took: of each function, those of its longest call."""

    def __init__(self) -> None:
        self.longest: Counter[str] = Counter()

    def time(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Return what a function returns."""
        start = time.process_time()
        try:
            return function(*arguments)
        finally:
            seconds = time.process_time() - start
            self.longest[function.__name__] = max(self.longest[function.__name__], seconds)

    @property
    def seconds(self) -> float:
        """The seconds of all functions, each called once."""
        return sum(self.longest.values())


def _check(case: Case, layers: Path, params: Path, clock: Clock) -> Network | None:
    """Do what `convnet check` does, once with the sizes that it guesses and once with the usual ones."""
    files = {str(layers): case.layers, str(params): case.params}
    lengths = {name: content.count(b"\n") + content.count(b"\r") + 1 for name, content in files.items()}
    try:
        pair = clock.time(read_pair, layers, params if case.with_params else None, Reading(case.mode))
        guess = clock.time(guess_dims, pair, case.classes)
    except (ConfigError, UsageError) as error:
        _examine(error, lengths)
        return None
    network = None
    for dims in (USUAL_DIMS, guess.dims):
        try:
            network = clock.time(build_network, pair, dims, case.classes)
        except ConfigError as error:
            _examine(error, lengths)
            network = None
        else:
            _examine_description(network, clock.time(describe, network), lengths)
            _examine_network(network)
    return network


def _examine_description(network: Network, values: dict[str, Any], lengths: Mapping[str, int]) -> None:
    described = json.loads(json.dumps(values, allow_nan=False))
    if [layer["name"] for layer in described["layers"]] != [layer.name for layer in network.in_file_order()]:
        raise Unacceptable("the description is not of this network")
    if not described["recognized_by"].isprintable():
        raise Unacceptable(f"not for a terminal: {described['recognized_by']!r}")
    for problem in network.remarks:
        _examine_problem(problem, lengths)


def _examine_network(network: Network) -> None:
    """Raise Unacceptable unless the network can be worked with."""
    outputs = {layer.name: layer.output for layer in network.layers}
    for layer in network.layers:
        if any(outputs[source.name] != source.output or source.output.size < 1 for source in layer.inputs):
            raise Unacceptable(f"{layer.name} does not get what its inputs give")
    for owned in network.owned():
        layout = layout_of(owned.layer, owned.input, {})
        if not prod(layout.axes) == prod(layout.shape) == owned.matrix.size > 0:
            raise Unacceptable(f"{owned.name} is {tuple(owned.matrix.shape)}, but laid out {layout}")
        if owned.matrix.rule is not None:
            for progress in (0.0, 0.3, 1.0):
                if not isfinite(owned.matrix.rule.schedule.rate(Progress(progress, epochs=10))):
                    raise Unacceptable(f"{owned.name} has an infinite rate")
    refused_decay(network, "decoupled-matched")
    refused_functions(network, ())
    if not network.labels <= outputs.keys() or not network.child_costs <= outputs.keys():
        raise Unacceptable("labels or children that are not there")


def _examine(error: ConfigError | UsageError, lengths: Mapping[str, int]) -> None:
    """Raise Unacceptable unless an error says where and what, in words that a terminal can show."""
    if isinstance(error, UsageError):
        return
    if not any(problem.severity is Severity.ERROR for problem in error.problems):
        raise Unacceptable("an error without a problem")
    for problem in error.problems:
        _examine_problem(problem, lengths)


def _examine_problem(problem: Problem, lengths: Mapping[str, int]) -> None:
    place = problem.place
    if place.file not in lengths:
        raise Unacceptable(f"no such file: {place}")
    if not 1 <= place.line <= lengths[place.file] or place.column < 1:
        raise Unacceptable(f"no such place: {place}")
    shown = problem.line.removeprefix(place.file)
    if len(shown) > MAX_MESSAGE + len(place.file):
        raise Unacceptable(f"{len(shown)} characters: {shown[:200]!r}")
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in shown):
        raise Unacceptable(f"not for a terminal: {shown[:200]!r}")


@dataclass
class Summary:
    """What came of many cases."""

    results: Counter[str] = field(default_factory=Counter)
    dialects: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    growth: float = 0.0  # megabytes
    slowest: list[Outcome] = field(default_factory=list)
    failures: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Take another case in."""
        self.results[outcome.result] += 1
        self.dialects.update([outcome.dialect] if outcome.result == ACCEPTED else [])
        self.seconds += outcome.seconds
        self.slowest = sorted([*self.slowest, outcome], key=lambda each: -each.seconds)[:3]
        self.failures += [outcome] if outcome.result == FAILED else []

    def merge(self, other: Summary) -> None:
        """Take the cases of another process in."""
        self.results += other.results
        self.dialects += other.dialects
        self.seconds += other.seconds
        self.growth = max(self.growth, other.growth)
        self.slowest = sorted([*self.slowest, *other.slowest], key=lambda each: -each.seconds)[:3]
        self.failures += other.failures

    def __str__(self) -> str:
        total = self.results.total()
        lines = [
            f"{total:,} configurations: {self.results[ACCEPTED]:,} accepted, {self.results[REFUSED]:,} "
            f"refused with a message, {self.results[FAILED]:,} failed",
            f"mean {1000 * self.seconds / max(total, 1):.1f} ms of a processor; memory grew by at most "
            f"{self.growth:.0f} MB",
            "accepted as " + ", ".join(f"{name} {count:,}" for name, count in self.dialects.most_common()),
            *(f"slow: {_line(outcome)}" for outcome in self.slowest),
            *(f"FAILED: {_line(outcome)}: {outcome.detail}" for outcome in self.failures[:50]),
        ]
        return "\n".join(lines)


def _line(outcome: Outcome) -> str:
    case = outcome.case
    size = len(case.layers) + len(case.params)
    return f"number {case.number}, {outcome.seconds:.2f} s ({case.story}; {case.mode}; {size:,} bytes)"


@cache
def _room_at_start() -> float:
    """Return the memory in use once everything is imported and tried."""
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds():
            files = ("\n".join(lines).encode() for lines in (seed.layers, seed.params))
            judge(Case(-1, seed.name, *files), Path(folder))
    return _most_room()


def _most_room() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def try_all(numbers: Sequence[int]) -> Summary:
    """Return what comes of the cases of these numbers, in this process."""
    summary = Summary()
    before = _room_at_start()
    with tempfile.TemporaryDirectory() as folder:
        for number in numbers:
            outcome = judge(make(number), Path(folder))
            growth = _most_room() - before
            if growth > MAX_GROWTH and growth > summary.growth + 1:
                outcome = outcome._replace(result=FAILED, detail=f"memory grew by {growth:.0f} MB")
            summary.growth = max(summary.growth, growth)
            summary.add(outcome)
    return summary


def run(count: int, first: int = 0, processes: int = 1, progress: bool = False) -> Summary:
    """Return what comes of so many cases, tried in fresh processes."""
    chunks = [range(at, min(at + CHUNK, first + count)) for at in range(first, first + count, CHUNK)]
    summary = Summary()
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for done, part in enumerate(pool.imap(try_all, chunks), start=1):
            summary.merge(part)
            if progress and done % 20 == 0:
                print(f"{done * CHUNK:,} ...", file=sys.stderr, flush=True)
    return summary


def main() -> None:
    """Do what the command line asks for; exit status 1 if a case failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutations", description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, metavar="NUMBER")
    parser.add_argument("--processes", type=int, choices=(1, 2), default=2)
    parser.add_argument("--show", type=int, metavar="NUMBER", help="print the files of one case")
    options = parser.parse_args()
    if options.show is not None:
        case = make(options.show)
        print(f"# {case.story}; {case.mode}", flush=True)
        sys.stdout.buffer.write(case.layers + b"\n# ---\n" + case.params + b"\n")
        return
    start = time.perf_counter()
    summary = run(options.count, options.first, options.processes, progress=True)
    print(summary)
    print(f"{time.perf_counter() - start:.0f} s with {options.processes} processes")
    sys.exit(bool(summary.failures))


if __name__ == "__main__":
    main()
