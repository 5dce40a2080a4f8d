"""What a user derives layer types and costs of their own from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from convnet_cfg.language.cost_types import CostSpec
from convnet_cfg.language.layer_types import ImageSpec, LayerSpec

if TYPE_CHECKING:
    from convnet_cfg.language.network import Layer


@dataclass(frozen=True, kw_only=True)
class OwnSpec(LayerSpec):
    """A layer type from outside, without weights of cuda-convnet's kind; its output is like its input.

    Fields declared with `key` are its keys in the definition file. Override `output` where the output has
    another size, and set `params` to a class derived from `LayerParams` for keys in the parameter file.
    """

    def keras_layer(self, layer: Layer, **options: Any) -> Any:
        """Return the Keras layer for a layer of the network; `options` are the name and dtype it must have.

        It gets what its input hands on: images (cases, rows, columns, channels), or vectors; several inputs
        as a list.
        """
        raise NotImplementedError(f"{type(self).__name__} must define keras_layer")


@dataclass(frozen=True, kw_only=True)
class OwnImageSpec(OwnSpec, ImageSpec):
    """A layer type from outside that reads its one input as an image of `channels` channels.

    Override `output_image` where the output is an image of another shape.
    """


@dataclass(frozen=True, kw_only=True)
class OwnCostSpec(CostSpec):
    """A cost from outside; its parameters are `coeff`, or what a class derived from `CostParams` adds."""

    columns: ClassVar[tuple[str, ...]] = ()

    def values(self, layer: Layer, *inputs: Any) -> Any:
        """Return one row a case, (cases, 1 + columns): the cost, then shares of the cases to be reported.

        `inputs` are those of the cost layer as tensors (cases, values).
        """
        raise NotImplementedError(f"{type(self).__name__} must define values")
