"""The update traces of the original program: weights and velocities after each minibatch, and the costs.

The first program loses gradients of weights that fully connected layers share (golden/README.md, items 4 and
28; spec/params.md section 4.2). There our reference is the intended sum, reckoned in NumPy float64; that the
reference is right shows in that the original's trace follows when its mistake is made on purpose.
"""

import numpy as np
import pytest
import references
import tensorflow as tf
from golden_cases import MISSING, as_original, close, entries
from golden_networks import GoldenNetwork, array_name, layout_of

from convnet_cfg.data import DataProvider
from convnet_cfg.language.schedules import Progress
from convnet_cfg.training.rates import set_rates
from convnet_cfg.training.steps import Steps

NAMES = [name for name in entries() if "update_" in name]
TOLERANCE = 1e-5  # of each array's largest value; five steps in float32
# Not all filters of a local layer are held to their norm (params.md section 6): compared further down.
SOME_FILTERS = "v2_update_local_wball_192filters"
# The matrices that the original updates wrongly, which are not compared with its trace.
WRONG = {"update_fc_shared": "fc1/kernel", "update_self_shared": "fc2/kernel_0"}

pytestmark = pytest.mark.skipif(not NAMES, reason=MISSING)


class Stored(DataProvider):
    """The arrays of a case."""

    def __init__(self, data):
        super().__init__()
        self.arrays = data
        self.shapes = tuple(array.shape[1:] for array in data)


class Trace:
    """A network with its trace, ready to be trained."""

    def __init__(self, name, images):
        self.case = GoldenNetwork(name, images)
        self.built = self.case.built
        self.mini = self.case.entry["cases"]
        self.steps = Steps(self.built, Stored(self.case.data), self.mini)
        self.count = len(self.case.arrays["cost_train"])
        self.masks = {}
        for name, layer in self.built.layers.items():
            if f"maskW_step1_{name}" in self.case.arrays:
                for kernel, variable in ((True, layer.kernel_mask), (False, layer.bias_mask)):
                    self.masks[name, kernel] = tf.Variable(tf.zeros(variable.shape))
                layer.draw_mask = lambda shape, name=name: tf.identity(self.masks[name, len(shape) == 2])

    def names(self, step):
        """Yield what is trained with the names of its weights and velocities after a step."""
        for owned in self.case.network.owned():
            names = (f"step{step}_{{layer}}_W{{index}}", f"step{step}_{{layer}}_B")
            yield (
                owned,
                array_name(owned, *names),
                array_name(owned, names[0].replace("_W", "_Winc"), f"{names[1]}inc"),
            )

    def set(self, step):
        """Put the network into the state of the original after a step."""
        for owned, weight, velocity in self.names(step):
            layout, variable = layout_of(self.built, owned), self.built.variables[owned.name]
            variable.assign(layout.to_kernel(self.case.arrays[weight]))
            self.built.optimizer.velocity(variable).assign(layout.to_kernel(self.case.arrays[velocity]))

    def train(self, step):
        """Train on the minibatch after a step, and return the cost sums."""
        if "progress" in self.case.arrays:
            set_rates(self.built, Progress(float(self.case.arrays["progress"][step])))
        self.drop(step)
        return self.steps.train([tf.constant(a) for a in self.case.data], step, step + 1, None).totals[0]

    def drop(self, step):
        """Drop the connections that the original dropped in the minibatch after a step."""
        for name in self.built.layers:
            if (key := f"maskW_step{step + 1}_{name}") in self.case.arrays:
                self.masks[name, True].assign(self.case.arrays[key])
                self.masks[name, False].assign(self.case.arrays[key.replace("maskW", "maskB")][0])

    def now(self, owned):
        """Return weight and velocity in the original's layout.

        Of fully connected layers the original had in its velocity what is gathered for the next update.
        """
        layout, variable = layout_of(self.built, owned), self.built.variables[owned.name]
        velocity = self.built.optimizer.velocity(variable).numpy()
        gathering = self.built.optimizer.gathering(variable)
        if gathering is not None and gathering.moves and gathering.count.numpy() > 0:
            velocity = owned.matrix.rule.momentum * velocity - gathering.total.numpy() / gathering.period
        return layout.to_matrix(variable.numpy()), layout.to_matrix(velocity)

    def differences(self, step):
        """Return the differences from the original's state after a step."""
        found = {}
        for owned, weight, velocity in self.names(step):
            if owned.name != WRONG.get(self.case.name):
                for array, value in zip((weight, velocity), self.now(owned), strict=True):
                    found[array] = close(value, self.case.arrays[array])
        return found


def test_all_traces_are_found():
    assert len(NAMES) >= 19


@pytest.mark.parametrize("images", [False, True], ids=["vectors", "images"])
@pytest.mark.parametrize("name", [name for name in NAMES if name not in (*WRONG, SOME_FILTERS)])
def test_training_follows_the_original_minibatch_by_minibatch(name, images):
    trace = Trace(name, images)
    trace.set(0)
    for step in range(trace.count):
        costs = trace.train(step)
        assert close(costs, trace.case.arrays["cost_train"][step]) <= TOLERANCE
        found = trace.differences(step + 1)
        assert max(found.values()) <= TOLERANCE, found
    if "cost_test" in trace.case.arrays:
        last = [array[trace.count * trace.mini :] for array in trace.case.data]
        assert close(trace.steps.test(last, 1)[0], trace.case.arrays["cost_test"]) <= TOLERANCE


@pytest.mark.parametrize("name", WRONG)
def test_what_the_original_does_right_beside_its_mistake(name):
    """Each step starts from the original's state; all matrices but the wrong one must agree after it."""
    trace = Trace(name, images=False)
    for step in range(trace.count):
        trace.set(step)
        assert close(trace.train(step), trace.case.arrays["cost_train"][step]) <= TOLERANCE
        found = trace.differences(step + 1)
        assert max(found.values()) <= TOLERANCE, found


def test_rate_zero_leaves_a_velocity_alone():
    trace = Trace("update_eps0_velocity", images=True)
    trace.set(0)
    for step in range(trace.count):
        trace.train(step)
    frozen = {
        owned.name: trace.now(owned)
        for owned in trace.case.network.owned()
        if owned.matrix.rule.learning_rate == 0
    }
    assert set(frozen) == {"conv1/kernel", "fc1/bias", "fc5/kernel", "fc5/bias"}
    for owned, weight, velocity in trace.names(0):
        if owned.name in frozen:
            assert np.array_equal(frozen[owned.name][0], trace.case.arrays[weight])
            assert np.array_equal(frozen[owned.name][1], trace.case.arrays[velocity])
            assert np.abs(frozen[owned.name][1]).max() > 0


def test_all_filters_of_a_local_layer_are_held_to_their_norm():
    """Of 192 filters the original held the first 128 to it; the others moved freely."""
    trace = Trace(SOME_FILTERS, images=True)
    for step in range(trace.count):
        trace.set(step)
        trace.train(step)
        for owned, weight, _ in trace.names(step + 1):
            if owned.input is None or owned.layer.type != "local":
                continue
            ours, theirs = trace.now(owned)[0], trace.case.arrays[weight]
            assert close(ours[:, :128], theirs[:, :128]) <= TOLERANCE
            limit, blocks = owned.matrix.rule.limits.norm, owned.layer.output.image.side**2
            norms = np.linalg.norm(ours.reshape(blocks, -1, ours.shape[1]), axis=1)
            assert norms.max() <= limit * (1 + TOLERANCE)
            assert np.linalg.norm(theirs.reshape(blocks, -1, ours.shape[1]), axis=1).max() > limit * 1.01


@pytest.mark.parametrize("name", ["update_ragged_last_batch", "v2_update_ragged_last_batch"])
def test_the_last_minibatch_counts_its_actual_cases(name):
    """It has fewer cases; the first program divides by their number, cuda-convnet2 by the nominal one."""
    trace = Trace(name, images=True)
    assert trace.steps.minibatches(trace.case.data) == 3
    trace.set(0)
    part = trace.steps.train([tf.constant(a) for a in trace.case.data], 0, 3, None)
    assert part.next == 3
    assert close(part.totals[0], trace.case.arrays["cost_train"].sum(0)) <= TOLERANCE
    found = trace.differences(3)
    assert max(found.values()) <= TOLERANCE, found


# -- shared matrices of fully connected layers, in NumPy float64

RULES = {  # rates of the uses, momentum and decay of the owner (the params files)
    "update_fc_shared": ((0.05, 0.02, 0.0), 0.9, 0.01),
    "update_self_shared": ((0.03, 0.05), 0.7, 0.01),
}
OVERWRITING = {"update_fc_shared": 0, "update_self_shared": 1}  # the use that the original counts alone


def last_layers_gradient(outputs, labels):
    """Return the gradient of the mean cost by the inputs of the softmax layer."""
    p = np.exp(outputs - outputs.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    p[np.arange(len(p)), labels] -= 1
    return p / len(p)


def gradients_of_three_layers(arrays, step, x, labels):
    """Return the gradients that fc1, fc2 and fc3 send to their one matrix."""
    get = {
        name: arrays[f"step{step}_{name}"].astype(float)
        for name in ("fc1_W0", "fc1_B", "fc2_B", "fc3_B", "fc5_W0", "fc5_B")
    }
    weight = get["fc1_W0"]
    first = np.tanh(x @ weight + get["fc1_B"])
    second = np.maximum(first @ weight + get["fc2_B"], 0)
    third = second @ weight + get["fc3_B"]
    g3 = last_layers_gradient(third @ get["fc5_W0"] + get["fc5_B"], labels) @ get["fc5_W0"].T
    g2 = g3 @ weight.T * (second > 0)
    g1 = g2 @ weight.T * (1 - first**2)
    return [x.T @ g1, first.T @ g2, second.T @ g3]


def gradients_of_two_inputs(arrays, step, x, labels):
    """Return the gradients that both inputs of fc2 send to their one matrix."""

    def get(name):
        return arrays[f"step{step}_{name}"].astype(float)

    def conv(image, name, strides):
        kernel = get(name).reshape(-1, 3, 3, 16).transpose(1, 2, 0, 3)
        count = -(-(image.shape[1] - 1) // strides) + 1
        window = {"size": 3, "strides": strides, "padding": 1}
        return references.filter_image(image, lambda row, column: kernel, 16, count, **window)

    image = x.reshape(len(x), 3, 5, 5).transpose(0, 2, 3, 1)
    first = np.maximum(conv(image, "ca_W0", 1) + get("ca_B").reshape(-1), 0)
    second = np.tanh(conv(image, "cb_W0", 1) + get("cb_B").reshape(-1))
    both = conv(first, "conv2_W0", 2) + conv(second, "conv2_W0", 2) + get("conv2_B").reshape(-1)
    middle = as_original(np.maximum(both, 0)).T
    a = np.maximum(middle @ get("fa_W0") + get("fa_B"), 0)
    b = np.abs(middle @ get("fb_W0") + get("fb_B"))
    outputs = (a + b) @ get("fc2_W0") + get("fc2_B")
    g = last_layers_gradient(outputs, labels)
    return [a.T @ g, b.T @ g]


GRADIENTS = {"update_fc_shared": gradients_of_three_layers, "update_self_shared": gradients_of_two_inputs}


@pytest.mark.parametrize("name", WRONG)
def test_a_matrix_used_at_several_rates_gets_the_sum_that_was_intended(name):
    """V = m V - e_owner d W - sum of e_c G_c; the original has only one e_c G_c, and no m V."""
    trace = Trace(name, images=False)
    arrays, (rates, momentum, decay) = trace.case.arrays, RULES[name]
    owned = next(o for o in trace.case.network.owned() if o.name == WRONG[name])
    key = f"{owned.layer.name}_W0", f"{owned.layer.name}_Winc0"
    for step in range(trace.count):
        cases = slice(step * trace.mini, (step + 1) * trace.mini)
        x, labels = arrays["in_data"].T[cases].astype(float), arrays["in_labels"][0, cases].astype(int)
        parts = GRADIENTS[name](arrays, step, x, labels)
        weight, velocity = (arrays[f"step{step}_{k}"].astype(float) for k in key)
        decayed = rates[0] * decay * weight
        overwritten = -rates[OVERWRITING[name]] * parts[OVERWRITING[name]] - decayed
        assert close(overwritten, arrays[f"step{step + 1}_{key[1]}"]) <= TOLERANCE
        intended = momentum * velocity - decayed - sum(e * g for e, g in zip(rates, parts, strict=True))
        trace.set(step)
        trace.train(step)
        found = trace.now(owned)
        assert close(found[1], intended) <= TOLERANCE
        assert close(found[0], weight + intended) <= TOLERANCE
