"""From class folders of images to batches of JPEG strings.

It goes file by file; after each, how far it is is saved together with the sums for the mean image and the
colours. So a conversion that was killed goes on, and ends in the same bytes as one that was not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from convnet_cfg.data.class_folders import ImageFile, ImageTree, find_images
from convnet_cfg.data.conversion_folder import IMAGES, ConversionFolder, Stage
from convnet_cfg.data.images import centre
from convnet_cfg.data.jpeg_coding import decode, encode, processors, resized
from convnet_cfg.data.statistics import Totals
from convnet_cfg.data.writing import explaining_failure, write_pickle
from convnet_cfg.errors import DataError, UsageError

FORMAT = 1
FILE_IMAGES = 1024
"""Images of one file of a batch."""
TEST_STEP = 1000
"""The batches to test on begin at the next multiple of this number."""
QUALITY = 95
LONGEST = 65500
"""Pixels of a side, at most, in a JPEG file."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How images become batches."""

    size: int = 256  # pixels of the shorter side
    crop_to_square: bool = False
    batch_size: int = 3072
    seed: int = 0
    held_out: float = 0.0  # the part of the images that is chosen for tests


class BatchFile(NamedTuple):
    """One file of a batch: the numbers of both, and the images that go into it."""

    batch: int
    number: int
    images: Sequence[ImageFile]
    training: bool

    def path(self, folder: Path) -> Path:
        """Return where it is, `data_batch_0/data_batch_0.1`."""
        name = f"data_batch_{self.batch}"
        return folder / name / f"{name}.{self.number}"


class ConversionObserver:
    """Hears nothing; overriding a method hears of that."""

    def converted(self, images: int) -> None:
        """So many more images are done."""

    def left_out(self, path: Path, why: str) -> None:
        """An image cannot be had."""

    def written(self, file: BatchFile) -> None:
        """A file is on the disk."""


class Begun(NamedTuple):
    """A file whose images are being converted, and the sums over them."""

    file: BatchFile
    jpegs: Sequence[Future[bytes]]
    totals: Totals


class Conversion:
    """Makes a folder of batches from class folders of images, or goes on with it.

    Raises:
        UsageError: the destination belongs to something else, or the settings do not fit the images.
        DataError: a folder is missing, or not as described.
    """

    def __init__(
        self, source: Path, destination: Path, settings: Settings, validation: Path | None = None
    ) -> None:
        if destination.resolve().is_relative_to(source.resolve()):
            raise UsageError(f"{destination} is inside {source}: the batches must be elsewhere")
        self.settings = settings
        with explaining_failure(f"cannot read the images in {source}"):
            self.tree: ImageTree = find_images(source, validation, settings.held_out, settings.seed)
        self.files = tuple(_files(self.tree, settings.batch_size))
        what = {"format": FORMAT, **asdict(settings), IMAGES: self.tree.digest}
        self.folder = ConversionFolder(destination, what)
        self.progress = self.folder.read_progress(settings.size)

    @property
    def is_done(self) -> bool:
        """Whether there is nothing left to do."""
        return self.folder.stage is Stage.DONE

    @property
    def images(self) -> int:
        """How many images there are."""
        return len(self.tree.training) + len(self.tree.validation)

    @property
    def done(self) -> int:
        """How many images are in the batches, or are left out."""
        return self.progress.images + len(self.progress.left_out)

    def batches(self, training: bool) -> list[int]:
        """Return the numbers of the batches to train on, or of those to test on, ascending."""
        return sorted({file.batch for file in self.files if file.training == training})

    def run(self, observer: ConversionObserver, jobs: int | None = None) -> None:
        """Convert what is left, in `jobs` threads, or as many as there are processors.

        Raises:
            DataError: something cannot be written, or no image to train on can be read.
        """
        if self.folder.stage is Stage.NEW:
            self.folder.begin()
        with ThreadPoolExecutor(jobs or processors()) as threads:
            try:
                for begun in self._begun(threads):
                    self._finish(begun, observer)
            except BaseException:
                threads.shutdown(cancel_futures=True)
                raise
        self.folder.finish(self.progress, self._meta())

    def _begun(self, threads: ThreadPoolExecutor) -> Iterator[Begun]:
        """Yield the files that are left; while one is finished, the images of the next are converted."""
        waiting: deque[Begun] = deque()
        for file in self.files[self.progress.files :]:
            totals = Totals(self.settings.size)
            sums = totals if file.training else None
            jpegs = [threads.submit(convert, image, self.settings, sums) for image in file.images]
            waiting.append(Begun(file, jpegs, totals))
            if len(waiting) == 2:
                yield waiting.popleft()
        yield from waiting

    def _finish(self, begun: Begun, observer: ConversionObserver) -> None:
        """Write a file, then how far the conversion is."""
        data, labels = [], []
        for image, jpeg in zip(begun.file.images, begun.jpegs, strict=True):
            try:
                data.append(jpeg.result())
                labels.append([image.label])
            except DataError as error:
                self.progress.left_out.append((f"{image.folder.name}/{image.name}", str(error)))
                observer.left_out(image.path, str(error))
            observer.converted(1)
        path = begun.file.path(self.folder.path)
        with explaining_failure(f"cannot make {path.parent}"):
            path.parent.mkdir(exist_ok=True)
        write_pickle(path, {"data": data, "labels": labels})
        self.progress.totals.add_totals(begun.totals)
        self.progress.files += 1
        self.progress.images += len(data)
        self.folder.write_progress(self.progress)
        observer.written(begun.file)

    def _meta(self) -> dict[str, Any]:
        """Return what goes into `batches.meta`."""
        totals = self.progress.totals
        if not totals.images:
            raise DataError(f"none of the {len(self.tree.training)} images to train on can be read")
        colors = totals.color_statistics()
        return {
            "batch_size": self.settings.batch_size,
            "color_pca": (colors.deviations, colors.components),
            "data_mean": totals.mean().transpose(2, 0, 1).reshape(-1, 1),
            "dp_type": "image",
            "label_names": list(self.tree.label_names),
            "num_vis": 3 * self.settings.size**2,
        }


def convert(image: ImageFile, settings: Settings, totals: Totals | None) -> bytes:
    """Return an image as it goes into a batch, and add it to the totals.

    Raises:
        DataError: it cannot be had.
    """
    with explaining_failure("the file cannot be read"):
        pixels = decode("it", image.path.read_bytes())
    size = settings.size
    longer = max(pixels.shape) * size // min(pixels.shape[:2])
    if longer > LONGEST:
        raise DataError(f"its longer side would have {longer} pixels")
    pixels = resized(pixels, size)
    if settings.crop_to_square:
        pixels = centre(pixels[np.newaxis], size)[0]
    jpeg = encode(pixels, QUALITY)
    if totals is not None:
        totals.add(decode("it", jpeg))
    return jpeg


def _files(tree: ImageTree, batch_size: int) -> Iterator[BatchFile]:
    """Yield all files in their order: those to train on, then those to test on."""
    training = -(-len(tree.training) // batch_size)
    first_test = -(-training // TEST_STEP) * TEST_STEP
    for images, first, is_training in ((tree.training, 0, True), (tree.validation, first_test, False)):
        for batch, start in enumerate(range(0, len(images), batch_size), start=first):
            of_batch = images[start : start + batch_size]
            for number, begin in enumerate(range(0, len(of_batch), FILE_IMAGES)):
                yield BatchFile(batch, number, of_batch[begin : begin + FILE_IMAGES], is_training)
