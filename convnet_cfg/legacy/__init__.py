"""cuda-convnet's own files: checkpoints of its programs, read without running what is in them."""

from convnet_cfg.legacy.reading import load_checkpoint, newest_checkpoint
from convnet_cfg.legacy.values import (
    Array,
    Checkpoint,
    Expression,
    Layer,
    Option,
    OptionParser,
    Outputs,
    Value,
)

__all__ = [
    "Array",
    "Checkpoint",
    "Expression",
    "Layer",
    "Option",
    "OptionParser",
    "Outputs",
    "Value",
    "load_checkpoint",
    "newest_checkpoint",
]
