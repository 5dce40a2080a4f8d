"""The parameter file: rules of update, and how strictly it is read."""

import pytest

from convnet_cfg.errors import ConfigError, Severity
from convnet_cfg.language.params import UpdateRule

NET = """
[data]
type=data
dataIdx=0
[fc]
type=fc
inputs=data,data
outputs=4
initW=0.1,0.2
initB=1
[cost]
type=cost.sum2
inputs=fc
"""
PARAMS = """
[cost]
coeff=-2
[fc]
EPSW=0.1,0.2
epsB=0.3
momW=0.9,0.8
momB=0.7
wc=0.01,0
"""


def test_every_matrix_has_its_rule(load):
    layer = load(NET, PARAMS)["fc"]
    assert [matrix.rule for matrix in layer.matrices] == [
        UpdateRule(0.1, 0.9, 0.01),
        UpdateRule(0.2, 0.8, 0.0),
    ]
    assert [matrix.deviation for matrix in layer.matrices] == [0.1, 0.2]
    assert layer.bias.rule == UpdateRule(0.3, 0.7, 0.0)
    assert layer.bias.mean == 1


def test_the_kind_of_decay_can_be_chosen_for_a_layer(load):
    layer = load(NET, PARAMS + "decay=decoupled\n")["fc"]
    assert {matrix.rule.decay for matrix in layer.matrices} == {"decoupled"}


def test_without_a_parameter_file_there_are_no_rules(load):
    network = load(NET)
    assert not network.has_params
    assert network["fc"].matrices[0].rule is None
    assert network["cost"].params is None


def test_defaults_count_for_every_section(load):
    network = load(NET, "[DEFAULT]\nmomW=0.5,0.5\ncoeff=3\n" + PARAMS.replace("momW=0.9,0.8\n", ""))
    assert network["fc"].matrices[1].rule.momentum == 0.5
    assert network["cost"].params.coefficient == -2


def test_outside_functions_are_named(load):
    network = load(NET.replace("initB=1", "initWFunc=m.f(1)\ninitBFunc=m.g"))
    assert list(network.functions) == ["m.f", "m.g"]
    assert network.remarks == ()


SLOPPY = {
    "no such layer": ("[gone]\nepsW=1\n", Severity.WARNING),
    "dead key": (PARAMS + "superEps=1\n", Severity.WARNING),
    "far-off key": (PARAMS + "comment=1\n", Severity.WARNING),
    "key of another layer type": (PARAMS + "pow=1\n", Severity.WARNING),
    "key nearly right": (PARAMS + "epsWW=1\n", Severity.SUSPECT),
    "key of the other file": (PARAMS + "outputs=1\n", Severity.SUSPECT),
    "key of another program": (PARAMS + "schedW=[]\n", Severity.SUSPECT),
}


@pytest.mark.parametrize("name", SLOPPY)
def test_how_strictly_files_are_read(load, name):
    text, severity = SLOPPY[name]
    params = text if "[fc]" in text else PARAMS + text
    accepted = {
        Severity.WARNING: {"lenient", "default"},
        Severity.SUSPECT: {"lenient"},
    }[severity]
    for mode in ("lenient", "default", "strict"):
        if mode in accepted:
            assert [problem.severity for problem in load(NET, params, mode=mode).remarks] == [severity]
        else:
            with pytest.raises(ConfigError):
                load(NET, params, mode=mode)
