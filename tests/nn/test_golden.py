"""The original's cost both ways: a whole network takes its gradient only by the one from logits.

Everything else of the original's layers is compared in whole networks: tests/model/test_golden_networks.py.
"""

import pytest
import tensorflow as tf
from golden_cases import MISSING, close, entries, read_arrays

from convnet_cfg import nn

CASES = {name: entry for name, entry in entries().items() if name.startswith("logreg_")}
TOLERANCE = 2e-6

pytestmark = pytest.mark.skipif(not CASES, reason=MISSING)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_logreg(name, fused):
    arrays = read_arrays(name)
    costs = {n: p for n, p in CASES[name]["layers"].items() if p["type"] == "cost.logreg"}
    logits, labels = tf.constant(arrays["in_data"].T), tf.constant(arrays["in_labels"].T)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        values = nn.softmax_logreg(labels, logits) if fused else nn.logreg(labels, nn.Softmax()(logits))
        total = sum(cost["coeff"] for cost in costs.values()) * tf.reduce_sum(values[:, 0])
    for cost in costs:
        assert close(tf.reduce_sum(values, 0), arrays[f"cost_{cost}"]) <= TOLERANCE
    # The original carries the gradient of minus the cost.
    assert close(-tape.gradient(total, logits).numpy().T, arrays["dout_data"]) <= TOLERANCE
