"""Layers from one image to another, without weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isqrt
from typing import Any

import keras

from convnet_cfg import nn
from convnet_cfg.errors import ConfigError, Problem
from convnet_cfg.language.layer_types import (
    BlurSpec,
    ContrastNormSpec,
    CrossMapNormSpec,
    LabSpec,
    LayerSpec,
    NailbedSpec,
    NormSpec,
    PoolSpec,
    ResizeSpec,
    ResponseNormSpec,
    YuvSpec,
)
from convnet_cfg.language.network import Layer
from convnet_cfg.language.params import NormParams
from convnet_cfg.language.v2_types import ChannelPoolSpec, CropSpec, FlipSpec, RandomScaleSpec
from convnet_cfg.model.assembly import Builder, Maker

Make = Callable[[Builder, Any, Layer], keras.layers.Layer]


def _image_layer(make: Make) -> Maker:
    """Return the maker of a layer from one image to another."""

    def maker(builder: Builder, layer: Layer) -> None:
        spec: Any = layer.spec
        image = builder.image(layer, spec.channels)
        builder.add(layer, make(builder, spec, layer), image.tensor, layer.output.image)

    return maker


def _pool(builder: Builder, spec: PoolSpec, layer: Layer) -> keras.layers.Layer:
    assert layer.output.image is not None
    if spec.has_empty_windows(isqrt(layer.inputs[0].output.size // spec.channels)):
        message = "some windows lie wholly outside the image, and have neither maximum nor average"
        raise ConfigError([Problem(layer.place, layer.name, message)])
    arguments = (spec.size, spec.stride, spec.start, layer.output.image.side)
    if spec.pool == "avg":
        divisor = "none" if spec.sums else builder.divisor
        return nn.AveragePool2D(*arguments, divisor=divisor, **builder.options(layer))
    pools = {"max": nn.MaxPool2D, "maxabs": nn.MaxAbsPool2D}
    return pools[spec.pool](*arguments, **builder.options(layer))


def _norm_arguments(builder: Builder, spec: NormSpec, layer: Layer) -> dict[str, Any]:
    assert isinstance(layer.params, NormParams), "a network without parameters cannot be run"
    return {
        "size": spec.size,
        "scale": spec.effective_scale(layer.params.scale),
        "power": layer.params.power,
        "constant": layer.params.constant,
        **builder.options(layer),
    }


def _response_norm(builder: Builder, spec: NormSpec, layer: Layer) -> keras.layers.Layer:
    return nn.ResponseNorm2D(**_norm_arguments(builder, spec, layer))


def _contrast_norm(builder: Builder, spec: NormSpec, layer: Layer) -> keras.layers.Layer:
    return nn.ContrastNorm2D(divisor=builder.divisor, **_norm_arguments(builder, spec, layer))


def _cross_map_norm(builder: Builder, spec: NormSpec, layer: Layer) -> keras.layers.Layer:
    return nn.CrossMapNorm(blocked=spec.blocked, **_norm_arguments(builder, spec, layer))


def _channel_pool(builder: Builder, spec: ChannelPoolSpec, layer: Layer) -> keras.layers.Layer:
    return nn.CrossMapMaxPool(spec.size, spec.stride, spec.start, spec.outputs, **builder.options(layer))


def _crop(builder: Builder, spec: CropSpec, layer: Layer) -> keras.layers.Layer:
    return nn.Crop2D(spec.row, spec.first_column, spec.size, **builder.options(layer))


def _random_scale(builder: Builder, spec: RandomScaleSpec, layer: Layer) -> keras.layers.Layer:
    options = builder.random_options(layer)
    return nn.RandomScale(spec.max_scale, spec.target, crops=spec.crops_in_tests, **options)


IMAGES: Mapping[type[LayerSpec], Maker] = {
    PoolSpec: _image_layer(_pool),
    ChannelPoolSpec: _image_layer(_channel_pool),
    ResponseNormSpec: _image_layer(_response_norm),
    ContrastNormSpec: _image_layer(_contrast_norm),
    CrossMapNormSpec: _image_layer(_cross_map_norm),
    NailbedSpec: _image_layer(lambda builder, spec, layer: nn.Nailbed(spec.stride, **builder.options(layer))),
    BlurSpec: _image_layer(
        lambda builder, spec, layer: nn.GaussianBlur(spec.size, spec.deviation, **builder.options(layer))
    ),
    ResizeSpec: _image_layer(
        lambda builder, spec, layer: nn.BilinearResize(spec.scale, **builder.options(layer))
    ),
    YuvSpec: _image_layer(lambda builder, spec, layer: nn.RGBToYUV(**builder.options(layer))),
    LabSpec: _image_layer(lambda builder, spec, layer: nn.RGBToLAB(spec.center, **builder.options(layer))),
    FlipSpec: _image_layer(lambda builder, spec, layer: nn.HorizontalFlip(**builder.options(layer))),
    CropSpec: _image_layer(_crop),
    RandomScaleSpec: _image_layer(_random_scale),
}
