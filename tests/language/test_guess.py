"""Sizes of the data, guessed from the layers."""

import pytest

from convnet_cfg.language import guess_dims, read_pair

LABELS = """
[labels]
type=data
dataIdx=1
[probs]
type=softmax
inputs=fc
[cost]
type=cost.logreg
inputs=labels,probs
"""


@pytest.fixture
def guess(tmp_path):
    def guess(text):
        path = tmp_path / "net.cfg"
        path.write_text("[data]\ntype=data\ndataIdx=0\n" + text)
        return guess_dims(read_pair(path))

    return guess


def conv(channels, **keys):
    keys = {"stride": 1, "filterSize": 5, "partialSum": 0, **keys}
    lines = "".join(f"{key}={value}\n" for key, value in keys.items())
    return f"""
[conv]
type=conv
inputs=data
channels={channels}
filters=16
initW=0.1
{lines}
[fc]
type=fc
inputs=conv
outputs=10
initW=0.1
"""


@pytest.mark.parametrize(
    ("text", "dims", "reason"),
    [
        (conv(3), (3072, 1), "3 channels of 32 x 32"),
        (conv(1), (1024, 1), "1 channel of 32 x 32"),
        (conv(3, stride=4), (150528, 1), "3 channels of 224 x 224"),
        # a filter at 20 x 20 positions: 400 is the first square that 25 divides ... of the usual sides
        (conv(3, partialSum=25), (1728, 1), "3 channels of 24 x 24"),
        # 197 is a prime: only 201 x 201 pixels have 197 x 197 positions
        (conv(3, partialSum=197), (3 * 201**2, 1), "3 channels of 201 x 201"),
        ("[fc]\ntype=fc\ninputs=data\noutputs=10\ninitW=0.1", (3072, 1), "any size will do for 'data'"),
    ],
)
def test_images_and_labels(guess, text, dims, reason):
    found = guess(text + LABELS)
    assert found.fits
    assert found.dims == dims
    assert str(found) == f"--data-dims was not given: assumed {dims[0]},{dims[1]} ({reason})"


def test_targets_have_the_size_of_what_they_are_compared_with(guess):
    found = guess(
        conv(3)
        + """
[targets]
type=data
dataIdx=2
[difference]
type=eltsum
inputs=targets,fc
coeffs=1,-1
[cost]
type=cost.sum2
inputs=difference
"""
    )
    assert found.fits
    assert found.dims == (3072, 1, 10)
    assert found.reasons == ("3 channels of 32 x 32", "'targets' has the size of 'fc'")


def test_where_nothing_fits_it_says_so(guess):
    found = guess(conv(3, filterSize=999) + LABELS)
    assert not found.fits
    assert str(found) == (
        "--data-dims was not given, and no usual size is accepted: "
        "the problems are those with 3072,1 (3 channels of 32 x 32)"
    )


def test_values_of_a_case_are_no_images(guess):
    found = guess("[gate]\ntype=data\ndataIdx=1\n[cost]\ntype=cost.gsum2\ninputs=gate,data\n")
    assert found.fits
    assert found.dims == (3072, 1)


def test_a_problem_that_no_size_solves_leaves_the_likeliest(guess):
    found = guess(conv(3) + LABELS + "[unread]\ntype=softmax\ninputs=fc\n")
    assert not found.fits
    assert found.dims == (3072, 1)
