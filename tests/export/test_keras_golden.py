"""Translated networks against what the original programs computed, case by case."""

import numpy as np
import pytest
import tensorflow as tf
from golden_cases import MISSING, as_image, entries
from golden_networks import GoldenNetwork, array_name, layout_of

from benchmarks.translation_cases import make_case, module_name
from benchmarks.translations import run_child

TOLERANCE = 2e-6  # as of our own network (tests/model/test_golden_networks.py)
# What the original got wrong there (INTENDED in that file), and what it masked at random.
LEFT_OUT = {
    "neuron_softrelu",
    "accum_neuron_4",
    "accum_rnorm_7_7",
    "v2_accum_rnorm_7_7",
    "v2_accum_href_second",
    "v2_cmpool_2_2",
    "v2_cmpool_3_2_start-1",
    "twice_eltsum_over_ident_test",
    "v2_twice_eltsum_test",
}
NAMES = [
    name
    for name, entry in entries().items()
    if "update_" not in name
    and name not in LEFT_OUT
    and not any(array.startswith(("mask", "cost_")) for array in entry["arrays"])
    and "two_inputs_t" not in name
    and not name.startswith(
        ("accum_", "v2_accum_", "twice_", "v2_twice_")
    )  # sums, which are not ours to write
]

pytestmark = [pytest.mark.skipif(not NAMES, reason=MISSING), pytest.mark.slow]


def expected(golden, case):
    """Yield what a translation gets and has to compute, as benchmarks/translation_child.py reads it."""
    arrays, paths, frame = golden.arrays, case.source.paths, case.source.frame
    for owned in golden.network.owned():
        kernel, gradient = (
            array_name(owned, f"{d}W_{{layer}}_{{index}}", f"{d}B_{{layer}}") for d in ("", "d")
        )
        layout = layout_of(golden.built, owned)
        yield f"weight/{paths[owned.name]}", layout.to_kernel(arrays[kernel])
        if gradient in arrays:
            scaled = gradient in golden.entry.get("gradient_scale", {})
            factor = golden.entry["cases"] if scaled else 1
            yield f"gradient/{paths[owned.name]}", layout.to_kernel(arrays[gradient]) * np.float32(factor)
    inputs = {step.name: golden.data[step.layer.spec.data_index] for step in frame.inputs}
    for name, data in inputs.items():
        yield f"data/{name}", data
    steps = {step.name: step for step in frame.steps}
    for output in frame.outputs:
        step = steps[output.operand.source]
        yield f"output/{output.name}", shaped(arrays[f"out_{step.layer.name}"], output.operand.shape)
        if f"dout_{step.layer.name}" in arrays:
            given = arrays[f"dout_{step.layer.name}"]
            yield f"given/{output.name}", shaped(given, output.operand.shape)
    total = arrays.get("dout_data", arrays.get("din_L_0"))
    if total is not None and len(inputs) == 1:
        ((name, data),) = inputs.items()
        yield f"input_gradient/{name}", shaped(total, data.shape[1:])


def shaped(matrix, shape):
    """Return (features, cases) as cases of a shape."""
    return as_image(matrix, shape[2]) if len(shape) == 3 else np.ascontiguousarray(matrix.T)


def test_translations_compute_what_the_original_did(tmp_path):
    names = {}
    for name in NAMES:
        golden = GoldenNetwork(name, images=True)
        shapes = [array.shape[1:] for array in golden.data]
        case = make_case(name, golden.network, shapes, connections=golden.connections())
        stem = module_name(name)
        (tmp_path / f"{stem}.py").write_text(case.source.text)
        np.savez(tmp_path / f"{stem}.npz", **dict(expected(golden, case)))
        names[stem] = name
    assert len(names) > 90
    found = list(run_child(names, tmp_path))
    assert len(found) == len(names)
    wrong = {
        each.name: each.failed or each.errors
        for each in found
        if each.failed or max(each.errors.values()) > TOLERANCE
    }
    assert not wrong, wrong


# The minibatches of a training, of which the progress says how many are done: with periods, the very number.
WHOLE = {"v2_update_period": 10}
ANY = 1 << 20
TRACES = ["update_convnet_a", "v2_update_self_shared", "v2_update_convnet", "v2_update_period"]


@pytest.mark.parametrize("name", TRACES)
def test_trainings_follow_the_original_minibatch_by_minibatch(name):
    """Shared matrices at rates of their own and at that of the owner; rates that change; periods."""
    golden = GoldenNetwork(name, images=True)
    shapes = [array.shape[1:] for array in golden.data]
    case = make_case(name, golden.network, shapes, connections=golden.connections())
    found = {"__name__": "translated", "__file__": "translated.py"}
    exec(compile(case.source.text, "translated.py", "exec"), found)
    model = found["build_model"]()
    progress, whole = golden.arrays.get("progress", np.zeros(0)), WHOLE.get(name, ANY)
    optimizer = found["make_optimizer"](model, **({"total_steps": whole} if progress.any() else {}))
    states = {"W{index}": model.trainable_variables, "Winc{index}": optimizer.velocities}
    for kind, variables in states.items():
        for variable, array in compared(golden, case, 0, kind, model, variables):
            variable.assign(array)
    for step in range(len(golden.arrays["cost_train"])):
        if progress.any():
            optimizer.iterations.assign(round(progress[step] * whole))
        images, labels = (
            array[step * golden.entry["cases"] :][: golden.entry["cases"]] for array in golden.data
        )
        with tf.GradientTape() as tape:
            cost = found["objective"](model(images, training=True), labels)
        gradients = tape.gradient(cost, [variable.value for variable in model.trainable_variables])
        optimizer.apply(gradients, model.trainable_variables)
        for kind, variables in states.items():
            for variable, array in compared(golden, case, step + 1, kind, model, variables):
                assert np.abs(variable - array).max() <= 1e-5 * np.abs(array).max()


def compared(golden, case, step, kernel, model, variables):
    """Yield weights or velocities that are trained, each with what the original had after a step.

    Between two updates of a matrix the original's velocity has what is gathered too.
    """
    by_path = {weight.path: each for weight, each in zip(model.trainable_variables, variables, strict=True)}
    bias = kernel.replace("W", "B").replace("{index}", "")
    for owned in golden.network.owned():
        due = not kernel.startswith("Winc") or step % case.source.frame.minibatches(owned) == 0
        if due and (step == 0 or owned.matrix.rule.learning_rate > 0):
            name = array_name(owned, f"step{step}_{{layer}}_{kernel}", f"step{step}_{{layer}}_{bias}")
            array = layout_of(golden.built, owned).to_kernel(golden.arrays[name])
            yield by_path[case.source.paths[owned.name]], array
