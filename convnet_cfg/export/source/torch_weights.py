"""PyTorch modules for layers with weights.

Each input of a layer has a module of its own, the first of them with the bias. All expect the numbers of the
original's matrices, whose rows are (channel, row, column), as the features of a flattened image are here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from keras import layers

from convnet_cfg import nn
from convnet_cfg.export.source.frame import Operand, Step, Weight
from convnet_cfg.export.source.torch_images import padded
from convnet_cfg.export.source.torch_layers import Emitter, rate_of
from convnet_cfg.export.source.torch_program import Array, Parameter, Program
from convnet_cfg.nn.windows import Span, Window

Make = Callable[[Program, Step, int, str], str]


def _weighted(make: Make, of_kernel: Callable[[Step, int, Array], Array]) -> Emitter:
    """Return the emitter of a layer with weights: the sum of what its inputs add.

    `make` makes the module of an input, given its number and name, and returns its call.
    """

    def emitter(program: Program, step: Step) -> str:
        calls = []
        for index, kernel in enumerate(step.kernels):
            name = _module_name(program, step, index)
            calls.append(make(program, step, index, name))
            parameter = Parameter(f"{name}.weight", partial(of_kernel, step, index))
            program.keep(kernel, parameter)
            if kernel.shared and not _same_form(parameter, program.parameters[kernel.name], kernel):
                message = f"it has {kernel.name} in another form, which cannot be shared in PyTorch"
                program.refuse(step.layer, message)
        if step.bias is not None and _is_apart(step):
            calls.append(_bias_apart(program, step, step.bias))
        elif step.bias is not None:
            path = f"{_module_name(program, step, 0)}.bias"
            program.keep(step.bias, Parameter(path, partial(_of_bias, step.bias)))
        return " + ".join(calls)

    return emitter


def _same_form(one: Parameter, other: Parameter, weight: Weight) -> bool:
    """Return whether two layers have a matrix in one shape: others are of other groups or pixels."""
    matrix = np.zeros(weight.owner.matrix.shape, np.float32)
    return one.of_matrix(matrix).shape == other.of_matrix(matrix).shape


def _module_name(program: Program, step: Step, index: int) -> str:
    """Return the name of the module for an input of a step."""
    sources = [operand.source for operand in step.operands]
    if len(sources) == 1:
        return step.name
    again = f"_{index}" if sources.count(sources[index]) > 1 else ""
    return program.name(step, f"_from_{sources[index]}{again}")


def _is_apart(step: Step) -> bool:
    """Return whether there is a bias for each position of a convolution, which PyTorch's have not."""
    return isinstance(step.made, nn.Conv2D) and not step.made.shared_bias


def _bias_apart(program: Program, step: Step, bias: Weight) -> str:
    """Make the biases of all positions, and return the expression for them."""
    name = program.name(step, "_bias")
    program.keep(bias, Parameter(name, partial(_of_bias, bias)))
    return program.module(name, f"nn.Parameter(torch.zeros{_bias_shape(bias)})")


def _bias_shape(bias: Weight) -> tuple[int, ...]:
    """Return the shape in PyTorch: the filters come first."""
    *places, filters = bias.shape
    return (filters, *places)


def _of_bias(bias: Weight, matrix: Array) -> Array:
    return matrix.reshape(_bias_shape(bias))


def _has_bias(step: Step, index: int) -> bool:
    return index == 0 and step.bias is not None and not _is_apart(step)


def _without_bias(step: Step, index: int) -> list[str]:
    """Return the argument of a module that has no bias."""
    return [] if _has_bias(step, index) else ["bias=False"]


def _bias_of(step: Step, index: int, module: str) -> list[str]:
    """Return the argument of a function that is the bias of a module, if that has one."""
    return [f"{module}.bias"] if _has_bias(step, index) else []


# -- vectors


def _linear(program: Program, step: Step, index: int, name: str) -> str:
    operand = step.operands[index]
    x, scale = program.read(operand).code, step.kernels[index].gradient_scale
    arguments = [str(operand.shape[0]), str(step.made.units), *_without_bias(step, index)]
    module = program.module(name, f"nn.Linear({', '.join(arguments)})")
    if scale == 1:
        return f"{module}({x})"
    weight = f"with_gradient_scale({module}.weight, {scale!r})"
    return f"F.linear({', '.join([x, weight, *_bias_of(step, index, module)])})"


def _of_full(step: Step, index: int, matrix: Array) -> Array:
    return matrix.T


def _partwise(program: Program, step: Step, index: int, name: str) -> str:
    operand, made = step.operands[index], step.made
    numbers = [str(operand.shape[0]), str(made.parts * made.units), f"parts={made.parts}"]
    kind = "PartwiseLinear" if _has_bias(step, index) else "PartwiseProduct"
    module = program.module(name, f"{kind}({', '.join(numbers)})")
    return _called(step, index, module, program.read(operand).code)


def _of_parts(step: Step, index: int, matrix: Array) -> Array:
    return matrix.reshape(step.made.parts, -1, step.made.units).transpose(0, 2, 1)


def _drop_connect(program: Program, step: Step, index: int, name: str) -> str:
    operand, made = step.operands[index], step.made
    kind = "CaseDropConnect" if made.per_case else "DropConnect"
    module = program.module(name, f"{kind}({operand.shape[0]}, {made.units}, rate={made.rate!r})")
    return _called(step, index, module, program.read(operand).code)


def _called(step: Step, index: int, module: str, x: str) -> str:
    """Return the call of a module, whose weight may be shared at another learning rate."""
    scale = step.kernels[index].gradient_scale
    if scale == 1:
        return f"{module}({x})"
    weight = f"with_gradient_scale({module}.weight, {scale!r})"
    return f'torch.func.functional_call({module}, {{"weight": {weight}}}, {x})'


def _drop_outputs(program: Program, step: Step) -> str:
    dropout = program.module(program.name(step, "_mask"), f"MaskDropout({rate_of(step)})")
    return f"{dropout}({_full(program, step)})"


# -- images


def _convolution(program: Program, step: Step, index: int, name: str) -> str:
    window = step.made.windows[index]
    image, options = _placed(program, step, index, name)
    numbers = [str(window.groups * window.depth), str(step.made.filters), f"kernel_size={window.size}"]
    made = f"nn.Conv2d({', '.join([*numbers, *options, *_without_bias(step, index)])})"
    return _convolved(step, index, program.module(name, made), image, options)


def _convolved(step: Step, index: int, module: str, image: str, options: list[str]) -> str:
    """Return the call of a convolution, whose weight may be shared at another learning rate."""
    scale = step.kernels[index].gradient_scale
    if scale == 1:
        return f"{module}({image})"
    function = "F.conv1d" if len(step.operands[index].shape) == 2 else "F.conv2d"
    weight = f"with_gradient_scale({module}.weight, {scale!r})"
    return f"{function}({', '.join([image, weight, *_bias_of(step, index, module), *options])})"


def _placed(program: Program, step: Step, index: int, name: str) -> tuple[str, list[str]]:
    """Return the image of an input, and the arguments of its module that say where the windows lie.

    The image is padded beforehand where PyTorch's, the same on all sides, does not give these windows.
    """
    window, operand = step.made.windows[index], step.operands[index]
    span = step.made.span(window, operand.shape[0])
    image = _seen(program, operand, window, name)
    if _is_padded_evenly(span):
        padding = span.before
    else:
        padding, image = 0, padded(image, span.before, span.after)
    options = {"stride": (window.strides, 1), "padding": (padding, 0), "groups": (window.groups, 1)}
    return image, [f"{option}={value}" for option, (value, usual) in options.items() if value != usual]


def _is_padded_evenly(span: Span) -> bool:
    """Return whether PyTorch's padding, the same on both sides, makes exactly these windows."""
    spare = span.side + 2 * span.before - span.size
    return spare // span.strides + 1 == span.count


def _seen(program: Program, operand: Operand, window: Window, name: str) -> str:
    """Return an image with the channels that the groups see, one group behind the other."""
    image = program.read(operand)
    if window.connections is None:
        return image.code
    channels = program.constant(f"CHANNELS_OF_{name}", window.connections)
    return f"{image.bracketed}[:, {channels}]"


def _of_filters(step: Step, index: int, matrix: Array) -> Array:
    window = step.made.windows[index]
    return matrix.T.reshape(step.made.filters, window.depth, window.size, window.size)


def _local(program: Program, step: Step, index: int, name: str) -> str:
    window, made = step.made.windows[index], step.made
    image, options = _placed(program, step, index, name)
    sizes = [f"size={window.size}", f"side={made.output_side}"]
    numbers = [str(window.groups * window.depth), str(made.filters), *sizes, *options]
    kind = "LocallyConnected" if _has_bias(step, index) else "LocalProduct"
    module = program.module(name, f"{kind}({', '.join(numbers)})")
    return _called(step, index, module, image)


def _of_places(step: Step, index: int, matrix: Array) -> Array:
    places, groups = step.made.output_side**2, step.made.windows[index].groups
    filters = step.made.filters // groups
    return matrix.reshape(places, -1, groups, filters).transpose(0, 2, 3, 1)


def _pixels(program: Program, step: Step, index: int, name: str) -> str:
    """A convolution with filters of one pixel; pixels that are no square image are a line of them."""
    (operand,), made = step.operands, step.made
    kind = "nn.Conv2d" if len(operand.shape) == 3 else "nn.Conv1d"
    groups = [f"groups={made.groups}"] if made.groups > 1 else []
    numbers = [str(operand.shape[-1]), str(made.groups * made.units), "kernel_size=1", *groups]
    module = program.module(name, f"{kind}({', '.join(numbers)})")
    call = _convolved(step, index, module, program.read(operand).code, groups)
    return call if step.image else f"{call}.flatten(1)"


def _of_pixels(step: Step, index: int, matrix: Array) -> Array:
    ones = (1,) * (len(step.operands[0].shape) - 1)
    return matrix.T.reshape(*matrix.T.shape, *ones)


_full = _weighted(_linear, _of_full)
WEIGHTS: Mapping[type[layers.Layer], Emitter] = {
    nn.Dense: _full,
    nn.ConditionalProbability: _full,
    nn.BlockDense: _weighted(_partwise, _of_parts),
    nn.DropoutDense: _drop_outputs,
    nn.DropConnectDense: _weighted(_drop_connect, _of_full),
    nn.PixelDense: _weighted(_pixels, _of_pixels),
    nn.Conv2D: _weighted(_convolution, _of_filters),
    nn.Local2D: _weighted(_local, _of_places),
}
