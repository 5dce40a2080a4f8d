"""Text to Network: reads cuda-convnet's two configuration files; never imports Keras."""

from .builder import MODES, load_network
from .network import Layer, Matrix, Network

__all__ = ["MODES", "Layer", "Matrix", "Network", "load_network"]
