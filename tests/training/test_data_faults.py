"""What is wrong with data or with a provider of one's own: which error, what it says, what is saved."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from tiny_runs import (
    assert_same_run,
    fails,
    flat_options,
    log,
    newest,
    options,
    resume,
    start,
    train,
    write_batch,
)

from convnet_cfg.data import DataProvider, ImageProvider
from convnet_cfg.errors import DataError, UsageError
from convnet_cfg.training.arrays import deliver_test, deliver_training
from convnet_cfg.training.setup import prepare

# -- data


@pytest.mark.parametrize(
    ("number", "epochs"), [(3, 2), pytest.param(4, 1, id="of the test, which is made up for")]
)
def test_a_truncated_batch(pair, own_data, number, epochs):
    """What was trained before is saved, and going on with the whole file loses nothing."""
    path = own_data / f"data_batch_{number}"
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])
    session = start(pair, options(own_data, epochs=epochs))
    assert path.name in fails(session, DataError)
    run = session.run_directory.path
    assert newest(run).name == "1.2.safetensors"
    path.write_bytes(whole)
    again = train(resume(run))
    assert_same_run(again, train(start(pair, options(own_data, epochs=epochs), name="others")))


def test_a_batch_that_vanishes(flat_pair, own_data):
    session = start(flat_pair, flat_options(own_data))
    (own_data / "data_batch_2").unlink()
    assert "data_batch_2" in fails(session, DataError)


def test_a_missing_batch(flat_pair, own_data):
    with pytest.raises(DataError, match="batches 6 and 7 missing; there are 1, 2, 3, 4 and 5"):
        start(flat_pair, flat_options(own_data, train_range=(1, 6, 7)))


def test_another_image_size(flat_pair, own_data):
    write_batch(own_data / "data_batch_2", 2, side=6)
    message = fails(start(flat_pair, flat_options(own_data)), DataError)
    assert "data has shape (108, 40), expected (192, 40)" in message


def test_a_label_out_of_range(flat_pair, own_data):
    content = pickle.loads((own_data / "data_batch_1").read_bytes())
    content["labels"][7] = 10
    (own_data / "data_batch_1").write_bytes(pickle.dumps(content, protocol=2))
    message = fails(start(flat_pair, flat_options(own_data)), DataError)
    assert "the label of case 7 is 10, expected a whole number from 0 to 9" in message


# -- providers of one's own


class Stripes(DataProvider):
    shapes = ((8, 8, 3), (1,))
    num_classes = 10
    numbers = (1, 2)
    delivered = (np.zeros((4, 8, 8, 3), np.uint8), np.arange(4, dtype=np.int32))

    def test_arrays(self, number):
        return self.delivered


class Shapeless(DataProvider):
    num_classes = 10


class Fussy(DataProvider):
    def __init__(self):
        raise RuntimeError("not today")


class OwnPreparation(Stripes):
    def prepare_training(self, arrays):
        return super().prepare_training(arrays)

    def prepare_test(self, arrays, view=None):
        return super().prepare_test(arrays, view)


class Failing(Stripes):
    def test_arrays(self, number):
        if number == 2:
            raise KeyError("lost")
        return self.delivered


def stripes(name="Stripes", train_range=(1,)):
    return flat_options(
        None,
        data_provider=f"{__name__}.{name}",
        data_path=None,
        epochs=1,
        train_range=train_range,
        test_range=(2,),
    )


def prepared(folder, chosen):
    return prepare(folder / "net.cfg", folder / "net.params.cfg", chosen)


def test_a_provider_of_ones_own(flat_pair):
    assert len(log(train(start(flat_pair, stripes())))) == 1


@pytest.mark.parametrize(
    ("delivered", "message"),
    [
        (None, "batch 1 must be arrays, got NoneType"),
        (([1, 2], [3, 4]), "batch 1 must be arrays of numbers, got list"),
        ((np.array(["a"]),), "batch 1 must be arrays of numbers, got <U1 (1,)"),
        ((np.zeros((4, 192)), np.zeros(5)), "batch 1 must have as many cases in each array, got 4 and 5"),
        ((np.zeros((0, 192)), np.zeros(0)), "batch 1 must have as many cases in each array, got 0 and 0"),
        ((np.zeros((4, 192)),), "batch 1 has 1 arrays, expected 2"),
        ((np.zeros((4, 190)), np.zeros(4)), "batch 1: an array has shape (4, 190), expected (4, *(8, 8, 3))"),
        ((np.zeros((4, 192)), np.array([0, 1, 10, 3])), "the label of case 2 is 10, expected a whole number"),
        ((np.zeros((4, 192)), np.array([0, -1, 1, 3])), "the label of case 1 is -1, expected a whole number"),
    ],
)
def test_what_a_provider_must_not_deliver(flat_pair, monkeypatch, delivered, message):
    monkeypatch.setattr(Stripes, "delivered", delivered)
    assert message in fails(start(flat_pair, stripes()), DataError)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Shapeless", "does not say its shapes"),
        ("Fussy", "cannot be opened: RuntimeError: not today"),
        ("Missing", "cannot import"),
    ],
)
def test_what_is_no_provider(flat_pair, name, message):
    with pytest.raises(UsageError, match=message):
        prepared(flat_pair, stripes(name))


@pytest.mark.parametrize(
    "shapes",
    [8, (), (8, 1), ((8, 8), (1,)), ((8, 9, 3), (1,)), ((0,), (1,)), ((192.0,), (1,)), ("192", "1"), "ab"],
    ids=str,
)
def test_shapes_that_are_none(flat_pair, monkeypatch, shapes):
    monkeypatch.setattr(Stripes, "shapes", shapes)
    with pytest.raises(
        UsageError, match=r"each of its shapes must be \(n,\) or \(side, side, channels\), got"
    ):
        prepared(flat_pair, stripes())


@pytest.mark.parametrize("classes", ["ten", 0, None])
def test_a_number_of_classes_that_is_none(flat_pair, monkeypatch, classes):
    monkeypatch.setattr(Stripes, "num_classes", classes)
    with pytest.raises(UsageError, match="num_classes must be an integer >= 1, got"):
        prepared(flat_pair, stripes())


def found_at(found, number=1):
    """Return what a batch is had from."""
    return found.network, found.provider, number


@pytest.mark.parametrize("labels", [np.array([0, 1, 10, 3]), np.array([[0], [1], [10], [3]], np.uint8)])
def test_labels_of_a_provider_with_its_own_preparation(flat_pair, monkeypatch, labels):
    found = prepared(flat_pair, stripes("OwnPreparation"))
    monkeypatch.setattr(Stripes, "delivered", (np.zeros((4, 192)), labels))
    for deliver in (lambda: deliver_training(*found_at(found), None), lambda: deliver_test(*found_at(found))):
        with pytest.raises(DataError, match="OwnPreparation: batch 1: the label of case 2 is"):
            deliver()


@pytest.mark.parametrize("others", [(np.full(4, 10.0),), (np.full((4, 2), 10),), ()])
def test_what_may_be_no_labels_is_left_to_its_own_preparation(flat_pair, monkeypatch, others):
    found = prepared(flat_pair, stripes("OwnPreparation"))
    delivered = (np.zeros((4, 192)), *others)
    monkeypatch.setattr(Stripes, "delivered", delivered)
    assert deliver_training(*found_at(found), None) is deliver_test(*found_at(found)) is delivered


def test_a_provider_of_ones_own_that_fails(flat_pair):
    session = start(flat_pair, stripes("Failing", (1, 2)))
    assert fails(session, DataError) == "data provider Failing: batch 2 cannot be had: KeyError: 'lost'"
    assert newest(session.run_directory.path).name == "1.1.safetensors"


def test_a_fault_of_our_own_providers_stays_one(flat_pair, data, monkeypatch):
    def fail(self, number):
        raise RuntimeError("ours")

    monkeypatch.setattr(ImageProvider, "test_arrays", fail)
    with pytest.raises(RuntimeError, match="ours"):
        deliver_test(*found_at(prepared(flat_pair, flat_options(data))))
