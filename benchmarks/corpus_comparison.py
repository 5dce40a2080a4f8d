"""Compares what we make of the pairs of the corpus with what the original's own parser made of them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from convnet_cfg.errors import ConfigError
from convnet_cfg.language import Network, Reading, build_network, guess_dims, read_pair
from convnet_cfg.language.describe import describe

# Bookkeeping of the original's, or keys that came to nothing.
NOT_COMPARED = {
    "id",
    "src_layer",
    "wballNormed",
    "superEps",
    "superMom",
    "aggregated",
    "quantF",
    "quantB",
    "copyOffsets",
    "computeSoftmaxErrorRate",
    "filter",
}
# What single forks keep beside, by type and key.
FORK_BOOKKEEPING = {
    ("conv", "flipWeights"),
    ("conv", "num_epochs"),
    ("fc", "num_epochs"),
    ("cost.ice", "outputs"),
    ("cost.ice", "prior_total_count"),
    ("cost.ice", "prior_train_count"),
}
# The first programs had other names, and values that were no lists yet.
FIRST_NAMES = {"numOutputs": "outputs", "numFilters": "filters", "sizeX": "size", "subsX": "sizeX"}
FIRST_BOOKKEEPING = {"gradConsumer", "crossMap"}
RENAMED_TYPES = {("cnorm", "rnorm"), ("rnorm", "cmrnorm")}


class Outcome(NamedTuple):
    """What we made of a pair: a network, or the message of an error."""

    network: Network | None
    message: str


def read(pair: Path, oracle: Mapping[str, Any], mode: str = "lenient") -> Outcome:
    """Read a pair with the data dimensions that the original was given, if it came so far."""
    dims = oracle["primary"]["data_dims"]
    try:
        found = read_pair(pair / "layers.cfg", pair / "params.cfg", Reading(mode))
        if oracle["primary"].get("error_kind") == "environment":
            dims = guess_dims(found).dims
        return Outcome(build_network(found, lambda index: dims[min(index, len(dims) - 1)]), "")
    except ConfigError as error:
        return Outcome(None, str(error))


def same(our: Any, their: Any) -> bool:
    """Compare strictly, but for the last bits of floating-point numbers."""
    if isinstance(their, bool) or isinstance(our, bool):
        return our is their
    if isinstance(their, float):
        return isinstance(our, int | float) and math.isclose(our, their, rel_tol=1e-12)
    if isinstance(their, list):
        return isinstance(our, list) and len(our) == len(their) and all(map(same, our, their))
    if isinstance(their, dict):
        return (
            isinstance(our, dict) and our.keys() == their.keys() and all(same(our[k], their[k]) for k in our)
        )
    return our == their


def differences(network: Network, oracle: Mapping[str, Any]) -> Iterator[tuple[str, str, Any, Any]]:
    """Yield layer, key, our value and theirs, wherever the values differ."""
    described = describe(network)
    assert json.loads(json.dumps(described)) == described
    ours = {layer["name"]: layer for layer in described["layers"]}
    theirs = {layer["name"]: layer for layer in oracle["primary"]["layers"]}
    first = oracle["dialect"] == "historic-v1" and network.dialect.name == "historic-v1"
    made_later = {name for name in ours if ours[name]["implicit"]} if first else set()
    if ours.keys() - made_later != theirs.keys() - made_later:
        yield "", "layers", sorted(ours), sorted(theirs)
        return
    if network.dialect.name in ("v1", "v1+dropout") and list(ours) != list(theirs):
        yield "", "order", list(ours), list(theirs)
    compare = _first_differences if first else _differences
    for name in theirs.keys() & ours.keys():
        for key, our, their in compare(ours[name], theirs[name], ours):
            yield name, key, our, their


def _differences(ours: Any, theirs: Any, all_ours: Any) -> Iterator[tuple[str, Any, Any]]:
    for key, their in theirs.items():
        if key in NOT_COMPARED or (theirs["type"], key) in FORK_BOOKKEEPING:
            continue
        if key == "weightSource":  # matrix 0 need not be named
            their = [source.removesuffix("[0]") for source in their]
        if not same(ours.get(key), their):
            yield key, ours.get(key), their


def _first_differences(ours: Any, theirs: Any, all_ours: Any) -> Iterator[tuple[str, Any, Any]]:
    """Compare with a program that kept activations as part of their layer."""
    for key, their in theirs.items():
        renamed = FIRST_NAMES.get(key, key) if key not in ours or key == "numFilters" else key
        our = ours.get(renamed)
        if key in FIRST_BOOKKEEPING or (key == "type" and (their, our) in RENAMED_TYPES):
            continue
        if key == "inputs":
            our = [name.removesuffix("_neuron") if name not in their else name for name in our]
        if key == "neuron" and isinstance(their, dict) and isinstance(our, str):
            our, their = our.split("[")[0].split("(")[0], their["type"]
        if not (same(our, their) or same(our, [their])):
            yield key, our, their
