"""What a command line has to say, and what of it is missing: all at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

NEEDED = {
    "layers": "LAYERS is missing: the layer definition, or the name of a network (convnet list)",
    "params": "PARAMS is missing: the layer parameters",
    "data_provider": "--data-provider is missing: cifar, cifar-cropped, digits, ...",
    "data_path": "--data-path is missing: where the data batches are",
    "train_range": "--train-range is missing: the batches to train on, as 1-5",
    "test_range": "--test-range is missing: the batches to test on, as 6",
}


def missing(values: Mapping[str, Any]) -> str:
    """Return what the values of a command line for a new run lack, a line for each; "" if nothing."""
    lacking = set(_missing(values))
    return "\n".join(line for name, line in NEEDED.items() if name in lacking)


def _missing(values: Mapping[str, Any]) -> Iterator[str]:
    yield from (name for name in NEEDED if name != "data_path" and values.get(name) is None)
    if values.get("data_provider") is not None and not values.get("data_path"):
        from convnet_cfg.data import needs_path

        if not values["data_provider"] or needs_path(values["data_provider"]):
            yield "data_path"
