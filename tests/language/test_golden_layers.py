"""The layers of the golden cases, as the original parsed them: types that the corpus does not have."""

import json

import pytest

from convnet_cfg.language import load_network
from convnet_cfg.language.describe import describe
from convnet_cfg.language.grammar import read_sections

OTHER_PROGRAMS = ("v2_", "dc_", "nin_", "e2e_")


@pytest.fixture(scope="module")
def cases(golden):
    """Return the cases of cuda-convnet with what its parser made of their layers."""
    found = json.loads((golden / "index.json").read_text())["cases"]
    return [case for case in found if "layers" in case and not case["name"].startswith(OTHER_PROGRAMS)]


def sizes(sections, case):
    return {
        int(section.get("dataIdx").text): case["arrays"].get(f"in_{name}", [1])[0]
        for name, section in sections.items()
        if section.get("type").text == "data"
    }


def without_zero_index(value):
    """Return `weightSource` items as we write them: fc1 for fc1[0]."""
    return [item.removesuffix("[0]") for item in value]


def test_layers_are_as_the_original_parsed_them(golden, cases):
    differences = {}
    types = set()
    for case in cases:
        name = case["name"]
        dims = sizes(read_sections(golden / f"{name}.cfg"), case)
        network = load_network(golden / f"{name}.cfg", golden / f"{name}.params.cfg", data_dims=dims.get)
        described = {layer["name"]: layer for layer in describe(network)["layers"]}
        order = list(described)
        for layer, theirs in case["layers"].items():
            types.add(theirs["type"])
            expected = {**theirs, "inputs": [order[number] for number in theirs.get("inputs", [])]}
            if "weightSource" in expected:
                expected["weightSource"] = without_zero_index(expected["weightSource"])
            for key, value in expected.items():
                our = described[layer].get(key, [] if key == "inputs" else None)
                if our != pytest.approx(value, rel=1e-12) if isinstance(value, float) else our != value:
                    differences[name, layer, key] = our, value
    assert differences == {}
    assert types >= {"nailbed", "blur", "resize", "rgb2yuv", "rgb2lab", "cnorm", "eltmax", "local"}
