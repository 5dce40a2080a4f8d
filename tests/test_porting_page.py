"""docs/porting.md: its ten commands, on the folder that it speaks of, print what it says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT.parent / "shared" / "golden" / "e2e_cifar"
PAGE = (ROOT / "docs" / "porting.md").read_text()
BLOCKS = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
TRANSCRIPTS = [block.removeprefix("$ ").split("\n", 1) for block in BLOCKS if block.startswith("$ ")]
SCRIPT = """\
python convnet.py --data-path=batches --save-path=saved --data-provider=cifar --layer-def=layers.cfg \\
    --layer-params=params.cfg --train-range=1-3 --test-range=4 --test-freq=3 --epochs=3 --mini=64 --gpu=0
"""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER.is_dir(), reason=f"{FOLDER} is missing"),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of the page, in which the commands run."""
    saved = tmp_path / "saved" / "ConvNet__2013-05-11_10.12.44"
    saved.mkdir(parents=True)
    for name in ("layers.cfg", "params.cfg"):
        shutil.copy(FOLDER / name, tmp_path)
    shutil.copytree(FOLDER / "data", tmp_path / "batches")
    shutil.copy(FOLDER / "checkpoints" / "3.3", saved)
    (tmp_path / "train.sh").write_text(SCRIPT)
    (tmp_path / "evaluate.py").write_text(
        re.search(r"```python\n# evaluate.py\n(.*?)```", PAGE, re.DOTALL)[1]
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


def comparable(text):
    """Text without what another day or another machine changes: times, speeds, versions, blanks."""
    text = re.sub(r"[\d.]+ s\b(, [\d,]+ cases/s)?", "TIME", text)
    return re.sub(r"\s+", " ", re.sub(r"\d+\.\d+\.\d+", "VERSION", text)).strip()


def test_there_are_ten_commands():
    assert len(TRANSCRIPTS) == 10
    assert re.findall(r"^\*\*(\d+)\.\*\*", PAGE, re.MULTILINE) == [str(number) for number in range(1, 11)]


def test_the_commands_print_what_the_page_says(folder):
    for command, shown in TRANSCRIPTS:
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        printed = comparable(done.stderr + done.stdout)
        start = 0
        for part in re.split(r"^\.\.\.\n", shown, flags=re.MULTILINE):
            found = printed.find(comparable(part), start)
            assert found >= 0, (command, part, done.stdout)
            start = found + len(comparable(part))
    (middle,) = re.findall(r"```python\n(def build_model.*?)```", PAGE, re.DOTALL)
    assert middle in (folder / "model.py").read_text()


def test_the_log_of_the_original():
    (shown,) = (block for block in BLOCKS if "Test output" in block)
    lines = [line.strip() for line in (FOLDER / "train_resumed.log").read_text().splitlines()]
    assert all(line.strip() in lines for line in shown.splitlines())
