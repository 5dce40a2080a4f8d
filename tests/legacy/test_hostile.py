"""Files of strangers who mean harm: refused with a reason, quickly, in little memory; nothing happens."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hostile import GROUPS
from old_pickles import FOLDER

CHILD = Path(__file__).with_name("hostile_child.py")
SECONDS = 2.0
MEGABYTES = 300


def run(folder, work):
    """What the child says of each file, and the most memory that it took."""
    command = [sys.executable, CHILD, folder, FOLDER]
    done = subprocess.run(command, capture_output=True, text=True, cwd=work, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    *reports, memory = map(json.loads, done.stdout.splitlines())
    return reports, memory["megabytes"]


def is_refused(path, name, code, message, seconds, happened):
    """Whether a file was refused as it should be: in one line that begins with its name and has a reason."""
    reason = message.removeprefix(f"{path}: ")
    in_words = reason != message and 10 < len(reason) < 400 and len(message.splitlines()) == 1
    return code == 6 and in_words and not happened and seconds < SECONDS


@pytest.mark.parametrize("group", GROUPS)
def test_refused(group, tmp_path):
    folder, work = tmp_path / "files", tmp_path / "work"
    folder.mkdir()
    work.mkdir()
    names = []
    for name, data in GROUPS[group]():
        (folder / name).write_bytes(data)
        names.append(name)
    assert len(set(names)) == len(names) > 5
    reports, megabytes = run(folder, work)
    assert sorted(each["name"] for each in reports) == sorted(names)
    assert [each for each in reports if not is_refused(folder / each["name"], **each)] == []
    assert megabytes < MEGABYTES
    assert list(work.iterdir()) == []
