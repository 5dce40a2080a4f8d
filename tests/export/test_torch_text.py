"""Long statements of translations to PyTorch: as `ruff format` lays them out."""

import pytest

from convnet_cfg.export.source.text import docstring
from convnet_cfg.export.source.torch_text import assignment, calling, returning

A, B, C = (f"self.{letter * 38}(x)" for letter in "abc")
INDENT = "        "
DEEPER = INDENT + "    "


def test_a_short_assignment_has_its_comment_behind_it():
    assert assignment("y", "f(x)", INDENT, "(N, 3)") == [f"{INDENT}y = f(x)  # (N, 3)"]


def test_a_comment_without_room_is_above():
    code = f"f({A}, {B})"
    assert assignment("y", code, INDENT, "(N, 3)") == [f"{INDENT}# (N, 3)", f"{INDENT}y = {code}"]


def test_a_long_sum_is_reckoned_in_several_statements():
    assert assignment("y", f"{A} + {B} - {C}", INDENT, "(N, 3)") == [
        f"{INDENT}y = {A} + {B}",
        f"{INDENT}y = y - {C}  # (N, 3)",
    ]
    assert returning(f"2.0 * {A} + {B} + {C}", INDENT) == [
        f"{INDENT}total = 2.0 * {A}",
        f"{INDENT}total = total + {B}",
        f"{INDENT}return total + {C}",
    ]


@pytest.mark.parametrize("factor", ["", "2.0 * "])
def test_a_long_quotient_in_a_sum_is_reckoned_by_itself(factor):
    quotient = f"{factor}f({A}, {'x' * 28}) / len(x)"
    code = f"{A} + {quotient}"
    assert returning(code, INDENT) == [
        f"{INDENT}total = {A}",
        f"{INDENT}term = {quotient}",
        f"{INDENT}return total + term",
    ]
    assert assignment("total", code, INDENT, "(N, 3)") == [
        f"{INDENT}total = {A}",
        f"{INDENT}term = {quotient}",
        f"{INDENT}total = total + term  # (N, 3)",
    ]


def test_a_method_of_a_long_call_is_behind_its_bracket():
    assert assignment("y", f"f({A}, {B}).flatten(1)", INDENT) == [
        f"{INDENT}y = f(",
        f"{INDENT}    {A}, {B}",
        f"{INDENT}).flatten(1)",
    ]


def test_a_sum_that_is_a_factor_keeps_its_brackets():
    assert assignment("y", f"torch.tanh(2.0 * ({A} + {B} + {C}))", INDENT) == [
        f"{INDENT}y = torch.tanh(",
        f"{INDENT}    2.0",
        f"{INDENT}    * (",
        f"{INDENT}        {A}",
        f"{INDENT}        + {B}",
        f"{INDENT}        + {C}",
        f"{INDENT}    )",
        f"{INDENT})",
    ]


def test_a_sum_that_is_subtracted_keeps_its_brackets():
    assert assignment("y", f"{A} - ({B} + x)", INDENT) == [f"{INDENT}y = {A}", f"{INDENT}y = y - ({B} + x)"]


def test_a_call_by_itself_is_laid_out():
    assert calling(f"f({A}, {B}, size=3)", INDENT) == [
        f"{INDENT}f(",
        f"{INDENT}    {A},",
        f"{INDENT}    {B},",
        f"{INDENT}    size=3,",
        f"{INDENT})",
    ]


def test_of_a_long_product_with_a_number_the_other_factor_is_reckoned_first():
    code = f"2.0 * f({A}, {B})"
    assert assignment("y", code, INDENT) == [f"{INDENT}y = f({A}, {B})", f"{INDENT}y = 2.0 * y"]


def test_arguments_go_on_a_line_of_their_own_and_else_on_one_each():
    assert returning(f"f({A}, {B})", DEEPER) == [
        f"{DEEPER}return f(",
        f"{DEEPER}    {A}, {B}",
        f"{DEEPER})",
    ]
    assert returning(f"f({A}, {B}, {C}, size=3)", INDENT) == [
        f"{INDENT}return f(",
        f"{INDENT}    {A},",
        f"{INDENT}    {B},",
        f"{INDENT}    {C},",
        f"{INDENT}    size=3,",
        f"{INDENT})",
    ]


def test_terms_of_a_sum_in_brackets_are_on_a_line_each():
    assert returning(f"f({A} + {B} + {C})", INDENT) == [
        f"{INDENT}return f(",
        f"{INDENT}    {A}",
        f"{INDENT}    + {B}",
        f"{INDENT}    + {C}",
        f"{INDENT})",
    ]


@pytest.mark.parametrize("code", [f"[{A}, {B}, {C}]", f'{{"a": {A}, "b": {B}, "c": {C}}}'])
def test_items_are_on_a_line_each(code):
    lines = returning(code, INDENT)
    assert lines[0] == f"{INDENT}return {code[0]}"
    assert lines[-1] == f"{INDENT}{code[-1]}"
    assert len(lines) == 5


def test_docstrings_are_wrapped_but_for_what_is_indented():
    long = " ".join(["word"] * 30)
    lines = docstring(f"First.\n\n{long}\n\n    code", "    ")
    assert lines[:2] == ['    """First.', ""]
    assert lines[-3:] == ["", "        code", '    """']
    assert " ".join(line.strip() for line in lines[2:-3]) == long
    assert max(map(len, lines)) <= 110


def test_nothing_in_a_docstring_can_end_it():
    assert docstring('a"""b\\', "") == ['"""a\'\'\'b/"""']
