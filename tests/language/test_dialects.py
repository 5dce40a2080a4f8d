"""Which program a pair was written for: the table of forks.md section 0 by worked files."""

import pytest

from convnet_cfg.errors import ConfigError, Problem
from convnet_cfg.language import load_network
from convnet_cfg.language.dialects import MARKERS, Dialect, recognize
from convnet_cfg.language.grammar import parse_sections

LAYERS = "[data]\ntype=data\ndataIdx=0\n[x]\ninputs=data\n"
PARAMS = "[x]\nepsW=0.1\n"


def recognized(layers="", params=""):
    found = recognize(
        parse_sections(LAYERS + layers, "net.cfg"), parse_sections(PARAMS + params, "net.params.cfg")
    )
    return found.message if isinstance(found, Problem) else found[0].name


@pytest.mark.parametrize(
    ("layers", "params", "expected"),
    [
        ("type=fc", "", "v1"),
        ("type=fc\nwhatever=1", "whatever=1", "v1"),
        ("type=fc", "dropout=0.5", "v1+dropout"),
        ("type=fc\ndropout=0.5", "", "v1+dropout"),
        ("type=fc", "[gone]\ndropout=0.5", "v1+dropout"),
        ("type=rnorm\nscale=1", "", "archaic-v1"),
        ("type=cnorm\nsizeX=3", "", "archaic-v1"),
        ("type=cmrnorm\nsize=3", "", "v1"),
        ("type=pool\nsizeX=3", "", "v1"),
        ("type=fc", "schedW=linear[1,1]", "v1"),
    ],
)
def test_what_is_supported(layers, params, expected):
    assert recognized(layers, params) == expected


@pytest.mark.parametrize(
    ("layers", "params", "found", "program"),
    [
        ("type=cccp", "", "type 'cccp'", "the Network in Network fork"),
        ("type=neuron\nneuron=dropout[0.5]", "", "neuron 'dropout[0.5]'", "the Network in Network fork"),
        ("type=cmrnorm", "k=2", "key 'k'", "the Network in Network fork"),
        ("type=fcdropo", "", "type 'fcdropo'", "the DropConnect branch"),
        ("type=fcdropc", "", "type 'fcdropc'", "the DropConnect branch"),
        ("type=union", "", "type 'union'", "the fork alemagnani/cuda-convnet"),
        ("type=randft", "", "type 'randft'", "the fork zixu1986/Doubly_Stochastic_Gradients"),
        ("type=eltconcat", "", "type 'eltconcat'", "the fork civilman628/pyconvnet"),
        ("type=dropout2\npartialSum=1", "", "type 'dropout2'", "the fork civilman628/pyconvnet"),
        ("type=condprob", "", "type 'condprob'", "the fork Cysu/cuda-convnet"),
        ("type=cost.ice", "", "type 'cost.ice'", "the fork elhuhdron/emdrp"),
        ("type=cost.locrank", "", "type 'cost.locrank'", "the fork zhaofang0627/cuda-convnet-for-hashing"),
        ("type=hs", "", "type 'hs'", "the 2012 AlexNet program"),
        ("type=fc", "schedW=linear[tgtFactor=2]", "key 'schedW'", "the 2012 AlexNet program"),
        ("type=fc", "quantF=half", "key 'quantF'", "the 2012 AlexNet program"),
        ("type=conv\npartialSum=1\ngpu=0", "", "key 'gpu'", "the 2012 AlexNet program"),
        ("type=conv\nnumFilters=16", "", "key 'numFilters'", "cuda-convnet of 2011"),
        ("type=fc\nneuron=abstanh[1,2]", "", "neuron 'abstanh[1,2]'", "cuda-convnet of 2011"),
        ("type=conv\nsumWidth=1", "", "key 'sumWidth'", "cuda-convnet2"),
        ("type=fc\nGPU=0", "", "key 'GPU'", "cuda-convnet2"),
        ("type=concat", "", "type 'concat'", "cuda-convnet2"),
        ("type=cost.bce", "", "type 'cost.bce'", "cuda-convnet2"),
        ("type=pool\npool=maxabs", "", "pool 'maxabs'", "cuda-convnet2"),
        ("type=pool\nsum=1", "", "key 'sum'", "cuda-convnet2"),
        ("type=fc\nneuron=drelu[1]", "", "neuron 'drelu[1]'", "cuda-convnet2"),
        ("type=fc", "epsB=const[base=1]", "key 'epsB'", "cuda-convnet2"),
        ("type=fc", "wball=1", "key 'wball'", "cuda-convnet2"),
        ("type=fc", "keep=0.5", "key 'keep'", "cuda-convnet2"),
    ],
)
def test_what_is_not(layers, params, found, program):
    assert recognized(layers, params) == f"not supported yet: {found} ({program})"


@pytest.mark.parametrize("params", ["wball=1", "epsW=const[base=1]"])
def test_sections_without_a_layer_decide_nothing(params):
    assert recognized("type=fc", f"[gone]\n{params}") == "v1"


def test_defaults_count():
    assert recognized("type=fc\n[DEFAULT]\ngpu=0") == "not supported yet: key 'gpu' (cuda-convnet2)"


def test_the_earlier_marker_wins():
    assert "Network in Network" in recognized("type=cccp\ngpu=0")


def test_the_place_is_that_of_the_finding(tmp_path):
    path = tmp_path / "net.cfg"
    path.write_text(LAYERS + "type=concat\n")
    with pytest.raises(ConfigError) as error:
        load_network(path, data_dims=(3072, 1))
    assert str(error.value) == f"{path}:6:6: [x] not supported yet: type 'concat' (cuda-convnet2)"


def test_every_marker_names_a_dialect_or_a_program():
    assert {type(marker.dialect) for marker in MARKERS} == {Dialect, str}
