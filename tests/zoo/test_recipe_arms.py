"""Recipes with arms: how they are read, and what can be wrong with them."""

import pytest
from recipe_texts import VALID, problems

from convnet_cfg.zoo import load_recipe

ARMS = """\
seeds: [1, 2]
arms:
  - name: one
    decay: decoupled
  - name: two
    decay: none
"""
DECAYS = (
    "cuda-convnet, l2, decoupled, decoupled-lr, decoupled-schedule, decoupled-matched, after-step or none"
)


def test_arms_and_seeds(write):
    recipe = load_recipe(write(ARMS + VALID))
    assert [arm.name for arm in recipe.arms] == ["one", "two"]
    assert (recipe.seeds, recipe.first_seed) == ((1, 2), 1)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "decay: none",
            "decay: non",
            f"6:5: [arms.2] decay must be {DECAYS}, got 'non' (did you mean 'none'?)",
        ),
        ("decay: none", "weight_decay: 0", "6:5: [arms.2] unknown key 'weight_decay'"),
        ("    decay: none\n", "", f"5:5: [arms.2] decay is missing: expected {DECAYS}"),
        ("name: two", "name: one", "5:5: [arms.2] there is an arm 'one' above"),
        ("[1, 2]", "[1, -2]", "1:12: [seeds.2] item 2 must be an integer >= 0, got '-2'"),
        ("[1, 2]", "[1, 1]", "1:12: [seeds.2] seed 1 is given twice"),
        ("[1, 2]", "1-2", "1:1: seeds must be a list: each item an integer >= 0"),
        ("seeds:", "seed: 3\nseeds:", "1:1: seed and seeds cannot both be given"),
        (ARMS[ARMS.index("arms") :], "", "1:1: seeds needs arms: for a single run there is seed"),
        (
            "source: nobody",
            "source: nobody\n  accepted_error_percent: 5",
            "19:3: [expected] accepted_error_percent is for a recipe without arms",
        ),
        (
            "provider: digits",
            "provider: digits\n  options: [sweeps]",
            "11:13: [data.options.1] item 1 must be NAME=VALUE, got 'sweeps'",
        ),
    ],
)
def test_a_problem_of_arms_is_explained_at_its_place(write, old, new, expected):
    text = ARMS + VALID
    assert old in text
    assert expected in problems(write(text.replace(old, new, 1)))
