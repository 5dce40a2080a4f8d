"""One Python file in plain Keras for a network: its model, how it is trained, and how weights are loaded."""

from __future__ import annotations

import ast
import builtins
import re
import sys
import textwrap
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from math import prod
from pathlib import Path

import numpy as np

from convnet_cfg.export.source.frame import PREPARATION, Form, Frame, Step, make_frame
from convnet_cfg.export.source.keras_costs import counted, objective, targets
from convnet_cfg.export.source.keras_emit import EMITTERS, plain_activation, read, text
from convnet_cfg.export.source.keras_optimizer import OptimizerText
from convnet_cfg.export.source.keras_sharing import sharing_classes
from convnet_cfg.export.source.keras_training import Training
from convnet_cfg.export.source.keras_weights import (
    ONE,
    emit_weights,
    identifier_of,
    own_variables,
    takes_activation,
)
from convnet_cfg.export.source.pasting import Library, import_block, names_in_order
from convnet_cfg.export.source.text import (
    INDENT,
    WIDTH,
    Call,
    Expression,
    Items,
    call,
    docstring,
    flat,
    lines,
    statement,
    taken_out,
)
from convnet_cfg.language.layer_types import DataSpec
from convnet_cfg.language.network import Network
from convnet_cfg.model.assembly import Connections, Shape

LIBRARY = Library(Path(__file__).parent / "keras_layers")
LIBRARY.definitions.update(sharing_classes())
IMPORTS = {
    **LIBRARY.imports,
    "np": "import numpy as np",
    "Path": "from pathlib import Path",
    "Constant": "from keras.initializers import Constant",
}
# fmt: off
OF_THE_FILE = (
    "HYPERPARAMETERS", "LIMITS", "Network", "PERIODS", "TableSGD", "WEIGHTS", "build_model", "inputs",
    "load_weights", "make_optimizer", "model", "objective", "outputs", "path", "weights",
)
# fmt: on
RESERVED = frozenset({*dir(builtins), *LIBRARY.definitions, *IMPORTS, *OF_THE_FILE})


@dataclass(frozen=True)
class Source:
    """A translated network: its text, and the path in Keras of each variable by its name in a run."""

    text: str
    paths: Mapping[str, str]
    frame: Frame

    def arrays(self, variables: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the variables of a run as the file loads them; Keras has them in our layout."""
        return {path: variables[name] for name, path in self.paths.items()}


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
        ConfigError: some layers or rules cannot be translated; all of them are named.
    """
    frame = make_frame(network, shapes, reserved=RESERVED, connections=connections, trained=trained)
    return _Writer(frame, title, files, decay, trained).source()


class _Writer:
    """Puts the parts of the file together."""

    def __init__(self, frame: Frame, title: str, files: str, decay: str, trained: bool) -> None:
        self.frame = frame
        self.title = title
        self.files = files
        self.trained = trained
        self.paths: dict[str, str] = {}
        used = [weight for step in frame.steps for weight in (*step.kernels, step.bias) if weight is not None]
        self.shared = {weight.name for weight in used if weight.shared}
        self.lent: dict[str, str] = {}  # expressions of the variables that are used again, by name
        self.known: dict[str, str] = {}  # the names of what operands are made first, by expression
        self.channels: dict[str, tuple[int, ...]] = {}
        self.prepared: dict[str, tuple[int, ...]] = {}
        self.inputs: dict[str, str] = {}  # the variable of a data layer that is a part of its matrix
        self.taken = {step.name for step in frame.steps}
        self.model = list(self._model())
        self.has_costs = bool(counted(frame))
        self.optimizer: OptimizerText | None = None
        if frame.network.has_params and frame.weights and self.has_costs:
            self.training = Training(frame, self.paths, decay)
            self.optimizer = OptimizerText(self.training)

    def source(self) -> Source:
        """Return the file."""
        parts = [self._block(self._chosen(name)) for name in self.channels]
        parts.append(self._block(self.model))
        if self.optimizer is not None:
            tables = (self.training.table(), self.training.limits(), self.training.periods())
            parts += [block for table in tables if (block := self._block(table))]
        if self.has_costs:
            parts += [self._block(self._class()), self._block(objective(self.frame))]
        if self.optimizer is not None:
            parts += [self._block(self.optimizer.lines()), self._block(self.optimizer.maker())]
        parts += [
            'WEIGHTS = Path(__file__).with_suffix(".npz")',
            self._block(self._loader()),
            self._block(self._main()),
        ]
        body = "\n\n\n".join(parts)
        pasted = LIBRARY.needed(names_in_order(ast.parse(body)))
        code = "\n\n\n".join([*pasted.values(), body])
        imports = import_block(code, IMPORTS, tuple(sys.stdlib_module_names))
        return Source(f"{self._docstring()}\n\n{imports}\n\n\n{code}\n", self.paths, self.frame)

    @staticmethod
    def _block(lines: Iterator[str] | list[str]) -> str:
        return "\n".join(lines)

    # -- the model

    def _model(self) -> Iterator[str]:
        yield "def build_model():"
        yield f'{INDENT}"""Return the network, its weights at their first values."""'
        steps = list(self.frame.steps)
        skipped = False
        for step, following in zip(steps, [*steps[1:], None], strict=True):
            if skipped:
                skipped = False
                continue
            activation = self._activation_of(step, following)
            skipped = activation is not None
            yield from self._step(step, activation)
        yield from self._outputs()

    def _activation_of(self, step: Step, following: Step | None) -> str | None:
        """Return the activation that a layer can apply itself."""
        if following is None or following.name != step.name or type(step.made) not in ONE:
            return None
        if not following.layer.implicit or not takes_activation(step) or self._lent_by(step):
            return None
        return plain_activation(following)

    def _lent_by(self, step: Step) -> dict[str, tuple[str, str]]:
        """Return the variables of a step that are used again, with the layers that have them, and as what."""
        return {name: place for name, place in own_variables(step).items() if name in self.shared}

    def _step(self, step: Step, activation: str | None) -> Iterator[str]:
        comment = shape_words(step.shape)
        if step in self.frame.inputs:
            yield from self._input(step, comment)
            return
        if type(step.made) not in ONE:
            expression = EMITTERS[type(step.made)](step)
        else:
            expression = yield from self._with_weights(step, activation)
        self.prepared = {flat(read(each)): each.shape for each in step.operands}
        yield from self._statements(step.name, expression, comment)

    def _with_weights(self, step: Step, activation: str | None) -> Generator[str, None, Expression]:
        """Yield lines for the layers of which others use variables, and return the expression of a step."""
        lent = self._lent_by(step)
        owners = dict.fromkeys(layer for layer, _ in lent.values())
        variables = {layer: self._new_name(f"{identifier_of(layer)}_layer") for layer in owners}
        self.lent |= {name: f"{variables[layer]}.{attribute}" for name, (layer, attribute) in lent.items()}
        made = emit_weights(step, activation, self.lent)
        self.paths |= made.variables
        self.channels |= made.channels
        expression = made.expression
        for layer, variable in variables.items():
            expression, owner = taken_out(expression, f"name={text(layer)}", variable)
            yield from statement(variable, owner, "")
        return expression

    def _statements(self, name: str, expression: Expression, comment: str) -> Iterator[str]:
        """Yield the lines of a layer; what its operand needs first has lines of its own."""
        if isinstance(expression, Call) and isinstance(expression.operand, Items):
            items = []
            for item in expression.operand.items:
                items.append((yield from self._prepare(name, item)))
            expression = expression._replace(operand=Items(tuple(items)))
        else:
            expression = yield from self._prepare(name, expression)
        yield from statement(name, expression, comment)

    def _prepare(self, name: str, expression: Expression) -> Generator[str, None, Expression]:
        """Yield the lines that make the operand of an expression, and return that with its name."""
        if not isinstance(expression, Call) or not isinstance(expression.operand, Call):
            return expression
        operand = expression.operand
        whole = flat(operand)
        if operand.function not in PREPARATIONS or "name=" in whole:
            yield from self._statements(name, operand, "")
            return expression._replace(operand=name)
        if whole not in self.known:
            self.known[whole] = self._new_name(f"{source_of(whole)}_{PREPARATIONS[operand.function]}")
            comment = shape_words(self.prepared[whole]) if whole in self.prepared else ""
            yield from self._statements(self.known[whole], operand, comment)
        return expression._replace(operand=self.known[whole])

    def _new_name(self, wanted: str) -> str:
        choices = chain([wanted], (f"{wanted}_{number}" for number in count(1)))
        name = next(choice for choice in choices if choice not in self.taken)
        self.taken.add(name)
        return name

    def _input(self, step: Step, comment: str) -> Iterator[str]:
        spec = step.layer.spec
        assert isinstance(spec, DataSpec)
        shape = self.frame.shapes[spec.data_index]
        whole = "(" + "".join(f"{size}, " for size in shape).rstrip(" " if len(shape) == 1 else ", ") + ")"
        given = Call("keras.Input", (whole, f"name={text(step.name)}"))
        if step.size == prod(shape):
            yield from statement(step.name, given, comment)
            return
        matrix = self._new_name(f"{step.name}_matrix")
        self.inputs[step.name] = matrix
        yield from statement(matrix, given, shape_words(shape))
        whole_case: Expression = call("channels_first", matrix) if len(shape) == 3 else matrix
        arguments = (str(spec.first), str(spec.first + step.size))
        yield from self._statements(step.name, Call("Slice", arguments, whole_case), comment)

    def _outputs(self) -> Iterator[str]:
        for output in self.frame.outputs:
            made = read(output.operand)
            if self.known.get(flat(made)) == output.name:
                continue  # a layer reads the same
            if output.operand.form is not Form.AS_IS:
                yield from lines(made, INDENT, f"{output.name} = ")
        variables = {step.name: self.inputs.get(step.name, step.name) for step in self.frame.inputs}
        inputs = next(iter(variables.values())) if len(variables) == 1 else _dictionary(variables)
        outputs = _dictionary({output.name: output.name for output in self.frame.outputs})
        kind = "Network" if counted(self.frame) else "keras.Model"
        model = Call(kind, (inputs, outputs, f"name={text(scope_of(self.title))}"))
        yield from lines(model, INDENT, "return ")

    def _chosen(self, name: str) -> Iterator[str]:
        """Yield the constant that says which channels groups see."""
        yield "# the channels that groups see, drawn at random: those of the first group, of the second ..."
        yield f'{name} = """'
        yield textwrap.fill(" ".join(map(str, self.channels[name])), WIDTH - len(INDENT))
        yield '"""'

    # -- the rest

    def _class(self) -> Iterator[str]:
        names = targets(self.frame)
        yield "class Network(keras.Model):"
        yield f'{INDENT}"""A model that `fit` trains by the objective."""'
        yield ""
        arguments = "self, x=None, y=None, y_pred=None, sample_weight=None, training=True"
        yield f"{INDENT}def compute_loss({arguments}):"
        yield f'{INDENT * 2}"""Return the objective."""'
        yield f"{INDENT * 2}return objective(y_pred{', y' if len(names) == 1 else ', **y' if names else ''})"

    def _loader(self) -> Iterator[str]:
        yield "def load_weights(model, path=WEIGHTS):"
        words = "Give each variable of the model the array that a file of NumPy has under its path."
        yield f'{INDENT}"""{words}"""'
        yield f"{INDENT}with np.load(path) as weights:"
        yield f"{INDENT * 2}for variable in model.trainable_variables:"
        yield f"{INDENT * 3}variable.assign(weights[variable.path])"

    def _main(self) -> Iterator[str]:
        yield 'if __name__ == "__main__":'
        yield f"{INDENT}build_model().summary()"

    def _docstring(self) -> str:
        words = [
            f"{self.title}: a network of {self.frame.network.dialect.title} in Keras.",
            f"Translated from {self.files} by convnet-cfg. Data are {PREPARATION}.",
            "\n".join(f"{INDENT}{line}" if line else "" for line in self._usage()),
            "\n".join(f"{INDENT}{line}" for line in self._data_words()),
        ]
        if len(self.frame.network.replica_counts) > 1:
            words.append(PASSES)
        return "\n".join(docstring("\n\n".join(words), ""))

    def _usage(self) -> Iterator[str]:
        """Yield how the file is used."""
        data = _names([step.name for step in self.frame.inputs])
        yield "model = build_model()"
        if self.trained:
            yield "load_weights(model)"
        yield f"outputs = model({data})"
        if self.optimizer is not None:
            lengths = "".join(f", {name}={LENGTHS[name]}" for name in self.training.lengths)
            given = targets(self.frame)
            labels = f", {_names(given)}" if given else ""
            yield ""
            yield f"model.compile(optimizer=make_optimizer(model{lengths}))"
            yield f"model.fit({data}{labels}, batch_size=128)"

    def _data_words(self) -> Iterator[str]:
        """Yield the shape of all data."""
        for step in self.frame.inputs:
            assert isinstance(step.layer.spec, DataSpec)
            shape = self.frame.shapes[step.layer.spec.data_index]
            order = ", in the order row, column, channel" if len(shape) == 3 else ""
            yield f"{step.name}: {_tuple(('cases', *shape))}{order}"
        classes = {self.frame.data[name] for name in self.frame.network.labels if name in self.frame.data}
        wanted = targets(self.frame)
        for output in self.frame.targets:
            operand = output.operand
            if operand.source in wanted:
                what = ", class numbers" if operand.source in classes else ""
                yield f"{operand.source}: {_tuple(('cases', *(operand.shape)))}{what}"


LENGTHS = {"total_steps": "100_000", "epochs": "100"}  # of a training, for an example


def scope_of(title: str) -> str:
    """Return a title as a name of a model, of which TensorFlow makes a scope."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", title)
    return name if name[:1].isalnum() else f"net{name}"


PASSES = (
    "In cuda-convnet2 layers on fewer devices than others took each minibatch in parts, and could be updated "
    "after each of them; here they take it as a whole."
)


def _names(names: Sequence[str]) -> str:
    """Return how values of these names are given to a model."""
    return names[0] if len(names) == 1 else _dictionary({name: name for name in names})


def _tuple(items: Sequence[object]) -> str:
    return f"({', '.join(map(str, items))})"


# How what is made of an operand first is called: the name of the operand with this at its end.
PREPARATIONS = {
    "layers.Flatten": "flat",
    "layers.ZeroPadding2D": "padded",
    "layers.Cropping2D": "cropped",
    "TakeChannels": "picked",
    "Scale": "scaled",
    "channels_first": "vector",
    "image_of": "image",
    "pixels_of": "pixels",
}


def source_of(expression: str) -> str:
    """Return the value that is read in an expression of preparations."""
    return re.findall(r"\(([A-Za-z_]\w*)[,)]", expression)[0]


def _dictionary(values: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{text(name)}: {value}" for name, value in values.items()) + "}"


def shape_words(shape: Shape) -> str:
    """Return a shape as in `32 x 32 x 3`."""
    return " x ".join(map(str, shape))
