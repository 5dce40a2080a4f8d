"""One Python file in plain PyTorch for a network: its class, its training, and the loading of weights."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from convnet_cfg.errors import ConfigError
from convnet_cfg.export.source.frame import PREPARATION, Frame, make_frame
from convnet_cfg.export.source.pasting import Library, import_block, names_in_order
from convnet_cfg.export.source.text import INDENT, WIDTH, docstring
from convnet_cfg.export.source.torch_class import (
    class_name,
    network_class,
    objective_function,
    objective_names,
    outputs_name,
    target_names,
)
from convnet_cfg.export.source.torch_costs import objective_terms
from convnet_cfg.export.source.torch_optimizer import epochs, functions
from convnet_cfg.export.source.torch_program import Array, Parameter, Program
from convnet_cfg.export.source.torch_steps import go_through, returned
from convnet_cfg.export.source.torch_training import Training, training
from convnet_cfg.language.layout import layout_of
from convnet_cfg.language.network import Network
from convnet_cfg.model.assembly import Connections, Shape

LIBRARY = Library(Path(__file__).parent / "torch_modules")
IMPORTS = {**LIBRARY.imports, "np": "import numpy as np", "Path": "from pathlib import Path"}
# What every module of PyTorch has: no layer can have these names there.
# fmt: off
OF_MODULES = (
    "add_module", "apply", "bfloat16", "buffers", "call_super_init", "children", "compile", "cpu", "cuda",
    "double", "dump_patches", "eval", "extra_repr", "float", "forward", "get_buffer", "get_extra_state",
    "get_parameter", "get_submodule", "half", "ipu", "load_state_dict", "modules", "mtia", "named_buffers",
    "named_children", "named_modules", "named_parameters", "parameters", "register_buffer",
    "register_module", "register_parameter", "requires_grad_", "reset_parameters", "set_extra_state",
    "set_submodule", "share_memory", "state_dict", "to", "to_empty", "train", "training", "type", "xpu",
    "zero_grad",
)
# fmt: on
# fmt: off
OF_THE_FILE = (
    "WEIGHTS", "hold_limits", "load_weights", "make_optimizer", "model", "objective", "optimizer", "outputs",
    "param_groups", "self", "set_learning_rates", "settings", "term", "total",
)
# fmt: on
RESERVED = frozenset({*dir(builtins), *LIBRARY.definitions, *IMPORTS, *OF_MODULES, *OF_THE_FILE})


@dataclass(frozen=True)
class Source:
    """A translated network: its text, and each of its parameters by its name in a run."""

    text: str
    parameters: Mapping[str, Parameter]
    frame: Frame

    def arrays(self, variables: Mapping[str, Array]) -> dict[str, Array]:
        """Return the variables of a run, by their names there, as the file loads them."""
        images = self.frame.built.kernel_images
        found = {}
        for owned in self.frame.network.owned():
            parameter, array = self.parameters[owned.name], variables[owned.name]
            layout = layout_of(owned.layer, owned.input, images)
            found[parameter.path] = parameter.of_matrix(layout.to_matrix(array))
        return found


def translate(
    network: Network,
    shapes: Sequence[Shape],
    *,
    title: str,
    files: str,
    decay: str,
    connections: Connections | None = None,
    trained: bool = False,
) -> Source:
    """Return a network for data of these shapes as a file.

    `title` is its name, `files` says what it was translated from. `trained` says that there are weights to
    load.

    Raises:
        ConfigError: something in the network cannot be said in PyTorch; all of it is named.
    """
    frame = make_frame(network, shapes, reserved=RESERVED, connections=connections, trained=trained)
    program = Program(frame)
    go_through(program)
    if not returned(frame):
        program.refuse(network.layers[0], "there is no layer between the data and the costs")
    costs = [cost for cost in frame.costs if cost.coefficient]
    terms = objective_terms(program, costs, objective_names(program))
    made = training(program, decay) if network.has_params and terms else None
    if program.problems:
        raise ConfigError(program.problems)
    return Source(_text(program, title, files, terms, made, trained), program.parameters, frame)


def _text(
    program: Program, title: str, files: str, terms: Sequence[str], made: Training | None, trained: bool
) -> str:
    blocks = [
        *_constants(program),
        network_class(program, class_name(title, RESERVED), title),
        *([objective_function(program, terms)] if terms else []),
        *(functions(program, made) if made and made.settings else []),
        *_loader(),
    ]
    body = "\n\n\n".join("\n".join(block) for block in blocks)
    pasted = LIBRARY.needed(names_in_order(ast.parse(body)))
    code = "\n\n\n".join([*pasted.values(), body])
    imports = import_block(code, IMPORTS, tuple(sys.stdlib_module_names))
    head = "\n".join(docstring(_words(program, title, files, made, trained), ""))
    gap = "\n\n\n" if code.startswith(("class ", "def ", "@")) else "\n\n"
    return f"{head}\n\n{imports}{gap}{code}\n"


# -- the head of the file


DATA = f"Images are (cases, channels, rows, columns), {PREPARATION}."


def _words(program: Program, title: str, files: str, made: Training | None, trained: bool) -> str:
    words = [f"{title}: a network of {program.frame.network.dialect.title} in PyTorch."]
    words.append(f"Translated from {files} by convnet-cfg. {DATA}")
    words.append(_indented(_use(program, title, trained)))
    if made and made.settings:
        words += ["A training:", _indented(_training(program, made))]
    return "\n\n".join(words)


def _indented(lines: Iterator[str]) -> str:
    return "\n".join(f"{INDENT}{line}" for line in lines)


def _use(program: Program, title: str, trained: bool) -> Iterator[str]:
    """Yield the lines that make the model and its outputs."""
    yield f"model = {class_name(title, RESERVED)}()"
    if trained:
        yield "load_weights(model)"
    inputs = ", ".join(step.name for step in program.frame.inputs)
    yield f"{outputs_name(program)} = model.eval()({inputs})"


def _training(program: Program, made: Training) -> Iterator[str]:
    """Yield the lines of a training."""
    inputs = ", ".join(step.name for step in program.frame.inputs)
    targets = target_names(program)
    given = dict.fromkeys([*(step.name for step in program.frame.inputs), *targets])
    yield "model.train()"
    yield f"optimizer = make_optimizer(model{epochs(made)})"
    yield f"for {', '.join(given)} in minibatches:"
    if made.changes:
        progress = f"progress{epochs(made)})  # progress: from 0 to 1"
        yield f"{INDENT}set_learning_rates(optimizer, model, {progress}"
    yield f"{INDENT}optimizer.zero_grad()"
    yield f"{INDENT}objective({', '.join([f'model({inputs})', *targets])}).backward()"
    yield f"{INDENT}optimizer.step()"


# -- its other parts


def _constants(program: Program) -> Iterator[list[str]]:
    """Yield the lines of long lists of numbers, with many numbers in a line."""
    for name, numbers in program.constants.items():
        yield [f"{name} = [", *_rows(numbers), "]  # fmt: skip"]


def _rows(numbers: Sequence[int]) -> Iterator[str]:
    row = INDENT
    for number in numbers:
        if len(row) + len(f"{number}, ") > WIDTH:
            yield row.rstrip()
            row = INDENT
        row += f"{number}, "
    yield row.rstrip()


def _loader() -> Iterator[list[str]]:
    """Yield the lines of what loads the weights of a run."""
    words = "Give each parameter of the model the array that a file of NumPy has under its name."
    yield ['WEIGHTS = Path(__file__).with_suffix(".npz")']
    yield [
        "def load_weights(model, path=WEIGHTS):",
        *docstring(words, INDENT),
        f"{INDENT}with np.load(path) as weights, torch.no_grad():",
        f"{INDENT * 2}for name, parameter in model.named_parameters():",
        f"{INDENT * 3}parameter.copy_(torch.from_numpy(weights[name]))",
    ]
