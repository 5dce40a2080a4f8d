"""The layers with weights as calls of Keras; one with several inputs is the sum of a layer for each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from convnet_cfg import nn
from convnet_cfg.export.source.frame import Step, Weight
from convnet_cfg.export.source.keras_emit import number, read, text
from convnet_cfg.export.source.text import Call, Expression, Items
from convnet_cfg.language.fork_types import TransitionSpec
from convnet_cfg.nn.windows import Span


class Made(NamedTuple):
    """A layer applied to what it reads, and the path of each of its variables by its name in a run."""

    expression: Expression
    variables: Mapping[str, str]


class Part(NamedTuple):
    """What one input of a layer with weights adds to it, under the name of a layer of its own."""

    step: Step
    number: int
    name: str
    activation: str | None
    shared: str | None  # the expression of the kernel, if it is another layer's

    @property
    def kernel(self) -> Weight:
        """The kernel of this input."""
        return self.step.kernels[self.number]

    @property
    def operand(self) -> Expression:
        """What it reads."""
        return read(self.step.operands[self.number])

    @property
    def bias(self) -> Weight | None:
        """The bias, which the first part adds."""
        return self.step.bias if self.number == 0 else None

    def options(self) -> list[str]:
        """Return the arguments that say how kernel and bias begin, and the name."""
        arguments = []
        if self.activation:
            arguments.append(f"activation={text(self.activation)}")
        if self.shared is None:
            arguments.append(f"kernel_initializer={initial(self.kernel)}")
        if self.bias is not None and self.bias.first:
            arguments.append(f"bias_initializer=Constant({number(self.bias.first)})")
        return [*arguments, f"name={text(self.name)}"]


def initial(kernel: Weight) -> str:
    """Return the initializer of a kernel."""
    return f"normal({number(kernel.first)})" if kernel.first else '"zeros"'


def _dense(part: Part) -> Call:
    if part.shared is not None:
        kind = "SharedDense" if part.bias else "SharedProduct"
        return Call(kind, (part.shared, *part.options()), part.operand)
    units = str(part.kernel.shape[1])
    return Call("layers.Dense", (units, *_without_bias(part), *part.options()), part.operand)


def _without_bias(part: Part) -> list[str]:
    return [] if part.bias else ["use_bias=False"]


def _conv(part: Part) -> Call:
    made = part.step.made
    window, side = made.windows[part.number], part.step.operands[part.number].shape[0]
    span = made.span(window, side)
    operand = part.operand
    if window.connections is not None:
        operand = Call("TakeChannels", (str(list(window.connections)),), operand)
    if span.mode is None:
        operand = padded(operand, span)
    geometry = [str(made.filters), str(window.size)]
    if window.groups > 1:
        geometry.append(f"groups={window.groups}")
    if window.strides > 1:
        geometry.append(f"strides={window.strides}")
    if span.mode == "SAME":
        geometry.append('padding="same"')
    if part.shared is not None:
        kind = "SharedConv2D" if part.bias else "SharedFilters"
        return Call(kind, (part.shared, *geometry[2:], *part.options()), operand)
    if window.groups > 1:
        kind = "GroupedConv2D" if part.bias else "GroupedFilters"
        return Call(kind, (*geometry, *part.options()), operand)
    return Call("layers.Conv2D", (*geometry, *_without_bias(part), *part.options()), operand)


def padded(operand: Expression, span: Span) -> Expression:
    """Return an image with the zeros that windows see beyond its border."""
    before, after = span.before, max(span.after, 0)
    around = str(before) if before == after else str(((before, after), (before, after)))
    return Call("layers.ZeroPadding2D", (around,), operand)


def _local(part: Part) -> Call:
    made = part.step.made
    window, side = made.windows[part.number], part.step.operands[part.number].shape[0]
    span = made.span(window, side)
    operand = part.operand
    if window.connections is not None:
        operand = Call("TakeChannels", (str(list(window.connections)),), operand)
    if span.before or span.after > 0:
        operand = padded(operand, span)
    geometry = [str(made.filters), str(window.size)]
    if window.groups > 1:
        geometry.append(f"groups={window.groups}")
    if window.strides > 1:
        geometry.append(f"strides={window.strides}")
    if window.groups > 1:
        kind = "GroupedLocallyConnected2D" if part.bias else "GroupedLocalFilters"
    else:
        kind = "LocallyConnected2D" if part.bias else "LocalFilters"
    return Call(kind, (*geometry, *part.options()), operand)


def _blocks(part: Part) -> Call:
    kind = "BlockDense" if part.bias else "BlockProducts"
    geometry = (str(part.step.made.units), f"blocks={part.step.made.parts}")
    return Call(kind, (*geometry, *part.options()), part.operand)


def _drop_connect(part: Part) -> Call:
    kind = "CaseDropConnectDense" if part.step.made.per_case else "DropConnectDense"
    geometry = (str(part.step.made.units), f"rate={number(part.step.made.rate)}")
    return Call(kind, (*geometry, *part.options()), part.operand)


def _transition(part: Part) -> Call:
    return Call(
        "layers.Dense",
        (
            str(part.kernel.shape[1]),
            "use_bias=False",
            f"kernel_initializer={_first_matrix(part)}",
            part.options()[-1],
        ),
        part.operand,
    )


def _first_matrix(part: Part) -> str:
    spec = part.step.layer.spec
    assert isinstance(spec, TransitionSpec)
    if spec.initial == "identity":
        return "keras.initializers.Identity()"
    if spec.initial == "random":
        return "random_distributions"
    return f"Constant({[list(row) for row in spec.initial]})"


def _pixels(part: Part) -> Call:
    made = part.step.made
    if made.groups > 1:
        geometry = (str(made.units), f"groups={made.groups}")
        return Call("GroupedPixelDense", (*geometry, *part.options()), part.operand)
    return Call("layers.Dense", (str(made.units), *part.options()), part.operand)


ONE: Mapping[type[Any], Callable[[Part], Call]] = {
    nn.Conv2D: _conv,
    nn.Local2D: _local,
    nn.Dense: _dense,
    nn.DropoutDense: _dense,
    nn.BlockDense: _blocks,
    nn.PixelDense: _pixels,
    nn.DropConnectDense: _drop_connect,
    nn.ConditionalProbability: _transition,
}


def takes_activation(step: Step) -> bool:
    """Return whether a step becomes one layer of Keras's own, which can apply an activation too."""
    made = step.made
    if len(step.operands) != 1 or type(made) not in (nn.Conv2D, nn.Dense, nn.PixelDense):
        return False
    plain = getattr(made, "groups", 1) == 1 and getattr(made, "shared_bias", True)
    return plain and not step.kernels[0].shared and all(w.groups == 1 for w in getattr(made, "windows", ()))


def emit_weights(step: Step, activation: str | None, shared: Mapping[str, str]) -> Made:
    """Return a layer with one kernel, or the sum of one for each input, the first of them with the bias.

    `activation` is what Keras calls the activation that it applies. `shared` has the expression of each
    kernel that another layer uses too, by its name.
    """
    made, name = step.made, step.made.name
    names = [name] if len(step.operands) == 1 else part_names(step)
    own_bias = isinstance(made, nn.Conv2D) and not made.shared_bias
    inner = replace(step, bias=None) if own_bias else step
    parts = [
        Part(inner, index, each, activation, shared[kernel.name] if kernel.shared else None)
        for index, (each, kernel) in enumerate(zip(names, step.kernels, strict=True))
    ]
    variables = {part.kernel.name: f"{part.name}/kernel" for part in parts if not part.kernel.shared}
    if step.bias is not None and not step.bias.shared:
        variables[step.bias.name] = f"{name}_bias/bias" if own_bias else f"{names[0]}/bias"
    made_parts = tuple(map(ONE[type(made)], parts))
    whole = made_parts[0]
    if len(parts) > 1:
        whole = Call("layers.Add", (f"name={text(name)}",), Items(made_parts))
    if own_bias:
        assert step.bias is not None
        first = [f"bias_initializer=Constant({number(step.bias.first)})"] if step.bias.first else []
        whole = Call("BiasOfEachPlace", (*first, f"name={text(f'{name}_bias')}"), whole)
    if isinstance(made, nn.DropoutDense):
        whole = Call("MaskDropout", (number(made.rate), f"name={text(f'{name}_dropout')}"), whole)
    if len(step.operands[0].shape) == 2 and isinstance(made, nn.PixelDense):
        whole = Call("layers.Flatten", (), Call("layers.Permute", ("(2, 1)",), whole))
    return Made(whole, variables)


def identifier_of(layer: str) -> str:
    """Return a name of a layer as an identifier."""
    return re.sub(r"\W", "_", layer, flags=re.ASCII)


def part_names(step: Step) -> list[str]:
    """Return the names of the layers of which a layer with several inputs is the sum."""
    names = [f"{step.made.name}_from_{operand.source}" for operand in step.operands]
    if len(set(names)) == len(names):
        return names
    return [f"{name}_{index}" for index, name in enumerate(names)]
