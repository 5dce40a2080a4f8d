"""Whether a model that was written computes what the network does that it was made from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from convnet_cfg.errors import ExportError
from convnet_cfg.export.formats import Arrays, ConversionError, Run
from convnet_cfg.export.inference import Inference

LIMIT = 1e-4  # of the largest value of an output
BATCHES = (1, 7, 32)
SCALES = (1.0, 64.0)  # deviations: of numbers around 1, and of pixels from 0 to 255 minus their mean


def greatest_difference(inference: Inference, run: Run) -> float:
    """Return how far the outputs of `run` are from those of the network, on random inputs.

    For each output, number of cases and scale: the greatest difference as a part of the greatest absolute
    value that the network has there. Where the network has no finite number, the other must have the same.

    Raises:
        ConversionError: the difference is above LIMIT.
        ExportError: the network has no finite number at all.
    """
    worst, where, finite = 0.0, "", 0
    for inputs in random_inputs(inference):
        wanted = inference.model(inputs, training=False)
        found = run(inputs)
        for output in inference.outputs:
            ours = np.asarray(wanted[output.name])
            finite += int(np.isfinite(ours).sum())
            difference = relative_difference(np.asarray(found[output.name]), ours)
            if difference > worst:
                worst, where = difference, output.name
    if not finite:
        raise ExportError("the outputs of the network are not finite numbers: its training has gone astray")
    if not worst <= LIMIT:
        raise ConversionError(
            f"what was written computes something else than the network: {where} is off by {worst:.1e} of "
            f"its greatest value, more than {LIMIT:g}; nothing was kept"
        )
    return worst


def random_inputs(inference: Inference) -> Iterator[Arrays]:
    """Yield normally distributed inputs of all scales, for all numbers of cases; always the same ones."""
    rng = np.random.default_rng(0)
    for cases in BATCHES:
        for scale in SCALES:
            yield {
                port.name: (scale * rng.standard_normal((cases, *port.shape))).astype(port.dtype)
                for port in inference.inputs
            }


def relative_difference(found: np.ndarray, wanted: np.ndarray) -> float:
    """Return the greatest difference as a part of the greatest finite absolute value wanted.

    inf if the shapes differ, or the places and kinds of what is not finite.
    """
    if found.shape != wanted.shape:
        return np.inf
    finite = np.isfinite(wanted)
    if not np.array_equal(found[~finite], wanted[~finite], equal_nan=True):
        return np.inf
    if not finite.any():
        return 0.0
    found, wanted = found[finite].astype(np.float64), wanted[finite].astype(np.float64)
    difference = np.abs(found - wanted).max()
    if not np.isfinite(difference):
        return np.inf
    return float(difference / max(np.abs(wanted).max(), np.finfo(np.float32).tiny))
