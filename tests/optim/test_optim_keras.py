"""The optimizer with what Keras does around one: fit, saving, clipping, accumulation, averages, callbacks."""

import json
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from convnet_cfg.optim import Exponential, Group, GroupedOptimizer, Steps

X = np.random.default_rng(0).normal(size=(64, 8, 8, 3)).astype(np.float32)
Y = X.mean((1, 2))[:, :2]


def small_model():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, activation="relu", name="conv1"),
            keras.layers.Flatten(),
            keras.layers.Dense(8, activation="tanh", name="fc1"),
            keras.layers.Dense(2, name="fc2"),
        ]
    )


def some_groups(model, **first):
    return [
        Group("conv*/kernel", **({"learning_rate": 0.01, "momentum": 0.9, "weight_decay": 0.004} | first)),
        Group("*/bias", learning_rate=0.02, momentum=0.9, rate_position="outside", rule="nesterov"),
        Group(
            model.get_layer("fc1").kernel, learning_rate=0.001, rule="adam", weight_decay=0.01, decay="none"
        ),
        Group(
            "fc2/kernel",
            learning_rate=Exponential(base=0.01, target_factor=250),
            momentum=0.5,
            weight_decay=1.0,
            decay="decoupled-schedule",
        ),
    ]


def compiled(model=None, **options):
    model = model or small_model()
    optimizer = GroupedOptimizer(some_groups(model), total_steps=40, **options)
    model.compile(optimizer, "mse")
    return model


def fit(model, epochs=1, **more):
    return model.fit(X, Y, batch_size=8, epochs=epochs, shuffle=False, verbose=0, **more).history["loss"]


def weights(model):
    return [variable.numpy().copy() for variable in model.variables + model.optimizer.variables]


def assert_equal(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_fit_lowers_the_loss():
    losses = fit(compiled(), epochs=5)
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize(
    "options",
    [{}, {"use_ema": True}, {"gradient_accumulation_steps": 3}, {"global_clipnorm": 0.5}],
    ids=lambda options: next(iter(options), "plain"),
)
def test_saved_and_loaded_between_epochs_is_two_epochs_in_one_go(options, tmp_path):
    straight = compiled(**options)
    if "use_ema" in options:  # At its end `fit` puts the averages into the weights.
        fit(straight)
        fit(straight)
    else:
        fit(straight, epochs=2)
    stopped = compiled(**options)
    fit(stopped)
    stopped.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert [group.as_group().learning_rate for group in loaded.optimizer.groups.values()][:3] == [
        0.01,
        0.02,
        0.001,
    ]
    fit(loaded)
    assert_equal(weights(loaded), weights(straight))


def test_numbers_that_were_set_are_saved(tmp_path):
    model = compiled()
    fit(model)
    model.optimizer.groups["conv*/kernel"].momentum = 0.25
    model.optimizer.learning_rate = 0.5
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.groups["conv*/kernel"].momentum == 0.25
    assert float(loaded.optimizer.learning_rate.numpy()) == 0.5
    again = GroupedOptimizer.from_config(model.optimizer.get_config())
    assert again.groups["conv*/kernel"].momentum == 0.25
    assert again.get_config() == model.optimizer.get_config()


def test_a_saved_model_names_its_groups(tmp_path):
    model = compiled()
    fit(model)
    model.save(tmp_path / "model.keras")
    config = json.loads(zipfile.ZipFile(tmp_path / "model.keras").read("config.json"))
    groups = config["compile_config"]["optimizer"]["config"]["groups"]
    biases = [("conv1", 1), ("fc1", 3), ("fc2", 5)]
    located = [[{"path": v["path"], "place": v["place"]} for v in group["variables"]] for group in groups]
    assert located == [
        [{"path": f"{model.name}/conv1/kernel", "place": 0}],
        [{"path": f"{model.name}/{layer}/bias", "place": place} for layer, place in biases],
        [{"path": f"{model.name}/fc1/kernel", "place": 2}],
        [{"path": f"{model.name}/fc2/kernel", "place": 4}],
    ]


def test_variables_of_the_same_path_are_told_apart_by_their_place(tmp_path):
    def make():
        inputs = keras.Input((3,))
        parts = [keras.Sequential([keras.layers.Dense(2, name="fc")], name=f"part{i}") for i in range(2)]
        for part in parts:
            part.build((None, 3))
        return keras.Model(inputs, keras.layers.Add()([part(inputs) for part in parts]))

    model = make()
    first, second = (layer.layers[0] for layer in model.layers if layer.name.startswith("part"))
    groups = [Group(first, learning_rate=0.1, name="first"), Group(second, learning_rate=0.2, name="second")]
    model.compile(GroupedOptimizer(groups), "mse")
    model.fit(X[:, 0, 0], Y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert len({v.path for v in loaded.trainable_variables}) == 2
    groups = loaded.optimizer.groups
    assert [id(v) for group in groups.values() for v in group.variables] == [
        id(v) for v in loaded.trainable_variables
    ]


def test_a_model_of_other_layers_is_refused_when_it_is_loaded():
    model = compiled()
    fit(model)
    other = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2, name="other")])
    optimizer = GroupedOptimizer.from_config(model.optimizer.get_config())
    with pytest.raises(ValueError, match="exactly one group") as error:
        optimizer.build(other.trainable_variables)
    assert str(error.value).splitlines()[1:] == [f"  in no group: {other.trainable_variables[0].path}"]


def test_a_velocity_mask_cannot_be_saved():
    w = keras.Variable([1.0, 2.0], name="w")
    optimizer = GroupedOptimizer([Group(w, learning_rate=0.1, velocity_mask=keras.Variable([1.0, 0.0]))])
    with pytest.raises(ValueError, match="group 'w' has a velocity mask, and cannot be saved"):
        optimizer.get_config()


def test_checkpoints_and_saved_models_of_tensorflow(tmp_path):
    model = compiled()
    fit(model)
    tf.train.Checkpoint(model=model, optimizer=model.optimizer).write(str(tmp_path / "checkpoint"))
    kept, expected = weights(model), model.predict(X, verbose=0)
    model.export(tmp_path / "exported", verbose=False)
    tf.saved_model.save(model, str(tmp_path / "saved"))
    fit(model)
    again = compiled()
    again.optimizer.build(again.trainable_variables)
    tf.train.Checkpoint(model=again, optimizer=again.optimizer).read(
        str(tmp_path / "checkpoint")
    ).assert_existing_objects_matched()
    assert_equal(weights(again), kept)
    exported = tf.saved_model.load(str(tmp_path / "exported"))
    np.testing.assert_allclose(exported.serve(X), expected, rtol=1e-5, atol=1e-6)
    tf.saved_model.load(str(tmp_path / "saved"))


def test_one_norm_over_all_groups():
    a, b, still = (keras.Variable([0.0], name=name) for name in ("a", "b", "still"))
    optimizer = GroupedOptimizer(
        [Group(a, learning_rate=1), Group(b, learning_rate=2), Group(still, learning_rate=0)],
        global_clipnorm=5.0,
    )
    # |(6, 8)| = 10: both are halved; what would go to the frozen group does not count, were it broken.
    tf.function(lambda: optimizer.apply([tf.constant([v]) for v in (6.0, 8.0, np.nan)], [a, b, still]))()
    assert [float(v.numpy()[0]) for v in (a, b, still)] == pytest.approx([-3.0, -8.0, 0.0])


@pytest.mark.parametrize(("option", "expected"), [("clipnorm", [-1.0, -2.0]), ("clipvalue", [-1.0, -2.0])])
def test_clipping_of_each_gradient(option, expected):
    a, b = keras.Variable([0.0], name="a"), keras.Variable([0.0], name="b")
    optimizer = GroupedOptimizer([Group(a, learning_rate=1), Group(b, learning_rate=2)], **{option: 1.0})
    optimizer.apply([tf.constant([6.0]), tf.constant([8.0])], [a, b])
    assert [float(v.numpy()[0]) for v in (a, b)] == expected


def test_accumulated_gradients_make_one_step_of_their_mean():
    gradients = np.random.default_rng(2).normal(size=(6, 4)).astype(np.float32)
    numbers = {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.1, "decay": "decoupled-lr"}
    each, mean = (keras.Variable(np.ones(4, np.float32), name="w") for _ in range(2))
    gathering = GroupedOptimizer([Group(each, **numbers)], gradient_accumulation_steps=3)
    plain = GroupedOptimizer([Group(mean, **numbers)])
    step = tf.function(lambda gradient: gathering.apply([gradient], [each]))
    for gradient in gradients:
        step(tf.constant(gradient))
    for part in gradients.reshape(2, 3, 4):
        plain.apply([tf.constant(part.mean(0))], [mean])
    np.testing.assert_allclose(each.numpy(), mean.numpy(), rtol=1e-6)
    assert int(gathering.iterations) == 2


def test_moving_averages_of_the_weights():
    w = keras.Variable([1.0], name="w")
    optimizer = GroupedOptimizer([Group(w, learning_rate=0.5)], use_ema=True, ema_momentum=0.9)
    values = []
    for _ in range(3):
        optimizer.apply([tf.constant([1.0])], [w])
        values.append(float(w.numpy()[0]))
    assert values == [0.5, 0.0, -0.5]
    optimizer.finalize_variable_values([w])
    # Keras begins the average with the weight after the first step.
    assert float(w.numpy()[0]) == pytest.approx(0.9 * (0.9 * 0.5 + 0.1 * 0.0) + 0.1 * -0.5, rel=1e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = compiled()
        losses = fit(model, epochs=4)
    finally:
        keras.config.set_dtype_policy("float32")
    assert losses[-1] < losses[0]
    assert {v.dtype for v in model.trainable_variables} == {"float32"}
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer) == (policy == "mixed_float16")


def test_loss_scaling_is_taken_out_again(tmp_path):
    plain = compiled()
    scaled = small_model()
    inner = GroupedOptimizer(some_groups(scaled), total_steps=40)
    scaled.compile(keras.optimizers.LossScaleOptimizer(inner, initial_scale=256.0), "mse")
    fit(plain), fit(scaled)
    for a, b in zip(plain.trainable_variables, scaled.trainable_variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-5)
    scaled.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    fit(scaled), fit(loaded)
    assert_equal(weights(loaded), weights(scaled))


def test_a_broken_gradient_is_skipped_under_loss_scaling():
    w = keras.Variable([1.0], name="w")
    optimizer = keras.optimizers.LossScaleOptimizer(GroupedOptimizer([Group(w, learning_rate=1)]))
    tf.function(lambda: optimizer.apply([tf.constant([np.inf])], [w]))()
    assert float(w.numpy()[0]) == 1.0


def test_frozen_layers():
    model = small_model()
    model.get_layer("fc1").trainable = False
    groups = [
        Group(model.get_layer("fc1"), learning_rate=0.1, name="not trained"),
        Group("kernel", learning_rate=0.01),
        Group("bias", learning_rate=0.02),
    ]
    model.compile(GroupedOptimizer(groups), "mse")
    before = [variable.numpy() for variable in model.get_layer("fc1").variables]
    fit(model)
    assert_equal(before, [variable.numpy() for variable in model.get_layer("fc1").variables])


def test_keras_callbacks_scale_all_groups():
    model = compiled()
    before = {name: group.learning_rate for name, group in model.optimizer.groups.items()}
    fit(model, epochs=2, callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)])
    assert float(model.optimizer.learning_rate.numpy()) == 0.25
    fit(model, callbacks=[keras.callbacks.ReduceLROnPlateau("loss", factor=0.1, patience=0, min_delta=1e9)])
    names = ["conv*/kernel", "*/bias"]
    assert {name: model.optimizer.groups[name].learning_rate for name in names} == {
        name: before[name] for name in names
    }


def test_a_factor_may_follow_a_schedule():
    w = keras.Variable([0.0], name="w")
    factor = keras.optimizers.schedules.PiecewiseConstantDecay([1], [1.0, 0.5])
    optimizer = GroupedOptimizer([Group(w, learning_rate=1)], learning_rate=factor)
    positions = []
    for _ in range(4):
        optimizer.apply([tf.constant([1.0])], [w])
        positions.append(float(w.numpy()[0]))
    assert positions == [-1.0, -2.0, -2.5, -3.0]


def test_a_group_can_be_frozen_and_thawed_while_fitting():
    model = compiled()
    group = model.optimizer.groups["conv*/kernel"]
    fit(model)
    group.learning_rate = 0.0
    before = model.get_layer("conv1").kernel.numpy()
    fit(model)
    assert_equal([before], [model.get_layer("conv1").kernel.numpy()])
    group.learning_rate = 0.01
    fit(model)
    assert np.abs(before - model.get_layer("conv1").kernel.numpy()).max() > 0


def test_an_embedding_of_many_rows():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Embedding(200_000, 16),
            keras.layers.Flatten(),
            keras.layers.Dense(1),
        ]
    )
    model.compile(
        GroupedOptimizer(
            [
                Group("embeddings", learning_rate=0.5, momentum=0.9),
                Group(["kernel", "bias"], learning_rate=0.01, name="rest"),
            ]
        ),
        "mse",
    )
    indices = np.random.default_rng(0).integers(0, 100, (64, 3))
    before = model.layers[0].embeddings.numpy()
    losses = model.fit(indices, Y[:, :1], epochs=5, verbose=0).history["loss"]
    after = model.layers[0].embeddings.numpy()
    assert losses[-1] < losses[0]
    assert np.array_equal(before[100:], after[100:])
    assert not np.array_equal(before[:100], after[:100])


def test_an_option_of_keras_that_does_not_fit_is_refused():
    w = keras.Variable([1.0], name="w")
    with pytest.raises(ValueError, match="weight_decay is a number of each group"):
        GroupedOptimizer([Group(w, learning_rate=1)], weight_decay=0.1)
    with pytest.raises(ValueError, match="clipnom"):
        GroupedOptimizer([Group(w, learning_rate=1)], clipnom=0.1)


def test_progress_needs_a_length():
    w = keras.Variable([1.0], name="w")
    groups = [Group(w, learning_rate=Steps(base=0.1, target_factor=10, steps=3))]
    with pytest.raises(ValueError, match="total_steps is needed: the rate of group 'w' follows the progress"):
        GroupedOptimizer(groups)
    with pytest.raises(ValueError, match="total_steps must be an integer >= 1, got 0"):
        GroupedOptimizer(groups, total_steps=0)
