"""The pairs in layers/: they read without a remark, and are the published networks."""

import dataclasses
import os
from pathlib import Path

import pytest

from convnet_cfg.language import Reading, load_network
from convnet_cfg.zoo import find_layers, load_recipe, names

CORPUS = Path(os.environ.get("CONVNET_CORPUS", Path(__file__).parents[3] / "shared" / "corpus"))
ORIGINALS = {
    "cifar10-80sec": "dnouri--cuda-convnet--layers-80sec-77a8ab",
    "cifar10-19pct": "dnouri--cuda-convnet--layers-19pct-efac8d",
    "cifar10-18pct": "dnouri--cuda-convnet--layers-18pct-b3c477",
    "cifar10-conv-local-13pct": "dnouri--cuda-convnet--layers-conv-local-13pct-380ab0",
    "cifar10-conv-local-11pct": "dnouri--cuda-convnet--layers-conv-local-11pct-94fb0d",
    "example": "dnouri--cuda-convnet--layers-example-c3b1c6",
}
WHOLE, CROPPED = 3 * 32 * 32, 3 * 24 * 24

# weights + biases of each layer, by hand
SMALL_CONVOLUTIONS = (75 * 32 + 32) + (25 * 32 * 32 + 32) + (25 * 32 * 64 + 64)
LARGE_CONVOLUTIONS = (75 * 64 + 64) + (25 * 64 * 64 + 64)
PARAMETERS = {
    "cifar10-80sec": SMALL_CONVOLUTIONS + (1024 * 64 + 64) + (64 * 10 + 10),
    "cifar10-19pct": SMALL_CONVOLUTIONS + (1024 * 10 + 10),
    "cifar10-18pct": SMALL_CONVOLUTIONS + (1024 * 10 + 10),
    "cifar10-conv-local-13pct": LARGE_CONVOLUTIONS
    + 36 * (9 * 64 * 32 + 32)
    + 36 * (9 * 32 * 32 + 32)
    + (36 * 32 * 10 + 10),
    "cifar10-conv-local-11pct": LARGE_CONVOLUTIONS
    + 36 * (9 * 64 * 64 + 64)
    + 36 * (9 * 64 * 32 + 32)
    + (36 * 32 * 10 + 10),
    "example": (81 * 3 * 32 + 32)
    + 1024 * (81 * 32 * 32 + 32)
    + (3072 * 1024 + 1024)
    + (25 * 8 * 128 + 15 * 15 * 128)
    + (25 * 64 * 128 + 128)
    + (8 * 8 * 128 * 10 + 1024 * 10 + 10),
    "digits": (9 * 32 + 32) + (9 * 32 * 64 + 64) + (4 * 4 * 64 * 64 + 64) + (64 * 10 + 10),
}


def dimension(name):
    return {"digits": 64}.get(name, CROPPED if "local" in name else WHOLE)


def load(name, **options):
    return load_network(*find_layers(name), data_dims=(dimension(name), 1), classes=10, **options)


def test_there_are_the_six_published_networks_and_digits():
    assert set(names()) == {*ORIGINALS, "digits"}


@pytest.mark.parametrize("name", names())
def test_a_pair_reads_in_strict_mode_without_a_remark(name):
    network = load(name, reading=Reading("strict"))
    assert network.remarks == ()
    assert network.dialect.name == ("v1+dropout" if name == "digits" else "v1")
    assert network.classes == {"logprob": 10}


@pytest.mark.parametrize("name", names())
def test_a_pair_has_the_parameters_counted_by_hand(name):
    assert sum(layer.parameters for layer in load(name).layers) == PARAMETERS[name]


@pytest.mark.parametrize("name", names())
def test_a_recipe_knows_the_size_of_its_network(name):
    layers, cost = load(name).layers, load_recipe(name).cost
    assert cost.parameters == sum(layer.parameters for layer in layers)
    assert cost.multiply_adds == sum(layer.multiply_adds for layer in layers)


@pytest.mark.parametrize("name", ORIGINALS)
def test_a_pair_is_the_original_layer_by_layer(name):
    folder = CORPUS / "pairs" / ORIGINALS[name]
    if not folder.is_dir():
        pytest.skip(f"no corpus at {CORPUS}: set CONVNET_CORPUS")
    files = folder / "layers.cfg", folder / "params.cfg"
    original = load_network(*files, data_dims=(dimension(name), 1), reading=Reading("lenient"))
    ours = load(name)
    assert [layer.name for layer in ours.layers] == [layer.name for layer in original.layers]
    for our_layer, their_layer in zip(ours.layers, original.layers, strict=True):
        assert facts(our_layer) == facts(their_layer)


def facts(layer):
    """All that a layer is; the old norms keep scale and pow in their spec too, and are the same in params."""
    spec = {field.name: getattr(layer.spec, field.name) for field in dataclasses.fields(layer.spec)}
    if layer.type in ("rnorm", "cnorm"):
        spec = {key: spec[key] for key in ("inputs", "neuron", "channels", "size")}
    spec = {
        key: value for key, value in spec.items() if key not in ("given_shared_biases", "renamed_filters")
    }
    kept = (layer.name, layer.type, layer.inputs, layer.output, layer.matrices, layer.bias, layer.implicit)
    return (*kept, layer.params, spec)


@pytest.mark.parametrize("name", names())
def test_each_file_begins_with_what_it_is_and_comments_stand_in_column_0(name):
    for path in find_layers(name):
        lines = path.read_text().splitlines()
        assert lines[0].startswith("# ")
        assert name in lines[0]
        assert all(line.startswith("#") for line in lines if "#" in line)
        assert max(map(len, lines)) <= 110


@pytest.mark.parametrize("name", ORIGINALS)
def test_a_definition_tells_how_it_is_run_and_what_to_expect(name):
    text = find_layers(name)[0].read_text()
    assert f"# Run: convnet reproduce {name} --data DIR\n" in text
    error = load_recipe(name).expected.published_error_percent
    assert ("no published result" if error is None else f"# Published test error: {error:g}%") in text
