"""What a group accepts, and that groups must cover a model exactly once."""

import math
import re
from fractions import Fraction

import keras
import numpy as np
import pytest

from convnet_cfg.optim import Group, GroupedOptimizer


def weights(*names):
    return [keras.Variable([1.0, 2.0], name=name) for name in names]


def test_numbers_become_floats():
    group = Group(
        weights("w"), learning_rate=1, momentum=np.float32(0.5), weight_decay=Fraction(1, 4), name="a"
    )
    assert (group.learning_rate, group.momentum, group.weight_decay) == (1.0, 0.5, 0.25)
    assert isinstance(group.learning_rate, float)
    assert group.base_learning_rate == 1.0
    assert group.decay == "cuda-convnet"


@pytest.mark.parametrize("field", ["learning_rate", "momentum", "weight_decay", "base_learning_rate"])
@pytest.mark.parametrize("value", [True, "0.1", [0.1], 1j, np.bool_(True)])
def test_only_numbers_are_numbers(field, value):
    with pytest.raises(TypeError, match=f"^group 'fc1': {field} must be a number, got "):
        Group(weights("w"), **{"learning_rate": 0.1, field: value}, name="fc1")


def test_the_learning_rate_is_not_optional():
    with pytest.raises(TypeError, match="must be a number, got None"):
        Group(weights("w"), learning_rate=None)


@pytest.mark.parametrize("field", ["learning_rate", "momentum", "weight_decay", "base_learning_rate"])
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, np.float64("nan")])
def test_numbers_are_finite(field, value):
    with pytest.raises(ValueError, match=f"^group 'fc1': {field} must be finite, got "):
        Group(weights("w"), **{"learning_rate": 0.1, field: value}, name="fc1")


@pytest.mark.parametrize("rate", [0, -0.0, -0.1])
def test_zero_and_below_is_frozen(rate):
    assert Group(weights("w"), learning_rate=rate).frozen


@pytest.mark.parametrize("momentum", [-1, -0.5, 0, 1])
def test_momentum_from_minus_one_to_one(momentum):
    assert Group(weights("w"), learning_rate=0.1, momentum=momentum).momentum == momentum


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"momentum": 1.5}, "momentum must be from -1 to 1, got 1.5"),
        ({"momentum": -2}, "momentum must be from -1 to 1, got -2"),
        ({"momentum": 1, "rule": "adam"}, "momentum must be from 0 up to 1, got 1"),
        ({"momentum": -0.1, "rule": "adam"}, "momentum must be from 0 up to 1, got -0.1"),
        ({"weight_decay": -1e-9}, "weight_decay must be >= 0, got -1e-09"),
        ({"second_momentum": 1.0, "rule": "adam"}, "second_momentum must be from 0 up to 1, got 1"),
        ({"epsilon": 0, "rule": "adam"}, "epsilon must be > 0, got 0"),
        ({"period": 0}, "period must be an integer >= 1, got 0"),
        ({"period": True}, "period must be an integer >= 1, got True"),
        (
            {"rule": "adams"},
            "unknown rule 'adams' (did you mean 'adam'?); it must be momentum, nesterov or adam",
        ),
        ({"rate_position": "in"}, "unknown rate_position 'in'; it must be inside or outside"),
        ({"rate_position": "inside", "rule": "adam"}, "rate_position is for momentum and nesterov"),
    ],
)
def test_numbers_are_in_range_and_names_known(given, message):
    with pytest.raises(ValueError, match=f"^group 'fc1': {re.escape(message)}"):
        Group(weights("w"), **{"learning_rate": 0.1, **given}, name="fc1")


def test_adam_has_momentum_unless_it_is_told_otherwise():
    assert Group(weights("w"), learning_rate=0.1, rule="adam").momentum == 0.9
    assert Group(weights("w"), learning_rate=0.1, rule="adam", momentum=0).momentum == 0
    assert Group(weights("w"), learning_rate=0.1, rule="nesterov").momentum == 0


def test_unknown_decay_suggests():
    with pytest.raises(
        ValueError, match=r"^group 'fc1': unknown decay 'decoupled-rl' \(did you mean 'decoup"
    ):
        Group(weights("w"), learning_rate=0.1, decay="decoupled-rl", name="fc1")
    with pytest.raises(ValueError, match=r"must be cuda-convnet, l2, .*after-step or none$"):
        Group(weights("w"), learning_rate=0.1, decay=None)


def test_matched_decay_needs_momentum_below_one():
    with pytest.raises(ValueError, match="group 'fc1': decay 'decoupled-matched' needs momentum < 1, got 1$"):
        Group(weights("w"), learning_rate=0.1, momentum=1, decay="decoupled-matched", name="fc1")


def test_schedule_decay_needs_a_base():
    settings = {"learning_rate": 0.1, "decay": "decoupled-schedule", "name": "fc1"}
    assert Group(weights("w"), **settings).base_learning_rate == 0.1
    assert Group(weights("w"), **(settings | {"learning_rate": 0})).base_learning_rate == 0
    with pytest.raises(ValueError, match="group 'fc1': .* needs base_learning_rate > 0 while"):
        Group(weights("w"), **settings, base_learning_rate=0)


@pytest.mark.parametrize("variables", [[], [np.ones(2)], None, 3, [None]])
def test_variables_are_variables_layers_or_patterns(variables):
    with pytest.raises((TypeError, ValueError), match=r"^group 'fc1'(: variables must be| has no variables)"):
        Group(variables, learning_rate=0.1, name="fc1")


def test_groups_are_frozen():
    group = Group(weights("w"), learning_rate=0.1)
    with pytest.raises(AttributeError):
        group.learning_rate = 0.2


def test_names():
    a, b, c = weights("a", "b", "c")
    optimizer = GroupedOptimizer([Group([a], learning_rate=0.1), Group([b, c], learning_rate=0.1)])
    assert list(optimizer.groups) == ["a", "group_1"]
    with pytest.raises(ValueError, match="two groups are called 'a'"):
        GroupedOptimizer([Group([a], learning_rate=0.1), Group([b], learning_rate=0.1, name="a")])
    with pytest.raises(ValueError, match="at least one group"):
        GroupedOptimizer([])


def test_all_faults_of_the_cover_in_one_error():
    a, b, c, d, e = weights("a", "b", "c", "d", "e")
    optimizer = GroupedOptimizer(
        [
            Group([a, b], learning_rate=0.1, name="one"),
            Group([b, e], learning_rate=0, name="two"),
            Group([a, b], learning_rate=0.1, name="three"),
        ]
    )
    with pytest.raises(ValueError, match="exactly one group") as error:
        optimizer.build([b, c, d])
    assert str(error.value).splitlines() == [
        "each variable to train must be in exactly one group",
        "  in no group: c, d",
        "  claimed twice: a (one and three), b (one, two and three)",
        "  in a group that is not frozen, but not among the variables to train: a (one)",
    ]
    assert not optimizer.built


def test_twice_in_the_same_group_is_once():
    (a,) = weights("a")
    optimizer = GroupedOptimizer([Group([a, a, "?"], learning_rate=0.1, name="one")])
    optimizer.build([a])
    assert optimizer.groups["one"].variables == (a,)


def test_apply_checks_the_cover_too():
    a, b = weights("a", "b")
    with pytest.raises(ValueError, match="in no group: b"):
        GroupedOptimizer([Group([a], learning_rate=0.1)]).apply([np.ones(2), np.ones(2)], [a, b])


def test_variables_of_frozen_groups_need_not_be_handed_over():
    a, b = weights("a", "b")
    optimizer = GroupedOptimizer([Group([a], learning_rate=0.1), Group([b], learning_rate=0)])
    optimizer.build([a])
    assert optimizer.active == (True, False)
    assert optimizer.active_variables == [a]
    assert optimizer.velocity(b).shape == (2,)
    optimizer.apply([np.ones(2)])
    assert optimizer.iterations.numpy() == 1
