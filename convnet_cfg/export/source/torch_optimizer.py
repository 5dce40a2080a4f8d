"""The functions of a PyTorch program that its training needs: parameter groups, learning rates, optimizer."""

from __future__ import annotations

from collections.abc import Iterator

from convnet_cfg.export.source.text import INDENT, docstring
from convnet_cfg.export.source.torch_program import Program
from convnet_cfg.export.source.torch_text import remark
from convnet_cfg.export.source.torch_training import BESIDE, Training
from convnet_cfg.language.params import DEFAULT_DECAY
from convnet_cfg.nn import DropConnectDense
from convnet_cfg.optim import DECAYS

TWO = 2 * INDENT
COLUMNS = "parameter, learning rate, momentum, weight decay"


def functions(program: Program, made: Training) -> Iterator[list[str]]:
    """Yield the lines of each function."""
    if made.changes:
        yield _settings_function(made)
        yield _groups_of_settings(made)
        yield _rates_function()
    else:
        yield _groups_function(made)
    if made.limits:
        yield _limits_function(made)
    yield _optimizer_function(program, made)


def _table(made: Training, indent: str) -> Iterator[str]:
    yield f"{indent}# {COLUMNS}"
    for each in made.settings:
        yield f"{indent}(model.{each.path}, {each.rate}, {each.momentum!r}, {each.decay!r}),"
    if made.frozen:
        yield from remark(f"learning rate 0, not trained: {', '.join(made.frozen)}", indent)


def _group(made: Training, rate: str) -> list[str]:
    """Return the lines of the list of groups, made of the rows of the table."""
    decay = "decay" if made.beside else "weight_decay"
    entries = {"params": "[parameter]", "lr": rate, "momentum": "momentum", decay: "decay"}
    if made.beside == "decoupled-schedule":
        entries["initial_lr"] = rate
    pairs = ", ".join(f'"{key}": {value}' for key, value in entries.items())
    return [f"{INDENT}return [", f"{TWO}{{{pairs}}}"]


def _groups_function(made: Training) -> list[str]:
    return [
        "def param_groups(model):",
        *docstring(
            "Return a group for each parameter: its learning rate, momentum and weight decay.", INDENT
        ),
        f"{INDENT}settings = [",
        *_table(made, TWO),
        f"{INDENT}]",
        *_group(made, "rate"),
        f"{TWO}for parameter, rate, momentum, decay in settings",
        f"{INDENT}]",
    ]


def _settings_function(made: Training) -> list[str]:
    words = "Return each parameter with its learning rate as a function of progress, momentum and decay."
    return [
        "def settings(model):",
        *docstring(words, INDENT),
        f"{INDENT}return [",
        *_table(made, TWO),
        f"{INDENT}]",
    ]


def _groups_of_settings(made: Training) -> list[str]:
    return [
        "def param_groups(model):",
        *docstring(
            "Return a group for each parameter: its first learning rate, momentum and weight decay.", INDENT
        ),
        *_group(made, "rate(0.0)"),
        f"{TWO}for parameter, rate, momentum, decay in settings(model)",
        f"{INDENT}]",
    ]


def _rates_function() -> list[str]:
    words = "Set the learning rates for a progress from 0 to 1: the share of the training that is done."
    return [
        "def set_learning_rates(optimizer, model, progress):",
        *docstring(words, INDENT),
        f"{INDENT}progress = torch.tensor(progress).item()  # in single precision, as in cuda-convnet2",
        f"{INDENT}for group, (_, rate, _, _) in zip(optimizer.param_groups, settings(model), strict=True):",
        f'{TWO}group["lr"] = rate(progress)',
    ]


def _limits_function(made: Training) -> list[str]:
    words = "Hold weights to their bounds, as after each step of the optimizer."
    calls = (f"{INDENT}{limit}" for limit in made.limits)
    return ["def hold_limits(model):", *docstring(words, INDENT), *calls]


LETTERS = "Here e is the learning rate, m the momentum, d the weight decay and G the gradient."
KEPT_OUTSIDE = (
    "PyTorch keeps V / -e: a rate that is changed on the way counts for the whole velocity at once. In "
    "cuda-convnet what the velocity had gathered kept the rate of its time."
)


def _optimizer_function(program: Program, made: Training) -> list[str]:
    formula = DECAYS[made.beside or DEFAULT_DECAY].formula
    words = [f"Return the optimizer: {formula}.", LETTERS if made.changes else f"{LETTERS} {KEPT_OUTSIDE}"]
    kind = "VelocitySGD" if made.changes else "torch.optim.SGD"
    hooks = list(_hooks(program, made))
    if not hooks:
        body = [f"{INDENT}return {kind}(param_groups(model))"]
    else:
        body = [f"{INDENT}optimizer = {kind}(param_groups(model))", *hooks, f"{INDENT}return optimizer"]
    return ["def make_optimizer(model):", *docstring("\n\n".join(words), INDENT), *body]


def _hooks(program: Program, made: Training) -> Iterator[str]:
    """Yield the lines that make the optimizer do more than its steps."""
    for step in program.frame.steps:
        if isinstance(step.made, DropConnectDense) and not step.made.per_case:
            forget = f"forgetting_dropped(model.{step.name})"
            yield f"{INDENT}optimizer.register_step_pre_hook({forget})"
    if made.beside:
        part, when = BESIDE[made.beside]
        yield f"{INDENT}optimizer.register_step_{when}_hook({part})"
    if made.limits:
        yield f"{INDENT}optimizer.register_step_post_hook(lambda *_: hold_limits(model))"
