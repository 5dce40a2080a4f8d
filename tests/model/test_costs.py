"""What costs make of the keys of their files, by formulas of the specification."""

import numpy as np
import pytest

from convnet_cfg.language import Reading, load_network
from convnet_cfg.model import build

NET = """[data]
type=data
dataIdx=0
[cost]
type=cost.sum2
inputs=data
"""
X = np.array([[1.0, -2.0], [0.5, 3.0]], np.float32)
SQUARES = np.array([[5.0], [9.25]])


@pytest.mark.parametrize(
    ("dialect", "keys", "factor"),
    [
        ("v1", "", 1.0),  # costs.md section 6
        ("v2", "", 1.0),
        ("nin", "", 0.5),  # forks.md section 4
        ("elhuhdron", "", 0.5),  # forks.md section 5: 1/2 sum (x / divideInput)^2 alpha
        ("elhuhdron", "alpha=3\ndivideInput=-2", 0.5 * 3 / 4),
    ],
)
def test_sums_of_squares(tmp_path, dialect, keys, factor):
    (tmp_path / "net.cfg").write_text(NET)
    (tmp_path / "net.params.cfg").write_text(f"[cost]\ncoeff=7\n{keys}\n")
    files = (tmp_path / "net.cfg", tmp_path / "net.params.cfg")
    network = load_network(*files, data_dims=(2,), reading=Reading(dialect=dialect))
    (cost,) = build(network, ((2,),)).costs
    assert cost.coefficient == 7
    np.testing.assert_allclose(cost.values(X), factor * SQUARES, rtol=1e-6)
