"""`convnet data imagenet`: what it prints, and its exit codes."""

from __future__ import annotations

import subprocess
import sys

import pytest
from class_trees import contents, plant, plant_both

from convnet_cfg.cli.data import Lines
from convnet_cfg.data.conversion import Conversion, Settings

SMALL = ("--size=32", "--batch-size=4")


@pytest.fixture
def imagenet(convnet):
    """Run the command in an empty folder of its own."""
    return lambda *arguments, code=0: convnet("data", "imagenet", *arguments, code=code)


def without_speed(lines):
    return [line.partition(" (")[0] for line in lines]


def test_from_folders_to_a_training(imagenet, tmp_path):
    plant_both(tmp_path / "photos", 3, 1)
    (tmp_path / "photos" / "train" / "dog" / "dog-01.jpg").write_bytes(b"no image")
    result = imagenet("photos", "batches", *SMALL)
    *lines, last = result.stdout.splitlines()
    assert without_speed(lines) == [
        "images     9 of 3 classes to train on, 3 to test on",
        "batches    0-2 to train on, 1000 to test on, in batches",
        "      0  4 of 12 images",
        "      1  8 of 12 images",
        "      2  9 of 12 images",
        "   1000  12 of 12 images",
        "",
        "11 images in 0-2 to train on, 1000 to test on",
        "1 left out: see batches/conversion.json",
    ]
    assert last.startswith("  train on them:  ")
    assert last.endswith(
        "convnet-train LAYERS PARAMS --data-provider image --data-path batches "
        "--train-range 0-2 --test-range 1000"
    )
    assert result.stderr.splitlines()[-1] == (
        "left out   photos/train/dog/dog-01.jpg: it is not a JPEG image, or only a part of one (8 bytes)"
    )
    before = contents(tmp_path / "batches")
    again = imagenet("photos", "batches", *SMALL).stdout
    assert "nothing to do: this conversion is done" in again
    assert "11 images in 0-2 to train on" in again
    assert contents(tmp_path / "batches") == before


def test_classes_alone_and_a_part_held_out(imagenet, tmp_path):
    plant(tmp_path / "photos", 3)
    assert "--train-range 0-2\n" in imagenet("photos", "all", *SMALL).stdout
    printed = imagenet("photos", "part", *SMALL, "--held-out=0.2", "--crop-to-square", "--jobs=1").stdout
    assert "7 of 3 classes to train on, 2 to test on" in printed
    other = imagenet("photos/cat", "none", "--val=photos", code=4)
    assert "photos/cat: has no folders, expected one for each class of images" in other.stderr


def test_going_on(imagenet, tmp_path, monkeypatch):
    plant_both(tmp_path / "photos", 3, 1)
    written = Lines.written

    def stop(lines, file):
        written(lines, file)
        if file.batch == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(Lines, "written", stop)
    stopped = imagenet("photos", "batches", *SMALL, code=130)
    assert stopped.stderr.splitlines()[-1] == "interrupted; the same command goes on"
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    printed = imagenet("photos", "batches", *SMALL).stdout.splitlines()
    assert "going on   after 8 images" in printed
    assert without_speed(printed)[3:5] == ["      2  9 of 12 images", "   1000  12 of 12 images"]
    assert contents(tmp_path / "batches") == contents(whole(imagenet, tmp_path))


def whole(imagenet, tmp_path):
    imagenet("photos", "whole", *SMALL)
    return tmp_path / "whole"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere", "batches"], 4, "nowhere: no such folder"),
        (["photos", "batches", "--val=nowhere"], 4, "nowhere: no such folder"),
        (["photos", "photos/batches"], 2, "photos/batches is inside photos: the batches must be elsewhere"),
        (["photos", "."], 2, ". is not empty, and no conversion began there"),
        (["photos", "batches", "--held-out=1"], 2, "expected a number from 0 to below 1, got '1'"),
        (["photos", "batches", "--held-out=nan"], 2, "expected a number from 0 to below 1, got 'nan'"),
        (["photos", "batches", "--size=0"], 2, "0 is not in the range"),
        (["photos", "batches", "--batch-size=0"], 2, "0 is not in the range x>=1"),
        (["photos", "batches", "--seed=-1"], 2, "-1 is not in the range"),
        (["photos", "batches", "--jobs=0"], 2, "0 is not in the range x>=1"),
        (["photos"], 2, "Missing argument 'DST'"),
    ],
)
def test_errors(imagenet, tmp_path, arguments, code, message):
    plant(tmp_path / "photos", 1)
    assert message in " ".join(imagenet(*arguments, code=code).stderr.split())


def test_a_folder_of_another_conversion(imagenet, tmp_path):
    plant(tmp_path / "photos", 2)
    imagenet("photos", "batches", *SMALL)
    message = imagenet("photos", "batches", "--size=24", "--batch-size=4", code=2).stderr
    assert message == "batches belongs to another conversion: size is 24, was 32\n"


def test_a_folder_that_cannot_be_written(imagenet, tmp_path):
    plant(tmp_path / "photos", 1)
    (tmp_path / "file").write_text("")
    assert (
        "cannot make file/batches: Not a directory"
        in imagenet("photos", "file/batches", *SMALL, code=4).stderr
    )


def test_the_bar_of_a_terminal(tmp_path, capsys):
    plant(tmp_path / "photos", 2)
    made = Conversion(tmp_path / "photos", tmp_path / "batches", Settings(size=32))
    lines = Lines(made, progress=True)
    made.run(lines)
    task = lines.bar.tasks[0]
    assert (task.completed, task.total) == (6, 6)
    lines.left_out(tmp_path / "a", "because")
    lines.close()
    assert "left out" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--help"], ["imagenet", "--help"], ["imagenet", "nowhere", "there"]])
def test_no_tensorflow_before_it_is_needed(tmp_path, arguments):
    code = f"""
import sys
from convnet_cfg.cli import main
try:
    main(["data", *{arguments}])
except SystemExit:
    print(*sorted({{"tensorflow", "keras"}} & set(sys.modules)), "left")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1].strip() == "left", done.stderr
    assert "Traceback" not in done.stderr
