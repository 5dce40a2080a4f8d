"""What the shipped recipes say."""

import re
from itertools import accumulate

import pytest

from convnet_cfg.zoo import Arm, Data, find_config, load_recipe, names

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
