"""What layers hand on to each other, and what every layer type asks of its inputs."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import NamedTuple

from convnet_cfg.language.spec import Report


class Image(NamedTuple):
    """A square image: `channels` planes of `side` times `side` values."""

    channels: int
    side: int

    @property
    def size(self) -> int:
        """The number of values."""
        return self.channels * self.side**2


class Output(NamedTuple):
    """What a layer hands on for each case: so many values, and the image that they make, if they do."""

    size: int
    image: Image | None = None


class Input(NamedTuple):
    """What a layer knows of a layer that it reads."""

    name: str
    type: str
    output: Output
    trainable: bool  # it, or a layer below it, has weights
    activation: str | None = None  # the function that it ends in, if the file names one


class MatrixShape(NamedTuple):
    """The original's shape of a weight matrix or bias, as its init functions and checkpoints have it."""

    rows: int
    columns: int


def image_input(source: Input, channels: int, report: Report) -> Image | None:
    """Return the input seen as so many channels of a square image, or report that it cannot be."""
    side = isqrt(source.output.size // channels)
    if side and channels * side**2 == source.output.size:
        return Image(channels, side)
    known = source.output.image
    has = f" ({known.channels} channels of {known.side} x {known.side})" if known else ""
    report.error(
        f"input {source.name!r} has {source.output.size} values{has}, "
        f"which are not {channels} channels of a square image",
        "channels",
    )
    return None


def ceil_divided(numerator: int, denominator: int) -> int:
    """Return the quotient rounded up, exact for integers of any size."""
    return -(-numerator // denominator)


def image_output(image: Image) -> Output:
    """Return the output of a layer that makes this image."""
    return Output(image.size, image)


def common_output(inputs: Sequence[Input], report: Report) -> Output | None:
    """Return the output of element-wise layers; inputs of different sizes are reported."""
    sizes = [source.output.size for source in inputs]
    if len(set(sizes)) > 1:
        each = ", ".join(f"{source.name!r} has {source.output.size}" for source in inputs)
        report.error(f"inputs must have equally many values: {each}", "inputs")
        return None
    images = {source.output.image for source in inputs}
    return Output(sizes[0], images.pop() if len(images) == 1 else None)


def check_range(report: Report, name: str, value: int, minimum: int, maximum: int, limit: str) -> bool:
    """Report a value outside its range; `limit` says what the maximum is."""
    if minimum <= value <= maximum:
        return True
    message = f"{report.written(name)} must be an integer from {minimum} to {maximum} ({limit}), got {value}"
    report.error(message, name)
    return False
