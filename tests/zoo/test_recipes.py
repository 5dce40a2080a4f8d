"""How recipes are read, and what can be wrong with them."""

from pathlib import Path

import pytest
from recipe_texts import VALID, problems

from convnet_cfg.errors import UsageError
from convnet_cfg.zoo import Arm, Cost, Data, Expected, FinalTest, Measurement, Stage, load_recipe

# -- reading


def test_defaults(write):
    recipe = load_recipe(write(VALID))
    assert recipe.name == "recipe"
    assert (recipe.minibatch, recipe.seed, recipe.test_frequency, recipe.cost) == (128, None, None, None)
    assert recipe.stages == (
        Stage(
            epochs=2,
            params=None,
            rate_factor=1.0,
            color_noise=None,
            train_range=range(1, 4),
            test_range=range(4, 5),
            note="",
        ),
    )
    assert recipe.params_of(recipe.stages[0]) == recipe.files[1]
    assert recipe.provider_options(recipe.stages[0]) == {}
    assert recipe.final_test == FinalTest(test_range=range(4, 5), multiview=False)


def test_every_key(write):
    recipe = load_recipe(
        write(
            """\
title: >
  A longer
  title
pair: digits
data:
  provider: image
  values: 12
  crop_border: 2
  inner_size: 24
  color_noise: 0.1
  scalar_mean: -1
  options: [one=1, two=a=b]
  seed_option: three
  train_range: 1-5
  test_range: 6
minibatch: 64
seed: 0
test_frequency: 13
arms:
  - {name: some, decay: after-step, published_error_percent: 5}
  - {name: none, decay: none}
stages:
  - epochs: 1
    params: cifar10-80sec
    rate_factor: 1e-2
    color_noise: 0
    train_range: 2
    test_range: 0
    note: first
final_test: {test_range: 6, multiview: yes}
expected:
  published_error_percent: 12.5
  source: nobody
  uncertain: [one, two]
  measured:
    - {error_percent: 12, data: all, note: once}
cost: {parameters: 1, multiply_adds: 2, time: little}
"""
        )
    )
    assert recipe.title == "A longer title"
    assert (recipe.minibatch, recipe.seed, recipe.test_frequency) == (64, 0, 13)
    assert recipe.data == Data(
        provider="image",
        values=12,
        crop_border=2,
        inner_size=24,
        color_noise=0.1,
        scalar_mean=-1.0,
        options=("one=1", "two=a=b"),
        seed_option="three",
        train_range=range(1, 6),
        test_range=range(6, 7),
    )
    (stage,) = recipe.stages
    assert stage == Stage(
        epochs=1,
        params="cifar10-80sec",
        rate_factor=0.01,
        color_noise=0.0,
        train_range=range(2, 3),
        test_range=range(0, 1),
        note="first",
    )
    assert recipe.params_of(stage).name == "cifar10-80sec.params.cfg"
    options = {"crop_border": 2, "inner_size": 24, "color_noise": 0.0, "scalar_mean": -1.0}
    assert recipe.provider_options(stage) == options
    assert recipe.final_test == FinalTest(test_range=range(6, 7), multiview=True)
    assert recipe.expected == Expected(
        published_error_percent=12.5,
        accepted_error_percent=None,
        source="nobody",
        uncertain=("one", "two"),
        measured=(Measurement(error_percent=12.0, data="all", note="once"),),
    )
    assert recipe.cost == Cost(parameters=1, multiply_adds=2, time="little")
    assert recipe.arms == (
        Arm(name="some", decay="after-step", published_error_percent=5.0),
        Arm(name="none", decay="none", published_error_percent=None),
    )
    assert (recipe.seeds, recipe.first_seed) == ((), 0)
    assert recipe.own_options(None) == ("one=1", "two=a=b")
    assert recipe.own_options(4) == ("one=1", "two=a=b", "three=4")


def test_a_file_on_disk_is_taken_before_a_shipped_recipe(write, tmp_path, monkeypatch):
    write(VALID, "cifar10-80sec")
    monkeypatch.chdir(tmp_path)
    assert load_recipe("cifar10-80sec").title == "A test"
    assert load_recipe("cifar10-80sec.yaml").pair == "cifar10-80sec"


def test_a_pair_beside_the_recipe_is_taken_before_a_shipped_one(write):
    layers, params = write("", "digits.cfg"), write("", "digits.params.cfg")
    assert load_recipe(write(VALID)).files == (layers, params)


def test_a_stage_has_a_parameter_file_of_its_own_beside_the_recipe_before_a_shipped_one(write):
    text = VALID.replace("  - epochs: 2\n", "  - epochs: 2\n  - {epochs: 3, params: example}\n")
    recipe = load_recipe(write(text))
    assert [recipe.params_of(stage).name for stage in recipe.stages] == [
        "digits.params.cfg",
        "example.params.cfg",
    ]
    own = write("", "example.params.cfg")
    assert recipe.params_of(recipe.stages[1]) == own


def test_noise_and_crops_of_a_stage(write):
    text = VALID.replace("provider: digits", "provider: image\n  inner_size: 6\n  color_noise: 0.1")
    text = text.replace("  - epochs: 2\n", "  - epochs: 2\n  - {epochs: 3, color_noise: 0}\n")
    recipe = load_recipe(write(text.replace("test_range: 4\nexp", "test_range: 4\n  multiview: 1\nexp")))
    assert [recipe.provider_options(stage) for stage in recipe.stages] == [
        {"inner_size": 6, "color_noise": 0.1},
        {"inner_size": 6, "color_noise": 0.0},
    ]
    assert recipe.final_test.multiview


# -- what can be wrong


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("title: A test\n", "", "1:1: title is missing: expected a text"),
        ("title: A test", "title:", "1:1: title is missing: expected a text"),
        ("title: A test", 'title: ""', "1:1: title must be a text, got ''"),
        ("title:", "tilte: x\ntitle:", "1:1: unknown key 'tilte' (did you mean 'title'?)"),
        ("title:", "[a, b]: x\ntitle:", "1:1: unknown key '?'"),
        ("title:", "title: x\ntitle:", "2:1: title is given twice"),
        ("title: A test", "title: [A, test]", "1:1: title must be a text, not a list or keys with values"),
        ("title: A test", "title: !!python/name:os.system x", None),
        ("pair: digits", "pair: ../digit", None),
        ("provider: digits", "", "3:1: [data] provider is missing: expected a text"),
        ("  train_range: 1-3\n", "  trainrange: 1-3\n", None),
        (
            "1-3",
            "3-1",
            "5:3: [data] train_range must be a range of batches such as 1-5 or 6, got '3-1'",
        ),
        ("1-3", "1-4", "10:3: [final_test] batch 4 is not held out: a stage trains on it"),
        ("epochs: 2", "epochs: 0", "8:5: [stages.1] epochs must be an integer >= 1, got '0'"),
        ("epochs: 2", "epochs: 2.0", "8:5: [stages.1] epochs must be an integer >= 1, got '2.0'"),
        ("epochs: 2", "epochs: 1e9", "8:5: [stages.1] epochs must be an integer >= 1, got '1e9'"),
        (
            "epochs: 2",
            "epochs: 2\n  - epochs: 2",
            "9:5: [stages.2] epochs must be more than the 2 of the stage before, got 2: "
            "they count from the start of the training",
        ),
        (
            "epochs: 2",
            "epochs: 2\n    rate_factor: 0",
            "9:5: [stages.1] rate_factor must be a number > 0, got '0'",
        ),
        (
            "epochs: 2",
            "epochs: 2\n    rate_factor: .nan",
            "9:5: [stages.1] rate_factor must be a number > 0, got '.nan'",
        ),
        (
            "epochs: 2",
            "3",
            "8:5: [stages.1] expected keys with values "
            "(epochs, params, rate_factor, color_noise, train_range, test_range, note)",
        ),
        ("  - epochs: 2", "  epochs: 2", None),
        ("stages:\n  - epochs: 2", "stages: []", "7:1: stages has no item: expected at least one"),
        (
            "source: nobody",
            "source: nobody\n  uncertain: [a, '']",
            "13:18: [expected.uncertain.2] item 2 must be a text, got ''",
        ),
        (
            "source: nobody",
            "source: nobody\n  published_error_percent: 126",
            "13:3: [expected] published_error_percent must be a number from 0 to 100, got '126'",
        ),
        (
            "test_range: 4\nexpected",
            "test_range: 4\n  multiview: yes\nexpected",
            "11:3: [final_test] multiview needs crops: data has neither crop_border nor inner_size",
        ),
        (
            "provider: digits",
            "provider: digits\n  color_noise: -0.1",
            "5:3: [data] color_noise must be a number >= 0, got '-0.1'",
        ),
        (
            "provider: digits",
            "provider: digits\n  inner_size: -1",
            "5:3: [data] inner_size must be an integer >= 0, got '-1'",
        ),
        ("test_range: 4\nexpected", "test_range: 4\n  multiview: maybe\nexpected", None),
        ("data:", "seed: -1\ndata:", "3:1: seed must be an integer >= 0, got '-1'"),
    ],
)
def test_a_problem_is_explained_at_its_place(write, old, new, expected):
    assert old in VALID
    found = problems(write(VALID.replace(old, new, 1)))
    if expected is None:
        assert found
    else:
        assert expected in found


def test_all_problems_come_at_once_in_the_order_of_the_file(write):
    text = "titel: x\npair: digits\ndata: 3\nstages:\n  - epochs: many\n  - rate: 1\nminibatch: 0\n"
    assert problems(write(text)) == [
        "1:1: unknown key 'titel' (did you mean 'title'?)",
        "1:1: title is missing: expected a text",
        "1:1: final_test is missing: expected keys with values (test_range, multiview)",
        "1:1: expected is missing: expected keys with values (published_error_percent, "
        "accepted_error_percent, source, uncertain, measured)",
        "3:1: data must be keys with values (provider, values, crop_border, inner_size, color_noise, "
        "scalar_mean, options, seed_option, train_range, test_range)",
        "5:5: [stages.1] epochs must be an integer >= 1, got 'many'",
        "6:5: [stages.2] unknown key 'rate'",
        "6:5: [stages.2] epochs is missing: expected an integer >= 1",
        "7:1: minibatch must be an integer >= 1, got '0'",
    ]


def test_an_unknown_pair_gets_a_suggestion(write):
    (problem,) = problems(write(VALID.replace("pair: digits", "pair: digit")))
    assert problem.startswith("2:1: there is no file 'digit'")
    assert "(did you mean 'digits'?)" in problem


def test_an_unknown_parameter_file_of_a_stage_gets_a_suggestion(write):
    (problem,) = problems(write(VALID.replace("epochs: 2", "epochs: 2\n    params: digit")))
    assert problem.startswith("9:5: [stages.1] there is no file 'digit'")
    assert "and no parameter file of that name comes along (did you mean 'digits'?)" in problem


def test_a_pair_that_lacks_its_parameter_file_is_reported(write):
    layers = write("", "own.cfg")
    assert problems(write(VALID.replace("pair: digits", "pair: own"))) == [
        f"2:1: there is no file {layers.with_name('own.params.cfg')}"
    ]


def test_tags_are_refused_and_nothing_is_constructed(write, tmp_path):
    made = tmp_path / "made"
    text = VALID.replace("A test", f"!!python/object/apply:pathlib.Path.touch ['{made}']")
    assert problems(write(text)) == [
        "1:1: title has the tag 'tag:yaml.org,2002:python/object/apply:pathlib.Path.touch': a recipe has none"
    ]
    assert not made.exists()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "1:1: expected keys with values"),
        ("# nothing\n", "1:1: expected keys with values"),
        ("- a\n", "1:1: expected keys with values"),
        ("a: b: c\n", "1:5: this is not YAML: mapping values are not allowed here"),
        ("a: 1\n---\nb: 2\n", "2:1: this is not YAML: but found another document"),
        ("\tx: 1\n", "1:1: this is not YAML: found character '\\t' that cannot start any token"),
        ("x: \0\n", "1:1: this is not YAML: special characters are not allowed"),
        (b"x: \xff\xfe\n", "1:1: this is not YAML: "),
        ("[" * 3000, "1:1: this is not YAML: nested too deeply"),
        ("a: *b\n", "1:4: this is not YAML: found undefined alias"),
    ],
)
def test_what_is_no_mapping_is_explained(write, text, place):
    (problem,) = problems(write(text))
    assert problem.startswith(place)


def test_an_alias_to_itself_ends(write):
    assert problems(write("data: &a\n  data: *a\n"))


def test_neither_a_file_nor_a_shipped_recipe(tmp_path):
    with pytest.raises(UsageError, match=r"no recipe of that name comes along \(did you mean 'digits'\?\)"):
        load_recipe("digit")
    with pytest.raises(UsageError, match="there is no file"):
        load_recipe(tmp_path / "none.yaml")
    with pytest.raises(UsageError, match="there is no file"):
        load_recipe(Path("\0"))
