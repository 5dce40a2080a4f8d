"""Every kind of mistake, all at once, in the words that the user sees."""

from pathlib import Path

import pytest

from convnet_cfg.errors import ConfigError
from convnet_cfg.language import load_network

FOLDER = Path(__file__).parents[1] / "corpus" / "invalid"
CASES = sorted(path.name.removesuffix(".txt") for path in FOLDER.glob("*.txt"))
assert CASES, "no cases in corpus/invalid"


@pytest.mark.parametrize("name", CASES)
def test_every_mistake_is_explained(name, monkeypatch):
    monkeypatch.chdir(FOLDER)
    params = f"{name}.params.cfg" if Path(f"{name}.params.cfg").exists() else None
    with pytest.raises(ConfigError) as error:
        load_network(f"{name}.cfg", params, data_dims=(3072, 1))
    assert str(error.value) == Path(f"{name}.txt").read_text().strip()


def test_each_file_belongs_to_a_case():
    names = {path.name.removesuffix(".cfg").removesuffix(".params") for path in FOLDER.glob("*.cfg")}
    assert names == set(CASES)
