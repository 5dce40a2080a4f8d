"""The pair that cuda-convnet came with as an example: conv, local, groups, randSparse, rnorm and cnorm."""

import json

import pytest

from convnet_cfg.zoo import find_layers

pytestmark = pytest.mark.slow  # 88 million weights


def train(convnet, tmp_path, layers, params):
    options = (
        "--data-provider=dummy-cn-3072",
        "--train-range=1",
        "--test-range=1",
        "--epochs=1",
        "--mini=128",
    )
    convnet("train", layers, params, *options)
    (run,) = (tmp_path / "runs").iterdir()
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    ((cost, error),) = lines[0]["costs"].values()
    # Ten classes drawn by lot: a network that has hardly learned expects each with 1/10.
    assert cost == pytest.approx(2.3026, abs=0.02)
    assert 0.8 < error < 1
    assert lines[0]["cases"] == 512


def test_our_definition_trains(convnet, tmp_path):
    train(convnet, tmp_path, *find_layers("example"))


def test_the_original_files_train(convnet, tmp_path, corpus):
    pair = corpus / "pairs" / "dnouri--cuda-convnet--layers-example-c3b1c6"
    train(convnet, tmp_path, pair / "layers.cfg", pair / "params.cfg")
