"""The Keras layers and costs that cuda-convnet has and Keras lacks.

Images are (batch, rows, columns, channels) with as many rows as columns, vectors (batch, features).
Everything computes in the layer's `dtype`, float32 or float64.
"""

from keras.layers import Softmax

from convnet_cfg.nn.activations import ACTIVATIONS, Activation
from convnet_cfg.nn.conv import Conv2D
from convnet_cfg.nn.costs import (
    binary_cross_entropy,
    cauchy,
    contrastive,
    cross_entropy,
    detection_cross_entropy,
    detection_summary,
    gated_sum_of_squares,
    group_sparsity,
    hinge_loss,
    independent_cross_entropy,
    label_errors,
    log_logreg,
    logistic_binary_cross_entropy,
    logistic_detection_cross_entropy,
    logistic_masked_binary_cross_entropy,
    logreg,
    masked_binary_cross_entropy,
    masked_logreg,
    ranking,
    softmax_cross_entropy,
    softmax_logreg,
    softmax_masked_logreg,
    softmax_task_logreg,
    squared_difference,
    subset_logreg,
    sum_of_squares,
    task_logreg,
    topographic_energy,
)
from convnet_cfg.nn.dropout import MaskDropout
from convnet_cfg.nn.elementwise import Maximum, WeightedSum
from convnet_cfg.nn.images import BilinearResize, GaussianBlur, Nailbed, RGBToLAB, RGBToYUV
from convnet_cfg.nn.local import Local2D
from convnet_cfg.nn.normalization import ContrastNorm2D, CrossMapNorm, ResponseNorm2D
from convnet_cfg.nn.pooling import AveragePool2D, MaxPool2D
from convnet_cfg.nn.weighted import Dense
from convnet_cfg.nn.windows import Window

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "AveragePool2D",
    "BilinearResize",
    "ContrastNorm2D",
    "Conv2D",
    "CrossMapNorm",
    "Dense",
    "GaussianBlur",
    "Local2D",
    "MaskDropout",
    "MaxPool2D",
    "Maximum",
    "Nailbed",
    "RGBToLAB",
    "RGBToYUV",
    "ResponseNorm2D",
    "Softmax",
    "WeightedSum",
    "Window",
    "binary_cross_entropy",
    "cauchy",
    "contrastive",
    "cross_entropy",
    "detection_cross_entropy",
    "detection_summary",
    "gated_sum_of_squares",
    "group_sparsity",
    "hinge_loss",
    "independent_cross_entropy",
    "label_errors",
    "log_logreg",
    "logistic_binary_cross_entropy",
    "logistic_detection_cross_entropy",
    "logistic_masked_binary_cross_entropy",
    "logreg",
    "masked_binary_cross_entropy",
    "masked_logreg",
    "ranking",
    "softmax_cross_entropy",
    "softmax_logreg",
    "softmax_masked_logreg",
    "softmax_task_logreg",
    "squared_difference",
    "subset_logreg",
    "sum_of_squares",
    "task_logreg",
    "topographic_energy",
]
