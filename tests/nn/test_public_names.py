import inspect

import keras

from convnet_cfg import nn


def test_all_is_sorted_and_complete():
    assert nn.__all__ == sorted(nn.__all__)
    public = {
        name for name, value in vars(nn).items() if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert set(nn.__all__) == public


def test_every_public_name_is_documented():
    for name in nn.__all__:
        if name != "ACTIVATIONS":
            assert inspect.getdoc(getattr(nn, name)), name


def test_layers_keep_the_precision_asked_for():
    x = keras.ops.ones((2, 4, 4, 4), "float64")
    layers = [
        nn.Activation("relu", dtype="float64"),
        nn.MaxPool2D(2, 2, dtype="float64"),
        nn.AveragePool2D(3, 2, -1, dtype="float64"),
        nn.ResponseNorm2D(3, 0.1, 0.75, dtype="float64"),
        nn.ContrastNorm2D(3, 0.1, 0.75, dtype="float64"),
        nn.CrossMapNorm(3, 0.1, 0.75, dtype="float64"),
        nn.GaussianBlur(3, 1.0, dtype="float64"),
        nn.MaskDropout(0.5, dtype="float64"),
        nn.Conv2D(4, [nn.Window(3, 1, 1, 4)], 4, dtype="float64"),
        nn.Local2D(4, [nn.Window(3, 1, 1, 4)], 4, dtype="float64"),
    ]
    assert {layer(x).dtype.name for layer in layers} == {"float64"}
