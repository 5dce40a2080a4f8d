"""How translations to PyTorch train: rates in epochs, updates after several minibatches, kinds of decay."""

import math

import numpy as np
import pytest
from torch_translations import Job, assert_well_written, run

from benchmarks.translation_cases import make_case
from benchmarks.translations import compare
from convnet_cfg import extend
from convnet_cfg.errors import ConfigError
from convnet_cfg.export.source.shapes import data_shapes
from convnet_cfg.export.source.torch_source import LIBRARY
from convnet_cfg.language import Reading, build_network, read_pair
from convnet_cfg.language.dialect import EXTENSIONS
from convnet_cfg.language.dialects import DIALECTS
from convnet_cfg.optim import DECAYS

TOLERANCE = 1e-9  # of the largest value of each array, in double precision

# A matrix of full connections and one of filters, which make the same of an image of one pixel.
LAYERS = """
[data]
type=data
dataIdx=0

[flat]
type=fc
inputs=data
outputs=4
initW=0.1

[filters]
type=conv
inputs=data
channels=3
filters=4
filterSize=1
initW=0.1
sumWidth=1

[size]
type=cost.sum2
inputs=flat

[other]
type=cost.sum2
inputs=filters
"""
PARAMS = """
[flat]
epsW={rate}
epsB=0.1
momW=0.9
momB=0.5
wc=0.3
{flat}

[filters]
epsW={rate}
epsB={rate}
momW=0.8
momB=0.9
wc=0.2
{filters}

[size]
coeff=1

[other]
coeff={other}
"""
LINEAR = "linear[base=0.2;tgtFactor=5]"
IN_EPOCHS = "texp[base=0.2;tau=3;stepsPerEpoch={}]"
FORK = "elhuhdron"


@pytest.fixture
def case(tmp_path):
    """Return a function that translates the network.

    `flat` and `filters` are further parameters of these layers, `other` is the coefficient of that cost.
    """

    def make(name, rate="0.1", flat="", filters="", decay="cuda-convnet", dialect="v2", other=0.5):
        files = tmp_path / "net.cfg", tmp_path / "net.params.cfg"
        files[0].write_text(LAYERS)
        files[1].write_text(PARAMS.format(rate=rate, flat=flat, filters=filters, other=other))
        network = build_network(read_pair(*files, Reading("lenient", dialect)), [3])
        return make_case(name, network, data_shapes(network), decay, to="torch")

    return make


def rules(case):
    """Yield translations with rates in epochs, periods, several kinds of decay, and filters without cost."""
    for steps in (0, 5):
        yield case(f"{steps} steps in an epoch", IN_EPOCHS.format(steps), dialect=FORK)
    for decay in DECAYS:
        yield case(f"period, {decay}", "0.1", "updatePeriod=2\nwball=0.5", "wball=0.5", decay)
    yield case("no update yet", "0.1", "updatePeriod=3\nwball=0.5", decay="after-step")
    yield case("period of filters", LINEAR, filters="updatePeriod=2", decay="decoupled-schedule")
    for decay in DECAYS:
        yield case(f"kinds, {decay}", LINEAR, filters="decay=decoupled-lr", decay=decay)
    yield case("kinds beside", LINEAR, "decay=after-step", "decay=decoupled-schedule")
    yield case("kinds, period", "0.1", "decay=after-step\nupdatePeriod=2", "decay=decoupled")
    yield case("no cost", other=0)
    for decay in ("cuda-convnet", "after-step"):
        yield case(f"no cost, period, {decay}", "0.1", "", "updatePeriod=2\nwball=0.5", decay, other=0)


@pytest.mark.slow
def test_rules_of_update_are_ours(case, tmp_path):
    """Two steps with one gradient, in a training of two epochs."""
    cases = list(rules(case))
    found = list(compare(cases, tmp_path, "float64"))
    assert len(found) == len(cases)
    for comparison in found:
        assert not comparison.failed, comparison
        assert max(comparison.errors.values()) <= TOLERANCE, comparison
    assert_well_written({each.name: each.source.text for each in cases}, tmp_path)


# -- several periods, by formulas worked out in NumPy

CASES, STEPS = 5, 12
PERIODIC = "updatePeriod={}\ndecay={}"


def rates(step):
    """Return the linear and the constant rate of a minibatch; progress is one of single precision."""
    progress = float(np.float32(step / STEPS))
    return 0.2 * (1 - progress) + 0.04 * progress, 0.1


def gradients(weights, images):
    """Return those of the mean over the cases of |flat|^2 + |filters|^2 / 2."""
    found = {}
    for name, coefficient in (("flat", 1.0), ("filters", 0.5)):
        above = 2 * coefficient * (images @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]) / CASES
        found |= {f"{name}.weight": above.T @ images, f"{name}.bias": above.sum(0)}
    return found


def trained(weights, images):
    """Yield the weights after each minibatch: flat has updates after 3 of them, filters after 2."""
    weights = {path: array.copy() for path, array in weights.items()}
    gathered = {path: np.zeros_like(array) for path, array in weights.items()}
    velocities = {path: np.zeros_like(array) for path, array in weights.items()}
    for step in range(STEPS):
        rate, constant = rates(step)
        found = gradients(weights, images[step * CASES : (step + 1) * CASES])
        for path, gradient in found.items():
            # A matrix of full connections gathers its moves, each with the rate of its own minibatch.
            gathered[path] += rate * gradient if path == "flat.weight" else gradient
        if step % 3 == 2:
            weight = weights["flat.weight"]
            update(velocities, "flat.weight", 0.9, gathered["flat.weight"] / 3)
            update(velocities, "flat.bias", 0.5, constant * gathered["flat.bias"] / 3)
            weights["flat.weight"] = weight + velocities["flat.weight"] - rate / 0.2 * 0.3 * weight
            weights["flat.bias"] = weights["flat.bias"] + velocities["flat.bias"]
            gathered |= {path: np.zeros_like(gathered[path]) for path in ("flat.weight", "flat.bias")}
        if step % 2 == 1:
            update(velocities, "filters.weight", 0.8, rate * gathered["filters.weight"] / 2)
            update(velocities, "filters.bias", 0.9, rate * gathered["filters.bias"] / 2)
            moved = (1 - 0.2) * (weights["filters.weight"] + velocities["filters.weight"])
            weights["filters.weight"] = 0.5 * moved / np.linalg.norm(moved, axis=1, keepdims=True)
            weights["filters.bias"] = weights["filters.bias"] + velocities["filters.bias"]
            gathered |= {path: np.zeros_like(gathered[path]) for path in ("filters.weight", "filters.bias")}
        yield dict(weights)


def update(velocities, path, momentum, move):
    velocities[path] = momentum * velocities[path] - move


@pytest.mark.slow
def test_several_periods_with_rates_kinds_of_decay_and_bounds(case, tmp_path):
    rng = np.random.default_rng(0)
    shapes = {"flat.weight": (4, 3), "flat.bias": (4,), "filters.weight": (4, 3), "filters.bias": (4,)}
    weights = {path: rng.standard_normal(shape) for path, shape in shapes.items()}
    images = rng.standard_normal((STEPS * CASES, 3))
    made = case(
        "periods",
        LINEAR,
        PERIODIC.format(3, "decoupled-schedule"),
        PERIODIC.format(2, "after-step\nwball=0.5"),
    )
    assert_well_written({made.name: made.source.text}, tmp_path)
    arrays = {"input/0": images.reshape(-1, 3, 1, 1)}
    for path, array in weights.items():
        arrays[f"weight/{path}"] = array.reshape(4, 3, 1, 1) if path == "filters.weight" else array
        arrays[f"velocity/{path}"] = np.zeros_like(arrays[f"weight/{path}"])
    more = {"steps": STEPS, "progress": [step / STEPS for step in range(STEPS)]}
    job = Job("periods", made.source.text, arrays, dtype="float64", minibatch=CASES, more=more)
    results = run([job], tmp_path)["periods"]
    for step, expected in enumerate(trained(weights, images), 1):
        for path, array in expected.items():
            found = results[f"weight{step}/{path}"].reshape(array.shape)
            np.testing.assert_allclose(found, array, rtol=1e-9, atol=1e-12, err_msg=f"{path}, {step}")


# -- what is written


def lines(case):
    """Return the lines of a translation, without those that are empty and the blanks before them."""
    return [line.strip() for line in case.source.text.splitlines() if line.strip()]


def test_rates_in_epochs_are_told_how_many_the_training_has(case):
    found = lines(case("net", IN_EPOCHS.format(5), dialect=FORK))
    assert "(model.flat.weight, epoch_steps(0.2, 3.0, 5, epochs), 0.9, 0.3)," in found
    assert "(model.flat.bias, constant(0.1), 0.5, 0.0)," in found
    start = found.index("optimizer = make_optimizer(model, epochs)")
    assert found[start + 1 : start + 3] == [
        "for data in minibatches:",
        "set_learning_rates(optimizer, model, progress, epochs)  # progress: from 0 to 1",
    ]
    assert "import math" in found


def test_rates_in_epochs_are_those_of_the_formula():
    """b e^(-i / (tau s)), i the smallest with P <= (i + 1) / (s E + 1), of E epochs (spec: forks.md)."""
    found = {"math": math}
    exec("\n".join(LIBRARY.needed(["epoch_steps"]).values()), found)
    rate = found["epoch_steps"](0.2, 3.0, 5, 2)  # 11 steps
    for progress, step in ((0.0, 0), (0.09, 0), (0.1, 1), (0.5, 5), (0.95, 10), (1.0, 10)):
        assert rate(progress) == pytest.approx(0.2 * math.exp(-step / 15))
    assert rate(1.0) == pytest.approx(0.2 * math.exp(-2 / 3))
    long = found["epoch_steps"](0.2, 20.0, 1, 50_000)  # e^2500 is no number
    assert long(0.0001) == pytest.approx(0.2 * math.exp(-5 / 20))


def test_only_rates_that_need_epochs_ask_for_them(case):
    for rate in ("0.1", LINEAR):
        assert "epochs" not in case("net", rate, dialect=FORK).source.text
    frozen = case("net", IN_EPOCHS.format(5).replace("0.2", "0"), dialect=FORK)
    assert "epochs" not in frozen.source.text


def test_periods_are_a_column_of_the_table(case):
    found = lines(case("net", "0.1", filters="updatePeriod=4"))
    assert "# parameter, learning rate, momentum, weight decay, minibatches of an update" in found
    assert "(model.flat.weight, 0.1, 0.9, 0.3, 1)," in found
    assert "(model.filters.weight, 0.1, 0.8, 0.2, 4)," in found
    assert "optimizer.register_step_pre_hook(gather_gradients)" in found
    assert "optimizer = torch.optim.SGD(param_groups(model))" in found


def test_rates_of_their_own_count_only_where_they_differ(case):
    """A period of filters, or a rate that stays, needs no more than the mean of the gradients."""
    constant = {"rate": "const[base=0.1]", "flat": "updatePeriod=4"}
    for given in ({"flat": "updatePeriod=4"}, constant, {"rate": LINEAR, "filters": "updatePeriod=4"}):
        assert "own_rates" not in case("net", **given).source.text
    found = lines(case("net", LINEAR, "updatePeriod=4"))
    assert "(model.flat.weight, linear(0.2, 5.0), 0.9, 0.3, 4, True)," in found
    assert "(model.flat.bias, constant(0.1), 0.5, 0.0, 4, False)," in found


def test_kinds_of_decay_are_a_column_only_if_there_are_several(case):
    found = lines(case("net", "0.1", "decay=decoupled-lr", "decay=after-step"))
    assert '(model.flat.weight, 0.1, 0.9, "decoupled-lr", 0.3),' in found
    assert '(model.flat.bias, 0.1, 0.5, "weight_decay", 0.0),' in found
    assert '(model.filters.weight, 0.1, 0.8, "after-step", 0.2),' in found
    assert 'optimizer.register_step_pre_hook(of_kind("decoupled-lr", decay_by_rate))' in found
    assert 'optimizer.register_step_post_hook(of_kind("after-step", decay_by_share))' in found
    for kinds in (("decay=after-step", "decay=after-step"), ("decay=l2", ""), ("decay=none", "")):
        assert "of_kind" not in case("net", "0.1", *kinds).source.text


def test_weights_without_a_cost_get_gradients_only_if_something_is_done_with_them(case):
    hook = "optimizer.register_step_pre_hook(give_zero_gradients)"
    assert hook in lines(case("net", other=0))
    assert hook in lines(case("net", flat="updatePeriod=2", decay="none", other=0))
    for given in ({}, {"other": 0, "decay": "none"}, {"other": 0, "decay": "decoupled"}):
        assert "give_zero_gradients" not in case("net", **given).source.text


@pytest.fixture
def own_schedule():
    """Return the name of a schedule that an extension has added."""
    extend.schedule("own", {})(lambda base, now: base)
    yield "own"
    EXTENSIONS.schedules.clear()
    for dialect in DIALECTS.values():
        dialect.forget()


def test_a_schedule_of_an_extension_is_refused_by_the_layers_that_have_it(case, own_schedule):
    with pytest.raises(ConfigError) as error:
        case("net", f"{own_schedule}[base=0.1]")
    message = "schedule own has no translation to PyTorch"
    found = [(problem.section, problem.message) for problem in error.value.problems]
    assert found == [("flat", message), ("filters", message), ("filters", message)]
