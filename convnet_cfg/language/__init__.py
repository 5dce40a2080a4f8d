"""Text to Network: reads cuda-convnet's two configuration files; never imports Keras."""

from convnet_cfg.language.builder import MODES, Pair, Reading, build_network, load_network, read_pair
from convnet_cfg.language.dialects import DIALECTS
from convnet_cfg.language.guess import Guess, guess_dims
from convnet_cfg.language.network import Layer, Matrix, Network, refused_decay, refused_functions

__all__ = [
    "DIALECTS",
    "MODES",
    "Guess",
    "Layer",
    "Matrix",
    "Network",
    "Pair",
    "Reading",
    "build_network",
    "guess_dims",
    "load_network",
    "read_pair",
    "refused_decay",
    "refused_functions",
]
