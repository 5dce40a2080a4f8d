"""`convnet test`: what it needs of a run and its data, and that it leaves both alone."""

import shutil

import pytest


@pytest.fixture
def trained(train, the_run):
    train()
    return the_run()


def result(printed):
    """Return the costs that were printed, without the seconds."""
    return next(line.partition("(")[0] for line in printed.splitlines() if line.startswith("final test"))


def test_only_the_test_batches_have_to_be_there(convnet, trained, data, tmp_path):
    expected = result(convnet("test", trained).stdout)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("batches.meta", "data_batch_4", "data_batch_5"):
        shutil.copy(data / name, elsewhere)
    assert result(convnet("test", trained, "--data-path", elsewhere).stdout) == expected
    message = convnet("test", trained, "--data-path", elsewhere, "--test-range=3", code=4).stderr
    assert "batch 3 missing" in message
    assert (
        "batches 1, 2 and 3 missing"
        in convnet("train", "-f", trained, "--data-path", elsewhere, code=4).stderr
    )


@pytest.mark.parametrize("command", [("test",), ("train", "--test-only", "--test-one=0", "-f")])
def test_the_run_has_its_own_parameters(convnet, trained, tmp_path, command):
    """The file that the run began with may be at work for another one by now."""
    expected = result(convnet("test", trained).stdout)
    params = tmp_path / "net.params.cfg"
    params.write_text(params.read_text().replace("dropout=0.5", "dropout=0.9"))
    assert result(convnet(*command, trained).stdout) == expected
    changed = convnet("train", "-f", trained, "--epochs=2").stdout
    assert "2.3  logprob" in changed
    assert result(convnet("test", trained).stdout) != expected


def test_several_views_of_a_provider_that_has_one(convnet, train, the_run):
    """The message names no option of another command."""
    train("--data-provider=cifar", "--crop-border=0")
    message = convnet("test", the_run(), "--multiview", code=2).stderr
    assert message == ("data provider 'cifar' has one view of each case only, unless it has an inner size\n")


def test_nothing_in_the_run_changes(convnet, trained):
    before = {path.name: path.read_bytes() for path in trained.iterdir()}
    convnet("test", trained, "--multiview", "--test-range=5")
    assert {path.name: path.read_bytes() for path in trained.iterdir()} == before
