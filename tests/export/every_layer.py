"""One model with every layer of convnet_cfg.nn, many in several forms, each with an output of its own."""

from __future__ import annotations

import keras
import numpy as np

from convnet_cfg import nn
from convnet_cfg.export.inference import Inference, ports
from convnet_cfg.nn.activations import PARAMETER_COUNTS

IMAGE, VECTOR, PIXELS = (9, 9, 8), (12,), (5, 6)
Window = nn.Window

# Layers by name, each with the shapes of its inputs.
ON_IMAGES = {
    "average_pool": nn.AveragePool2D(3, 2),
    "sum_pool": nn.AveragePool2D(3, 2, divisor="none"),
    "nominal_pool": nn.AveragePool2D(3, 2, start=-1, divisor="nominal"),
    "max_pool": nn.MaxPool2D(3, 2, start=-1),
    "max_abs_pool": nn.MaxAbsPool2D(3, 2),
    "channel_pool": nn.CrossMapMaxPool(3, 2, -1, 4),
    "resize": nn.BilinearResize(1.3),
    "random_scale": nn.RandomScale(1.5, 6, seed=1),
    "centre_of_random_scale": nn.RandomScale(1.5, 6, seed=1, crops=True),
    "blur": nn.GaussianBlur(3, 0.8),
    "flip": nn.HorizontalFlip(),
    "crop": nn.Crop2D(1, 2, 5),
    "nailbed": nn.Nailbed(2),
    "rnorm": nn.ResponseNorm2D(3, 0.2, 0.75),
    "rnorm_of_any_power": nn.ResponseNorm2D(4, 0.2, 0.6, 2.0),
    "cnorm": nn.ContrastNorm2D(3, 0.2, 0.5),
    "nominal_cnorm": nn.ContrastNorm2D(3, 0.2, 0.75, divisor="nominal"),
    "cmrnorm": nn.CrossMapNorm(5, 0.2, 0.75),
    "blocked_cmrnorm": nn.CrossMapNorm(3, 0.2, 0.5, blocked=True),
    "conv": nn.Conv2D(6, [Window(3, 2, 1, 8)], 5),
    "conv_with_own_biases": nn.Conv2D(6, [Window(3, 1, 0, 8)], 7, shared_bias=False),
    "conv_in_groups": nn.Conv2D(6, [Window(3, 1, 1, 8, 2)], 9),
    "conv_of_pixels_in_groups": nn.Conv2D(6, [Window(1, 1, 0, 8, 2)], 9),
    "sparse_conv": nn.Conv2D(6, [Window(3, 1, 1, 8, 2, 3, (0, 5, 2, 7, 1, 3))], 9),
    "conv_with_blind_windows": nn.Conv2D(4, [Window(2, 3, 0, 8)], 5),
    "local": nn.Local2D(6, [Window(3, 2, 1, 8)], 5),
    "local_in_groups": nn.Local2D(6, [Window(3, 1, 0, 8, 2)], 7),
    "sparse_local": nn.Local2D(6, [Window(3, 1, 0, 8, 2, 3, (0, 5, 2, 7, 1, 3))], 7),
    "pixels": nn.PixelDense(3, 2),
    "scaling": nn.Scaling(),
    "mask_dropout": nn.MaskDropout(0.3, seed=1),
    "inverted_dropout": nn.InvertedDropout(0.3, seed=1),
}
ON_COLOURS = {"yuv": nn.RGBToYUV(), "lab": nn.RGBToLAB(), "centred_lab": nn.RGBToLAB(center=True)}
ON_VECTORS = {
    "dense": nn.Dense(5),
    "blocks": nn.BlockDense(5, 3),
    "conditional_probability": nn.ConditionalProbability(5),
    "dropout_dense": nn.DropoutDense(5, 0.3, seed=1),
    "drop_connect": nn.DropConnectDense(5, 0.3, seed=1),
    "drop_connect_of_cases": nn.DropConnectDense(5, 0.3, True, seed=1),
    "fixed_dropout": nn.FixedCountDropout(0.3, seed=1),
    "log_softmax": nn.LogSoftmax(),
    "softmax": nn.Softmax(),
    "unit_norm": nn.UnitNormalization(),
    **{
        f"neuron_{function}": nn.Activation(function, (1.5, 0.5)[: PARAMETER_COUNTS.get(function, 0)])
        for function in nn.ACTIVATIONS
    },
}
ON_PIXELS = {"list_of_pixels": nn.PixelDense(4, 2)}
ON_TWO = {
    "sum": nn.WeightedSum((0.5, -2.0)),
    "maximum": nn.Maximum(),
    "dense_of_two": nn.Dense(5, 2),
    "dense_of_two_with_one_kernel": nn.Dense(5, 2, kernel_sources=[None, 0], gradient_scales=[1.0, 0.5]),
}
INPUTS = {
    "image": (IMAGE, ON_IMAGES),
    "colours": ((6, 6, 3), ON_COLOURS),
    "vector": (VECTOR, ON_VECTORS),
    "list": (PIXELS, ON_PIXELS),
}
RANDOM = {
    "nrelu": nn.RandomActivation("nrelu", seed=3),
    "softlif": nn.RandomActivation("softlif", (1.0, 0.002, 0.02, 1.0, 0.02, 0.1), seed=4),
}


def random_weights(model):
    """Give all weights small random numbers; masks and states of generators stay as they are."""
    rng = np.random.default_rng(5)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0.1, 0.3, variable.shape))


def every_layer():
    """Return the model, as what is exported."""
    inputs, outputs = {}, {}
    for name, (shape, layers) in INPUTS.items():
        inputs[name] = keras.Input(shape, name=name)
        outputs |= {each: layer(inputs[name]) for each, layer in layers.items()}
    pair = [inputs["vector"], outputs["neuron_linear"]]
    outputs |= {name: layer(pair) for name, layer in ON_TWO.items()}
    return inference(inputs, outputs)


def random_layers():
    """Return a model of what draws random numbers in tests too."""
    inputs = {"vector": keras.Input(VECTOR, name="vector")}
    return inference(inputs, {name: layer(inputs["vector"]) for name, layer in RANDOM.items()})


def inference(inputs, outputs):
    """Return what is exported of some layers; every number in them is random."""
    model = keras.Model(inputs, outputs)
    random_weights(model)
    layers = {layer.name: f"[{layer.name}]" for layer in model.layers}
    return Inference(model, ports(inputs), ports(outputs), layers)
