"""Objectives: functions that return one row per case; column 0 is the cost, to be summed over cases.

The further columns are what is reported beside it; they have no gradient. Every column is summed over
the cases. What is a property of a whole minibatch (a rate, the cost of a group of cases) is spread over
the rows so that the sum is right.

A *fused* function takes the input of the softmax layer or logistic neurons that feed the cost, and its
gradient is that of cost and layer together, without a division by a probability. It is for costs that
are the only consumer of that layer. Labels and targets have no gradient.
"""

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

__all__ = [
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
