"""A network's steps, gone through one after the other, as a PyTorch program."""

from __future__ import annotations

from collections.abc import Mapping

from keras import layers

from convnet_cfg.export.source.frame import Frame, Output, Step
from convnet_cfg.export.source.torch_images import IMAGES
from convnet_cfg.export.source.torch_layers import LAYERS, Emitter
from convnet_cfg.export.source.torch_program import Program, Value
from convnet_cfg.export.source.torch_weights import WEIGHTS

EMITTERS: Mapping[type[layers.Layer], Emitter] = {**LAYERS, **IMAGES, **WEIGHTS}


def go_through(program: Program) -> None:
    """Make the lines of all steps; those that are parts of a cost have none.

    What the file wrote as one layer, with its dropout and its activation, is one line.
    """
    left_out = within_costs(program.frame)
    steps = [step for step in program.frame.steps if step.name not in left_out]
    for number, step in enumerate(steps):
        value = Value(_code(program, step), step.size, step.image)
        goes_on = any(following.name == step.name for following in steps[number + 1 :])
        if not goes_on and not value.code.isidentifier():
            value = program.hand_on(step.name, value)
        program.values[step.name] = value


def within_costs(frame: Frame) -> set[str]:
    """Return the softmax layers and logistic functions that costs contain: these take what those read."""
    names = {step.layer.name: step.name for step in frame.steps}
    sources = {output.name: output.operand.source for output in (*frame.outputs, *frame.targets)}
    below = {
        names[source.name] for cost in frame.costs for source in cost.layer.inputs if source.name in names
    }
    return below - {sources[name] for cost in frame.costs for name in cost.inputs}


def returned(frame: Frame) -> list[Output]:
    """Return the outputs of the model: what costs take, and what nothing reads."""
    left_out = within_costs(frame)
    return [output for output in frame.outputs if output.operand.source not in left_out]


def _code(program: Program, step: Step) -> str:
    """Return the expression for a step's output."""
    if step.made is None:
        code = program.only(step).code if step.operands else step.name
        part = f"{step.first}:{step.end or ''}"
        return f"{Value(code, 0).bracketed}.flatten(1)[:, {part}]" if step.first or step.end else code
    return EMITTERS[type(step.made)](program, step)
