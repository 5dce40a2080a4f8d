"""The layers with weights as calls of Keras; one with several inputs is the sum of a layer for each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from convnet_cfg import nn
from convnet_cfg.export.source.frame import Step, Weight
from convnet_cfg.export.source.keras_emit import number, read, text
from convnet_cfg.export.source.keras_sharing import shared_kind
from convnet_cfg.export.source.text import Call, Expression, Items
from convnet_cfg.language.fork_types import TransitionSpec
from convnet_cfg.nn.conv import Windowed
from convnet_cfg.nn.windows import Span, Window


class Made(NamedTuple):
    """A layer applied to what it reads, the path of each variable by its name in a run, and constants.

    `channels` are those that groups see, drawn at random, by the name of the constant.
    """

    expression: Expression
    variables: Mapping[str, str]
    channels: Mapping[str, tuple[int, ...]]


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

    @property
    def window(self) -> Window:
        """The filters of this input, of a layer that has some."""
        window: Window = self.step.made.windows[self.number]
        return window

    @property
    def span(self) -> Span:
        """Where the filters lie along a side of the image."""
        return span_of(self.step, self.number)

    @property
    def picked(self) -> Expression:
        """What it reads, with the channels that its groups see."""
        if self.window.connections is None:
            return self.operand
        return Call("TakeChannels", (channels_name(self.name),), self.operand)

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

    def numbers(self) -> list[str]:
        """Return the same for a layer that Keras lacks: numbers, with which Keras can save it."""
        arguments = []
        if self.shared is None and self.kernel.first:
            arguments.append(f"deviation={number(self.kernel.first)}")
        if self.bias is not None and self.bias.first:
            arguments.append(f"first_bias={number(self.bias.first)}")
        return [*arguments, f"name={text(self.name)}"]

    def layer(self, kind: str, geometry: list[str], operand: Expression) -> Call:
        """Return the call of a layer that Keras lacks, with the kernel of another one if that is shared."""
        if self.shared is None:
            return Call(kind, (*geometry, *self.numbers()), operand)
        kind, scale = shared_kind(kind, self.kernel.gradient_scale)
        return Call(kind, (self.shared, *geometry, *scale, *self.numbers()), operand)


def span_of(step: Step, number: int) -> Span:
    """Return where the filters of an input lie along a side of the image."""
    span: Span = step.made.span(step.made.windows[number], step.operands[number].shape[0])
    return span


def channels_name(layer: str) -> str:
    """Return the name of the constant that says which channels the groups of a layer see."""
    return f"{identifier_of(layer).upper()}_CHANNELS"


def initial(kernel: Weight) -> str:
    """Return the initializer of a kernel."""
    return f"normal({number(kernel.first)})" if kernel.first else '"zeros"'


def _dense(part: Part) -> Call:
    if part.shared is not None:
        return part.layer("Dense" if part.bias else "Product", [], part.operand)
    units = str(part.kernel.shape[1])
    return Call("layers.Dense", (units, *_without_bias(part), *part.options()), part.operand)


def _without_bias(part: Part) -> list[str]:
    return [] if part.bias else ["use_bias=False"]


def _conv(part: Part) -> Call:
    made, window, whole = part.step.made, part.window, part.span
    span = whole.seeing
    operand = part.picked
    if span.mode is None:
        operand = padded(operand, span)
    geometry = [str(made.filters), str(window.size)]
    if window.groups > 1:
        geometry.append(f"groups={window.groups}")
    if window.strides > 1:
        geometry.append(f"strides={window.strides}")
    if span.mode == "SAME":
        geometry.append('padding="same"')
    if window.groups > 1:
        made_part = part.layer("GroupedConv2D" if part.bias else "GroupedFilters", geometry, operand)
    elif part.shared is not None:
        made_part = part.layer("Conv2D" if part.bias else "Filters", geometry[2:], operand)
    else:
        arguments = (*geometry, *_without_bias(part), *part.options())
        made_part = Call("layers.Conv2D", arguments, operand)
    blind = (0, whole.count - span.count)  # windows that see nothing of the image
    return Call("layers.ZeroPadding2D", (str((blind, blind)),), made_part) if any(blind) else made_part


def padded(operand: Expression, span: Span) -> Expression:
    """Return an image with the zeros that windows see beyond its border."""
    before, after = span.before, max(span.after, 0)
    around = str(before) if before == after else str(((before, after), (before, after)))
    return Call("layers.ZeroPadding2D", (around,), operand)


def _local(part: Part) -> Call:
    made, window, span = part.step.made, part.window, part.span
    operand = part.picked
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
    return part.layer(kind, geometry, operand)


def _blocks(part: Part) -> Call:
    kind = "BlockDense" if part.bias else "BlockProducts"
    return part.layer(kind, [str(part.step.made.units), f"blocks={part.step.made.parts}"], part.operand)


def _drop_connect(part: Part) -> Call:
    kind = "CaseDropConnectDense" if part.step.made.per_case else "DropConnectDense"
    geometry = [str(part.step.made.units), f"rate={number(part.step.made.rate)}"]
    return part.layer(kind, geometry, part.operand)


def _transition(part: Part) -> Call:
    if part.shared is not None:
        return _dense(part)
    return Call(
        "layers.Dense",
        (
            str(part.kernel.shape[1]),
            "use_bias=False",
            _first_matrix(part),
            part.options()[-1],
        ),
        part.operand,
    )


def _first_matrix(part: Part) -> Expression:
    """Return the argument that says how the matrix begins."""
    spec = part.step.layer.spec
    assert isinstance(spec, TransitionSpec)
    if spec.initial == "identity":
        return "kernel_initializer=keras.initializers.Identity()"
    if spec.initial == "random":
        return "kernel_initializer=random_distributions"
    return Call("kernel_initializer=rows", tuple(str(list(row)) for row in spec.initial))


def _pixels(part: Part) -> Call:
    made = part.step.made
    if made.groups > 1:
        return part.layer("GroupedPixelDense", [str(made.units), f"groups={made.groups}"], part.operand)
    if part.shared is not None:
        return _dense(part)
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
    plain = getattr(made, "groups", 1) == 1 and not bias_behind(step)
    return plain and not step.kernels[0].shared and all(w.groups == 1 for w in getattr(made, "windows", ()))


def bias_behind(step: Step) -> bool:
    """Return whether the bias of a convolution is a layer of its own behind it.

    So it is if there is one for each place, or if some windows see nothing of the image.
    """
    if not isinstance(step.made, nn.Conv2D):
        return False
    spans = [span_of(step, number) for number in range(len(step.operands))]
    return not step.made.shared_bias or any(span.seeing.count < span.count for span in spans)


def own_variables(step: Step) -> dict[str, tuple[str, str]]:
    """Return layer and attribute of each variable that is a step's own, by its name in a run."""
    names = layer_names(step)
    own = {
        kernel.name: (name, "kernel")
        for kernel, name in zip(step.kernels, names, strict=True)
        if not kernel.shared
    }
    if step.bias is not None and not step.bias.shared:
        own[step.bias.name] = (_bias_layer(step) if bias_behind(step) else names[0], "bias")
    return own


def _bias_layer(step: Step) -> str:
    return f"{step.made.name}_bias"


def emit_weights(step: Step, activation: str | None, shared: Mapping[str, str]) -> Made:
    """Return a layer with one kernel, or the sum of one for each input, the first of them with the bias.

    `activation` is what Keras calls the activation that it applies. `shared` has the expression of each
    variable that another layer uses too, by its name.
    """
    made = step.made
    behind = _added_behind(step, shared)
    inner = replace(step, bias=None) if behind else step
    parts = [
        Part(inner, index, name, activation, shared[kernel.name] if kernel.shared else None)
        for index, (name, kernel) in enumerate(zip(layer_names(step), step.kernels, strict=True))
    ]
    made_parts = tuple(map(ONE[type(made)], parts))
    whole = made_parts[0]
    if len(parts) > 1:
        whole = Call("layers.Add", (f"name={text(made.name)}",), Items(made_parts))
    if behind:
        whole = behind._replace(operand=whole)
    if isinstance(made, nn.DropoutDense):
        whole = Call("MaskDropout", (number(made.rate), f"name={text(f'{made.name}_dropout')}"), whole)
    if len(step.operands[0].shape) == 2 and isinstance(made, nn.PixelDense):
        whole = Call("layers.Flatten", (), Call("layers.Permute", ("(2, 1)",), whole))
    channels = {
        channels_name(part.name): part.window.connections
        for part in parts
        if isinstance(made, Windowed) and part.window.connections is not None
    }
    variables = {name: "/".join(place) for name, place in own_variables(step).items()}
    return Made(whole, variables, channels)


def _added_behind(step: Step, shared: Mapping[str, str]) -> Call | None:
    """Return the layer that adds the bias if the first one with a kernel does not, else None."""
    if step.bias is None:
        return None
    name = f"name={text(_bias_layer(step))}"
    if step.bias.shared:
        return Call("SharedBias", (shared[step.bias.name], name))
    if not bias_behind(step):
        return None
    first = [f"first_bias={number(step.bias.first)}"] if step.bias.first else []
    return Call("BiasOfEachFilter" if step.made.shared_bias else "BiasOfEachPlace", (*first, name))


def identifier_of(layer: str) -> str:
    """Return a name of a layer as an identifier."""
    return re.sub(r"\W", "_", layer, flags=re.ASCII)


def layer_names(step: Step) -> list[str]:
    """Return the names of the layers of which a layer is the sum: of one input, its own."""
    if len(step.operands) == 1:
        return [step.made.name]
    names = [f"{step.made.name}_from_{operand.source}" for operand in step.operands]
    if len(set(names)) == len(names):
        return names
    return [f"{name}_{index}" for index, name in enumerate(names)]
