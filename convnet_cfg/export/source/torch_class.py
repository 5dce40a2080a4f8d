"""The class of a network in a PyTorch program, and the function that its training minimizes."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Iterator, Sequence

from convnet_cfg.errors import join_words
from convnet_cfg.export.source.frame import NOMINAL, Output, Step, Weight
from convnet_cfg.export.source.text import INDENT, docstring
from convnet_cfg.export.source.torch_program import Program, formed, target_of
from convnet_cfg.export.source.torch_steps import returned, within_costs
from convnet_cfg.export.source.torch_text import assignment, calling, remark, returning
from convnet_cfg.language.cost_types import CostSpec
from convnet_cfg.language.fork_types import TransitionSpec
from convnet_cfg.language.layer_types import DataSpec, SoftmaxSpec

TWO = 2 * INDENT


def class_name(title: str, reserved: Collection[str]) -> str:
    """Return the name of the class for a network of this name: `NinCifar10` for nin-cifar10."""
    words = [word[:1].upper() + word[1:] for word in re.split(r"[\W_]+", title, flags=re.ASCII) if word]
    name = re.sub(r"(?<=\d) (?=\d)", "_", " ".join(words)).replace(" ", "")
    name = name if name[:1].isalpha() else f"Network{name}"
    return f"{name}Network" if name in reserved or keyword.iskeyword(name) else name


def network_class(program: Program, name: str, title: str) -> list[str]:
    """Return the lines of the class of this name."""
    parameters = sum(layer.parameters for layer in program.frame.network.layers)
    return [
        f"class {name}(nn.Module):",
        *docstring(f"The network {title}, with {parameters:,} parameters.", INDENT),
        "",
        *(_init(program) if program.made else []),
        *(_reset(program) if program.parameters else []),
        *_forward(program),
    ]


def _init(program: Program) -> Iterator[str]:
    yield f"{INDENT}def __init__(self):"
    yield f"{TWO}super().__init__()"
    for line in program.made:
        name, _, code = line.partition(" = ")
        yield from assignment(name, code, TWO)
    for path, owner in program.ties:
        yield f"{TWO}self.{path} = self.{owner}"
    if program.parameters:
        yield f"{TWO}self.reset_parameters()"
    yield ""


def _reset(program: Program) -> Iterator[str]:
    yield f"{INDENT}def reset_parameters(self):"
    yield from docstring("Draw the first weights around 0, and set the first biases.", TWO)
    for weight in program.frame.weights:
        yield from _first_values(weight, f"self.{program.parameters[weight.name].path}")
    yield ""


def _first_values(weight: Weight, path: str) -> list[str]:
    if (function := weight.owner.matrix.function) is not None:
        return remark(f"{path} began as {function.name} made it", TWO)
    spec = weight.owner.layer.spec
    return calling(
        _distributions(spec, path) if isinstance(spec, TransitionSpec) else _numbers(weight, path), TWO
    )


def _numbers(weight: Weight, path: str) -> str:
    if not weight.first:
        return f"nn.init.zeros_({path})"
    if weight.name.endswith("/bias"):
        return f"nn.init.constant_({path}, {weight.first!r})"
    return f"nn.init.normal_({path}, std={weight.first!r})"


def _distributions(spec: TransitionSpec, path: str) -> str:
    if spec.initial == "identity":
        return f"nn.init.eye_({path})"
    if spec.initial == "random":
        return f"draw_distributions({path})"
    of_outputs = [list(column) for column in zip(*spec.initial, strict=True)]
    return f"set_values({path}, {of_outputs})"


def _forward(program: Program) -> Iterator[str]:
    inputs = [step.name for step in program.frame.inputs]
    yield f"{INDENT}def forward(self, {', '.join(inputs)}):"
    yield from docstring(_forward_words(program), TWO)
    lines, outputs = list(program.lines), returned(program.frame)
    values = [program.read(output.operand) for output in outputs]
    result, comment, name = values[0].code, "", outputs[0].name
    if len(outputs) > 1:
        pairs = zip(outputs, values, strict=True)
        items = [f'"{output.name}": {value.code}' for output, value in pairs]
        result = f"{{{', '.join(items)}}}"
    elif lines and result == lines[-1].name:
        name, value = lines.pop()
        result, comment = value.code, value.shape
    for line in lines:
        yield from assignment(line.name, line.value.code, TWO, line.value.shape)
    yield from returning(result, TWO, comment, name)


def _forward_words(program: Program) -> str:
    outputs = returned(program.frame)
    what = f"{join_words([output.name for output in outputs], 'and')} of N cases, by name"
    if len(outputs) == 1:
        what = f"{program.read(outputs[0].operand).code} of N cases"
    given = [f"{step.name}: {_input_shape(program, step)}." for step in program.frame.inputs]
    return "\n\n".join([f"Return {what}.", *given, *_within_costs(program)])


def _input_shape(program: Program, step: Step) -> str:
    """Return the shape of the whole data matrix that a data layer reads."""
    assert isinstance(step.layer.spec, DataSpec)
    shape = program.frame.shapes[step.layer.spec.data_index]
    sizes = (shape[-1], *shape[:-1])
    return f"(N, {', '.join(map(str, sizes))})"


def _within_costs(program: Program) -> Iterator[str]:
    """Yield what has to be said of layers that costs contain."""
    for step in program.frame.steps:
        if step.name in within_costs(program.frame):
            is_softmax = isinstance(step.layer.spec, SoftmaxSpec)
            function = "F.softmax({}, dim=1)" if is_softmax else "torch.sigmoid({})"
            values = function.format(program.values[step.operands[0].source].vector)
            yield f"The layer {step.name} is {values}; `objective` contains it."


# -- what is minimized


def outputs_name(program: Program) -> str:
    """Return what the output of the model is called: by its name, or `outputs` where there are several."""
    outputs = returned(program.frame)
    return outputs[0].name if len(outputs) == 1 else "outputs"


def objective_names(program: Program) -> dict[str, str]:
    """Return the expressions of outputs and targets in the objective, by their names in the frame."""
    outputs = [output.name for output in returned(program.frame)]
    alone = len(outputs) == 1
    names = {name: name if alone else f'outputs["{name}"]' for name in outputs}
    targets = {name: formed(target_of(operand), operand).code for name, operand in program.frame.targets}
    return {**names, **targets}


def target_names(program: Program) -> list[str]:
    """Return the data that costs read."""
    return list(dict.fromkeys(target.operand.source for target in program.frame.targets))


def objective_function(program: Program, terms: Sequence[str]) -> list[str]:
    """Return the lines of the function that training minimizes."""
    arguments = [outputs_name(program), *target_names(program)]
    words = ["Return the mean cost of the cases, which training minimizes."]
    told = {each.operand.source: _target_words(program, each) for each in program.frame.targets}
    words += [f"{name}: {what}." for name, what in told.items()]
    words += [NOMINAL] if program.frame.network.dialect.nominal_divisor else []
    return [
        f"def objective({', '.join(arguments)}):",
        *docstring("\n\n".join(words), INDENT),
        *returning(" + ".join(terms), INDENT),
    ]


def _target_words(program: Program, target: Output) -> str:
    labels = {
        cost.inputs[number]
        for cost in program.frame.costs
        if isinstance(cost.layer.spec, CostSpec)
        for number in cost.layer.spec.label_inputs
    }
    return "class numbers, (N,) of torch.long" if target.name in labels else target_of(target.operand).shape
