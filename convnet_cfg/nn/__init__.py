"""The Keras layers and costs that cuda-convnet has and Keras lacks.

Images are (batch, rows, columns, channels) with as many rows as columns, vectors (batch, features).
Everything computes in the layer's `dtype`, float32 or float64.
"""

from keras.layers import Softmax, UnitNormalization

from convnet_cfg.nn.activations import ACTIVATIONS, Activation
from convnet_cfg.nn.constraints import (
    LOCAL_AXES,
    Chain,
    ColumnNorm,
    ColumnNormLimit,
    ColumnSpread,
    NonNegativeColumns,
)
from convnet_cfg.nn.conv import Conv2D
from convnet_cfg.nn.costs.classes import (
    hinge_loss,
    label_errors,
    log_logreg,
    logreg,
    masked_logreg,
    softmax_logreg,
    softmax_masked_logreg,
    softmax_task_logreg,
    task_logreg,
)
from convnet_cfg.nn.costs.detection import (
    detection_cross_entropy,
    detection_summary,
    logistic_detection_cross_entropy,
    logistic_masked_binary_cross_entropy,
    masked_binary_cross_entropy,
)
from convnet_cfg.nn.costs.entropy import (
    binary_cross_entropy,
    cross_entropy,
    independent_cross_entropy,
    logistic_binary_cross_entropy,
    softmax_cross_entropy,
)
from convnet_cfg.nn.costs.pairs import contrastive, ranking
from convnet_cfg.nn.costs.squares import (
    cauchy,
    gated_sum_of_squares,
    group_sparsity,
    squared_difference,
    sum_of_squares,
    topographic_energy,
)
from convnet_cfg.nn.costs.subsets import subset_logreg
from convnet_cfg.nn.dense import BlockDense, ConditionalProbability, Dense, PixelDense, Scaling
from convnet_cfg.nn.dropconnect import DropConnectDense, DropoutDense
from convnet_cfg.nn.dropout import FixedCountDropout, InvertedDropout, MaskDropout
from convnet_cfg.nn.elementwise import LogSoftmax, Maximum, WeightedSum
from convnet_cfg.nn.images import (
    BilinearResize,
    Crop2D,
    GaussianBlur,
    HorizontalFlip,
    Nailbed,
    RandomScale,
    RGBToLAB,
    RGBToYUV,
)
from convnet_cfg.nn.local import Local2D
from convnet_cfg.nn.normalization import ContrastNorm2D, CrossMapNorm, ResponseNorm2D
from convnet_cfg.nn.pooling import AveragePool2D, CrossMapMaxPool, MaxAbsPool2D, MaxPool2D
from convnet_cfg.nn.random_activations import RANDOM_ACTIVATIONS, RandomActivation
from convnet_cfg.nn.randomness import RandomLayer
from convnet_cfg.nn.windows import Window

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "AveragePool2D",
    "BilinearResize",
    "BlockDense",
    "Chain",
    "ColumnNorm",
    "ColumnNormLimit",
    "ColumnSpread",
    "ConditionalProbability",
    "ContrastNorm2D",
    "Conv2D",
    "Crop2D",
    "CrossMapMaxPool",
    "CrossMapNorm",
    "Dense",
    "DropConnectDense",
    "DropoutDense",
    "FixedCountDropout",
    "GaussianBlur",
    "HorizontalFlip",
    "InvertedDropout",
    "LOCAL_AXES",
    "Local2D",
    "LogSoftmax",
    "MaskDropout",
    "MaxAbsPool2D",
    "MaxPool2D",
    "Maximum",
    "Nailbed",
    "NonNegativeColumns",
    "PixelDense",
    "RANDOM_ACTIVATIONS",
    "RGBToLAB",
    "RGBToYUV",
    "RandomActivation",
    "RandomLayer",
    "RandomScale",
    "ResponseNorm2D",
    "Scaling",
    "Softmax",
    "UnitNormalization",
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
