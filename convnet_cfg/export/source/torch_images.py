"""PyTorch expressions for layers from one image to another, without weights."""

from __future__ import annotations

from collections.abc import Mapping

from keras import layers

from convnet_cfg import nn
from convnet_cfg.export.source.frame import Step
from convnet_cfg.export.source.torch_layers import Emitter
from convnet_cfg.export.source.torch_program import Program
from convnet_cfg.language.params import NormParams
from convnet_cfg.nn.windows import Span


def module_call(program: Program, step: Step, made: str) -> str:
    """Return the call of a module that is made so, on the only input of a step."""
    return f"{program.module(step.name, made)}({program.only(step).code})"


def padded(code: str, before: int, behind: int) -> str:
    """Return an image with so many rows and columns of zeros around it."""
    return f"F.pad({code}, ({before}, {behind}, {before}, {behind}))" if before or behind else code


# -- pooling


def _windows(span: Span, *more: str) -> str:
    return ", ".join([str(span.size), f"stride={span.strides}", *more])


def _reach(span: Span) -> list[str]:
    """Return the arguments that say how far windows reach over the border."""
    named = {"before": span.before, "behind": span.after}
    return [f"{name}={pixels}" for name, pixels in named.items() if pixels]


def _largest(kind: str) -> Emitter:
    """Return the emitter of a part of that name, which takes the largest value of each window."""

    def emitter(program: Program, step: Step) -> str:
        span = _span(step)
        return module_call(program, step, f"{kind}({_windows(span, *_reach(span))})")

    return emitter


def _span(step: Step) -> Span:
    (operand,) = step.operands
    return step.made.span(operand.shape[0])


def _average(program: Program, step: Step) -> str:
    span = _span(step)
    if step.made.divisor == "existing":
        return module_call(program, step, _mean(span))
    sums = ["divisor_override=1"] if step.made.divisor == "none" else []
    pool = program.module(step.name, f"nn.AvgPool2d({_windows(span, *sums)})")
    return f"{pool}({padded(program.only(step).code, span.before, span.after)})"


def _mean(span: Span) -> str:
    """Return the module for means of the existing pixels: PyTorch's own where its windows are the same."""
    if span.before == span.after == 0:
        return f"nn.AvgPool2d({_windows(span)})"
    if span.before == 0 and 0 < span.after < span.strides:
        return f"nn.AvgPool2d({_windows(span, 'ceil_mode=True')})"
    if 0 < span.before == span.after <= span.size // 2:
        return f"nn.AvgPool2d({_windows(span, f'padding={span.before}', 'count_include_pad=False')})"
    return f"MeanPool({_windows(span, *_reach(span))})"


def _channel_pool(program: Program, step: Step) -> str:
    made, (operand,) = step.made, step.operands
    span = Span(operand.shape[-1], made.size, made.strides, made.start, made.outputs)
    return module_call(program, step, f"ChannelMaxPool({_windows(span, *_reach(span))})")


# -- normalization


def _norm(program: Program, step: Step, kind: str) -> str:
    """Return the call of a normalization; all of them take `scale` as the file has it."""
    params = step.layer.params
    assert isinstance(params, NormParams)
    constant = f", k={params.constant!r}" if params.constant != 1 else ""
    numbers = f"{step.made.size}, alpha={params.scale!r}, beta={params.power!r}{constant}"
    return module_call(program, step, f"{kind}({numbers})")


def _response_norm(program: Program, step: Step) -> str:
    return _norm(program, step, "ResponseNorm")


def _contrast_norm(program: Program, step: Step) -> str:
    kinds = {"existing": "ContrastNorm", "nominal": "NominalContrastNorm"}
    return _norm(program, step, kinds[step.made.divisor])


def _cross_map_norm(program: Program, step: Step) -> str:
    kind = "BlockedResponseNorm" if step.made.blocked else "nn.LocalResponseNorm"
    return _norm(program, step, kind)


# -- pixels and colours


def _part(start: int, stop: int | None = None, strides: int = 1) -> str:
    end = "" if stop is None else str(stop)
    return f"{start}:{end}" + (f":{strides}" if strides > 1 else "")


def _nailbed(program: Program, step: Step) -> str:
    (operand,), strides = step.operands, step.made.strides
    start = (operand.shape[0] - strides * (step.shape[0] - 1)) // 2
    part = _part(start, strides=strides)
    return f"{program.only(step).bracketed}[:, :, {part}, {part}]"


def _blur(program: Program, step: Step) -> str:
    numbers = f"{step.made.size}, deviation={step.made.stdev!r}"
    return module_call(program, step, f"GaussianBlur({numbers})")


def _resize(program: Program, step: Step) -> str:
    (operand,) = step.operands
    numbers = f"{operand.shape[0]}, scale={step.made.scale!r}"
    return module_call(program, step, f"BilinearResize({numbers})")


def _random_scale(program: Program, step: Step) -> str:
    kind = "RandomScaleOrCentre" if step.made.crops else "RandomScale"
    return module_call(program, step, f"{kind}({step.made.max_scale!r}, target={step.made.target})")


def _yuv(program: Program, step: Step) -> str:
    return f"rgb_to_yuv({program.only(step).code})"


def _lab(program: Program, step: Step) -> str:
    base = 66 if step.made.center else 16
    return f"rgb_to_lab({program.only(step).code}, base={base})"


def _flip(program: Program, step: Step) -> str:
    return f"{program.only(step).bracketed}.flip(3)"


def _crop(program: Program, step: Step) -> str:
    rows, columns = (_part(first, first + step.made.size) for first in (step.made.row, step.made.column))
    return f"{program.only(step).bracketed}[:, :, {rows}, {columns}]"


IMAGES: Mapping[type[layers.Layer], Emitter] = {
    nn.MaxPool2D: _largest("MaxPool"),
    nn.MaxAbsPool2D: _largest("MaxAbsPool"),
    nn.AveragePool2D: _average,
    nn.CrossMapMaxPool: _channel_pool,
    nn.ResponseNorm2D: _response_norm,
    nn.ContrastNorm2D: _contrast_norm,
    nn.CrossMapNorm: _cross_map_norm,
    nn.Nailbed: _nailbed,
    nn.GaussianBlur: _blur,
    nn.BilinearResize: _resize,
    nn.RandomScale: _random_scale,
    nn.RGBToYUV: _yuv,
    nn.RGBToLAB: _lab,
    nn.HorizontalFlip: _flip,
    nn.Crop2D: _crop,
}
