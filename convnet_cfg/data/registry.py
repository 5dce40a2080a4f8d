"""Finding a data provider by its name."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from convnet_cfg.data.batches import BatchDirectory
from convnet_cfg.data.folders import META
from convnet_cfg.data.images import CroppedImageProvider, ImageProvider, InnerCropProvider
from convnet_cfg.data.jpeg_images import JpegImageProvider
from convnet_cfg.data.pickles import load_pickle
from convnet_cfg.data.provider import DataProvider
from convnet_cfg.data.ring import RingProvider
from convnet_cfg.data.samples import Digits, RandomProvider, RepeatedProvider
from convnet_cfg.errors import UsageError, did_you_mean, shorten

Factory = Callable[..., DataProvider]
Made = TypeVar("Made", bound=Factory)


TEN_VIEWS = 10


class Entry(NamedTuple):
    """A registered provider: what it is, what makes it, and the views of each case in a multiview test."""

    description: str
    factory: Factory
    views: int


REGISTRY: dict[str, Entry] = {}
"""Providers by name. A name that ends in `-n` stands for all names with a number in that place."""


def register(name: str, description: str, *, views: int = TEN_VIEWS) -> Callable[[Made], Made]:
    """Add a provider under a name: a decorator for a DataProvider class, or a function that makes one.

    It is called with the data path (or None) if it has a parameter for one, or with the number if the name
    ends in `-n`. Its keyword-only arguments are the provider's options; if `test_views` is one of them,
    `views` is what it is set to for a multiview test.

    Raises:
        ValueError: the name is taken.
    """

    def add(factory: Made) -> Made:
        if name in REGISTRY:
            raise ValueError(f"there is already a data provider {name!r}")
        REGISTRY[name] = Entry(description, factory, views)
        return factory

    return add


def open_provider(name: str, path: str | os.PathLike[str] | None = None, **options: Any) -> DataProvider:
    """Return the data provider of this name, or of the class `module.Class`, for the data at `path`.

    Raises:
        UsageError: there is no such provider, it lacks its path, or it does not take one of the options.
        DataError: the data are not there or damaged.
    """
    check_options(name, options)
    factory, arguments = _find(name, path)
    provider = factory(*arguments, **options)
    if not isinstance(provider, DataProvider):
        raise UsageError(f"data provider {name!r} made a {type(provider).__name__}, not a DataProvider")
    return provider


def stored_provider(path: str | os.PathLike[str]) -> str:
    """Return the name of the data provider that a batch directory asks for (`dp_type`), a registered one.

    Raises:
        UsageError: it asks for none, or for another: data do not decide what is imported.
        DataError: there is no such directory, or its meta file is damaged.
    """
    file = Path(path) / META
    content = load_pickle(file)
    name = content.get("dp_type") if isinstance(content, dict) else None
    if not isinstance(name, str) or not name:
        raise UsageError(f"{file} does not name its data provider (dp_type)")
    if not is_registered(name):
        raise UsageError(
            f"{file} asks for data provider {shorten(name)!r}, which does not come along: "
            "if you trust it, name it with --data-provider"
        )
    return name


def is_registered(name: str) -> bool:
    """Return whether a provider of this name comes along, or was registered: nothing is imported for it."""
    return _find_registered(name, None) is not None


def check_options(name: str, given: Iterable[str]) -> None:
    """Raise UsageError if the provider of this name does not take one of the given options."""
    known = options_of(name)
    for option in given:
        if option not in known:
            takes = f"takes {', '.join(known)}" if known else "takes no options"
            raise UsageError(f"data provider {name!r} {takes}, not {option!r}{did_you_mean(option, known)}")


def option_names(factory: Factory) -> list[str]:
    """Return the names of the options that a provider takes."""
    parameters = inspect.signature(factory).parameters.values()
    return [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]


def options_of(name: str) -> list[str]:
    """Return the names of the options that the provider of this name takes.

    Raises:
        UsageError: there is no such provider.
    """
    return option_names(maker_of(name))


def views_of(name: str) -> int:
    """Return how many views of each case a multiview test of the provider of this name averages over."""
    return REGISTRY[name].views if name in REGISTRY else TEN_VIEWS


def maker_of(name: str) -> Factory:
    """Return what makes the provider of this name.

    Raises:
        UsageError: there is no such provider.
    """
    return _find(name, None)[0]


def takes_path(name: str) -> bool:
    """Return whether the provider of this name has a use for a data path.

    Raises:
        UsageError: there is no such provider.
    """
    return _find(name, None)[1] == (None,)


def needs_path(name: str) -> bool:
    """Return whether the provider of this name is nothing without a data path.

    Raises:
        UsageError: there is no such provider.
    """
    return takes_path(name) and _positional(maker_of(name))[0].default is inspect.Parameter.empty


def _positional(factory: Factory) -> list[inspect.Parameter]:
    """Return the parameters that are no options."""
    parameters = inspect.signature(factory).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [parameter for parameter in parameters if parameter.kind in kinds]


def _find(name: str, path: str | os.PathLike[str] | None) -> tuple[Factory, tuple[Any, ...]]:
    """Return what makes the provider, and its arguments: the path, unless it has no parameter for one."""
    if (registered := _find_registered(name, path)) is not None:
        return registered
    if "." in name:
        factory = _import(name)
        return factory, (path,) if _positional(factory) else ()
    family, _, number = name.rpartition("-")
    guess = f"{family}-n" if number.isdigit() else name
    listed = "\n".join(f"  {known:<16} {entry.description}" for known, entry in REGISTRY.items())
    raise UsageError(
        f"no data provider {name!r}{did_you_mean(guess, REGISTRY)}; there are\n{listed}\n"
        "  module.Class     a DataProvider class of your own"
    )


def _find_registered(
    name: str, path: str | os.PathLike[str] | None
) -> tuple[Factory, tuple[Any, ...]] | None:
    """Return the same of a provider that is registered, None if it is not."""
    if name in REGISTRY and not name.endswith("-n"):
        factory = REGISTRY[name].factory
        return factory, (path,) if _positional(factory) else ()
    family, _, number = name.rpartition("-")
    if f"{family}-n" in REGISTRY and re.fullmatch("[1-9][0-9]{0,6}", number):
        return REGISTRY[f"{family}-n"].factory, (int(number),)
    return None


def _import(name: str) -> type[DataProvider]:
    """Return a user's own class; modules in the working directory are found too."""
    module_name, _, class_name = name.rpartition(".")
    try:
        with working_directory_on_path():
            found = getattr(importlib.import_module(module_name), class_name)
    except Exception as error:
        raise UsageError(f"cannot import data provider {name!r}: {type(error).__name__}: {error}") from error
    if not isinstance(found, type) or not issubclass(found, DataProvider):
        raise UsageError(f"{name!r} is not a subclass of convnet_cfg.data.DataProvider")
    return found


def working_directory_on_path() -> AbstractContextManager[None]:
    """Let modules in the working directory be imported, as `python -c` does but a console script does not."""
    return directory_on_path(os.getcwd())


@contextmanager
def directory_on_path(directory: str) -> Iterator[None]:
    """Let modules in a directory be imported, behind all others."""
    before = list(sys.path)
    if directory not in before:
        sys.path.append(directory)
    try:
        yield
    finally:
        sys.path[:] = before


def _needed(name: str, path: str | os.PathLike[str] | None) -> str | os.PathLike[str]:
    if path is None:
        raise UsageError(f"data provider {name!r} needs a data path")
    return path


@register("cifar", "images of a batch directory, mean subtracted; with an inner size, crops", views=9)
def _cifar(
    path: str | os.PathLike[str] | None,
    *,
    inner_size: int | None = None,
    scalar_mean: float | None = None,
    test_views: int = 1,
) -> DataProvider:
    """Return cuda-convnet's provider, or cuda-convnet2's of the same name if one of its options is given."""
    source = BatchDirectory(_needed("cifar", path))
    if inner_size is None and scalar_mean is None:
        if test_views != 1:
            raise UsageError(
                "data provider 'cifar' has one view of each case only, unless it has an inner size"
            )
        return ImageProvider(source)
    shift = {} if scalar_mean is None else {"scalar_mean": scalar_mean}
    return InnerCropProvider(source, inner_size=inner_size or 0, test_views=test_views, **shift)


@register(
    "cifar-cropped", "the same in crops: random ones and flips to train, the centre or 10 views to test"
)
def _cifar_cropped(
    path: str | os.PathLike[str] | None, *, crop_border: int = 4, test_views: int = 1
) -> DataProvider:
    source = BatchDirectory(_needed("cifar-cropped", path))
    return CroppedImageProvider(source, crop_border=crop_border, test_views=test_views)


register("image", "batches of JPEG strings: random crops and flips to train, the centre or 10 views to test")(
    JpegImageProvider
)


@register("digits", "scikit-learn's 8 x 8 digits: batches 1-3 to train, 4 to test; needs no data path")
def _digits() -> DataProvider:
    return ImageProvider(Digits())


register(
    "ring", "16 shapes in 12 positions on a ring of pixels: batch 1 to train, 2 to test; needs no data path"
)(RingProvider)


@register("dummy-cn-n", "512 random cases of n values, labels 0 to 9; needs no data path")
def _dummy(dimension: int) -> DataProvider:
    return RandomProvider(dimension)


@register("dummy-labeled-n", "7 random cases of n values, always the same; needs no data path")
def _dummy_labeled(dimension: int) -> DataProvider:
    return RepeatedProvider(dimension)
