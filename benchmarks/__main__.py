"""`python -m benchmarks`, or `make bench`: measure, and print or write the report."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.agreement import Agreement, check
from benchmarks.commands import measure_commands
from benchmarks.data import write_batches
from benchmarks.nets import NETS
from benchmarks.peers import SIDES
from benchmarks.report import report, write
from benchmarks.speed import Speeds, measure


def main() -> None:
    """Do what the command line asks for."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="convnet-bench-") as name:
        folder = Path(name)
        if options.check:
            agreements = _check(options.nets, options.sides, folder)
            raise SystemExit(0 if all(agreement.holds for agreement in agreements) else 1)
        block = _measure(options, folder)
    print(block)
    if options.write:
        write(options.write, block)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--nets", type=_names_of(NETS), default=list(NETS), metavar="A,B")
    parser.add_argument("--sides", type=_names_of(SIDES), default=list(SIDES), metavar="A,B")
    parser.add_argument("--rounds", type=int, help="rounds for each network (7; quick: 3)")
    parser.add_argument("--minibatches", type=int, help="of each side in each round (40; quick: 10)")
    parser.add_argument("--quick", action="store_true", help="short rounds, few repeats, no agreement check")
    parser.add_argument("--check", action="store_true", help="only check that all sides compute the same")
    parser.add_argument("--no-commands", action="store_true", help="leave out start-up times and memory")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the report into docs/performance.md")
    options = parser.parse_args()
    if "ours" not in options.sides:
        options.sides = ["ours", *options.sides]
    options.rounds = options.rounds or (3 if options.quick else 7)
    options.minibatches = options.minibatches or (10 if options.quick else 40)
    return options


def _names_of(known: dict[str, object]):  # noqa: ANN202
    def names(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := set(chosen) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: expected some of {', '.join(known)}")
        return chosen

    return names


def _measure(options: argparse.Namespace, folder: Path) -> str:
    speeds = _speeds(options, folder)
    commands = None
    if not options.no_commands:
        print("commands", flush=True)
        (work := folder / "commands").mkdir()
        repeats, epochs = (2, (1,)) if options.quick else (5, (1, 3))
        commands = measure_commands(work, repeats, epochs)
    agreements = [] if options.quick else _check(options.nets, options.sides, folder)
    how = f"{options.rounds} rounds of {options.minibatches} minibatches for each side, its order rotated."
    return report(speeds, commands, agreements, how)


def _speeds(options: argparse.Namespace, folder: Path) -> list[Speeds]:
    batches = write_batches(folder / "speed" / "batches", (1,))
    measured = []
    for name in options.nets:
        print(f"speed of {name}: {', '.join(options.sides)}", flush=True)
        measured.append(measure(NETS[name], options.sides, batches, options.rounds, options.minibatches))
    return measured


def _check(nets: Sequence[str], sides: Sequence[str], folder: Path) -> list[Agreement]:
    batches = write_batches(folder / "check" / "batches", (1,), 512)
    agreements = []
    for name in nets:
        for agreement in check(NETS[name], sides, batches):
            print(agreement, flush=True)
            agreements.append(agreement)
    return agreements


if __name__ == "__main__":
    main()
