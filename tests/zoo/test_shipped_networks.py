"""The pairs in layers/: they read without a remark, and are the published networks."""

import dataclasses
import os
from dataclasses import replace
from pathlib import Path

import pytest

from convnet_cfg.errors import Severity
from convnet_cfg.language import Reading, load_network
from convnet_cfg.zoo import find_layers, load_recipe, names

CORPUS = Path(os.environ.get("CONVNET_CORPUS", Path(__file__).parents[3] / "shared" / "corpus"))
ORIGINALS = {
    "cifar10-80sec": "dnouri--cuda-convnet--layers-80sec-77a8ab",
    "cifar10-19pct": "dnouri--cuda-convnet--layers-19pct-efac8d",
    "cifar10-18pct": "dnouri--cuda-convnet--layers-18pct-b3c477",
    "cifar10-conv-local-13pct": "dnouri--cuda-convnet--layers-conv-local-13pct-380ab0",
    "cifar10-conv-local-13pct-dropout": "dnouri--cuda-convnet--layers-conv-local-13pct-380ab0",
    "cifar10-conv-local-11pct": "dnouri--cuda-convnet--layers-conv-local-11pct-94fb0d",
    "cifar10-v2-11pct": "akrizhevsky--cuda-convnet2--layers-cifar10-11pct-db3bfb",
    "example": "dnouri--cuda-convnet--layers-example-c3b1c6",
    "nin-cifar10": "mavenlin--cuda-convnet--cifar-10-def-87e4a1",
    "dropconnect-cifar10": "dnouri--cuda-convnet--layers-fc-11pct-dc-0df8d4",
    "imagenet-1gpu": "akrizhevsky--cuda-convnet2--layers-imagenet-1gpu-ef478c",
    "imagenet-2gpu-data": "akrizhevsky--cuda-convnet2--layers-imagenet-2gpu-data-65722c",
    "imagenet-2gpu-model": "akrizhevsky--cuda-convnet2--layers-imagenet-2gpu-model-3622e5",
    "imagenet-4gpu-data": "akrizhevsky--cuda-convnet2--layers-imagenet-4gpu-data-144274",
    "imagenet-4gpu-data-model": "akrizhevsky--cuda-convnet2--layers-imagenet-4gpu-data-model-909f1e",
    "alexnet-2012": "yrmo--alexnet-source-c--layers-145-cf3768",
}
# Ours, and two that nobody published with their definitions.
OURS = {"digits", "dropconnect-mnist", "hinton-1987"}
# The published file is that of the last stage of several: it is compared with ours of that stage.
LAST_STAGE = {"alexnet-2012"}
# The GPU kernels of v1 had neither pooling of 10 channels, which is not about that fork, nor groups so small.
WITH_NOTES = {"nin-cifar10", "hinton-1987"}
CLASSES = {"image": 1000, "ring": 16}
# What is not as published, by layer and key, and why.
DIFFERENCES = {
    # The parameters of the published file with dropout (phecy/drocc), over the same definition; the rates of
    # that file are those of its second stage.
    "cifar10-conv-local-13pct-dropout": {
        ("conv1", "dropout"): 0.3,
        ("conv2", "dropout"): 0.3,
        ("fc10", "dropout"): 0.5,
    },
}
DIALECTS = {
    "alexnet-2012": "alexnet-2012",
    "cifar10-conv-local-13pct-dropout": "v1+dropout",
    "cifar10-v2-11pct": "v2",
    "digits": "v1+dropout",
    "dropconnect-cifar10": "dropconnect",
    "dropconnect-mnist": "dropconnect",
    "imagenet-1gpu": "v2",
    "imagenet-2gpu-data": "v2",
    "imagenet-2gpu-model": "v2",
    "imagenet-4gpu-data": "v2",
    "imagenet-4gpu-data-model": "v2",
    "nin-cifar10": "nin",
}

# weights + biases of each layer, by hand
SMALL_CONVOLUTIONS = (75 * 32 + 32) + (25 * 32 * 32 + 32) + (25 * 32 * 64 + 64)
LARGE_CONVOLUTIONS = (75 * 64 + 64) + (25 * 64 * 64 + 64)
LOCAL_11PCT = 36 * (9 * 64 * 64 + 64) + 36 * (9 * 64 * 32 + 32)
CONV_LOCAL_13PCT = (
    LARGE_CONVOLUTIONS + 36 * (9 * 64 * 32 + 32) + 36 * (9 * 32 * 32 + 32) + (36 * 32 * 10 + 10)
)
CONV_LOCAL_11PCT = LARGE_CONVOLUTIONS + LOCAL_11PCT + (36 * 32 * 10 + 10)
ONE_TOWER = (
    (121 * 3 * 64 + 64)
    + (25 * 64 * 192 + 192)
    + (9 * 192 * 384 + 384)
    + (9 * 384 * 256 + 256)
    + (9 * 256 * 256 + 256)
    + (6 * 6 * 256 * 4096 + 4096)
    + (4096 * 4096 + 4096)
    + (4096 * 1000 + 1000)
)
TWO_HALVES = (
    2 * (121 * 3 * 48 + 48)
    + 2 * (25 * 48 * 128 + 128)
    + 2 * (9 * (128 + 128) * 192 + 192)
    + 2 * (9 * 192 * 192 + 192)
    + 2 * (9 * 192 * 128 + 128)
    + 2 * (6 * 6 * (128 + 128) * 2048 + 2048)
    + 2 * ((2048 + 2048) * 2048 + 2048)
    + ((2048 + 2048) * 1000 + 1000)
)
PARAMETERS = {
    "cifar10-80sec": SMALL_CONVOLUTIONS + (1024 * 64 + 64) + (64 * 10 + 10),
    "cifar10-19pct": SMALL_CONVOLUTIONS + (1024 * 10 + 10),
    "cifar10-18pct": SMALL_CONVOLUTIONS + (1024 * 10 + 10),
    "cifar10-conv-local-13pct": CONV_LOCAL_13PCT,
    "cifar10-conv-local-13pct-dropout": CONV_LOCAL_13PCT,
    "cifar10-conv-local-11pct": CONV_LOCAL_11PCT,
    "cifar10-v2-11pct": CONV_LOCAL_11PCT,
    "example": (81 * 3 * 32 + 32)
    + 1024 * (81 * 32 * 32 + 32)
    + (3072 * 1024 + 1024)
    + (25 * 8 * 128 + 15 * 15 * 128)
    + (25 * 64 * 128 + 128)
    + (8 * 8 * 128 * 10 + 1024 * 10 + 10),
    "digits": (9 * 32 + 32) + (9 * 32 * 64 + 64) + (4 * 4 * 64 * 64 + 64) + (64 * 10 + 10),
    "dropconnect-cifar10": LARGE_CONVOLUTIONS + LOCAL_11PCT + (36 * 32 * 128 + 128) + (128 * 10 + 10),
    "dropconnect-mnist": (28 * 28 * 800 + 800) + (800 * 800 + 800) + (800 * 10 + 10),
    "nin-cifar10": (75 * 192 + 192)
    + (192 * 160 + 160)
    + (160 * 96 + 96)
    + (25 * 96 * 192 + 192)
    + 2 * (192 * 192 + 192)
    + (9 * 192 * 192 + 192)
    + (192 * 192 + 192)
    + (192 * 10 + 10),
    "imagenet-1gpu": ONE_TOWER,
    "imagenet-2gpu-data": ONE_TOWER,
    "imagenet-2gpu-model": TWO_HALVES,
    "imagenet-4gpu-data": ONE_TOWER,
    "imagenet-4gpu-data-model": ONE_TOWER,
    "alexnet-2012": TWO_HALVES,
    "hinton-1987": 12 * (6 * 5 + 5) + (60 * 6 + 6) + (6 * 16 + 16),
}


def load(name, stage=None, **options):
    recipe = load_recipe(name)
    params = recipe.files[1] if stage is None else recipe.params_of(stage)
    classes = CLASSES.get(recipe.data.provider, 10)
    return load_network(
        recipe.files[0], params, data_dims=(recipe.data.values, 1), classes=classes, **options
    )


def test_the_published_networks_and_our_own():
    assert set(names()) == {*ORIGINALS, *OURS}


@pytest.mark.parametrize("name", names())
def test_a_pair_reads_in_strict_mode_without_a_remark_in_every_stage(name):
    for stage in load_recipe(name).stages:
        network = load(name, stage, reading=Reading("strict"))
        notes = [remark for remark in network.remarks if remark.severity is Severity.NOTE]
        assert network.remarks == (tuple(notes) if name in WITH_NOTES else ())
        assert network.dialect.name == DIALECTS.get(name, "v1")
        assert set(network.classes) == {"logprob"}


@pytest.mark.parametrize("name", names())
def test_a_pair_has_the_parameters_counted_by_hand(name):
    assert sum(layer.parameters for layer in load(name).layers) == PARAMETERS[name]


@pytest.mark.parametrize("name", names())
def test_a_recipe_knows_the_size_of_its_network(name):
    layers, cost = load(name).layers, load_recipe(name).cost
    assert cost.parameters == sum(layer.parameters for layer in layers)
    assert cost.multiply_adds == sum(layer.multiply_adds for layer in layers)


def test_the_parameters_that_were_published():
    assert PARAMETERS["alexnet-2012"] == 60_965_224
    assert PARAMETERS["imagenet-1gpu"] == 61_100_840  # as torchvision counts it
    assert PARAMETERS["nin-cifar10"] == 966_986


@pytest.mark.parametrize("name", names())
def test_a_recipe_knows_the_values_of_a_case(name):
    data = load_recipe(name).data
    if data.inner_size is not None:
        assert data.values == 3 * data.inner_size**2
    elif data.crop_border is not None:
        assert data.values == 3 * (32 - 2 * data.crop_border) ** 2
    else:
        assert data.values == {"digits": 8 * 8, "dropconnect-mnist": 28 * 28, "hinton-1987": 12 * 6}.get(
            name, 3 * 32 * 32
        )


@pytest.mark.parametrize("name", ORIGINALS)
def test_a_pair_is_the_original_layer_by_layer(name):
    folder = CORPUS / "pairs" / ORIGINALS[name]
    if not folder.is_dir():
        pytest.skip(f"no corpus at {CORPUS}: set CONVNET_CORPUS")
    files = folder / "layers.cfg", folder / "params.cfg"
    recipe = load_recipe(name)
    original = load_network(*files, data_dims=(recipe.data.values, 1), reading=Reading("lenient"))
    ours = load(name, recipe.stages[-1 if name in LAST_STAGE else 0])
    assert [layer.name for layer in ours.layers] == [layer.name for layer in original.layers]
    differences = DIFFERENCES.get(name, {})
    for our_layer, their_layer in zip(ours.layers, original.layers, strict=True):
        changes = {key: value for (layer, key), value in differences.items() if layer == our_layer.name}
        changed = (
            replace(their_layer, params=replace(their_layer.params, **changes)) if changes else their_layer
        )
        assert facts(our_layer) == facts(changed)
        assert not changes or facts(our_layer) != facts(their_layer)


def facts(layer):
    """All that a layer is; the old norms keep scale and pow in their spec too, and are the same in params."""
    spec = {field.name: getattr(layer.spec, field.name) for field in dataclasses.fields(layer.spec)}
    if layer.type in ("rnorm", "cnorm"):
        spec = {key: spec[key] for key in ("inputs", "neuron", "channels", "size")}
    spec = {
        key: value for key, value in spec.items() if key not in ("given_shared_biases", "renamed_filters")
    }
    # Where a layer is may be written down or follow from its inputs.
    spec.pop("devices", None)
    kept = (layer.name, layer.type, layer.inputs, layer.output, layer.matrices, layer.bias, layer.implicit)
    return (*kept, layer.devices, layer.params, spec)


# epsW of conv1 and of the layers after it, and epsB of both, in each stage (spec/forks.md, section 1.6)
ALEXNET_RATES = [
    (0.01, 0.01, 0.02, 0.02),
    (0.001, 0.001, 0.02, 0.02),
    (0.0001, 0.0001, 0.02, 0.02),
    (0.00001, 0.0001, 0.02, 0.02),
    (0, 0.0001, 0, 0.02),
    (0, 0.00001, 0, 0.02),
]


def rates(network):
    """The learning rates of every layer: of its weights, which all have the same, and of its biases."""
    found = {}
    for layer in network.layers:
        if layer.matrices:
            (weights,) = {matrix.rule.learning_rate for matrix in layer.matrices}
            found[layer.name] = weights, layer.bias.rule.learning_rate
    return found


def test_the_rates_of_alexnet_in_each_stage():
    stages = load_recipe("alexnet-2012").stages
    for stage, (first, others, first_bias, other_biases) in zip(stages, ALEXNET_RATES, strict=True):
        for layer, (weights, bias) in rates(load("alexnet-2012", stage)).items():
            in_conv1 = layer.startswith("conv1")
            assert weights == (first if in_conv1 else others)
            assert bias == (first_bias if in_conv1 else other_biases)


def test_the_rates_of_network_in_network_in_each_stage():
    first, *later = (rates(load("nin-cifar10", stage)) for stage in load_recipe("nin-cifar10").stages)
    for found, factor in zip(later, (0.1, 0.01), strict=True):
        assert found == {
            layer: (pytest.approx(factor * weights), bias) for layer, (weights, bias) in first.items()
        }


@pytest.mark.parametrize("name", ["alexnet-2012", "nin-cifar10"])
def test_stages_differ_in_their_rates_only(name):
    def without_rates(stage):
        return [
            [part for part in facts(layer) if part not in (layer.matrices, layer.bias, layer.params)]
            + [(matrix.rule.momentum, matrix.rule.weight_decay) for matrix in layer.matrices]
            for layer in load(name, stage).layers
        ]

    first, *later = load_recipe(name).stages
    assert all(without_rates(stage) == without_rates(first) for stage in later)


@pytest.mark.parametrize("name", names())
def test_each_file_begins_with_what_it_is_and_comments_stand_in_column_0(name):
    recipe = load_recipe(name)
    for path in (find_layers(name)[0], *(recipe.params_of(stage) for stage in recipe.stages)):
        lines = path.read_text().splitlines()
        assert lines[0].startswith("# ")
        assert name in lines[0]
        assert all(line.startswith("#") for line in lines if "#" in line)
        assert max(map(len, lines)) <= 110


@pytest.mark.parametrize("name", sorted(set(names()) - {"digits"}))
def test_a_definition_tells_how_it_is_run_and_what_to_expect(name):
    text = find_layers(name)[0].read_text()
    data = "" if name == "hinton-1987" else " --data DIR"
    assert f"# Run: convnet reproduce {name}{data}\n" in text
    error = load_recipe(name).expected.published_error_percent
    assert ("no published result" if error is None else f"# Published test error: {error:g}%") in text
