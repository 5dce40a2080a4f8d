"""Every kind of mistake in the words that the user sees: what NAME.txt says of NAME.cfg."""

from pathlib import Path

import pytest

from convnet_cfg.errors import ConvnetError
from convnet_cfg.language import Reading, load_network

FOLDER = Path(__file__).parents[1] / "corpus" / "invalid"
CASES = sorted(path.name.removesuffix(".txt") for path in FOLDER.glob("*.txt"))
assert CASES, "no cases in corpus/invalid"


def message_of(name):
    """Return what is wrong with a case, "" if nothing is.

    The first line of its `.txt` may say how it is read: `# data_dims=3072,10 classes=12 params=FILE`.
    """
    first = Path(f"{name}.txt").read_text().partition("\n")[0]
    options = dict(word.split("=") for word in first.split()[1:]) if first.startswith("#") else {}
    own = f"{name}.params.cfg"
    try:
        load_network(
            f"{name}.cfg",
            options.get("params", own if Path(own).exists() else None),
            data_dims=[int(size) for size in options.get("data_dims", "3072,1").split(",")],
            classes=int(options["classes"]) if "classes" in options else None,
            reading=Reading(options.get("mode", "default"), options.get("dialect")),
        )
    except ConvnetError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", CASES)
def test_every_mistake_is_explained(name, monkeypatch):
    monkeypatch.chdir(FOLDER)
    lines = Path(f"{name}.txt").read_text().splitlines()
    assert message_of(name).splitlines() == [line for line in lines if not line.startswith("#")]


def test_each_file_belongs_to_a_case():
    names = {path.name.removesuffix(".cfg").removesuffix(".params") for path in FOLDER.glob("*.cfg")}
    assert names <= set(CASES)


# Of the catalogue of the originals' errors (grammar.md section 8), the numbers that have no case here.
NO_CASE = {
    5: "what must be divisible is said of each key: 23, 24, 32",
    13: "said where a type is added from Python: tests/test_extend.py",
    20: "only the kernels of the GPU needed it: a note",
}
# ... and the parts of a number that its case lacks.
NO_PART = {
    16: "what the function raises or returns is seen where it is called: tests/cli/test_outside_code.py",
    25: "what initCFunc returns, likewise; filterChannels % 4 only the GPU needed: a note",
    26: "channels % 16, likewise",
    28: "channels % 16 and % 4, likewise",
    31: "type=sum is refused: 02",
    34: "no list of devices is given, no memory is shared: any id will do, and any two pass layers",
}
# The Python exceptions of the originals that are errors here; that of an uncovered grid is 22.
RAW = {"parameters-of-neurons", "number-in-a-schedule", "nailbed", "channels", "references"}


def test_every_number_of_the_catalogue_has_a_case_or_a_reason():
    words = [name.split("-", 2)[1:] for name in CASES if name.startswith("catalogue-")]
    numbers = {int(number) for number, _ in words if number != "raw"}
    assert numbers | NO_CASE.keys() == set(range(1, 35))
    assert not numbers & NO_CASE.keys()
    assert NO_PART.keys() <= numbers
    assert {what for number, what in words if number == "raw"} == RAW
