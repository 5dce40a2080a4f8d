"""`convnet translate`: a network as source text that needs nothing of this program."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable, Sequence
from math import isqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from convnet_cfg.cli.arguments import Pair, find_pair, reading_options
from convnet_cfg.cli.output import say
from convnet_cfg.cli.quiet import start_tensorflow
from convnet_cfg.data.writing import write_whole
from convnet_cfg.errors import DataError, UsageError, printable
from convnet_cfg.language import Network, Reading, build_network, guess_dims, read_pair
from convnet_cfg.language.params import DECAYS, DEFAULT_DECAY
from convnet_cfg.language.weight_types import FilterSpec
from convnet_cfg.language.layer_types import DataSpec, ImageSpec

if TYPE_CHECKING:
    from convnet_cfg.training.trained import Trained


class Target(NamedTuple):
    """One language: the function that writes it, `module:function`, and how a file of it ends."""

    function: str
    suffix: str


TARGETS = {"keras": Target("convnet_cfg.export.source.keras_source:translate", ".py")}
