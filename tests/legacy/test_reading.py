"""Checkpoints of our own making, in the shape of the original's: for those who have no original."""

import gzip
import pickle
import zipfile

import numpy as np
import old_pickles
import pytest
from old_pickles import Class, Old, Raw, content, dumps, layers

from convnet_cfg.cli.inspect import inspect
from convnet_cfg.errors import CheckpointError
from convnet_cfg.legacy import Expression, load_checkpoint
from convnet_cfg.legacy.describe import describe

STORED = sorted(old_pickles.FOLDER.rglob("3.2"))
assert STORED, "no files in tests/legacy/checkpoints"


@pytest.fixture
def load(tmp_path):
    """Write a file and load it."""

    def load(data, name="1.1"):
        (tmp_path / name).write_bytes(data)
        return load_checkpoint(tmp_path / name)

    return load


@pytest.fixture
def refused(load, tmp_path):
    """Load a file that is refused; return the message after its name."""

    def refused(data):
        with pytest.raises(CheckpointError) as error:
            load(data)
        assert error.value.exit_code == 6
        name, _, reason = str(error.value).partition(": ")
        assert name == str(tmp_path / "1.1")
        return reason

    return refused


def unpacked(path, data):
    if path.parent.name == "gzip":
        return gzip.decompress(data)
    if path.parent.name == "zip":
        with zipfile.ZipFile(path) as archive:
            return archive.read("data")
    return data


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.parent.name)
def test_the_stored_files_are_those_of_the_script(path):
    script = dumps(content(v2=path.parent.name == "v2"))
    assert unpacked(path, path.read_bytes()) == script


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.parent.name)
def test_everything_comes_back(path):
    v2 = path.parent.name == "v2"
    checkpoint = load_checkpoint(path.parent)
    assert checkpoint.path == path
    assert checkpoint.container == {"gzip": "gzip", "zip": "zip"}.get(path.parent.name, "plain")
    assert checkpoint.program == ("v2" if v2 else "v1")
    assert (checkpoint.epoch, checkpoint.batch) == (3, 2)
    assert {name: len(entries) for name, entries in checkpoint.histories.items()} == {
        "train_outputs": 8,
        "test_outputs": 1,
    }
    names = ["data", "labels", "conv1", "conv1_neuron", "fc10", "probs", "logprob"]
    assert [layer.name for layer in checkpoint.layers] == names
    assert checkpoint.layers[-1].inputs == ("labels", "probs")
    assert checkpoint.layers[-1].values["inputLayers"] == ("labels", "probs")
    written = layers(v2)
    for number, layer in enumerate(checkpoint.layers):
        fields = written[layer.name] if v2 else written[number]
        for name, array in layer.arrays.items():
            field, _, index = name.partition("[")
            expected = fields[field][int(index[:-1])] if index else fields[field]
            assert np.array_equal(array.data, expected)
            assert array.order == (
                "either" if 1 in expected.shape else "Fortran" if layer.type == "fc" else "C"
            )
    rate = {"type": "const", "params": {"base": 0.01}} if v2 else 0.01
    assert describe(checkpoint)["layers"][2]["values"]["epsW"] == [rate]


def test_options_are_values():
    options = load_checkpoint(old_pickles.FOLDER / "v1").options
    assert options["gpu"].default == Expression("[-1] * num_gpus")
    assert str(options["gpu"].parser) == "ListOptionParser of IntegerOptionParser"
    assert options["train_range"].value == (1, 2, 3)
    assert (options["mini"].value, options["mini"].given) == (32, True)


def test_nothing_can_be_changed():
    checkpoint = load_checkpoint(old_pickles.FOLDER / "v1")
    with pytest.raises(TypeError):
        checkpoint.layers[2].values["filters"] = 3
    with pytest.raises(ValueError, match="read-only"):
        checkpoint.layers[2].arrays["biases"].data[0] = 1
    with pytest.raises(AttributeError):
        checkpoint.options["mini"].value = 3


def test_the_newest_of_a_directory(tmp_path):
    for name in ("2.9", "2.10", "1.100", "notes.txt", "10", "3.x", "3.1.tmp"):
        epoch, _, batch = name.partition(".")
        state = {"epoch": int(epoch), "batchnum": int(batch)} if batch.isdigit() else {}
        (tmp_path / name).write_bytes(dumps(content(**state)))
    (tmp_path / "9.9").mkdir()
    checkpoint = load_checkpoint(tmp_path)
    assert (checkpoint.path.name, checkpoint.epoch, checkpoint.batch) == ("2.10", 2, 10)


def test_a_directory_without_checkpoints(tmp_path):
    (tmp_path / "net.cfg").write_text("")
    with pytest.raises(
        CheckpointError, match=r"has no checkpoint of cuda-convnet: expected files named EPOCH\.BATCH"
    ):
        load_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="/none: no such file$"):
        load_checkpoint(tmp_path / "none")


def test_a_directory_of_directories_with_checkpoints(tmp_path):
    for name in ("ConvNet__2", "ConvNet__1", "data"):
        (tmp_path / name).mkdir()
    for name in ("ConvNet__1/1.1", "ConvNet__2/1.2", "data/data_batch_1"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(CheckpointError, match="; there are some in ConvNet__1 and ConvNet__2$"):
        load_checkpoint(tmp_path)


def test_fields_of_forks_are_kept(load):
    costs = [({"logprob": [1.5, 0.5]}, 100)]
    found = load(
        dumps(
            content(
                best_test_error=0.25,
                best_test_info="7.1: -0.5%",
                valid_outputs=costs,
                levels=np.int64(3),
                on=None,
            )
        )
    )
    assert dict(found.others) == {
        "best_test_error": 0.25,
        "best_test_info": "7.1: -0.5%",
        "levels": 3,
        "on": None,
    }
    assert found.histories["valid_outputs"][0].costs == {"logprob": (1.5, 0.5)}


def test_dropout_tells_the_fork(load):
    net = layers(v2=False)
    for layer in net:
        layer["dropout"] = 0.5
    assert load(dumps(content(layers=net))).program == "v1+dropout"


def test_an_option_with_more_attributes(load):
    state = content()
    state["op"].attributes["options"]["mini"].attributes["more"] = [1]
    assert load(dumps(state)).options["mini"].others == {"more": (1,)}


def test_a_file_without_options(load):
    state = content()
    del state["op"]
    assert load(dumps(state)).options == {}


def test_names_of_numpy_2(load):
    found = load(dumps(content(count=np.int64(7), more=np.arange(3.0)), "numpy._core"))
    assert found.others["count"] == 7
    assert found.others["more"].data.tolist() == [0, 1, 2]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_files_that_python_3_wrote(load, protocol):
    """Someone may have converted a file: byte strings are bytes there, classes are new ones."""
    state = content()["model_state"]
    state["layers"] = state["layers"] + [{b"name": b"end", b"type": b"softmax", b"inputs": [5]}]
    found = load(pickle.dumps({"model_state": state}, protocol))
    assert [layer.name for layer in found.layers][-2:] == ["logprob", "end"]
    assert found.layers[-1].inputs == ("probs",)
    assert found.layers[4].arrays["weights[0]"].order == "Fortran"
    assert found.layers[4].arrays["weights[0]"].data.shape == (32, 10)


def test_new_style_option_classes(load):
    module = Raw(
        b"ccopy_reg\n_reconstructor\n(coptions\nOptionsParser\nc__builtin__\nobject\nNtR}U\x07options}sb"
    )
    assert load(dumps({**content(), "op": module})).options == {}


def test_an_array_held_twice_is_one(load):
    net = layers(v2=False)
    net[4]["weights"] = net[4]["weights"] * 2
    arrays = load(dumps(content(layers=net))).layers[4].arrays
    assert arrays["weights[0]"] is arrays["weights[1]"]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"epoch": "three"}, "epoch must be an integer, got 'three'"),
        ({"layers": 7}, "layers must be a list or a dictionary, got 7"),
        ({"layers": [{"type": "fc"}]}, "layer 0 has no 'name'"),
        (
            {"layers": [{"name": "a", "type": "fc", "inputs": [4]}]},
            "layer 'a' has the input 4, which is none of the 1 layers",
        ),
        ({"layers": [{"name": "a", "type": "fc", "w": Class("options", "Option")}]}, None),
        (
            {"test_outputs": [(1, 2)]},
            "entry 0 of test_outputs must be a pair of costs by name and a number of cases",
        ),
        (
            {"more": Old("options", "Option", name=1)},
            "'more' is an object of Option: expected a value",
        ),
        ({"more": np.zeros(2, "S3")}, "'more' is an array of |S3: expected numbers"),
    ],
)
def test_what_is_wrong_is_said(load, refused, state, reason):
    data = dumps(content(**state))
    if reason is None:
        assert str(load(data).layers[0].values["w"]) == "Option"
    else:
        assert refused(data) == f"is not a checkpoint of cuda-convnet: {reason}"


def test_cut_at_every_byte(load, refused):
    data = dumps(content(layers=layers(False)[:3], train_outputs=[]))
    load(data)
    for end in range(1, len(data)):
        assert len(refused(data[:end])) > 10
    assert refused(b"") == "is empty"


@pytest.mark.parametrize("name", ["gzip", "zip"])
def test_compressed_and_cut_at_every_byte(refused, name):
    data = (old_pickles.FOLDER / name / "3.2").read_bytes()
    for end in range(1, len(data), 7):
        assert len(refused(data[:end])) > 10


@pytest.mark.slow
def test_any_damage_is_explained(tmp_path, runner):
    """Whatever becomes of the bytes: values that can be shown, or a reason."""
    rng = np.random.default_rng(5)
    good = [
        dumps(content()),
        dumps(content(v2=True)),
        pickle.dumps({"model_state": content()["model_state"]}, 4),
    ]
    path, loaded = tmp_path / "1.1", 0
    for number in range(1500):
        data = bytearray(good[number % 3])
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            data[place] = rng.integers(0, 256)
        path.write_bytes(data)
        done = runner.invoke(inspect, [str(path), *["--json"][: number % 2]])
        loaded += done.exit_code == 0
        assert done.exit_code == 0 or isinstance(done.exception, CheckpointError), done.exception
    assert 100 < loaded < 1400
