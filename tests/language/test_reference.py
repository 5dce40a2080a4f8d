"""docs/reference.md: current, and nothing left out; the pairs in docs/examples, from which it is written."""

import re
from dataclasses import fields

import pytest

from benchmarks.reference.__main__ import FILE
from benchmarks.reference.built import examples, load_example
from benchmarks.reference.dialect_sets import in_words
from benchmarks.reference.dialects import RULES, TOLD
from benchmarks.reference.markdown import anchor
from benchmarks.reference.page import page
from benchmarks.reference.types import layer_types
from convnet_cfg.errors import Severity
from convnet_cfg.language.declaring import definition_keys
from convnet_cfg.language.dialect import Dialect
from convnet_cfg.language.dialects import DIALECTS
from convnet_cfg.language.markers import MARKERS
from convnet_cfg.language.spec import documented_keys, key_names
from convnet_cfg.optim import DECAYS

TEXT = FILE.read_text()
SPECS = {spec for dialect in DIALECTS.values() for spec in dialect.layer_types.values()}
PLACEMENTS = {dialect.placement for dialect in DIALECTS.values() if dialect.placement}
DECLARATIONS = sorted(SPECS | {spec.params for spec in SPECS} | PLACEMENTS, key=lambda each: each.__name__)


def section(heading):
    """Return the text from a heading to the next of its order or a higher one."""
    order = heading.split(" ")[0]
    return re.split(rf"^#{{2,{len(order)}}} ", TEXT.partition(f"\n{heading}\n")[2], flags=re.MULTILINE)[0]


@pytest.mark.slow
def test_it_is_current():
    assert page(examples()) == TEXT, "run make reference"


def test_every_type_has_a_section_with_an_example():
    for each in layer_types():
        text = section(f"### {each.heading}")
        assert f"- In: {in_words(each.specs)}." in text, each.heading
        assert f"\ntype={each.name}\n" in text, each.heading
        assert re.search(r"^In Keras: (`(convnet_cfg\.nn|keras\.layers)\.|a slice)", text, re.M), each.heading


def test_every_dialect_has_all_its_types_in_the_sections():
    told = {(dialect, each.name): spec for each in layer_types() for dialect, spec in each.specs.items()}
    assert told == {(d.name, name): spec for d in DIALECTS.values() for name, spec in d.layer_types.items()}


def test_every_key_is_in_the_section_of_its_type():
    common = section("## Keys of every layer")
    for each in layer_types():
        text = section(f"### {each.heading}") + common
        for dialect, spec in each.specs.items():
            dialect = DIALECTS[dialect]
            known = [*definition_keys(spec, dialect), *key_names(spec.params, dialect)]
            assert [name for name in known if f"`{name}`" not in text] == [], (each.heading, dialect.name)


@pytest.mark.parametrize("declarations", DECLARATIONS, ids=lambda each: each.__name__)
def test_every_key_has_a_sentence(declarations):
    for key in documented_keys(declarations).values():
        assert re.fullmatch(r"[A-Z0-9`][^|]*\.", key.doc), (key.name, key.doc)


def test_every_activation_is_there():
    text = section("## Activations")
    for dialect in DIALECTS.values():
        for name, neuron in dialect.neurons.items():
            written = f"{name}[{','.join(neuron.parameters)}]" if neuron.parameters else name
            assert f"| `{written}` |" in text
            assert neuron.formula.replace("|", "\\|") in text


def test_every_schedule_is_there():
    text = section("## Learning rates")
    for dialect in DIALECTS.values():
        for name, schedule in (*dialect.schedules.items(), *dialect.shapes.items()):
            assert f"| `{name}[" in text
            assert schedule.formula in text
            assert all(f"`{parameter}`" in text for parameter in schedule.parameters)


def test_every_kind_of_decay_is_there():
    assert [name for name in DECAYS if f"| `{name}`" not in section("## Kinds of weight decay")] == []


def test_every_marker_and_refusal_is_there():
    rows = section("### How a dialect is recognized")
    assert [number for number in range(1, len(MARKERS) + 1) if f"\n| {number} | " not in rows] == []
    for dialect in DIALECTS.values():
        text = section(f"### {dialect.name}")
        assert [name for name in dialect.deviations if name not in text] == []
        base = DIALECTS[dialect.base] if dialect.base else None
        for name in (*dialect.refused, *dialect.ignored):
            inherited = base and (name in base.refused or name in base.ignored)
            assert inherited or f"`{name}`" in text.lower(), (dialect.name, name)


def test_every_field_of_a_dialect_is_told():
    assert {field.name for field in fields(Dialect)} == TOLD


def test_every_rule_has_its_words():
    for dialect in DIALECTS.values():
        assert {rule for rule, words in RULES.items() if getattr(dialect, rule) not in words} == set()


@pytest.mark.parametrize("name", DIALECTS)
def test_an_example_is_recognized_and_leaves_nothing_to_say(name):
    network = load_example(name)
    assert network.dialect is DIALECTS[name]
    assert [remark for remark in network.remarks if remark.severity is not Severity.NOTE] == []


def test_the_examples_have_every_declaration_of_a_type():
    shown = {type(layer.spec) for name in DIALECTS for layer in load_example(name).layers}
    assert shown >= SPECS


def test_every_link_within_the_page_leads_somewhere():
    headings = [anchor(heading) for heading in re.findall(r"^#{2,3} (.*)$", TEXT, re.MULTILINE)]
    assert len(set(headings)) == len(headings)
    assert set(re.findall(r"\]\(#([^)]*)\)", TEXT)) <= set(headings)
    assert [
        name for name in re.findall(r"\]\((?!#)([^)]*)\)", TEXT) if not (FILE.parent / name).exists()
    ] == []


def test_sets_of_dialects_in_words():
    family = ("v2", "hunse", "s9xie", "zhaofang0627", "elhuhdron")
    assert in_words(DIALECTS) == "all"
    assert in_words(family) == "`v2` family"
    assert in_words(["v1", "v2"]) == "`v1`, `v2`"
    assert in_words(set(DIALECTS) - set(family)) == "all but `v2` family"
    assert in_words(["hunse"], ["v2", "hunse"]) == "`hunse`"
