"""Layers with the kernel of another one: a class for each kind, put together of two."""

from __future__ import annotations

from collections.abc import Iterator

from convnet_cfg.export.source.keras_emit import number
from convnet_cfg.export.source.pasting import Definition

WRITTEN_OUT = ("Product", "Dense", "Filters", "Conv2D")  # in keras_layers: they are like layers of Keras
OTHERS = (
    "GroupedFilters",
    "GroupedConv2D",
    "LocalFilters",
    "LocallyConnected2D",
    "GroupedLocalFilters",
    "GroupedLocallyConnected2D",
    "BlockProducts",
    "BlockDense",
    "GroupedPixelDense",
    "DropConnectDense",
    "CaseDropConnectDense",
)


def shared_kind(kind: str, gradient_scale: float) -> tuple[str, list[str]]:
    """Return the class of layers of a kind with the kernel of another one, and an argument for the scale."""
    if gradient_scale == 1.0:
        return f"Shared{kind}", []
    return f"Shared{kind}AtOwnRate", [f"gradient_scale={number(gradient_scale)}"]


def sharing_classes() -> Iterator[tuple[str, Definition]]:
    """Yield the classes by name that are not written out."""
    for kind in OTHERS:
        yield _combined(f"Shared{kind}", "SharedKernel", kind, "with the kernel of another layer")
    for kind in (*WRITTEN_OUT, *OTHERS):
        shared = f"Shared{kind}"
        yield _combined(
            f"{shared}AtOwnRate", "ScaledGradient", shared, "at a learning rate of its own for the kernel"
        )


def _combined(name: str, mixed_in: str, base: str, words: str) -> tuple[str, Definition]:
    source = f'class {name}({mixed_in}, {base}):\n    """{base} {words}."""'
    return name, Definition(source, [], (mixed_in, base))
