"""The picture of docs/weight-decay.md: its numbers, and that the file shows them."""

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from optim_reference import step

from convnet_cfg.optim import DECAYS

DOCS = Path(__file__).parents[2] / "docs"
SCRIPT = DOCS / "examples" / "weight_decay_trajectories.py"
PICTURE = DOCS / "images" / "weight-decay.svg"
DRAWN = re.compile(r'<g id="([a-z0-9-]+)">\s*<path d="(M [^"]*)"')


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(SCRIPT))


@pytest.fixture(scope="module")
def paths(script):
    return script["trajectories"]()


def drawn_points(svg):
    """The points of every trajectory, in the units of the picture."""
    found = {name: re.sub("[ML]", "", path).split() for name, path in DRAWN.findall(svg) if name in DECAYS}
    return {name: np.array(numbers, float).reshape(-1, 2).T for name, numbers in found.items()}


@pytest.mark.parametrize("name", DECAYS)
def test_the_trajectories_follow_the_equations(paths, name):
    weight, velocity, expected = 0.0, 0.0, [0.0]
    for gradient, rate in [(-1, 0.05)] * 25 + [(-1, 0.01)] * 25 + [(0, 0.01)] * 25:
        weight, velocity = step(name, weight, velocity, gradient, rate, 0.9, 0.1, 0.05)
        expected.append(weight)
    np.testing.assert_allclose(paths[name], expected, rtol=1e-6)


def test_all_but_two_differ(paths):
    names = [name for name in DECAYS if name != "l2"]
    assert paths["l2"] == paths["cuda-convnet"]
    for index, name in enumerate(names):
        for other in names[:index]:
            assert np.abs(np.subtract(paths[name], paths[other])).max() > 0.3, (name, other)


def check_picture(svg, paths):
    """Heights in the picture are the weights, up to one scale and offset for all."""
    points = drawn_points(svg)
    assert set(points) == set(DECAYS)
    weights = np.concatenate([paths[name] for name in points])
    across, heights = np.concatenate(list(points.values()), axis=1)
    scale, offset = np.polyfit(weights, heights, 1)
    np.testing.assert_allclose(scale * weights + offset, heights, atol=1e-3)
    steps = np.concatenate([np.arange(len(paths[name])) for name in points])
    np.testing.assert_allclose(np.polyval(np.polyfit(steps, across, 1), steps), across, atol=1e-3)


def test_the_picture_is_current(paths):
    check_picture(PICTURE.read_text(), paths)


def test_the_picture_names_all_kinds(script):
    text = PICTURE.read_text()
    for name in DECAYS:
        assert re.search(rf">[^<]*\b{name}\b[^<]*</text>", text), name
    for phase in script["PHASES"]:
        assert phase.words in text


def test_drawing(script, paths, tmp_path):
    pytest.importorskip("matplotlib")
    files = [tmp_path / "1.svg", tmp_path / "2.svg"]
    for file in files:
        script["draw"](paths, file)
    assert files[0].read_bytes() == files[1].read_bytes()
    check_picture(files[0].read_text(), paths)


def test_drawing_without_matplotlib(script, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SystemExit, match=r"pip install 'convnet-cfg\[docs\]'"):
        script["draw"]({})
