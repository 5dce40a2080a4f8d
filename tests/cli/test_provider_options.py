"""The options of data providers on the command line: taken, recorded, changed, refused."""

from __future__ import annotations

import pytest
from tiny_runs import record


def provider_options(run):
    return record(run)["options"]["provider_options"]


def test_the_inner_size_of_cuda_convnet2(train, convnet, the_run):
    train("--data-provider=cifar", "--crop-border=1", "--inner-size=6", "--scalar-mean", "-2.5")
    assert provider_options(the_run()) == {"inner_size": 6, "scalar_mean": -2.5}
    assert "9 views" in convnet("test", the_run(), "--multiview").stdout
    assert "9 views" not in convnet("test", the_run(), "--scalar-mean=0").stdout
    assert provider_options(the_run()) == {"inner_size": 6, "scalar_mean": -2.5}
    convnet("train", "-f", the_run(), "--epochs=2", "--scalar-mean=0", "--multiview-test=1")
    assert provider_options(the_run()) == {"inner_size": 6, "scalar_mean": 0, "test_views": 9}


def test_another_provider_takes_over_what_it_knows(train, convnet, the_run):
    train("--data-provider=cifar", "--inner-size=6")
    convnet("train", "-f", the_run(), "--epochs=2", "--data-provider=cifar-cropped", "--crop-border=1")
    assert provider_options(the_run()) == {"crop_border": 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--inner-size=6"], "data provider 'cifar-cropped' takes crop_border, test_views, not 'inner_size'"),
        (["--color-noise=0.1"], "'cifar-cropped' takes crop_border, test_views, not 'color_noise'"),
        (["--scalar-mean=0"], "'cifar-cropped' takes crop_border, test_views, not 'scalar_mean'"),
        (["--data-provider=cifar", "--inner-size=9"], "inner size must be from 0 to 8 for images of 8 x 8"),
        (["--data-provider=cifar", "--color-noise=1"], "test_views, not 'color_noise'"),
        (["--inner-size=-1"], "-1 is not in the range x>=0"),
        (["--color-noise=-1"], "expected a number >= 0, got '-1'"),
        (["--scalar-mean=nan"], "expected a number, got 'nan'"),
    ],
)
def test_options_that_do_not_fit(train, arguments, message):
    assert message in " ".join(train(*arguments, code=2).stderr.split())


def test_a_beginning_of_an_option(train, the_run):
    train("--data-provider=cifar", "--inner=6")
    assert provider_options(the_run()) == {"inner_size": 6}
