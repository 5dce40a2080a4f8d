"""The parameter file: rules of update, and how strictly it is read."""

import pytest

from convnet_cfg.errors import ConfigError, Severity, UsageError
from convnet_cfg.language import Reading, load_network, refused_decay
from convnet_cfg.language.params import UpdateRule
from convnet_cfg.language.schedules import Schedule

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
        UpdateRule(Schedule(0.1), 0.9, 0.01),
        UpdateRule(Schedule(0.2), 0.8, 0.0),
    ]
    assert [matrix.deviation for matrix in layer.matrices] == [0.1, 0.2]
    assert layer.bias.rule == UpdateRule(Schedule(0.3), 0.7, 0.0)
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


def test_defaults_that_no_layer_has_are_reported_once_and_at_their_place(load):
    text = "[DEFAULT]\nwc=1,1\nepsQQ=1\nmomW=0.9,0.9\n" + PARAMS
    with pytest.raises(ConfigError) as error:
        load(NET + "[DEFAULT]\ntipe=fc\ninitB=1\nepsW=1\n", text, mode="strict")
    assert [str(problem) for problem in error.value.problems] == [
        "net.cfg:15:1: [DEFAULT] unknown key 'tipe' (did you mean 'type'?) (the original ignored it)",
        "net.cfg:17:1: [DEFAULT] key 'epsW' belongs in the other file (the original ignored it)",
        "net.params.cfg:3:1: [DEFAULT] unknown key 'epsQQ' (the original ignored it)",
    ]


def test_defaults_that_values_refer_to_are_in_use(load):
    text = "[DEFAULT]\nsigma=0.1\nSize=%(sigma)s,%(sigma)s\n" + NET.replace("initW=0.1,0.2", "initW=%(size)s")
    assert load(text, mode="strict").remarks == ()


def test_defaults_of_layers_of_an_unknown_type_are_left_alone(problems):
    text = NET.replace("type=fc", "type=fcc") + "[DEFAULT]\nwhatever=1\n"
    assert problems(text, "[DEFAULT]\nepsQ=1\n" + PARAMS, mode="strict") == [
        "unknown type 'fcc' (did you mean 'fc'?)"
    ]


@pytest.mark.parametrize("momentum", ["1.5", "-1.01"])
def test_updates_that_would_outgrow_each_other_are_refused(problems, momentum):
    params = PARAMS.replace("momW=0.9,0.8", f"momW=0.9,{momentum}").replace("momB=0.7", f"momB={momentum}")
    why = f"must be from -1 to 1, got {momentum}: each update would be larger than the one before"
    assert problems(NET, params) == [f"momW {why}", f"momB {why}"]


def test_a_decay_that_divides_by_nothing_is_refused(load, problems):
    params = PARAMS.replace("momW=0.9,0.8", "momW=1,0.8")
    assert refused_decay(load(NET, params), "decoupled") == []
    assert problems(NET, params + "decay=decoupled-matched\nwhatever=1\nepsBB=1\n") == [
        "momW is usually from 0 to below 1, got 1: updates never fade",
        "momW must be < 1, got 1: decay 'decoupled-matched' divides by 1 - momentum",
        "unknown key 'whatever', ignored",
        "unknown key 'epsBB' (did you mean 'epsB'?) (the original ignored it: --lenient does the same)",
    ]
    assert load(NET, params + "decay=decoupled\n")
    shared = NET.replace("initB=1", "initB=1\nweightSource=,fc[0]")
    assert load(shared, PARAMS.replace("0.9,0.8", "0.9,1") + "decay=decoupled-matched\n")


def test_a_decay_of_the_whole_run_is_for_those_without_their_own(load):
    params = PARAMS.replace("momW=0.9,0.8", "momW=0.9,1").replace("momB=0.7", "momB=1")
    found = refused_decay(load(NET, params), "decoupled-matched")
    assert [str(problem) for problem in found] == [
        "net.cfg:5:1: [fc] momW must be < 1, got 1: decay 'decoupled-matched' divides by 1 - momentum",
    ]
    found = refused_decay(load(NET, params + "decay=l2\n"), "decoupled-matched")
    assert found == []
    assert refused_decay(load(NET), "decoupled-matched") == []


def test_outside_functions_are_named(load):
    network = load(NET.replace("initB=1", "initWFunc=m.f(1)\ninitBFunc=m.g"))
    assert list(network.functions) == ["m.f", "m.g"]
    assert network.remarks == ()


SLOPPY = {
    "no such layer": ("[gone]\nepsW=1\n", Severity.WARNING),
    "dead key": (PARAMS + "wcNorm=1\n", Severity.WARNING),
    "far-off key": (PARAMS + "comment=1\n", Severity.WARNING),
    "key of another layer type": (PARAMS + "pow=1\n", Severity.WARNING),
    "key nearly right": (PARAMS + "epsWW=1\n", Severity.SUSPECT),
    "key of the other file": (PARAMS + "outputs=1\n", Severity.SUSPECT),
    "type, which the other file has": (PARAMS + "type=fc\n", Severity.SUSPECT),
    "key of another program": (PARAMS + "schedW=[]\n", Severity.SUSPECT),
    "default for no layer": ("[DEFAULT]\ncomment=1\n" + PARAMS, Severity.WARNING),
    "default nearly right": ("[DEFAULT]\ndropuot=0.5\n" + PARAMS, Severity.SUSPECT),
    "default of the other file": ("[DEFAULT]\noutputs=1\n" + PARAMS, Severity.SUSPECT),
    "default for the definition file": ("[DEFAULT]\ntype=fc\n" + PARAMS, Severity.SUSPECT),
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
            remarks = load(NET, params, mode=mode).remarks
            assert [problem.severity for problem in remarks] == [Severity.WARNING]
        else:
            with pytest.raises(ConfigError):
                load(NET, params, mode=mode)


KEYS = PARAMS + "whatever=1\nepsBB=1\noutputs=1\n"


@pytest.mark.parametrize(
    ("mode", "endings"),
    [
        ("lenient", [", ignored"] * 3),
        ("default", [", ignored", *[" (the original ignored it: --lenient does the same)"] * 2]),
        ("strict", [" (the original ignored it)"] * 3),
    ],
)
def test_what_is_said_of_an_ignored_key_fits_the_mode(load, mode, endings):
    try:
        found = load(NET, KEYS, mode=mode).remarks
    except ConfigError as error:
        found = error.problems
    assert [problem.message for problem in found] == [
        f"unknown key 'whatever'{endings[0]}",
        f"unknown key 'epsBB' (did you mean 'epsB'?){endings[1]}",
        f"key 'outputs' belongs in the other file{endings[2]}",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("momB=0.7", "momB=1"), "momB is usually from 0 to below 1, got 1: updates never fade"),
        (
            ("momW=0.9,0.8", "momW=0.9,-0.8"),
            "momW is usually from 0 to below 1, got -0.8: updates change their sign each time",
        ),
        (("wc=0.01,0", "wc=-0.01,0"), "wc is usually 0 or above, got -0.01: decay below 0 is none"),
    ],
)
def test_values_that_no_training_gets_on_with(load, change, message):
    assert [problem.message for problem in load(NET, PARAMS.replace(*change)).remarks] == [message]


def test_a_network_that_is_frozen_as_a_whole(load):
    frozen = PARAMS.replace("EPSW=0.1,0.2", "EPSW=0,-1").replace("epsB=0.3", "epsB=0")
    assert [problem.line for problem in load(NET, frozen).remarks] == [
        "warning: net.params.cfg:1:1: every learning rate is 0 or below: nothing will be trained"
    ]
    assert load(NET, PARAMS.replace("EPSW=0.1,0.2", "EPSW=0,0")).remarks == ()


@pytest.mark.parametrize(
    ("reading", "message"),
    [
        (
            {"mode": "strickt"},
            "no mode 'strickt' (did you mean 'strict'?): there are lenient, default, strict",
        ),
        (
            {"average_divisor": "nominl"},
            "no average divisor 'nominl' (did you mean 'nominal'?): there are existing, nominal",
        ),
        ({"dialect": "v3"}, "no dialect 'v3': there are v1, v1+dropout, "),
    ],
)
def test_ways_of_reading_that_there_are_not(reading, message):
    with pytest.raises(UsageError) as error:
        Reading(**reading)
    assert str(error.value).startswith(message)


def test_swapped_files(problems):
    assert problems(PARAMS, NET) == [
        "no layer has a type here, but there are types in net.params.cfg: are the two files swapped?"
    ]


def test_one_file_given_twice(tmp_path):
    for name in ("net.cfg", "net.params.cfg"):
        (tmp_path / name).write_text(NET)
    (tmp_path / "link.cfg").symlink_to(tmp_path / "net.cfg")
    with pytest.raises(ConfigError, match=r"net.cfg:1:1: this file is given twice"):
        load_network(tmp_path / "net.cfg", tmp_path / "link.cfg", data_dims=(3072, 1))
