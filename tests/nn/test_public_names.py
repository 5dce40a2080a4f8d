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
        if not name.isupper():
            assert inspect.getdoc(getattr(nn, name)), name


def test_layers_keep_the_precision_asked_for():
    x = keras.ops.ones((2, 4, 4, 4), "float64")
    layers = [
        nn.Activation("relu", dtype="float64"),
        nn.RandomActivation("nrelu", dtype="float64"),
        nn.RandomActivation("softlifalpha", (0.1, 0.1, 2.0, 1.0, 1.0, 0.5), dtype="float64"),
        nn.MaxPool2D(2, 2, dtype="float64"),
        nn.MaxAbsPool2D(2, 2, dtype="float64"),
        nn.AveragePool2D(3, 2, -1, dtype="float64"),
        nn.CrossMapMaxPool(2, 2, 0, 2, dtype="float64"),
        nn.ResponseNorm2D(3, 0.1, 0.75, dtype="float64"),
        nn.ContrastNorm2D(3, 0.1, 0.75, dtype="float64"),
        nn.CrossMapNorm(3, 0.1, 0.75, dtype="float64"),
        nn.GaussianBlur(3, 1.0, dtype="float64"),
        nn.BilinearResize(1.5, dtype="float64"),
        nn.RandomScale(1.5, 3, dtype="float64"),
        nn.HorizontalFlip(dtype="float64"),
        nn.Crop2D(1, 0, 2, dtype="float64"),
        nn.MaskDropout(0.5, dtype="float64"),
        nn.InvertedDropout(0.5, dtype="float64"),
        nn.PixelDense(2, 2, dtype="float64"),
        nn.Scaling(dtype="float64"),
        nn.LogSoftmax(dtype="float64"),
        nn.Conv2D(4, [nn.Window(3, 1, 1, 4)], 4, dtype="float64"),
        nn.Local2D(4, [nn.Window(3, 1, 1, 4)], 4, dtype="float64"),
    ]
    vector_layers = [
        nn.BlockDense(2, 2, dtype="float64"),
        nn.ConditionalProbability(2, dtype="float64"),
        nn.DropoutDense(2, 0.5, dtype="float64"),
        nn.DropConnectDense(2, 0.5, dtype="float64"),
        nn.DropConnectDense(2, 0.5, True, dtype="float64"),
        nn.FixedCountDropout(0.5, dtype="float64"),
    ]
    for training in (False, True):
        for layer in layers:
            assert layer(x, **training_of(layer, training)).dtype.name == "float64", layer
        for layer in vector_layers:
            assert layer(x[:, 0, 0], **training_of(layer, training)).dtype.name == "float64", layer


def training_of(layer, training):
    """Return `training` as an argument if the layer has it."""
    return {"training": training} if "training" in inspect.signature(layer.call).parameters else {}
