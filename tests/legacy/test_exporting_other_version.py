"""Checkpoints for the other version of cuda-convnet than that of the run's files."""

from dataclasses import replace

import pytest
from sample_runs import exported, original, unlike

from convnet_cfg.errors import UsageError
from convnet_cfg.legacy import Outputs
from convnet_cfg.legacy.translation import translate
from convnet_cfg.training.building import read_network

pytestmark = pytest.mark.slow


def test_v1_as_v2_has_the_fields_of_v2(run_of, checkpoints, tmp_path):
    trained = run_of("v1-80sec")
    made, notes = exported(trained, tmp_path / "4.1", version="v2")
    fields_of = {layer.type: set(layer.values) for layer in original(checkpoints, "v2-mix").layers}
    fields_of |= {layer.type: set(layer.values) for layer in original(checkpoints, "v2-hybrid").layers}
    for layer in made.layers:
        # Both pools of v2 are of maxima: averages have one field more (spec/checkpoints.md section 5.2).
        more = {"sum"} if layer.values.get("pool") == "avg" else set()
        assert set(layer.values) == fields_of[layer.type] | more, layer.name
    layers = {layer.name: layer.values for layer in made.layers}
    assert layers["conv2"]["inputs"] == ("pool1_neuron",) == layers["conv2"]["inputLayers"]
    assert layers["conv2"]["epsW"] == ({"type": "const", "params": {"base": 0.001}},)
    assert layers["conv2"]["sumWidth"] == 1
    assert layers["conv2"]["gpu"] == (0,)
    assert [layer.name for layer in made.layers][-4:] == [
        f"{name}_neuron" for name in ("pool1", "conv2", "conv3", "fc64")
    ]
    assert notes == (
        f"{trained.run.params} is in the words of cuda-convnet: give the program one in its own",
        "data provider 'cifar': the program flips half of the images to train on, this run did not",
    )


def test_cifar_of_v1_is_delivered_by_v2_as_it_was(run_of, tmp_path):
    """spec/data.md section 4.1: without a size v2 fails, and without a number it adds 1 to each pixel."""
    trained = run_of("v1-80sec")
    made, _ = exported(trained, tmp_path / "4.1", version="v2")
    options = {name: made.options[name] for name in ("inner_size", "scalar_mean")}
    assert [(option.value, option.given) for option in options.values()] == [(32, True), (0.0, True)]
    made, notes = exported(
        run_of("v1-80sec", provider_options={"inner_size": 0}), tmp_path / "4.1", None, "v2"
    )
    assert (made.options["inner_size"].value, made.options["scalar_mean"].value) == (32, -1)
    assert len(notes) == 1


def test_data_providers_that_v2_lacks(run_of, tmp_path):
    """spec/data.md section 4: of the dummies it has but that with labels."""
    for name, known in (("dummy-cn-3072", False), ("dummy-labeled-3072", True), ("cifar-cropped", False)):
        _, notes = exported(run_of("v1-80sec", data_provider=name), tmp_path / "4.1", version="v2")
        assert any("the program has none of that name" in note for note in notes) is not known, name


def test_histories_of_v1_as_v2_are_sums(run_of, checkpoints, tmp_path):
    made, _ = exported(run_of("v1-80sec"), tmp_path / "4.1", version="v2")
    for name, entries in original(checkpoints, "v1-80sec").histories.items():
        for ours, theirs in zip(made.histories[name], entries, strict=True):
            cost, error = theirs.costs["logprob"]
            sums = ours.costs["logprob"]
            assert sums == (pytest.approx(cost * 60, rel=1e-14), round(error * 60), round(error * 60))
            assert ours.cases == 60


def test_v2_as_v1_where_it_is_the_same_network(run_of, checkpoints, tmp_path):
    """The network of the sample v1-80sec, and the same in the words of v2."""
    folder = tmp_path / "run"
    folder.mkdir()
    trained = run_of("v1-80sec")
    (folder / "layers.cfg").write_text(
        (trained.run.path / "layers.cfg")
        .read_text()
        .replace("partialSum=4", "sumWidth=8")
        .replace("inputs=data\n", "inputs=data\ngpu=0\n")
        .replace("inputs=labels,probs\n", "inputs=labels,probs\ngpu=0\n")
    )
    network = read_network(folder / "layers.cfg", trained.run.params, trained.form, trained.options)
    assert network.dialect.name == "v2"
    built = replace(trained.built, network=network)
    made, _ = exported(replace(trained, built=built), tmp_path / "4.1", version="v1")
    tuned = {(name, "partialSum") for name in ("conv1", "conv2", "conv3")}
    assert set(unlike(made, original(checkpoints, "v1-80sec"))) == tuned


def test_histories_of_an_import_in_the_other_version(run_of, checkpoints, tmp_path):
    kept = original(checkpoints, "v2-hybrid")
    trained = run_of("v1-80sec")
    made, _ = exported(trained, tmp_path / "4.1", kept, version="v1")
    first = kept.histories["train_outputs"][0]
    assert first.costs["logprob"] == (155.87717540430916, 54.0, 27.0)
    assert made.histories["train_outputs"][0] == Outputs({"logprob": (155.87717540430916 / 60, 54 / 60)}, 60)
    assert made.options["layer_def"].value == str(trained.run.layers)


REFUSED = {
    ("v1-mix", "v2"): [
        "[conv3b] epsW=0.0005 of a shared matrix whose owner has 0.001: "
        "cuda-convnet2 would train it otherwise",
        "[conv4] randSparse=True: cuda-convnet2 has no such key",
        "[conv4] filterChannels=8: cuda-convnet2 has no such key",
    ],
    ("v1-dnouri-dropout", "v2"): [
        "[conv3b] epsW=0.0005 of a shared matrix whose owner has 0.001: "
        "cuda-convnet2 would train it otherwise",
        "[conv4] randSparse=True: cuda-convnet2 has no such key",
        "[conv4] filterChannels=8: cuda-convnet2 has no such key",
        "[fc10] dropout=0.5: cuda-convnet2 has no such key",
    ],
    ("v2-mix", "v1"): [
        "[conv1] schedule dexp: cuda-convnet has no such schedule",
        "[conv2] schedule exp: cuda-convnet has no such schedule",
        "[conv2] schedule linear: cuda-convnet has no such schedule",
        "[conv2] wcNormMax=2.0: cuda-convnet has no such key",
        "[conv3b] epsW=0.0005 of a shared matrix whose owner has 0.001: "
        "cuda-convnet would train it otherwise",
        "[rnorm4] minDiv=2.0: cuda-convnet has no such key",
        "[drop5] type=dropout: cuda-convnet has no such layer",
        "[fc10] wball=0.5,0.0: cuda-convnet has no such key",
    ],
    ("v2-hybrid", "v1"): [
        "[conv1] schedule dexp: cuda-convnet has no such schedule",
        "[fc32a] schedule dexp: cuda-convnet has no such schedule",
        "[fc32b] schedule dexp: cuda-convnet has no such schedule",
        "[dropouta] type=dropout2: cuda-convnet has no such layer",
        "[dropoutb] type=dropout2: cuda-convnet has no such layer",
        "[fc10] type=concat: cuda-convnet has no such layer",
        "layers are on different numbers of devices, which train on parts of a minibatch: "
        "cuda-convnet has one device",
    ],
}


@pytest.mark.parametrize(("name", "version"), REFUSED)
def test_what_the_other_version_lacks_is_refused_at_once(name, version, run_of, tmp_path):
    with pytest.raises(UsageError) as error:
        exported(run_of(name), tmp_path / "4.1", version=version)
    first, *listed = str(error.value).splitlines()
    title = {"v1": "cuda-convnet", "v2": "cuda-convnet2"}[version]
    assert first == f"this cannot be a checkpoint of {title}:"
    assert [line.strip() for line in listed] == REFUSED[name, version]


def test_what_is_only_reported_is_a_note(run_of, checkpoints, tmp_path):
    """Of the problems of v2-mix none is its second error."""
    trained = run_of("v2-mix")
    assert translate(trained.built.network, "v1").notes == (
        "[logprob] topk=5: cuda-convnet does not report that",
    )
