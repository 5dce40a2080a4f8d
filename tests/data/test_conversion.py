"""From folders of images to batches: what is in them, and that a conversion may be stopped at any time."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from class_trees import CLASSES, contents, plant, plant_both
from jpeg_folders import jpeg_of, pixels_of

from convnet_cfg.data import JpegDirectory, conversion, open_provider
from convnet_cfg.data.conversion import Conversion, ConversionObserver, Settings
from convnet_cfg.data.jpeg_coding import encode, resized
from convnet_cfg.errors import DataError, UsageError

SIZE = 32


@pytest.fixture(autouse=True)
def _small_files(monkeypatch):
    monkeypatch.setattr(conversion, "FILE_IMAGES", 4)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Seven images of each of three classes to train on, two of each to test on."""
    return plant_both(tmp_path_factory.mktemp("source"))


def make(source, destination, validation=None, **settings):
    return Conversion(
        source, destination, Settings(**{"size": SIZE, "batch_size": 6, **settings}), validation
    )


def converted(source, destination, **settings):
    make(source, destination, **settings).run(ConversionObserver())
    return destination


@pytest.fixture
def batches(source, tmp_path):
    return converted(source, tmp_path / "batches")


def images_of(folder, numbers):
    source = JpegDirectory(folder)
    return [image for number in numbers for image in source.batch(number)]


def test_numbers_and_files(batches):
    """Of 21 images in batches of 6, in files of 4; those to test on from batch 1000."""
    files = sorted(str(path.relative_to(batches)) for path in batches.rglob("*") if path.is_file())
    assert files == [
        "batches.meta",
        "conversion.json",
        *(f"data_batch_{batch}/data_batch_{batch}.{part}" for batch in (0, 1) for part in (0, 1)),
        *(f"data_batch_1000/data_batch_1000.{part}" for part in (0, 1)),
        *(f"data_batch_2/data_batch_2.{part}" for part in (0, 1)),
        "data_batch_3/data_batch_3.0",
    ]
    source = JpegDirectory(batches)
    assert source.numbers == (0, 1, 2, 3, 1000)
    assert [len(source.batch(number)) for number in source.numbers] == [6, 6, 6, 3, 6]
    assert source.label_names == CLASSES


def test_images_and_labels(source, batches):
    """Every image, resized and coded, in the order of the tree."""
    tree = make(source, batches).tree
    for files, numbers in ((tree.training, range(4)), (tree.validation, [1000])):
        images = images_of(batches, numbers)
        assert [image.labels for image in images] == [(file.label,) for file in files]
        for file, image in zip(files, images, strict=True):
            assert image.jpeg == encode(resized(pixels_of(file.path.read_bytes()), SIZE), 95)
    assert [file.name for file in tree.validation] == sorted(file.name for file in tree.validation)
    assert sorted(file.name for file in tree.training) != [file.name for file in tree.training]


def test_the_statistics_are_those_of_the_images_in_the_batches(batches):
    found = JpegDirectory(batches)
    images = [pixels_of(image.jpeg) for image in images_of(batches, range(4))]
    centres = []
    for image in images:
        row, column = (image.shape[0] - SIZE) // 2, (image.shape[1] - SIZE) // 2
        centres.append(image[row : row + SIZE, column : column + SIZE])
    assert np.array_equal(found.mean, np.mean(centres, axis=0, dtype=np.float64).astype(np.float32))
    pixels = np.concatenate([image.reshape(-1, 3) for image in images]).astype(np.float64)
    rebuilt = found.colors.components * found.colors.deviations**2 @ found.colors.components.T
    assert np.allclose(rebuilt, np.cov(pixels.T, bias=True))


def test_a_provider_reads_them(batches):
    provider = open_provider("image", batches, inner_size=24, color_noise=0.1)
    provider.check_range([0, 1, 2, 3, 1000])
    images, labels, every, _ = provider.training_arrays(3, np.random.default_rng(0))
    assert images.shape == (3, 24, 24, 3)
    assert np.array_equal(every.argmax(axis=1), labels)


def test_squares(source, tmp_path):
    whole = images_of(converted(source, tmp_path / "whole"), range(4))
    square = images_of(converted(source, tmp_path / "square", crop_to_square=True), range(4))
    for one, other in zip(whole, square, strict=True):
        image, pixels = pixels_of(one.jpeg).astype(int), pixels_of(other.jpeg)
        assert pixels.shape == (SIZE, SIZE, 3)
        row, column = (image.shape[0] - SIZE) // 2, (image.shape[1] - SIZE) // 2
        # Coded after the crop, so the colours, which JPEG keeps coarsely, differ a little.
        assert np.abs(image[row : row + SIZE, column : column + SIZE] - pixels).mean() < 12


@pytest.mark.parametrize(("images", "first"), [(999, 1000), (1000, 1000), (1001, 2000)])
def test_where_the_batches_to_test_on_begin(images, first):
    tree = conversion.ImageTree(("a",), range(images), range(5))
    numbers = [(file.batch, file.training) for file in conversion._files(tree, 1)]
    assert numbers[images - 1] == (images - 1, True)
    assert numbers[images] == (first, False)


def test_nothing_to_test_on(tmp_path):
    source = plant(tmp_path / "source", 3)
    folder = converted(source, tmp_path / "batches")
    assert JpegDirectory(folder).numbers == (0, 1)
    held_out = converted(source, tmp_path / "others", held_out=0.3)
    assert [len(JpegDirectory(held_out).batch(number)) for number in (0, 1000)] == [6, 3]


class Listener(ConversionObserver):
    def __init__(self):
        self.images, self.files, self.missing = 0, [], []

    def converted(self, images):
        self.images += images

    def left_out(self, path, why):
        self.missing.append((path, why))

    def written(self, file):
        self.files.append((file.batch, file.number))


def test_images_that_cannot_be_read(tmp_path):
    source = plant_both(tmp_path / "source", 3, 1)
    cat, dog, owl = (source / "train" / name / f"{name}-01.jpg" for name in CLASSES)
    cat.write_bytes(cat.read_bytes()[:400])
    dog.unlink()
    dog.symlink_to(source / "nowhere.jpg")
    before = make(source, tmp_path / "batches").images
    dog.unlink()
    dog.mkdir()
    owl.write_bytes(b"")
    listener = Listener()
    made = make(source, tmp_path / "batches")
    assert before == made.images == 11  # neither a folder nor a link to nothing is an image
    made.run(listener)
    assert listener.images == 11
    why = "it is not a JPEG image, or only a part of one"
    assert sorted(listener.missing) == [(cat, f"{why} (400 bytes)"), (owl, f"{why} (0 bytes)")]
    assert sorted(made.progress.left_out) == [
        ("cat/cat-01.jpg", f"{why} (400 bytes)"),
        ("owl/owl-01.jpg", f"{why} (0 bytes)"),
    ]
    assert (made.progress.images, made.done) == (9, 11)
    assert sum(len(JpegDirectory(tmp_path / "batches").batch(number)) for number in (0, 1, 1000)) == 9


def test_an_image_that_is_much_too_long(tmp_path):
    source = plant(tmp_path / "source", 2, classes=("cat",))
    (source / "cat" / "long.jpg").write_bytes(jpeg_of(np.zeros((1, 3000, 3), np.uint8)))
    listener = Listener()
    make(source, tmp_path / "batches").run(listener)
    assert [why for _, why in listener.missing] == ["its longer side would have 96000 pixels"]


def test_no_image_can_be_read(tmp_path):
    (tmp_path / "source" / "cat").mkdir(parents=True)
    (tmp_path / "source" / "cat" / "1.jpg").write_bytes(b"nothing")
    with pytest.raises(DataError, match="^none of the 1 images to train on can be read$"):
        converted(tmp_path / "source", tmp_path / "batches")


# -- stopped and resumed


class Stop(Listener):
    """Stops after so many files, or so many images."""

    def __init__(self, files=None, images=None):
        super().__init__()
        self.limits = files, images

    def converted(self, images):
        super().converted(images)
        if self.images == self.limits[1]:
            raise KeyboardInterrupt

    def written(self, file):
        super().written(file)
        if len(self.files) == self.limits[0]:
            raise KeyboardInterrupt


@pytest.mark.parametrize("limits", [{"files": 1}, {"files": 5}, {"files": 9}, {"images": 1}, {"images": 14}])
def test_a_conversion_that_was_stopped_ends_in_the_same_bytes(tmp_path, source, batches, limits):
    stopped = tmp_path / "stopped"
    first = Stop(**limits)
    with pytest.raises(KeyboardInterrupt):
        make(source, stopped).run(first)
    assert not (stopped / "batches.meta").exists()
    with pytest.raises(DataError, match="no batches.meta here"):
        JpegDirectory(stopped)
    again = make(source, stopped)
    assert not again.is_done
    assert again.done == sum(min(4, 6 - 4 * number) if batch != 3 else 3 for batch, number in first.files)
    second = Listener()
    again.run(second)
    assert len(first.files) + len(second.files) == 9
    assert contents(stopped) == contents(batches)


def test_stopped_with_an_image_left_out(tmp_path):
    source = plant(tmp_path / "source", 7)
    (source / "cat" / "cat-00.jpg").write_bytes(b"nothing")
    with pytest.raises(KeyboardInterrupt):
        make(source, tmp_path / "stopped").run(Stop(files=4))
    converted(source, tmp_path / "stopped")
    assert contents(tmp_path / "stopped") == contents(converted(source, tmp_path / "whole"))
    assert make(source, tmp_path / "stopped").progress.left_out[0][0] == "cat/cat-00.jpg"


def test_half_written_files_do_no_harm(tmp_path, source, batches):
    stopped = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        make(source, stopped).run(Stop(files=3))
    (stopped / "data_batch_1" / ".writing").write_bytes(b"half")
    (stopped / "data_batch_1" / "data_batch_1.1").write_bytes(b"from after the last note of progress")
    converted(source, stopped)
    assert contents(stopped) == contents(batches)


@pytest.mark.slow
def test_killed(tmp_path, source, batches):
    """The program is killed without a warning, twice, wherever it may be."""
    code = f"""
    import sys
    from pathlib import Path
    from convnet_cfg.data import conversion
    conversion.FILE_IMAGES = 4
    made = conversion.Conversion(
        Path({str(source)!r}), Path(sys.argv[1]), conversion.Settings(size={SIZE}, batch_size=6)
    )
    made.run(conversion.ConversionObserver())
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "killed")]
    for file in ("data_batch_0/data_batch_0.1", "data_batch_2/data_batch_2.0"):
        running = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while running.poll() is None and not (tmp_path / "killed" / file).exists():
            time.sleep(0.001)
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    assert contents(tmp_path / "killed") == contents(batches)


def test_a_conversion_that_is_done(source, batches):
    before = contents(batches)
    again = make(source, batches)
    assert again.is_done
    assert (again.done, again.progress.images) == (27, 27)
    assert contents(batches) == before


# -- folders that are not ours


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"size": 24}, "size is 24, was 32"),
        (
            {"crop_to_square": True, "batch_size": 7},
            "crop_to_square is True, was False; batch_size is 7, was 6",
        ),
        ({"seed": 1}, "seed is 1, was 0"),
    ],
)
def test_another_conversion(source, batches, settings, expected):
    with pytest.raises(UsageError) as error:
        make(source, batches, **settings)
    assert str(error.value) == f"{batches} belongs to another conversion: {expected}"


def test_other_images(tmp_path, source, batches):
    other = plant_both(tmp_path / "other", 6)
    with pytest.raises(UsageError) as error:
        make(other, batches)
    expected = "belongs to another conversion: its images are others, or were chosen in another way"
    assert str(error.value) == f"{batches} {expected}"
    with pytest.raises(UsageError, match="its images are others"):
        make(source, batches, validation=other / "train")


def test_a_folder_with_something_else_in_it(source, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not empty, and no conversion began there$"):
        make(source, tmp_path)
    with pytest.raises(UsageError, match="notes.txt is a file, expected a folder for the batches$"):
        make(source, tmp_path / "notes.txt")
    (tmp_path / "empty").mkdir()
    assert not make(source, tmp_path / "empty").is_done


def test_a_destination_inside_the_source(source):
    for destination in (source, source / "train" / "batches"):
        with pytest.raises(UsageError, match="the batches must be elsewhere$"):
            make(source, destination)


@pytest.mark.parametrize(
    ("name", "content"),
    [("conversion.json", "{"), ("conversion.json", "3"), ("unfinished.safetensors", "nothing")],
)
def test_damaged_notes(tmp_path, source, name, content):
    stopped = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        make(source, stopped).run(Stop(files=3))
    (stopped / name).write_text(content)
    with pytest.raises(DataError) as error:
        make(source, stopped)
    assert str(error.value) == f"{stopped / name} is damaged: delete {stopped} to begin again"


def test_a_full_disk(tmp_path, source, monkeypatch):
    def fail(path, content):
        raise DataError(f"cannot write {path}: No space left on device")

    monkeypatch.setattr(conversion, "write_pickle", fail)
    with pytest.raises(DataError, match="data_batch_0.0: No space left on device"):
        converted(source, tmp_path / "batches")
    monkeypatch.undo()
    assert make(source, tmp_path / "batches").done == 0
