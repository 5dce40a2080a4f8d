"""Which program a pair was written for: the table of forks.md section 0 by worked files."""

import pytest

from convnet_cfg.errors import ConfigError, Problem
from convnet_cfg.language import load_network
from convnet_cfg.language.dialects import DIALECTS
from convnet_cfg.language.grammar import parse_sections
from convnet_cfg.language.markers import MARKERS, recognize

LAYERS = "[data]\ntype=data\ndataIdx=0\n[x]\ninputs=data\n"
PARAMS = "[x]\nepsW=0.1\n"


def recognition(layers="", params=""):
    return recognize(
        parse_sections(LAYERS + layers, "net.cfg"), parse_sections(PARAMS + params, "net.params.cfg")
    )


def recognized(layers="", params=""):
    found = recognition(layers, params)
    return found.message if isinstance(found, Problem) else found[0].name


@pytest.mark.parametrize(
    ("layers", "params", "expected"),
    [
        ("type=fc", "", "v1"),
        ("type=fc\nwhatever=1", "whatever=1", "v1"),
        ("type=fc", "dropout=0.5", "v1+dropout"),
        ("type=fc\ndropout=0.5", "", "v1+dropout"),
        ("type=fc", "[gone]\ndropout=0.5", "v1+dropout"),
        ("type=rnorm\nscale=1", "", "historic-v1"),
        ("type=cnorm\nsizeX=3", "", "historic-v1"),
        ("type=cmrnorm\nsize=3", "", "v1"),
        ("type=rnorm\nscale=1\ngpu=0", "", "historic-v1"),  # differences.md section 2: step 2 before 3
        ("type=cnorm\nsizeX=3", "wball=1", "historic-v1"),
        ("type=rnorm\npow=1", "", "historic-v1"),
        ("type=rnorm\npow=1\ngpu=0", "", "v2"),
        ("type=rscale", "", "v1"),  # v1's parser knew the type too
        ("type=fc", "superEps=0", "v2"),
        ("type=fc", "superMom=0", "v2"),
        ("type=pool\nsizeX=3", "", "v1"),
        ("type=fc", "schedW=linear[1,1]", "v1"),
        ("type=cccp", "", "nin"),
        ("type=ffc", "", "nin"),
        ("type=neuron\nneuron=dropout[0.5]", "", "nin"),
        ("type=cmrnorm", "k=2", "nin"),
        ("type=fc", "k=2", "v1"),
        ("type=fcdropo", "", "dropconnect"),
        ("type=fcdropc", "", "dropconnect"),
        ("type=fcdropcf", "", "dropconnect"),
        ("type=union", "", "alemagnani"),
        ("type=eltconcat", "", "civilman628"),
        ("type=dropout2\npartialSum=1", "", "civilman628"),
        ("type=condprob", "", "cysu"),
        ("type=cost.binxent", "", "cysu"),
        ("type=cost.ice", "", "elhuhdron"),
        ("type=fc", "epsB=texp[base=1;tau=2;stepsPerEpoch=1]", "elhuhdron"),
        ("type=cost.locrank", "", "zhaofang0627"),
        ("type=cost.hingeloss", "", "hunse"),
        ("type=fc\nneuron=softlif[1,1,1,1,1,0]", "", "hunse"),
        ("type=logsoftmax", "", "stephenyan1231"),
        ("type=cost.tasklogreg", "", "s9xie"),
        ("type=cost.l2-sn", "", "zbhzxyld"),
        ("type=dropout\ndropoutProb=0.5", "", "tund"),
        ("type=hs", "", "alexnet-2012"),
        ("type=fc", "schedW=linear[tgtFactor=2,noiseStdev=0]", "alexnet-2012"),
        ("type=fc", "quantF=half", "alexnet-2012"),
        ("type=conv\npartialSum=1\ngpu=0", "", "alexnet-2012"),
        ("type=conv\nnumFilters=16", "", "historic-v1"),
        ("type=fc\nneuron=abstanh[1,2]", "", "historic-v1"),
        ("type=sum", "", "historic-v1"),
        ("type=conv\nsumWidth=1", "", "v2"),
        ("type=conv\nsumWidth=1\npartialSum=1", "", "v2"),
        ("type=fc\nGPU=0", "", "v2"),
        ("type=sum\ngpu=0", "", "v2"),
        ("type=concat", "", "v2"),
        ("type=cost.bce", "", "v2"),
        ("type=pool\npool=maxabs", "", "v2"),
        ("type=pool\nsum=1", "", "v2"),
        ("type=fc\nneuron=drelu[1]", "", "v2"),
        ("type=fc", "epsB=const[base=1]", "v2"),
        ("type=fc", "wball=1", "v2"),
        ("type=fc", "keep=0.5", "v2"),
    ],
)
def test_the_dialect(layers, params, expected):
    assert recognized(layers, params) == expected


def test_what_is_not_supported_says_why():
    message = recognized("type=randft")
    assert message.startswith("not supported: type=randft (zixu1986/Doubly_Stochastic_Gradients): its random")


@pytest.mark.parametrize("params", ["wball=1", "epsW=const[base=1]"])
def test_sections_without_a_layer_decide_nothing(params):
    assert recognized("type=fc", f"[gone]\n{params}") == "v1"


def test_defaults_count():
    assert recognized("type=fc\n[DEFAULT]\ngpu=0") == "v2"


@pytest.mark.parametrize(
    ("layers", "params", "expected"),
    [
        ("kind=hs\ntype=%(kind)s", "", "alexnet-2012"),
        ("kind=pool\ntype=%(kind)s\nsum=1", "", "v2"),
        ("act=drop\ntype=neuron\nneuron=%(act)sout[0.5]", "", "nin"),
        ("type=fc", "rate=const[base=1]\nepsB=%(rate)s", "v2"),
        ("type=fc\nneuron=drelu[%(gone)s]", "", "v2"),  # what cannot be replaced counts as it stands
    ],
)
def test_references_are_replaced_first(layers, params, expected):
    assert recognized(layers, params) == expected


def test_the_earlier_marker_wins():
    assert recognized("type=cccp\ngpu=0") == "nin"


def test_the_reason_names_the_layer_and_the_line():
    assert recognition("type=concat")[1] == "x has type=concat (net.cfg:6)"
    assert recognition("type=conv\nsumWidth=1")[1] == "x has sumWidth (net.cfg:7)"
    assert recognition("type=fc", "topk=5")[1] == "x has topk (net.params.cfg:3)"


def test_the_place_is_that_of_the_finding(tmp_path):
    path = tmp_path / "net.cfg"
    path.write_text(LAYERS + "type=randft\n")
    with pytest.raises(ConfigError) as error:
        load_network(path, data_dims=(3072, 1))
    assert str(error.value).startswith(f"{path}:6:6: [x] not supported: type=randft (zixu1986")


def test_every_dialect_can_be_recognized():
    known = {id(marker.dialect) for marker in MARKERS}
    assert {name for name, dialect in DIALECTS.items() if id(dialect) not in known} == set()
