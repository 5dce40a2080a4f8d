"""Which images there are in folders of classes, their labels, and their order."""

import numpy as np
import pytest

from convnet_cfg.data.class_folders import find_images
from convnet_cfg.errors import DataError, UsageError


@pytest.fixture
def plant(tmp_path):
    """Make files, empty ones: `plant("train/cat", "a.jpg", "b.jpg")`."""

    def plant(folder, *names):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for name in names:
            (tmp_path / folder / name).write_bytes(name.encode())
        return tmp_path

    return plant


def listed(images):
    return [(image.path.name, image.label) for image in images]


def test_training_and_validation_folders(plant):
    plant("train/dog", "1.jpg", "3.JPEG")
    plant("train/cat", "2.Png", "10.jpeg", "notes.txt", ".4.jpg")
    plant("train/.hidden", "5.jpg")
    plant("val/dog", "a.jpg", "c.jpg")
    source = plant("val/cat", "b.jpg")
    (source / "train" / "readme.jpg").write_text("a file beside the classes")
    tree = find_images(source, None, 0.0, 5)
    assert tree.label_names == ("cat", "dog")
    expected = [("10.jpeg", 0), ("2.Png", 0), ("1.jpg", 1), ("3.JPEG", 1)]
    assert listed(tree.training) == [expected[index] for index in np.random.RandomState(5).permutation(4)]
    assert listed(tree.validation) == [("a.jpg", 1), ("b.jpg", 0), ("c.jpg", 1)]
    assert tree.training[0].path.read_bytes() == tree.training[0].name.encode()
    assert tree.training[0].size == len(tree.training[0].name)


def test_another_folder_to_test_on(plant):
    plant("train/cat", "1.jpg")
    plant("train/dog", "2.jpg")
    plant("val/cat", "3.jpg")
    source = plant("other/dog", "4.jpg")
    assert listed(find_images(source, source / "other", 0.0, 0).validation) == [("4.jpg", 1)]


def test_classes_alone(plant):
    names = [f"{number:02d}.jpg" for number in range(20)]
    plant("cat", *names)
    source = plant("dog", *names)
    tree = find_images(source, None, 0.0, 1)
    assert (len(tree.training), len(tree.validation)) == (40, 0)
    tree = find_images(source, None, 0.25, 1)
    assert (len(tree.training), len(tree.validation)) == (30, 10)
    assert listed(tree.validation) == sorted(listed(tree.validation))
    assert sorted(listed(tree.training) + listed(tree.validation)) == sorted(
        (name, label) for name in names for label in (0, 1)
    )
    assert listed(tree.training) != sorted(listed(tree.training))


def test_the_seed_decides(plant):
    source = plant("cat", *(f"{number}.jpg" for number in range(30)))
    first, same, other = (find_images(source, None, 0.5, seed) for seed in (1, 1, 2))
    assert first == same
    assert first.digest == same.digest
    assert set(listed(first.validation)) != set(listed(other.validation))
    assert first.digest != other.digest
    (source / "cat" / "7.jpg").write_bytes(b"another size")
    assert find_images(source, None, 0.5, 1).digest != first.digest


@pytest.mark.parametrize(
    ("planted", "options", "expected"),
    [
        ([], {}, "{}: has no folders, expected one for each class of images"),
        (["train/cat/1.jpg", "train/dog/x.txt"], {}, "{}/train/dog: has no images (.jpg, .jpeg, .png)"),
        (
            ["train/cat/1.jpg", "val/cats/1.jpg"],
            {},
            "{}/val/cats: {}/train has no such class (did you mean 'cat'?)",
        ),
        (
            ["train/cat/1.jpg", "val/1.jpg"],
            {},
            "{}/val: has no folders, expected one for each class of images; val cannot be a class itself",
        ),
        (
            ["train/1.jpg", "val/1.jpg"],
            {},
            "{}/train: has no folders, expected one for each class of images; train cannot be a class itself",
        ),
        (["cat/1.jpg", "val/1.jpg"], {}, "{}/train: no such folder"),
        (["cat/1.jpg"], {"validation": "val"}, "{}/val: no such folder"),
        (["cat/1.jpg", "val"], {"validation": "val"}, "{}/val: is not a folder"),
    ],
)
def test_folders_that_are_not_as_they_should_be(plant, tmp_path, planted, options, expected):
    for path in planted:
        folder, _, name = path.rpartition("/")
        plant(folder or ".", name)
    validation = tmp_path / options["validation"] if options else None
    with pytest.raises(DataError) as error:
        find_images(tmp_path, validation, 0.0, 0)
    assert str(error.value) == expected.replace("{}", str(tmp_path))


def test_no_folder(tmp_path):
    with pytest.raises(DataError, match="/nowhere: no such folder$"):
        find_images(tmp_path / "nowhere", None, 0.0, 0)


@pytest.mark.parametrize(
    ("held_out", "validation", "expected"),
    [
        (0.1, True, "no part of the images can be held out: those to test on are in"),
        (0.01, False, "0.01 of 3 images cannot be held out"),
        (0.9, False, "0.9 of 3 images cannot be held out"),
    ],
)
def test_what_cannot_be_held_out(plant, held_out, validation, expected):
    source = plant("cat", "1.jpg", "2.jpg", "3.jpg")
    with pytest.raises(UsageError) as error:
        find_images(source, source if validation else None, held_out, 0)
    assert str(error.value).startswith(expected)
