"""The steps of a network as calls of Keras: a function for each class of layer that we make, in a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from convnet_cfg import nn
from convnet_cfg.export.source.frame import Form, Operand, Step
from convnet_cfg.export.source.text import Call, Expression, Items, call, flat
from convnet_cfg.language.layer_types import Image, NormSpec
from convnet_cfg.language.params import NormParams
from convnet_cfg.nn.windows import Span

Emitter = Callable[[Step], Expression]


def read(operand: Operand) -> Expression:
    """Return what a step reads."""
    if operand.factor != 1.0:
        return Call("Scale", (number(operand.factor),), read(operand._replace(factor=1.0)))
    source, shape = operand.source, operand.shape
    if operand.form is Form.AS_IS:
        return source
    if operand.form is Form.FLAT:
        return Call("layers.Flatten", (), _image(operand, operand.order) if operand.order else source)
    if operand.form is Form.VECTOR:
        return call("channels_first", source)
    if operand.form is Form.IMAGE:
        return _image(operand, Image(shape[2], shape[0]))
    return call("pixels_of", _vector(operand), f"channels={shape[1]}")


def _image(operand: Operand, image: Image) -> Expression:
    return call("image_of", _vector(operand), f"channels={image.channels}", f"side={image.side}")


def _vector(operand: Operand) -> str:
    """Return the values in the original's order."""
    return flat(call("channels_first", operand.source)) if operand.given else operand.source


def number(value: float) -> str:
    """Return a number as Python writes it, without the end that single precision leaves."""
    return repr(value)


def text(value: str) -> str:
    """Return a string in double quotes."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def named(step: Step) -> str:
    """Return the argument that names a layer."""
    return f"name={text(step.made.name)}"


# -- layers without weights


def simple(name: str, *attributes: str) -> Emitter:
    """Return the emitter of a layer that takes these attributes of ours, in this order, and a name."""

    def emit(step: Step) -> Expression:
        values = [number(getattr(step.made, attribute)) for attribute in attributes]
        return Call(name, (*values, named(step)), read(step.operands[0]))

    return emit


def _activation(step: Step) -> Expression:
    function, parameters = step.made.function, step.made.parameters
    operand = read(step.operands[0])
    if function == "relu":
        return Call("layers.ReLU", (named(step),), operand)
    if plain := plain_activation(step):
        return Call("layers.Activation", (text(plain), named(step)), operand)
    if function in FUNCTIONS:
        return Call("layers.Activation", (FUNCTIONS[function], named(step)), operand)
    values = map(number, parameters)
    return Call(ACTIVATIONS[function], (*values, named(step)), operand)


FUNCTIONS = {"square": "ops.square", "sqrt": "ops.sqrt", "abs": "absolute", "softrelu": "soft_relu"}
ACTIVATIONS = {
    "tanh": "ScaledTanh",
    "linear": "Linear",
    "brelu": "BoundedReLU",
    "log": "Logarithm",
    "drelu": "DoubleReLU",
    "abstanh": "AbsoluteTanh",
    "power": "Power",
    "nrelu": "NoisyReLU",
    "softlif": "FiringRate",
    "softlifalpha": "AlphaSpikes",
    "softlifalpharc": "MembraneAlphaSpikes",
}


def plain_activation(step: Step) -> str | None:
    """Return what Keras calls an activation, None if it has none like it, or the step is something else."""
    if not isinstance(step.made, nn.Activation):
        return None
    if step.made.function == "tanh" and step.made.parameters == (1.0, 1.0):
        return "tanh"
    return {"relu": "relu", "logistic": "sigmoid", "ident": "linear"}.get(step.made.function)


def _pool(name: str) -> Emitter:
    def emit(step: Step) -> Expression:
        span = step.made.span(step.operands[0].shape[0])
        size, strides = map(str, (span.size, span.strides))
        operand, padding = _cropped(span, read(step.operands[0]))
        return Call(name, (size, f"strides={strides}", f"padding={padding}", named(step)), operand)

    return emit


def _cropped(span: Span, operand: Expression) -> tuple[Expression, tuple[int, int]]:
    """Return the operand without the pixels that no window sees, and the padding around the others."""
    padding = (max(0, span.before), max(0, span.after))
    # The pixels behind the last window are none of its business if they are too few for another one.
    behind = -span.after if -span.after >= span.strides else 0
    cropping = (max(0, -span.before), behind)
    if any(cropping):
        operand = Call("layers.Cropping2D", (str((cropping, cropping)),), operand)
    return operand, padding


def _average_pool(step: Step) -> Expression:
    span = step.made.span(step.operands[0].shape[0])
    size, strides = str(span.size), f"strides={span.strides}"
    operand = read(step.operands[0])
    divisor = step.made.divisor
    # Where one border has more, Keras on PyTorch averages copies of the pixels there.
    even = span.mode == "SAME" and span.before == span.after
    if span.mode == "VALID" or (even and divisor == "existing"):
        padding = f"padding={text(span.mode.lower())}" if span.mode == "SAME" else None
        whole = Call("layers.AveragePooling2D", tuple(each for each in (size, strides, padding) if each))
    else:
        operand, around = _cropped(span, operand)
        if divisor == "existing":
            whole = Call("AveragePooling", (size, strides, f"padding={around}"))
        else:
            operand = Call("layers.ZeroPadding2D", (str((around, around)),), operand)
            whole = Call("layers.AveragePooling2D", (size, strides))
    if divisor != "none":
        return whole._replace(arguments=(*whole.arguments, named(step)), operand=operand)
    return Call("Scale", (number(float(span.size**2)), named(step)), whole._replace(operand=operand))


def _channel_pool(step: Step) -> Expression:
    made = step.made
    after = made.start + made.strides * (made.outputs - 1) + made.size - step.operands[0].shape[-1]
    padding = f"padding={(-made.start, max(0, after))}"
    arguments = (str(made.size), f"strides={made.strides}", padding, named(step))
    return Call("ChannelMaxPooling", arguments, read(step.operands[0]))


def _norm(name: Callable[[Any], str]) -> Emitter:
    def emit(step: Step) -> Expression:
        made = step.made
        arguments = [str(made.size), f"scale={_scale(step)}", f"power={number(made.power)}"]
        if made.constant != 1.0:
            arguments.append(f"constant={number(made.constant)}")
        return Call(name(made), (*arguments, named(step)), read(step.operands[0]))

    return emit


def _scale(step: Step) -> str:
    """Return the scale of a norm as its file has it, divided by the number of values in a window."""
    spec, params = step.layer.spec, step.layer.params
    assert isinstance(spec, NormSpec)
    assert isinstance(params, NormParams)
    divisor = str(spec.size) if spec.divisor_power == 1 else f"{spec.size}**{spec.divisor_power}"
    return f"{number(params.scale)} / {divisor}"


def _softmax(step: Step) -> Expression:
    return Call("layers.Softmax", (named(step),), read(step.operands[0]))


def _log_softmax(step: Step) -> Expression:
    return Call("layers.Activation", ('"log_softmax"', named(step)), read(step.operands[0]))


def _unit_norm(step: Step) -> Expression:
    return Call("layers.UnitNormalization", (named(step),), read(step.operands[0]))


def _sum(step: Step) -> Expression:
    coefficients = step.made.coefficients
    operands = tuple(map(read, step.operands))
    if len(operands) == 1:
        return Call("Scale", (number(coefficients[0]), named(step)), operands[0])
    if set(coefficients) == {1.0}:
        return Call("layers.Add", (named(step),), Items(operands))
    factors = f"({', '.join(map(number, coefficients))})"
    return Call("WeightedSum", (factors, named(step)), Items(operands))


def _several(name: str) -> Emitter:
    def emit(step: Step) -> Expression:
        return Call(name, (named(step),), Items(tuple(map(read, step.operands))))

    return emit


def _inverted_dropout(step: Step) -> Expression:
    rate = number(round(1.0 - step.made.keep, 12))
    return Call("layers.Dropout", (rate, named(step)), read(step.operands[0]))


def _mask_dropout(step: Step) -> Expression:
    rate = number(round(step.made.rate, 12))
    return Call("MaskDropout", (rate, named(step)), read(step.operands[0]))


def _fixed_count(step: Step) -> Expression:
    arguments = (number(step.made.rate), f"kept={step.made.kept(step.size)}", named(step))
    return Call("FixedCountDropout", arguments, read(step.operands[0]))


def _nailbed(step: Step) -> Expression:
    side, strides = step.operands[0].shape[0], step.made.strides
    start = (side - strides * (step.made.output_side(side) - 1)) // 2
    return Call("Nailbed", (f"start={start}", f"strides={strides}", named(step)), read(step.operands[0]))


def _resize(step: Step) -> Expression:
    arguments = (str(step.shape[0]), f"scale={number(step.made.scale)}", named(step))
    return Call("BilinearResize", arguments, read(step.operands[0]))


def _random_scale(step: Step) -> Expression:
    name = "RandomScaleOrCentre" if step.made.crops else "RandomScale"
    arguments = (number(step.made.max_scale), f"target={step.made.target}", named(step))
    return Call(name, arguments, read(step.operands[0]))


def _crop(step: Step) -> Expression:
    side, size = step.operands[0].shape[0], step.made.size
    starts = (step.made.row, step.made.column)
    sides = tuple((start, side - start - size) for start in starts)
    return Call("layers.Cropping2D", (str(sides), named(step)), read(step.operands[0]))


def _lab(step: Step) -> Expression:
    offset = 66.0 if step.made.center else 16.0
    return Call("RGBToLAB", (f"offset={offset}", named(step)), read(step.operands[0]))


def _hand_on(step: Step) -> Expression:
    operand = read(step.operands[0])
    if step.end:
        return Call("Slice", (str(step.first), str(step.end), f"name={text(step.name)}"), operand)
    return operand


EMITTERS: Mapping[type[Any], Emitter] = {
    type(None): _hand_on,
    keras.layers.Concatenate: _several("layers.Concatenate"),
    nn.Activation: _activation,
    nn.RandomActivation: _activation,
    nn.Softmax: _softmax,
    nn.LogSoftmax: _log_softmax,
    nn.UnitNormalization: _unit_norm,
    nn.WeightedSum: _sum,
    nn.Maximum: _several("MaximumOfAll"),
    nn.MaxPool2D: _pool("MaxPooling"),
    nn.MaxAbsPool2D: _pool("MaxMagnitudePooling"),
    nn.AveragePool2D: _average_pool,
    nn.CrossMapMaxPool: _channel_pool,
    nn.CrossMapNorm: _norm(lambda made: "BlockNorm" if made.blocked else "CrossChannelNorm"),
    nn.ResponseNorm2D: _norm(lambda made: "ResponseNorm"),
    nn.ContrastNorm2D: _norm(
        lambda made: "ContrastNorm" if made.divisor == "existing" else "NominalContrastNorm"
    ),
    nn.MaskDropout: _mask_dropout,
    nn.InvertedDropout: _inverted_dropout,
    nn.FixedCountDropout: _fixed_count,
    nn.Nailbed: _nailbed,
    nn.GaussianBlur: simple("GaussianBlur", "size", "stdev"),
    nn.BilinearResize: _resize,
    nn.RandomScale: _random_scale,
    nn.HorizontalFlip: simple("Mirror"),
    nn.Crop2D: _crop,
    nn.RGBToYUV: simple("RGBToYUV"),
    nn.RGBToLAB: _lab,
}
