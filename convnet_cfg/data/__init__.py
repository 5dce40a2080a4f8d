"""Data providers: batch files and made-up data, delivered as numpy arrays and prepared on the device."""

from convnet_cfg.data.batches import Batch, BatchDirectory
from convnet_cfg.data.folders import image_shape
from convnet_cfg.data.images import CroppedImageProvider, ImageProvider, InnerCropProvider
from convnet_cfg.data.jpeg_batches import JpegDirectory
from convnet_cfg.data.jpeg_images import JpegImageProvider
from convnet_cfg.data.pickles import load_pickle
from convnet_cfg.data.provider import DataProvider
from convnet_cfg.data.provider_options import read_options
from convnet_cfg.data.registry import (
    REGISTRY,
    directory_on_path,
    is_registered,
    needs_path,
    open_provider,
    options_of,
    register,
    stored_provider,
    takes_path,
    views_of,
    working_directory_on_path,
)

__all__ = [
    "REGISTRY",
    "Batch",
    "BatchDirectory",
    "CroppedImageProvider",
    "DataProvider",
    "ImageProvider",
    "InnerCropProvider",
    "JpegDirectory",
    "JpegImageProvider",
    "directory_on_path",
    "image_shape",
    "is_registered",
    "load_pickle",
    "needs_path",
    "open_provider",
    "options_of",
    "read_options",
    "register",
    "stored_provider",
    "takes_path",
    "views_of",
    "working_directory_on_path",
]
