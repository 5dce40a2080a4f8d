"""A section for each layer type: what it is, what becomes of it, its keys, an example."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.reference.built import Example, files, is_own, public_name
from benchmarks.reference.dialect_sets import in_words
from benchmarks.reference.keys import Row, key_table, merged, rows
from benchmarks.reference.markdown import (
    as_sentence,
    bullets,
    code,
    in_sentence,
    names,
    prose,
    summary,
    table,
)
from convnet_cfg.language.cost_types import CostSpec
from convnet_cfg.language.declaring import definition_keys
from convnet_cfg.language.dialect import Dialect
from convnet_cfg.language.dialects import DIALECTS
from convnet_cfg.language.layer_types import DataSpec, ImageSpec, LayerSpec
from convnet_cfg.language.params import LayerParams
from convnet_cfg.language.weight_types import WeightSpec

Spec = type[LayerSpec]
Words = Callable[[Spec], str]

PREFIX = re.compile(r"`type=[^`]*`(?: of [^:]*?:|[:,])? ")
KINDS: Mapping[Spec, str] = {
    WeightSpec: "Layers with weights",
    ImageSpec: "Layers over images",
    LayerSpec: "Other layers",
    CostSpec: "Costs",
}


class LayerType(NamedTuple):
    """A type as some dialects have it: their declarations, all of them derived from the first."""

    heading: str
    name: str
    specs: Mapping[str, Spec]

    @property
    def first(self) -> Spec:
        """The declaration of the first dialect."""
        return next(iter(self.specs.values()))

    @property
    def kind(self) -> str:
        """The heading under which it stands."""
        return next(KINDS[base] for base in self.first.__mro__ if base in KINDS)

    def rows(self, declarations: Callable[[Spec], type[Any]], common: Collection[Row]) -> str:
        """Return the table of its keys in one file, without those that every layer has."""
        found = merged(
            (name, [row for row in rows(declarations(spec), DIALECTS[name]) if row not in common])
            for name, spec in self.specs.items()
        )
        return key_table(found, self.specs) if found else ""

    def in_words(self, words: Words) -> str:
        """Return what `words` says of the declarations, once where it is the same."""
        found: dict[str, list[str]] = {}
        for dialect, spec in self.specs.items():
            found.setdefault(words(spec), []).append(dialect)
        (first, _), *others = ((in_sentence(text.rstrip(".")), dialects) for text, dialects in found.items())
        each = [f"in {in_words(dialects, self.specs)}: {text}" for text, dialects in others]
        return f"{'; '.join([first, *each])}."


def layer_types() -> list[LayerType]:
    """Return all types; one name may stand for types of different dialects that have nothing in common."""
    found: list[LayerType] = []
    for type_name in dict.fromkeys(name for dialect in DIALECTS.values() for name in dialect.layer_types):
        left = {name: d.layer_types[type_name] for name, d in DIALECTS.items() if type_name in d.layer_types}
        while left:
            first = next(iter(left.values()))
            specs = {dialect: spec for dialect, spec in left.items() if issubclass(spec, first)}
            again = any(other.name == type_name for other in found)
            heading = f"{type_name} of {', '.join(specs)}" if again else type_name
            found.append(LayerType(heading, type_name, specs))
            left = {dialect: spec for dialect, spec in left.items() if dialect not in specs}
    return found


def sections(examples: Sequence[Example]) -> Iterator[str]:
    """Yield all sections, each kind of layer under its heading."""
    types = layer_types()
    for kind in KINDS.values():
        yield f"## {kind}"
        for each in types:
            if each.kind == kind:
                yield from _section(each, examples)


def _section(layer_type: LayerType, examples: Sequence[Example]) -> Iterator[str]:
    mine = [example for example in examples if example.spec in layer_type.specs.values()]
    yield f"### {layer_type.heading}"
    yield as_sentence(_sentence(layer_type.first))
    yield bullets(_facts(layer_type, {example.spec: example for example in reversed(mine)}))
    yield from _in_keras(mine)
    definition = layer_type.rows(lambda spec: spec, common_rows(definition_file=True))
    parameters = layer_type.rows(lambda spec: spec.params, common_rows(definition_file=False))
    if definition:
        yield from ("Keys in the definition file:", definition)
    if parameters:
        yield from ("Keys in the parameter file:", parameters)
    yield from _example(mine)


def _sentence(spec: Spec) -> str:
    """Return the docstring without the name of the type, and of a fork, at its beginning."""
    return PREFIX.sub("", summary(spec), count=1)


def _facts(layer_type: LayerType, built: Mapping[Spec, Example]) -> Iterator[str]:
    """Yield what the declarations say beside the keys."""
    yield f"In: {in_words(layer_type.specs)}."
    for text, dialects in _differences(layer_type).items():
        yield f"In {in_words(dialects, layer_type.specs)}: {prose(text)}"
    yield f"Inputs: {layer_type.in_words(_inputs)}"
    if issubclass(layer_type.first, CostSpec):
        yield f"Reported: {layer_type.in_words(lambda spec: _reported(built[spec]))}"
        yield f"Of several views of a case, {layer_type.in_words(lambda spec: _over_views(built[spec]))}"
    else:
        yield f"Output: {layer_type.in_words(_output)}"
    if issubclass(layer_type.first, WeightSpec):
        yield f"Weights: {layer_type.in_words(_weights)}"
        yield f"Biases: {layer_type.in_words(_biases)}"
    if not layer_type.first.differentiable:
        yield "No gradient passes: no layer below may have weights."
    yield f"Section in the parameter file: {layer_type.in_words(_needs_section)}"


def _differences(layer_type: LayerType) -> dict[str, list[str]]:
    """Return the sentences of the other declarations with their dialects."""
    found: dict[str, list[str]] = {}
    for dialect, spec in layer_type.specs.items():
        if _sentence(spec) != _sentence(layer_type.first):
            found.setdefault(_sentence(spec), []).append(dialect)
    return found


def _inputs(spec: Spec) -> str:
    least, most = spec.input_limits
    if most == 0:
        return "none"
    number = str(least) if least == most else f"{least} or more"
    return f"{number}: {in_sentence(summary(spec.check))}" if issubclass(spec, CostSpec) else number


def _output(spec: Spec) -> str:
    if issubclass(spec, DataSpec):
        return summary(spec.output_of)
    return summary(spec.output_image if issubclass(spec, ImageSpec) else spec.output)


def _weights(spec: Spec) -> str:
    assert issubclass(spec, WeightSpec)
    return summary(spec.matrices)


def _biases(spec: Spec) -> str:
    assert issubclass(spec, WeightSpec)
    return summary(spec.bias_shape) if spec.has_bias else "none"


def _needs_section(spec: Spec) -> str:
    return "required" if spec.params.required else "not required"


def _reported(example: Example) -> str:
    """Return the names of what a cost reports; `top-5` of an example stands for any number."""
    assert example.cost is not None
    columns = ["the cost", *(re.sub(r"\btop-\d+", "top-k", name) for name in example.cost.columns)]
    unnamed = example.cost.size - len(columns)
    if example.cost.summary is not None:
        columns.append(f"and more by {public_name(example.cost.summary)}")
    elif unnamed:
        columns.append(f"and {unnamed} more without a name")
    return ", ".join(columns)


def _over_views(example: Example) -> str:
    assert example.cost is not None
    return "the input is averaged first" if example.cost.over_views else "the last one counts"


def _in_keras(examples: Sequence[Example]) -> Iterator[str]:
    """Yield the classes or functions, with what they say of themselves."""
    parts = list(dict.fromkeys(part for example in examples for part in example.parts))
    yield f"In Keras: {', '.join(map(public_name, parts))}."
    for part in filter(is_own, parts):
        yield code(f"{part.__name__}: {inspect.getdoc(part)}")


def _example(examples: Sequence[Example]) -> Iterator[str]:
    """Yield the sections of the first example, and links to those of other declarations of the type."""
    by_spec: dict[Spec, Example] = {}
    for example in examples:
        by_spec.setdefault(example.spec, example)
    first, *others = by_spec.values()
    also = f" (see also {', '.join(_link(example) for example in others)})" if others else ""
    yield f"Example, from {_link(first)}{also}:"
    texts = zip(files(first.dialect), (first.definition, first.parameters), strict=True)
    yield code("\n\n".join(f"# {file.name}\n{text}" for file, text in texts if text), "ini")


def _link(example: Example) -> str:
    name = files(example.dialect)[0].name
    return f"[{name}](examples/{name})"


# -- what every layer has


def common_rows(*, definition_file: bool) -> Mapping[Row, frozenset[str]]:
    """Return the keys that every layer has in a file, with the dialects in which they are so."""
    found = []
    for name, dialect in DIALECTS.items():
        declarations = [LayerSpec, dialect.placement] if definition_file else [LayerParams]
        found.append((name, [row for each in declarations if each for row in rows(each, dialect)]))
    return merged(found)


def common_section() -> Iterator[str]:
    """Yield what every layer has."""
    yield "## Keys of every layer"
    yield (
        "Every layer has the key `type`, which names its type, and these, unless the last column says "
        "otherwise. The sections below leave them away."
    )
    yield "Keys in the definition file:"
    yield _common_table(common_rows(definition_file=True), _definition_names)
    yield "Keys in the parameter file:"
    yield _common_table(common_rows(definition_file=False), _parameter_names)


def _definition_names(spec: Spec, dialect: Dialect) -> Collection[str]:
    return definition_keys(spec, dialect)


def _parameter_names(spec: Spec, dialect: Dialect) -> Collection[str]:
    return [name for row in rows(spec.params, dialect) for name in row.names]


def _common_table(
    found: Mapping[Row, frozenset[str]], names_of: Callable[[Spec, Dialect], Collection[str]]
) -> str:
    lines = []
    for row, dialects in found.items():
        where = [DIALECTS[name] for name in dialects]
        types = {name for dialect in where for name in dialect.layer_types}
        having = {
            name
            for dialect in where
            for name, spec in dialect.layer_types.items()
            if row.names[0] in names_of(spec, dialect)
        }
        line = (names(row.names), row.value, row.default, row.meaning, in_words(dialects))
        lines.append((*line, _types(types - having, types)))
    return table(("key", "value", "default", "meaning", "in", "but not in layers of type"), lines)


def _types(chosen: Collection[str], among: Collection[str]) -> str:
    """Return types by name, all costs as one."""
    costs = {name for name in among if name.startswith("cost.")}
    if costs <= set(chosen):
        return names([*sorted(set(chosen) - costs), *(["cost.*"] if costs else [])])
    return names(sorted(chosen))
