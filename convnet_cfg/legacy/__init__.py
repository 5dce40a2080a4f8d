"""cuda-convnet's own files: its checkpoints, read without running what is in them, and written."""

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
from convnet_cfg.legacy.writing import write_checkpoint

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
    "write_checkpoint",
]
