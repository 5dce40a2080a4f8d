import json
import re
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from convnet_cfg.data import (
    REGISTRY,
    DataProvider,
    needs_path,
    open_provider,
    read_options,
    register,
    takes_path,
)
from convnet_cfg.errors import DataError, UsageError

LIST = """
  cifar            images of a batch directory, mean subtracted; with an inner size, crops
  cifar-cropped    the same in crops: random ones and flips to train, the centre or 10 views to test
  image            batches of JPEG strings: random crops and flips to train, the centre or 10 views to test
  digits           scikit-learn's 8 x 8 digits: batches 1-3 to train, 4 to test; needs no data path
  ring             16 shapes in 12 positions on a ring of pixels: batch 1 to train, 2 to test; \
needs no data path
  dummy-cn-n       512 random cases of n values, labels 0 to 9; needs no data path
  dummy-labeled-n  7 random cases of n values, always the same; needs no data path
  module.Class     a DataProvider class of your own"""


def usage_error(*arguments, **options):
    with pytest.raises(UsageError) as error:
        open_provider(*arguments, **options)
    assert error.value.exit_code == 2
    return str(error.value)


@pytest.fixture
def empty_place():
    """Take away what a test registers."""
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("ciffar", " (did you mean 'cifar'?)"),
        ("cifar-croped", " (did you mean 'cifar-cropped'?)"),
        ("dummy-cm-192", " (did you mean 'dummy-cn-n'?)"),
        ("dummy-cn", " (did you mean 'dummy-cn-n'?)"),
        ("dummy-labelled-192", " (did you mean 'dummy-labeled-n'?)"),
        ("dummy-cn-0", " (did you mean 'dummy-cn-n'?)"),
        ("labeled-memory", ""),
        ("", ""),
    ],
)
def test_unknown_name(name, guess):
    assert usage_error(name) == f"no data provider {name!r}{guess}; there are{LIST}"


@pytest.mark.parametrize("name", ["cifar", "cifar-cropped", "image"])
def test_no_path(name):
    assert usage_error(name) == f"data provider {name!r} needs a data path"


def test_unknown_option(tmp_path):
    assert usage_error("cifar-cropped", tmp_path, crop_boarder=4) == (
        "data provider 'cifar-cropped' takes crop_border, test_views, "
        "not 'crop_boarder' (did you mean 'crop_border'?)"
    )
    assert usage_error("cifar", tmp_path, crop_border=4) == (
        "data provider 'cifar' takes inner_size, scalar_mean, test_views, not 'crop_border'"
    )
    assert usage_error("digits", inner_size=4) == (
        "data provider 'digits' takes no options, not 'inner_size'"
    )


OPTIONS = """
from convnet_cfg.data import DataProvider

class Own(DataProvider):
    def __init__(self, path=None, *, noise=0.1, cases=3, flip=False, kind="plain", other=None, needed):
        self.given = noise, cases, flip, kind, other, needed

class Pathless(DataProvider):
    def __init__(self, *, noise=0.1):
        self.noise = noise

class Needing(DataProvider):
    def __init__(self, path, *, noise=0.1):
        self.noise = noise
"""


@pytest.fixture
def own_options(tmp_path, monkeypatch):
    """Return the name of a provider with options of every kind."""
    (tmp_path / "options_of_ours.py").write_text(OPTIONS)
    monkeypatch.chdir(tmp_path)
    return "options_of_ours.Own"


def test_options_are_read_by_their_defaults(own_options):
    given = ["noise=1", "cases=7", "flip=yes", "kind=1", "other=2", "needed=0.5"]
    expected = {"noise": 1.0, "cases": 7, "flip": True, "kind": "1", "other": 2, "needed": 0.5}
    found = read_options(own_options, given)
    assert found == expected
    assert [type(value) for value in found.values()] == [type(value) for value in expected.values()]
    assert open_provider(own_options, None, **found).given == tuple(expected.values())
    assert read_options(own_options, ["other=a=b", "needed=x", "noise=2", "noise=3"]) == {
        "other": "a=b",
        "needed": "x",
        "noise": 3.0,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("noise", "an option of a data provider must be NAME=VALUE, got 'noise'"),
        ("nois=1", "takes noise, cases, flip, kind, other, needed, not 'nois' (did you mean 'noise'?)"),
        ("path=x", "not 'path'"),
        ("noise=loud", "data provider 'options_of_ours.Own': noise must be a number, got 'loud'"),
        ("noise=nan", "noise must be a number, got 'nan'"),
        ("cases=1.5", "cases must be an integer, got '1.5'"),
        ("flip=2", "flip must be 1, yes, true, on, 0, no, false or off, got '2'"),
    ],
)
def test_options_that_cannot_be_read(own_options, text, message):
    with pytest.raises(UsageError) as error:
        read_options(own_options, [text])
    assert message in str(error.value)


def test_who_needs_a_path(own_options):
    needed = {name: needs_path(name) for name in ("cifar", "cifar-cropped", "digits", "dummy-cn-9")}
    assert needed == {"cifar": True, "cifar-cropped": True, "digits": False, "dummy-cn-9": False}
    assert [takes_path(name) for name in needed] == [True, True, False, False]
    own = [own_options, "options_of_ours.Pathless", "options_of_ours.Needing"]
    assert [takes_path(name) for name in own] == [True, False, True]
    assert [needs_path(name) for name in own] == [False, False, True]
    assert open_provider("options_of_ours.Pathless", "/somewhere").noise == 0.1


class LegacyDraws:
    """The Generator calls of the dummy provider, answered by numpy's legacy generator as the original did."""

    def __init__(self):
        self.state = np.random.RandomState(5)

    def random(self, shape, dtype):
        return self.state.rand(*shape).astype(dtype)

    def integers(self, low, high, shape, dtype):
        return self.state.randint(low, high, shape).astype(dtype)


def test_dummy_as_the_original(tiny):
    provider = open_provider("dummy-cn-192")
    assert provider.shapes == ((192,), (1,))
    assert provider.num_classes == 10
    matrices = provider.prepare_training(provider.training_arrays(1, LegacyDraws()))
    expected = json.loads((tiny / "providers-v1.json").read_text())["dummy-cn-192, numpy legacy seed 5"][2]
    assert_same(matrices, expected)


def test_repeated_cases_as_the_second_original(tiny):
    provider = open_provider("dummy-labeled-192")
    assert provider.shapes == ((192,), (1,))
    assert provider.num_classes == 10
    matrices = provider.prepare_training(provider.draw(LegacyDraws()))
    expected = json.loads((tiny / "providers-v2.json").read_text())[
        "v2 dummy-labeled-192, numpy legacy seed 5"
    ]
    assert_same(matrices, expected[2])


def test_repeated_cases_are_always_the_same():
    first, other = (open_provider("dummy-labeled-12", "ignored") for _ in range(2))
    first.check_range(range(100))
    arrays = first.training_arrays(3, np.random.default_rng(7))
    for again in (first.test_arrays(1), other.training_arrays(2, np.random.default_rng(8))):
        for array, same in zip(arrays, again, strict=True):
            assert np.array_equal(array, same)


def assert_same(matrices, expected):
    """Compare (cases, values) matrices with the original's (values, cases): shape, sums, elements."""
    for matrix, part in zip(matrices, expected, strict=True):
        matrix = np.asarray(matrix).T
        assert list(matrix.shape) == part["shape"]
        assert matrix.sum(dtype=np.float64) == pytest.approx(part["sum"], rel=1e-12)
        for place, value in part["elements"]:
            assert matrix[tuple(place)] == np.float32(value)


def test_dummy_batches():
    provider = open_provider("dummy-cn-12", "ignored")
    provider.check_range(range(100))
    first, again = (provider.training_arrays(1, np.random.default_rng(7))[0] for _ in range(2))
    assert np.array_equal(first, again)
    assert first.dtype == np.float32
    values, labels = provider.test_arrays(3)
    assert np.array_equal(values, provider.test_arrays(3)[0])
    assert not np.array_equal(values, provider.test_arrays(4)[0])
    assert (values.min() >= 0, values.max() < 1, set(labels.tolist())) == (True, True, set(range(10)))


def test_the_example_in_the_documentation(tmp_path, monkeypatch, empty_place):
    """The code of DataProvider's docstring, saved as a module in the working directory."""
    example = re.search(r"        import numpy.*?return images.*?\n", DataProvider.__doc__, re.DOTALL)
    (tmp_path / "stripes_example.py").write_text(textwrap.dedent(example[0]))
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    provider = open_provider("stripes_example.Stripes", noise=0.0)
    assert sys.path == before
    provider.check_range([1, 4])
    with pytest.raises(DataError, match="^Stripes: batch 5 missing; there are 1, 2, 3 and 4$"):
        provider.check_range([5])
    images, labels = provider.prepare_training(provider.training_arrays(1, np.random.default_rng(0)))
    assert (images.shape, labels.shape) == ((100, 8, 8, 1), (100, 1))
    assert images.dtype == labels.dtype == "float32"
    rows = images.numpy()[:, 0, :, 0].mean(axis=1)
    assert np.array_equal(rows, np.where(labels[:, 0] == 0, 1.0, 0.5))
    register("stripes", "rows or columns")(type(provider))
    assert open_provider("stripes", noise=0.5).noise == 0.5
    assert usage_error("stripes", nois=1) == (
        "data provider 'stripes' takes noise, not 'nois' (did you mean 'noise'?)"
    )


def test_prepare_test_reshapes_too():
    class Flat(DataProvider):
        shapes = ((2, 2, 1),)

    (images,) = Flat().prepare_test((np.arange(8).reshape(2, 4),))
    assert images.numpy().tolist() == [[[[0], [1]], [[2], [3]]], [[[4], [5]], [[6], [7]]]]
    with pytest.raises(NotImplementedError, match="Flat must define test_arrays"):
        Flat().training_arrays(1, np.random.default_rng(0))


def test_a_registered_function(empty_place):
    @register("mine", "a provider of my own")
    def mine(path, *, size=1):
        return open_provider(f"dummy-cn-{size}")

    assert open_provider("mine", size=5).shapes == ((5,), (1,))
    with pytest.raises(ValueError, match="^there is already a data provider 'mine'$"):
        register("mine", "again")(mine)
    register("wrong", "not a provider")(lambda path: 3)
    assert usage_error("wrong") == "data provider 'wrong' made a int, not a DataProvider"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "no_such_module.Mine",
            "cannot import data provider 'no_such_module.Mine': "
            "ModuleNotFoundError: No module named 'no_such_module'",
        ),
        (
            "convnet_cfg.errors.Mine",
            "cannot import data provider 'convnet_cfg.errors.Mine': "
            "AttributeError: module 'convnet_cfg.errors' has no attribute 'Mine'",
        ),
        ("os.system", "'os.system' is not a subclass of convnet_cfg.data.DataProvider"),
        (
            "convnet_cfg.errors.DataError",
            "'convnet_cfg.errors.DataError' is not a subclass of convnet_cfg.data.DataProvider",
        ),
        (".Mine", "cannot import data provider '.Mine': ValueError: Empty module name"),
    ],
)
def test_own_class_that_cannot_be_had(name, expected):
    assert usage_error(name) == expected


def test_own_module_with_a_fault(tmp_path, monkeypatch):
    (tmp_path / "faulty_example.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    assert usage_error("faulty_example.Mine") == (
        "cannot import data provider 'faulty_example.Mine': ZeroDivisionError: division by zero"
    )


def test_digits_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    assert usage_error("digits") == (
        "data provider 'digits' needs scikit-learn: pip install 'convnet-cfg[demo]'"
    )


def test_tensorflow_is_not_imported_for_data_alone(make_folder):
    code = f"""
    import sys, numpy
    from convnet_cfg.data import open_provider
    provider = open_provider("cifar-cropped", {str(make_folder())!r})
    provider.check_range([1])
    provider.training_arrays(1, numpy.random.default_rng(0))
    assert provider.mean.shape == (4, 4, 3)
    assert not {{"tensorflow", "keras", "sklearn"}} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
