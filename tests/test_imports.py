"""The rule of the design: a room imports only rooms to its left, and errors; only `cli` prints or exits."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "convnet_cfg"

# From left to right; rooms in one place are siblings that know nothing of each other.
ROOMS = (
    {"errors"},
    {"language"},
    {"nn", "optim", "zoo"},
    {"serializable"},
    {"model"},
    {"data"},
    {"extend"},
    {"training"},
    {"legacy"},
    {"export"},
    {"report"},
    {"cli"},
)
PLACE = {room: place for place, rooms in enumerate(ROOMS) for room in rooms}
MODULES = sorted(PACKAGE.rglob("*.py"))
assert MODULES, "no modules in the package"


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path):
    """Yield the dotted names that a module imports from this package, without the package's name."""
    package = path.relative_to(PACKAGE.parent).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            base = [*start, *(node.module.split(".") if node.module else [])]
            names = [".".join([*base, alias.name]) for alias in node.names]
        else:
            continue
        yield from (name.split(".", 1)[1] for name in names if name.startswith("convnet_cfg."))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_rooms_to_its_left(path):
    room = room_of(path)
    if room == "__init__":
        return
    others = {name.split(".")[0] for name in imported(path)} - {room}
    assert {other for other in others if PLACE[other] >= PLACE[room]} == set()


def test_every_room_has_its_place():
    assert {room_of(path) for path in MODULES} - {"__init__"} <= set(PLACE)


LOUD = {"print", "exit", "quit", "input", "sys.exit", "os._exit", "click.echo"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_commands_print_or_exit(path):
    if room_of(path) == "cli":
        return
    calls = {
        ast.unparse(node.func): node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    }
    assert {name: line for name, line in calls.items() if name in LOUD} == {}


HEAVY = {"tensorflow", "keras", "numpy", "rich"}
NET = """[data]
type=data
dataIdx=0

[fc]
type=fc
inputs=data
outputs=10
initW=0.1

[cost]
type=cost.sum2
inputs=fc
"""


@pytest.mark.parametrize(
    "statement",
    [
        "import convnet_cfg",
        "from convnet_cfg import ConvnetError, find_layers, load_network, load_recipe",
        "import convnet_cfg.language",
        "import convnet_cfg.cli",
        "from convnet_cfg.cli import main; main(['--help'], standalone_mode=False)",
        "from convnet_cfg.cli import main; main(['check', 'net.cfg'], standalone_mode=False)",
        "from convnet_cfg.cli import main; main(['check', 'net.cfg', '--json'], standalone_mode=False)",
    ],
)
def test_no_tensorflow_before_it_is_needed(statement, tmp_path):
    (tmp_path / "net.cfg").write_text(NET)
    tell = f"import sys; {statement}; print('heavy:', *sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", tell], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout.splitlines()[-1].strip() == "heavy:"
