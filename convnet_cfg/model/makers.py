"""The Keras layer for each layer type: one function a type, and the table of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isqrt, prod
from typing import Any

import keras

from convnet_cfg import nn
from convnet_cfg.errors import ConfigError, Problem
from convnet_cfg.language.cost_types import LogregSpec, SquaresSpec
from convnet_cfg.language.layer_types import (
    BlurSpec,
    ContrastNormSpec,
    CrossMapNormSpec,
    DataSpec,
    Image,
    LabSpec,
    LayerSpec,
    MaxSpec,
    NailbedSpec,
    NeuronSpec,
    NormSpec,
    PoolSpec,
    ResizeSpec,
    ResponseNormSpec,
    SoftmaxSpec,
    SumSpec,
    YuvSpec,
)
from convnet_cfg.language.network import Layer
from convnet_cfg.language.params import CostParams, NormParams
from convnet_cfg.language.weight_types import ConvSpec, FilterSpec, FullSpec, LocalSpec
from convnet_cfg.model.assembly import Builder, Cost, OverViews, Value
from convnet_cfg.nn.weighted import one_or_all

Maker = Callable[[Builder, Layer], None]


def _data(builder: Builder, layer: Layer) -> None:
    spec = layer.spec
    assert isinstance(spec, DataSpec)
    shape = builder.data_shapes[spec.data_index]
    if prod(shape) != layer.output.size:
        message = f"the data have {prod(shape)} values for each case of matrix {spec.data_index}, "
        raise ConfigError([Problem(layer.place, layer.name, f"{message}not {layer.output.size}")])
    image = Image(shape[2], shape[0]) if len(shape) == 3 else None
    tensor = keras.Input(shape, name=builder.unique_name(layer.name), dtype=builder.dtype)
    builder.inputs.append(tensor)
    builder.data_indices.append(spec.data_index)
    builder.values[layer.name] = Value(tensor, image)


def _full(builder: Builder, layer: Layer) -> None:
    spec = layer.spec
    assert isinstance(spec, FullSpec)
    vectors = []
    for index in range(len(layer.inputs)):
        value = builder.value(layer, index)
        # An image is flattened as it is; its kernel's rows are in that order (language/layout.py).
        builder.kernel_images[layer.name, index] = value.image
        vectors.append(builder.reshape((value.image.size,), value.tensor) if value.image else value.tensor)
    made = nn.Dense(spec.outputs, len(vectors), **builder.sharing(layer), **builder.options(layer))
    builder.add(layer, made, one_or_all(vectors), None)


def _filters(builder: Builder, layer: Layer) -> None:
    spec = layer.spec
    assert isinstance(spec, FilterSpec)
    assert layer.output.image is not None
    images = [builder.image(layer, channels, index).tensor for index, channels in enumerate(spec.channels)]
    arguments = {
        "filters": spec.total_filters(),
        "windows": builder.windows(layer, spec),
        "output_side": layer.output.image.side,
        **builder.sharing(layer),
        **builder.options(layer),
    }
    if isinstance(spec, ConvSpec):
        arguments["shared_bias"] = spec.shared_biases
    made = nn.Conv2D(**arguments) if isinstance(spec, ConvSpec) else nn.Local2D(**arguments)
    builder.add(layer, made, one_or_all(images), layer.output.image)


def _neuron(builder: Builder, layer: Layer) -> None:
    neuron = layer.spec.neuron
    assert neuron is not None
    value = builder.value(layer)
    made = nn.Activation(neuron.name, neuron.parameters, **builder.options(layer))
    builder.add(layer, made, value.tensor, value.image)


def _softmax(builder: Builder, layer: Layer) -> None:
    vector = builder.as_vector(builder.value(layer))
    builder.values[f"{layer.name}/logits"] = Value(vector, None)
    builder.add(layer, nn.Softmax(**builder.options(layer)), vector, None)


def _sum(builder: Builder, layer: Layer) -> None:
    spec = layer.spec
    assert isinstance(spec, SumSpec)
    tensors, image = builder.same_form(layer)
    coefficients = spec.coefficients_with(layer.params)
    builder.add(layer, nn.WeightedSum(coefficients, **builder.options(layer)), tensors, image)


def _maximum(builder: Builder, layer: Layer) -> None:
    tensors, image = builder.same_form(layer)
    builder.add(layer, nn.Maximum(**builder.options(layer)), tensors, image)


def _image_layer(make: Callable[[Any, Layer, dict[str, Any]], keras.layers.Layer]) -> Maker:
    """Return the maker of a layer from one image to another."""

    def maker(builder: Builder, layer: Layer) -> None:
        spec: Any = layer.spec
        image = builder.image(layer, spec.channels)
        builder.add(layer, make(spec, layer, builder.options(layer)), image.tensor, layer.output.image)

    return maker


def _pool(spec: PoolSpec, layer: Layer, options: dict[str, Any]) -> keras.layers.Layer:
    assert layer.output.image is not None
    if spec.has_empty_windows(isqrt(layer.inputs[0].output.size // spec.channels)):
        message = "some windows lie wholly outside the image, and have neither maximum nor average"
        raise ConfigError([Problem(layer.place, layer.name, message)])
    pools = {"max": nn.MaxPool2D, "avg": nn.AveragePool2D}
    return pools[spec.pool](spec.size, spec.stride, spec.start, layer.output.image.side, **options)


def _norm(norm: Callable[..., keras.layers.Layer]) -> Maker:
    def make(spec: NormSpec, layer: Layer, options: dict[str, Any]) -> keras.layers.Layer:
        assert isinstance(layer.params, NormParams), "a network without parameters cannot be run"
        scale = spec.effective_scale(layer.params.scale)
        return norm(spec.size, scale, layer.params.power, **options)

    return _image_layer(make)


def _cross_map_norm(spec: CrossMapNormSpec, layer: Layer, options: dict[str, Any]) -> keras.layers.Layer:
    assert isinstance(layer.params, NormParams), "a network without parameters cannot be run"
    scale = spec.effective_scale(layer.params.scale)
    return nn.CrossMapNorm(spec.size, scale, layer.params.power, blocked=spec.blocked, **options)


def _logreg(builder: Builder, layer: Layer) -> None:
    labels, probabilities = (source.name for source in layer.inputs)
    label_output = builder.add_output(labels, builder.values[labels].tensor)
    probability_output = builder.add_output(probabilities, builder.values[probabilities].tensor)
    # With one consumer the gradient is p - onehot at the softmax layer's input, as in the original.
    fused = len(list(builder.network.consumers(probabilities))) == 1
    logits = f"{probabilities}/logits"
    if fused:
        builder.add_output(logits, builder.values[logits].tensor)
    builder.costs.append(
        Cost(
            layer.name,
            coefficient(layer),
            size=2,
            inputs=(label_output, logits if fused else probability_output),
            values=nn.softmax_logreg if fused else nn.logreg,
            over_views=OverViews(probability_output, (label_output, probability_output), nn.logreg),
        )
    )


def _squares(builder: Builder, layer: Layer) -> None:
    name = layer.inputs[0].name
    inputs = (builder.add_output(name, builder.values[name].tensor),)
    builder.costs.append(Cost(layer.name, coefficient(layer), 1, inputs, nn.sum_of_squares))


def coefficient(layer: Layer) -> float:
    """Return the weight of a cost in the objective; 1 without a parameter file."""
    return layer.params.coefficient if isinstance(layer.params, CostParams) else 1.0


MAKERS: Mapping[type[LayerSpec], Maker] = {
    DataSpec: _data,
    FullSpec: _full,
    ConvSpec: _filters,
    LocalSpec: _filters,
    SoftmaxSpec: _softmax,
    SumSpec: _sum,
    MaxSpec: _maximum,
    NeuronSpec: _neuron,
    PoolSpec: _image_layer(_pool),
    ResponseNormSpec: _norm(nn.ResponseNorm2D),
    ContrastNormSpec: _norm(nn.ContrastNorm2D),
    CrossMapNormSpec: _image_layer(_cross_map_norm),
    NailbedSpec: _image_layer(lambda spec, layer, options: nn.Nailbed(spec.stride, **options)),
    BlurSpec: _image_layer(
        lambda spec, layer, options: nn.GaussianBlur(spec.size, spec.deviation, **options)
    ),
    ResizeSpec: _image_layer(lambda spec, layer, options: nn.BilinearResize(spec.scale, **options)),
    YuvSpec: _image_layer(lambda spec, layer, options: nn.RGBToYUV(**options)),
    LabSpec: _image_layer(lambda spec, layer, options: nn.RGBToLAB(spec.center, **options)),
    LogregSpec: _logreg,
    SquaresSpec: _squares,
}
