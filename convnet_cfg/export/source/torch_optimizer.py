"""The functions of a PyTorch program that its training needs: parameter groups, learning rates, optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from convnet_cfg.export.source.frame import Step
from convnet_cfg.export.source.text import INDENT, WIDTH, docstring
from convnet_cfg.export.source.torch_program import Program
from convnet_cfg.export.source.torch_text import remark
from convnet_cfg.export.source.torch_training import BESIDE, COUPLED, Setting, Training
from convnet_cfg.language.params import DEFAULT_DECAY
from convnet_cfg.nn import DropConnectDense
from convnet_cfg.optim import DECAYS

TWO = 2 * INDENT


class Column(NamedTuple):
    """A column of the table of parameters: the name of its values, what it is, and a parameter's value."""

    name: str
    title: str
    value: Callable[[Setting], str]


def columns(made: Training) -> list[Column]:
    """Return the columns that the table of this training needs."""
    found = [
        Column("parameter", "parameter", lambda each: f"model.{each.path}"),
        Column("rate", "learning rate", lambda each: each.rate),
        Column("momentum", "momentum", lambda each: repr(each.momentum)),
    ]
    if made.several_kinds:
        found.append(Column("kind", "kind of weight decay", lambda each: f'"{each.kind}"'))
    found.append(Column("decay", "weight decay", lambda each: repr(each.decay)))
    if made.gathers:
        found.append(Column("period", "minibatches of an update", lambda each: repr(each.period)))
    if made.own_rates:
        found.append(Column("own_rates", "each at its own rate", lambda each: repr(each.own_rates)))
    return found


def epochs(made: Training) -> str:
    """Return the last argument of functions that need to know the length of the training."""
    return ", epochs" if made.in_epochs else ""


def functions(program: Program, made: Training) -> Iterator[list[str]]:
    """Yield the lines of each function."""
    if made.changes:
        yield _settings_function(made)
        yield _groups_of_settings(made)
        yield _rates_function(made)
    else:
        yield _groups_function(made)
    if made.limits:
        yield _limits_function(made)
    yield _optimizer_function(program, made)


def _table(made: Training, indent: str) -> Iterator[str]:
    yield from remark(", ".join(column.title for column in columns(made)), indent)
    for each in made.settings:
        yield from _bracketed("(", [column.value(each) for column in columns(made)], "),", indent)
    if made.frozen:
        yield from remark(f"learning rate 0, not trained: {', '.join(made.frozen)}", indent)


def _bracketed(start: str, items: Sequence[str], end: str, indent: str) -> list[str]:
    """Return the lines of items between brackets: one line, or one for each of them."""
    if len(line := f"{indent}{start}{', '.join(items)}{end}") <= WIDTH:
        return [line]
    return [f"{indent}{start}", *(f"{indent}{INDENT}{item}," for item in items), f"{indent}{end}"]


def _groups(made: Training, rate: str, settings: str) -> list[str]:
    """Return the lines of the list of groups, made of the rows of the table."""
    entries = {'"params"': "[parameter]", '"lr"': rate, '"momentum"': "momentum", _decay_key(made): "decay"}
    if "decoupled-schedule" in made.kinds:
        entries['"initial_lr"'] = rate
    names = [column.name for column in columns(made)]
    entries |= {f'"{name}"': name for name in names if name in ("period", "own_rates")}
    return [
        f"{INDENT}return [",
        *_bracketed("{", [f"{key}: {value}" for key, value in entries.items()], "}", TWO),
        f"{TWO}for {', '.join(names)} in {settings}",
        f"{INDENT}]",
    ]


def _decay_key(made: Training) -> str:
    """Return the expression of the key under which a group has its weight decay."""
    if made.several_kinds:
        return "kind"
    return '"weight_decay"' if made.kinds in ([], [COUPLED]) else '"decay"'


def _groups_function(made: Training) -> list[str]:
    return [
        "def param_groups(model):",
        *docstring(
            "Return a group for each parameter: its learning rate, momentum and weight decay.", INDENT
        ),
        f"{INDENT}settings = [",
        *_table(made, TWO),
        f"{INDENT}]",
        *_groups(made, "rate", "settings"),
    ]


def _settings_function(made: Training) -> list[str]:
    words = "Return each parameter with its learning rate as a function of progress, momentum and decay."
    return [
        f"def settings(model{epochs(made)}):",
        *docstring(words, INDENT),
        f"{INDENT}return [",
        *_table(made, TWO),
        f"{INDENT}]",
    ]


def _groups_of_settings(made: Training) -> list[str]:
    return [
        f"def param_groups(model{epochs(made)}):",
        *docstring(
            "Return a group for each parameter: its first learning rate, momentum and weight decay.", INDENT
        ),
        *_groups(made, "rate(0.0)", f"settings(model{epochs(made)})"),
    ]


def _rates_function(made: Training) -> list[str]:
    words = "Set the learning rates for a progress from 0 to 1: the share of the training that is done."
    row = f"(_, rate{', _' * (len(columns(made)) - 2)})"
    zipped = f"zip(optimizer.param_groups, settings(model{epochs(made)}), strict=True)"
    return [
        f"def set_learning_rates(optimizer, model, progress{epochs(made)}):",
        *docstring(words, INDENT),
        f"{INDENT}progress = torch.tensor(progress).item()  # in single precision, as in cuda-convnet2",
        f"{INDENT}for group, {row} in {zipped}:",
        f'{TWO}group["lr"] = rate(progress)',
    ]


def _limits_function(made: Training) -> list[str]:
    words = "Hold weights to their bounds, as after each step of the optimizer."
    if made.gathers:
        words += "\n\nA weight that has no gradient then was not updated."
    calls = (f"{INDENT}{limit}" for limit in made.limits)
    return ["def hold_limits(model):", *docstring(words, INDENT), *calls]


LETTERS = "Here e is the learning rate, m the momentum, d the weight decay and G the gradient."
KEPT_OUTSIDE = (
    "PyTorch keeps V / -e: a rate that is changed on the way counts for the whole velocity at once. In "
    "cuda-convnet what the velocity had gathered kept the rate of its time."
)
GATHERED = (
    "G is the mean gradient of the `period` of minibatches of a parameter. The optimizer takes a step for "
    "each minibatch, but leaves a parameter as it is until its period is over."
)
OWN_RATES = "In that mean `own_rates` has each gradient times e of its minibatch, divided by the last e."
EPOCHS = "`epochs` are those of the whole training."


def _optimizer_function(program: Program, made: Training) -> list[str]:
    kind = "VelocitySGD" if made.changes else "torch.optim.SGD"
    new = f"{kind}(param_groups(model{epochs(made)}))"
    hooks = list(_hooks(program, made))
    if not hooks:
        body = [f"{INDENT}return {new}"]
    else:
        body = [f"{INDENT}optimizer = {new}", *hooks, f"{INDENT}return optimizer"]
    words = "\n\n".join(_optimizer_words(made))
    return [f"def make_optimizer(model{epochs(made)}):", *docstring(words, INDENT), *body]


def _optimizer_words(made: Training) -> Iterator[str]:
    """Yield the paragraphs that say what the optimizer does."""
    formulas = {kind: DECAYS[DEFAULT_DECAY if kind == COUPLED else kind].formula for kind in made.kinds}
    if made.several_kinds:
        yield "Return the optimizer. By the kind of weight decay its steps are:"
        yield "\n".join(f"{INDENT}{kind}: {formula}" for kind, formula in formulas.items())
    else:
        yield f"Return the optimizer: {next(iter(formulas.values()), DECAYS[DEFAULT_DECAY].formula)}."
    yield LETTERS if made.changes else f"{LETTERS} {KEPT_OUTSIDE}"
    if made.gathers:
        yield f"{GATHERED} {OWN_RATES}" if made.own_rates else GATHERED
    if made.in_epochs:
        yield EPOCHS


def _hooks(program: Program, made: Training) -> Iterator[str]:
    """Yield the lines that make the optimizer do more than its steps."""
    for step in program.frame.steps:
        if _forgets(step):
            yield _hook("pre", f"forgetting_dropped(model.{step.name})")
    if made.needs_zeros:
        yield _hook("pre", "give_zero_gradients")
    if made.gathers:
        yield _hook("pre", "gather_at_rates" if made.own_rates else "gather_gradients")
    for kind in made.kinds:
        if kind != COUPLED:
            yield _hook(BESIDE[kind].when, _decaying(kind, made))
    if made.limits:
        yield _hook("post", "lambda *_: hold_limits(model)")


def _forgets(step: Step) -> bool:
    """Return whether the weights that a layer drops lose velocity: its own, dropped for all cases."""
    return isinstance(step.made, DropConnectDense) and not step.made.per_case and not step.kernels[0].shared


def _hook(when: str, code: str) -> str:
    return f"{INDENT}optimizer.register_step_{when}_hook({code})"


def _decaying(kind: str, made: Training) -> str:
    """Return what takes a kind of weight decay off the weights that have it, when they are updated."""
    code = BESIDE[kind].part
    code = f'of_kind("{kind}", {code})' if made.several_kinds else code
    return f"when_due({code})" if made.gathers else code
