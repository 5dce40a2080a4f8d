"""Recipes: what the shipped ones say, and what is wrong with others."""

import re
from itertools import accumulate
from pathlib import Path

import pytest

from convnet_cfg.errors import ConfigError, UsageError
from convnet_cfg.zoo import (
    Arm,
    Cost,
    Data,
    Expected,
    FinalTest,
    Measurement,
    Stage,
    find_config,
    load_recipe,
    names,
)

VALID = """\
title: A test
pair: digits
data:
  provider: digits
  train_range: 1-3
  test_range: 4
stages:
  - epochs: 2
final_test:
  test_range: 4
expected:
  source: nobody
"""

# epochs in all, factor, first and last training batch (spec/experiments.md, sections 1, 1.1 and 1.2)
STAGES = {
    "cifar10-80sec": [(8, 1, 1, 5), (10, 0.1, 1, 5)],
    "cifar10-19pct": [(120, 1, 1, 5), (130, 0.1, 1, 5), (140, 0.01, 1, 5)],
    "cifar10-18pct": [(120, 1, 1, 5), (130, 0.1, 1, 5), (140, 0.01, 1, 5)],
    "cifar10-conv-local-13pct": [(100, 1, 1, 4), (140, 1, 1, 5), (150, 0.1, 1, 5), (160, 0.01, 1, 5)],
    "cifar10-conv-local-11pct": [(350, 1, 1, 4), (500, 1, 1, 5), (510, 0.1, 1, 5), (520, 0.01, 1, 5)],
    "cifar10-v2-11pct": [(350, 1, 1, 4), (500, 1, 1, 5), (510, 0.1, 1, 5), (520, 0.01, 1, 5)],
    "cifar10-conv-local-13pct-dropout": [(100, 1, 1, 4), (600, 0.01, 1, 5)],
    "nin-cifar10": [(200, 1, 1, 5), (230, 1, 1, 5), (260, 1, 1, 5)],
}
# minibatch (spec/experiments.md, section 2)
IMAGENET = {
    "alexnet-2012": 128,
    "imagenet-1gpu": 128,
    "imagenet-2gpu-data": 256,
    "imagenet-2gpu-model": 128,
    "imagenet-4gpu-data": 512,
    "imagenet-4gpu-data-model": 512,
}
PUBLISHED = {
    "cifar10-80sec": 26,
    "cifar10-19pct": 19,
    "cifar10-18pct": 18,
    "cifar10-conv-local-13pct": 13,
    "cifar10-conv-local-11pct": 11,
    "cifar10-v2-11pct": 11,
    "cifar10-conv-local-13pct-dropout": None,
    "nin-cifar10": 10.4,
    "dropconnect-cifar10": 9.32,
    "dropconnect-mnist": None,
    "alexnet-2012": 40.66,
    "imagenet-1gpu": 42.55,
    "imagenet-2gpu-data": 42.63,
    "imagenet-2gpu-model": None,
    "imagenet-4gpu-data": 42.59,
    "imagenet-4gpu-data-model": 42.44,
    "example": None,
    "digits": None,
    "hinton-1987": 6,
}


@pytest.fixture
def write(tmp_path):
    def write(text, name="recipe.yaml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def problems(path):
    with pytest.raises(ConfigError) as error:
        load_recipe(path)
    return [str(problem).removeprefix(f"{path}:") for problem in error.value.problems]


# -- the shipped recipes


@pytest.mark.parametrize("name", names())
def test_a_shipped_recipe_is_found_by_name_and_trains_the_pair_of_its_name(name):
    recipe = load_recipe(name)
    assert recipe.name == recipe.pair == name
    assert [path.name for path in recipe.files] == [f"{name}.cfg", f"{name}.params.cfg"]
    assert recipe.expected.published_error_percent == PUBLISHED[name]
    assert recipe.cost is not None


@pytest.mark.parametrize("name", STAGES)
def test_the_stages_are_those_of_the_spec(name):
    recipe = load_recipe(name)
    assert [
        (stage.epochs, stage.rate_factor, stage.train_range[0], stage.train_range[-1])
        for stage in recipe.stages
    ] == STAGES[name]
    assert recipe.minibatch == 128
    assert recipe.final_test.test_range == range(6, 7)


LOCAL = {"cifar10-v2-11pct", *(name for name in names() if "local" in name)}


@pytest.mark.parametrize("name", [name for name in names() if name.startswith("cifar10")])
def test_crops_and_views_belong_to_the_local_networks(name):
    recipe = load_recipe(name)
    data = recipe.data
    if name == "cifar10-v2-11pct":
        assert (data.provider, data.crop_border, data.inner_size) == ("cifar", None, 24)
    elif name in LOCAL:
        assert (data.provider, data.crop_border, data.inner_size) == ("cifar-cropped", 4, None)
    else:
        assert (data.provider, data.crop_border, data.inner_size) == ("cifar", None, None)
    assert recipe.stages[0].test_range == (range(5, 6) if name in LOCAL else range(6, 7))
    assert recipe.final_test.multiview == (name in LOCAL)
    assert recipe.expected.uncertain


@pytest.mark.parametrize("name", IMAGENET)
def test_a_network_for_imagenet(name):
    recipe = load_recipe(name)
    assert (recipe.data.provider, recipe.data.inner_size) == ("image", 224)
    assert (recipe.data.train_range, recipe.data.test_range) == (range(418), range(1000, 1017))
    assert recipe.minibatch == IMAGENET[name]
    assert recipe.stages[-1].epochs == 90
    assert recipe.stages[0].color_noise == 0.1
    assert recipe.expected.uncertain


def test_the_stages_of_alexnet():
    recipe = load_recipe("alexnet-2012")
    assert [
        (stage.epochs, stage.color_noise, recipe.params_of(stage).name.removesuffix(".params.cfg"))
        for stage in recipe.stages
    ] == [
        (25, 0.1, "alexnet-2012"),
        (51, 0.1, "alexnet-2012.stage2"),
        (67, 0.1, "alexnet-2012.stage3"),
        (72, 0, "alexnet-2012.stage4"),
        (79, 0, "alexnet-2012.stage5"),
        (90, 0, "alexnet-2012.stage6"),
    ]
    assert {stage.rate_factor for stage in recipe.stages} == {1}
    assert recipe.final_test.multiview


@pytest.mark.parametrize(
    ("name", "begin", "middle", "end"), [("cifar10", 700, 300, 50), ("mnist", 600, 400, 20)]
)
def test_the_stages_of_dropconnect(name, begin, middle, end):
    factors = {1: begin, 0.5: middle, 0.1: middle, 0.05: end, 0.01: end, 0.005: end, 0.001: end}
    stages = load_recipe(f"dropconnect-{name}").stages
    assert [stage.rate_factor for stage in stages] == list(factors)
    assert [stage.epochs for stage in stages] == list(accumulate(factors.values()))


@pytest.mark.parametrize("name", names())
def test_a_shipped_recipe_begins_with_its_command_and_fits_the_screen(name):
    lines = find_config(name).read_text().splitlines()
    assert lines[0].startswith(f"# convnet reproduce {name}")
    assert max(map(len, lines)) <= 110


def test_digits_trains_on_three_batches_and_has_a_bound():
    recipe = load_recipe("digits")
    assert recipe.data == Data(
        provider="digits",
        values=64,
        crop_border=None,
        inner_size=None,
        color_noise=None,
        scalar_mean=None,
        options=(),
        seed_option=None,
        train_range=range(1, 4),
        test_range=range(4, 5),
    )
    assert recipe.expected.accepted_error_percent == 3


def test_hinton_compares_true_weight_decay_with_none():
    recipe = load_recipe("hinton-1987")
    assert recipe.arms == (
        Arm(name="with decay", decay="decoupled", published_error_percent=6.0),
        Arm(name="without decay", decay="none", published_error_percent=45.0),
    )
    assert recipe.minibatch == 160
    assert len(recipe.seeds) >= 5
    assert recipe.own_options(7) == ("sweeps=100", "split=7")
    assert len(recipe.expected.uncertain) >= 7
    rules = re.findall(r"^wc=(.*)$", recipe.files[1].read_text(), re.MULTILINE)
    assert rules == ["0.004"] * 3


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
