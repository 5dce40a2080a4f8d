"""Saving and loading of models as users have them: unnamed layers, layers inside of layers, frozen ones."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from convnet_cfg.optim import Group, GroupedOptimizer

X = np.random.default_rng(0).normal(size=(32, 6)).astype(np.float32)
Y = X[:, :2]


@keras.saving.register_keras_serializable("tests")
class Block(keras.layers.Layer):
    """A layer that holds another one, without a name."""

    def __init__(self, **options):
        super().__init__(**options)
        self.inner = keras.layers.Dense(4)

    def call(self, inputs):
        return self.inner(inputs)


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    """A model of the user's own."""

    def __init__(self, **options):
        super().__init__(**options)
        self.first, self.second = keras.layers.Dense(4), keras.layers.Dense(2)

    def call(self, inputs):
        return self.second(self.first(inputs))


def functional():
    inputs = keras.Input((6,))
    return keras.Model(inputs, keras.layers.Dense(2)(Block()(inputs)))


def flat():
    layers = [keras.layers.Dense(4), keras.layers.ReLU(), keras.layers.Dense(2)]
    return keras.Sequential([keras.Input((6,)), *layers])


def nested():
    inner = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4)])
    return keras.Sequential([keras.Input((6,)), inner, keras.layers.Dense(2)])


MODELS = {"functional": functional, "subclassed": Subclassed, "flat": flat, "nested": nested}


def by_pattern(model):
    return [
        Group("*/kernel", learning_rate=0.01, momentum=0.9, weight_decay=0.01, decay="decoupled-lr"),
        Group("*/bias", learning_rate=0.02, momentum=0.5),
    ]


def by_layer(model):
    # Together with a layer that has no variables, as in a slice of the layers.
    *first, last = model.layers
    return [
        Group(first, learning_rate=0.01, momentum=0.9, name="first"),
        Group(last, learning_rate=0.02, rule="adam", name="last"),
    ]


def fit(model, epochs=1):
    return model.fit(X, Y, batch_size=8, epochs=epochs, shuffle=False, verbose=0)


def trained(make, groups):
    keras.utils.set_random_seed(0)
    model = make()
    model(X)
    model.compile(GroupedOptimizer(groups(model)), "mse")
    fit(model)
    return model


def assert_goes_on(loaded, saved):
    for model in (loaded, saved):
        fit(model)
    for a, b in zip(loaded.get_weights(), saved.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# Keras says of a layer without `build`, as its guide has them, that it should have one.
@pytest.mark.filterwarnings("ignore:`build\\(\\)` was called on layer:UserWarning")
@pytest.mark.parametrize("groups", [by_pattern, by_layer])
@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_a_model_of_unnamed_layers_goes_on(make, groups, tmp_path):
    model = trained(make, groups)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_goes_on(loaded, model)


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[2])
import test_optim_saving as tests, keras
loaded = keras.models.load_model(sys.argv[1])
tests.fit(loaded)
print("weights", repr([w.sum().item() for w in loaded.get_weights()]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("make", [functional, Subclassed], ids=["functional", "subclassed"])
def test_another_process_goes_on(make, tmp_path):
    model = trained(make, by_layer)
    model.save(tmp_path / "model.keras")
    folder = str(__file__).rpartition("/")[0]
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "model.keras"), folder],
        capture_output=True,
        text=True,
        check=False,
    )
    fit(model)
    assert f"weights {[w.sum().item() for w in model.get_weights()]!r}" in ran.stdout, ran.stderr[-2000:]


def by_named_layer(model):
    return [
        Group(layer, learning_rate=0.01, name=layer.name) for layer in (model.layers[0], model.layers[-1])
    ]


@pytest.mark.parametrize("groups", [by_pattern, by_named_layer])
@pytest.mark.parametrize("first", [True, False], ids=["frozen after training", "thawed after training"])
def test_layers_frozen_or_thawed_after_training_can_be_loaded(first, groups, tmp_path):
    model = flat()
    model.layers[0].trainable = first
    model.compile(GroupedOptimizer(groups(model)), "mse")
    fit(model)
    model.layers[0].trainable = not first
    model.save(tmp_path / "model.keras")
    # As with any optimizer of Keras its state does not fit any more, and is left out with a warning.
    with pytest.warns(UserWarning, match="Skipping variable loading for optimizer"):
        loaded = keras.models.load_model(tmp_path / "model.keras")
    fit(loaded)


def test_an_optimizer_that_is_not_built_is_saved_by_paths_or_patterns(tmp_path):
    for groups in (by_pattern, by_layer):
        model = flat()
        model.compile(GroupedOptimizer(groups(model)), "mse")
        model.save(tmp_path / "model.keras")
        fit(keras.models.load_model(tmp_path / "model.keras"))
        again = keras.optimizers.deserialize(keras.optimizers.serialize(model.optimizer))
        again.build(model.trainable_variables)
        assert [len(group.variables) for group in again.groups.values()] == [2, 2]


def test_layers_without_variables_yet_cannot_be_saved():
    optimizer = GroupedOptimizer([Group(keras.layers.Dense(2), learning_rate=0.1, name="new")])
    with pytest.raises(
        ValueError, match="^group 'new': its variables are not known yet; build the optimizer"
    ):
        optimizer.get_config()


def test_the_configuration_of_a_built_optimizer_serves_a_second_model():
    model, second = trained(flat, by_layer), flat()
    again = GroupedOptimizer.from_config(model.optimizer.get_config())
    again.build(second.trainable_variables)
    assert [v for g in again.groups.values() for v in g.variables] == second.trainable_variables


def test_velocities_stand_in_the_order_of_the_model():
    model = flat()
    forward, backward = (
        GroupedOptimizer([Group(layer, learning_rate=0.1, name=layer.name) for layer in layers])
        for layers in ([model.layers[0], model.layers[2]], [model.layers[2], model.layers[0]])
    )
    for optimizer in (forward, backward):
        optimizer.build(model.trainable_variables)
    paths = [[v.path.rpartition("/")[2] for v in o.variables] for o in (forward, backward)]
    assert paths[0] == paths[1]


class OwnSchedule(keras.optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        return 0.01

    def get_config(self):
        return {}


def test_objects_that_the_caller_gives_to_keras_are_known(tmp_path):
    model = flat()
    model.compile(
        GroupedOptimizer([Group("*", learning_rate=OwnSchedule())], learning_rate=OwnSchedule()), "mse"
    )
    fit(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", custom_objects={"OwnSchedule": OwnSchedule})
    assert_goes_on(loaded, model)


def test_under_mixed_precision_the_groups_are_those_of_the_inner_optimizer(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = trained(flat, by_pattern)
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
    finally:
        keras.config.set_dtype_policy("float32")
    loaded.optimizer.inner_optimizer.groups["*/bias"].learning_rate = 0.5
    assert loaded.optimizer.inner_optimizer.groups["*/bias"].learning_rate == 0.5
    assert "*/bias" in loaded.optimizer.inner_optimizer.table()
